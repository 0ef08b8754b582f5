"""Whoever adds to a closed set is told here, or by mypy, where it has to be known besides (CONTRIBUTING.md)."""

from pathlib import Path
from typing import get_args

import pytest

from exporters.metrics import edges
from loadtest.config.keys.scenario import KINDS, PAID_FOR, TurnKind
from loadtest.config.settings import Target
from loadtest.criteria.samples import SAMPLERS
from loadtest.criteria.slo import INDICATORS, RANKED, Slo
from loadtest.preflight.machine import FILES_OF_A_SESSION
from loadtest.rooms.extras import PACKAGES
from loadtest.rooms.opening import RoomKind
from reports.data import frames
from reports.verdict.samples import samples
from tests.reports import journals as j

SLOS = [Slo(name=name, indicator=name, max=1) for name in INDICATORS]
MEASURES = {slo.measure for slo in SLOS}
ROOMS = set(get_args(Target.model_fields["room"].annotation))


def test_every_indicator_is_sampled_while_the_run_goes_on() -> None:
    assert set(SAMPLERS) == MEASURES


def test_every_ranked_indicator_says_which_histogram_shows_it() -> None:
    assert set(edges.SHOWN) == {slo.measure for slo in SLOS if slo.unit in RANKED}


def test_every_indicator_has_its_samples_in_a_report_and_no_other_ones(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    run = frames.load(tmp_path)
    for measure in MEASURES:
        samples(run, measure)
    for unknown in ("create.lost", "turn.lost", "session.lost", "media.lost"):
        with pytest.raises(LookupError, match=unknown):
            samples(run, unknown)


def test_every_kind_of_turn_that_is_written_can_be_asked_for() -> None:
    """A kind that stands in no union would be refused as a misspelt one."""

    def leaves(kind: type[TurnKind]) -> set[type[TurnKind]]:
        below = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind}

    assert leaves(TurnKind) == set(KINDS.values())


def test_every_kind_of_room_can_be_opened_planned_for_and_installed() -> None:
    assert set(get_args(RoomKind)) == ROOMS - {"auto", "none"}
    assert set(FILES_OF_A_SESSION) == ROOMS
    assert set(PACKAGES) < ROOMS


def test_every_kind_of_turn_is_paid_for_but_those_in_which_the_avatar_is_to_be_silent() -> None:
    assert KINDS.keys() - PAID_FOR == {"silence", "pause"}
