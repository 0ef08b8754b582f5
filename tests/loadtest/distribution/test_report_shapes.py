"""A report that could not be merged into the run's figures is refused, whatever it is like."""

import math
from typing import Any

import pytest

from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.snapshot import EDGES, EXEMPLARS, FAILURES, merged
from loadtest.distribution.report_shapes import (
    check_fitness,
    check_nothing,
    check_number,
    check_objectives,
    check_snapshot,
)

OWN = Aggregate(["default"]).snapshot()
HISTOGRAM = len(OWN[EDGES][c.SESSION_SETUP.name]) + 2  # type: ignore[arg-type]


def test_a_snapshot_of_our_own_is_taken_and_can_be_merged() -> None:
    check_snapshot(Aggregate(["default"]).snapshot(), like=OWN)
    check_snapshot({}, like=OWN)
    assert merged([OWN, OWN])[EDGES] == OWN[EDGES]


def test_a_mix_of_many_scenarios_has_many_series() -> None:
    mix = Aggregate([f"scenario {number}" for number in range(100)]).snapshot()
    check_snapshot(mix, like=mix)
    with pytest.raises(ValueError, match="series, more than"):
        check_snapshot(mix, like=OWN)


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        [],
        {c.USERS.name: None},
        {c.USERS.name: {"": None}},
        {c.USERS.name: {"": "many"}},
        {c.USERS.name: {"": [1, 2]}},
        {c.USERS.name: {"": math.nan}},
        {c.USERS.name: {"": math.inf}},
        {c.USERS.name: {"": -math.inf}},
        {c.USERS.name: {"": 1.7e308}},
        {c.USERS.name: {"": -1.7e308}},
        {c.SESSIONS_STARTED.name: {"default": 2**53 + 1}},
        {EXEMPLARS: {"x": [1.0, 2.0, 3.0, 4.0, 1.7e308]}},
        {c.USERS.name: {"a label that it does not have\x1fand another": 1}},
        {c.SESSIONS_STARTED.name: {"default": -1}},
        {c.SESSIONS.name: {"default": 1}},
        {c.SESSIONS_STARTED.name: {"x" * 1001: 1}},
        {c.SESSIONS_STARTED.name: {str(number): 1 for number in range(20_001)}},
        {c.SESSION_SETUP.name: {"default": 3}},
        {c.SESSION_SETUP.name: {"default": [0] * (HISTOGRAM - 1)}},
        {c.SESSION_SETUP.name: {"default": [*([0] * (HISTOGRAM - 1)), -1]}},
        {c.SESSION_SETUP.name: {"default": ["0"] * HISTOGRAM}},
        {EDGES: {c.SESSION_SETUP.name: [1.0]}},
        {EDGES: {"avaload_of_somebody_else": [1.0]}},
        {EXEMPLARS: {"x": [1.0]}},
        {FAILURES: {"mint\x1fmood\x1ftimeout": 1}},
        {FAILURES: {"mint\x1ftimeout": 1}},
        {FAILURES: {"mint\x1ftimeout\x1ftimeout": [1]}},
        {"avaload_of_somebody_else": {"": 1}},
        {7: {"": 1}},
    ],
)
def test_anything_else_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        check_snapshot(data, like=OWN)


def test_the_counts_of_objectives_are_as_many_as_there_are_objectives() -> None:
    good = {"slots": [[[0, 5, 1]], []], "complete_ns": 7, "steady_ns": [0]}
    check_objectives(good, count=2)
    for bad in (
        None,
        good | {"slots": [[]]},
        good | {"slots": [[[0, 5]], []]},
        good | {"slots": [[[0, -5, 1]], []]},
        good | {"slots": [[[0, 5, -1]], []]},
        good | {"slots": [[[0, 1, 5]], []]},
        good | {"slots": [[[0, 2**54, 1]], []]},
        good | {"complete_ns": -1},
        good | {"steady_ns": ["0"]},
    ):
        with pytest.raises(ValueError):
            check_objectives(bad, count=2)


@pytest.mark.parametrize("data", [None, {}, {"number": -1}, {"number": 2}, {"number": "0"}, {"number": True}, 0])
def test_a_number_is_one_of_the_run(data: Any) -> None:
    check_number({"number": 1}, processes=2)
    with pytest.raises(ValueError):
        check_number(data, processes=2)


def test_words_are_those_that_there_are() -> None:
    check_nothing(None)
    check_fitness(["suspect", "event loop lag: p99 23 ms"])
    with pytest.raises(ValueError):
        check_nothing({})
    for bad in ("splendid", None, ["valid"], ["splendid", ""], ["valid", 1], ["suspect", "x" * 201]):
        with pytest.raises(ValueError):
            check_fitness(bad)
