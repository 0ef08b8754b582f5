"""Whoever adds to a closed set is told here, or by mypy, where it has to be known besides (CONTRIBUTING.md)."""

from typing import get_args

from exporters.metrics import edges
from loadtest.commands.work.machine import FILES_OF_A_SESSION
from loadtest.config.settings import Target
from loadtest.judging.samples import SAMPLERS
from loadtest.judging.slo import INDICATORS, RANKED, Slo
from loadtest.rooms.extras import PACKAGES
from loadtest.rooms.opening import RoomKind

SLOS = [Slo(name=name, indicator=name, max=1) for name in INDICATORS]
MEASURES = {slo.measure for slo in SLOS}
ROOMS = set(get_args(Target.model_fields["room"].annotation))


def test_every_indicator_is_sampled_while_the_run_goes_on() -> None:
    assert set(SAMPLERS) == MEASURES


def test_every_ranked_indicator_says_which_histogram_shows_it() -> None:
    assert set(edges.SHOWN) == {slo.measure for slo in SLOS if slo.unit in RANKED}


def test_every_kind_of_room_can_be_opened_planned_for_and_installed() -> None:
    assert set(get_args(RoomKind)) == ROOMS - {"auto", "none"}
    assert set(FILES_OF_A_SESSION) == ROOMS
    assert set(PACKAGES) < ROOMS
