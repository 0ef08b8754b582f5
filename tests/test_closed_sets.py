"""Whoever adds to a closed set is told here, or by mypy, where it has to be known besides (CONTRIBUTING.md)."""

import re
from pathlib import Path
from typing import get_args

import pytest

from exporters.metrics import edges
from loadtest.commands.work.machine import FILES_OF_A_SESSION
from loadtest.config.scenario import KINDS
from loadtest.config.settings import Target
from loadtest.config.workload import Load
from loadtest.judging.samples import SAMPLERS
from loadtest.judging.slo import INDICATORS, RANKED, Slo
from loadtest.language.events import STEPS
from loadtest.rooms.extras import PACKAGES
from loadtest.rooms.opening import RoomKind
from tests.support import ROOT

SLOS = [Slo(name=name, indicator=name, max=1) for name in INDICATORS]
MEASURES = {slo.measure for slo in SLOS}
ROOMS = set(get_args(Target.model_fields["room"].annotation))
ARRIVALS = set(get_args(Load.model_fields["arrivals"].annotation))
PAGES = (ROOT / "README.md", *sorted(Path(ROOT / "docs").rglob("*.md")))


def in_the_pages(word: str) -> bool:
    """Whether it stands in code in what a user reads."""
    fenced = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code) for code in map_of(fenced))


def map_of(fenced: re.Pattern[str]) -> list[str]:
    return [code for page in PAGES for code in fenced.findall(page.read_text())]


def test_every_indicator_is_sampled_while_the_run_goes_on() -> None:
    assert set(SAMPLERS) == MEASURES


def test_every_ranked_indicator_says_which_histogram_shows_it() -> None:
    assert set(edges.SHOWN) == {slo.measure for slo in SLOS if slo.unit in RANKED}


def test_every_kind_of_room_can_be_opened_planned_for_and_installed() -> None:
    assert set(get_args(RoomKind)) == ROOMS - {"auto", "none"}
    assert set(FILES_OF_A_SESSION) == ROOMS
    assert set(PACKAGES) < ROOMS


@pytest.mark.parametrize(
    "word", sorted({*KINDS, *ROOMS, *ARRIVALS, *STEPS, *(measure.rpartition(".")[2] for measure in MEASURES)})
)
def test_every_word_that_a_scenario_may_use_is_in_the_documents(word: str) -> None:
    assert in_the_pages(word)
