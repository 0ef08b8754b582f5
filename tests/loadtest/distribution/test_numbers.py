"""Which load process has which number, as the master hears it."""

from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.distribution.master import Master
from loadtest.distribution.port.refusals import REFUSALS


def heard(numbers: dict[str, int], *said: tuple[str, int], closed: bool) -> tuple[dict[str, int], int]:
    """What the master has of them then, and how many it refused."""
    master: Any = SimpleNamespace(_numbers=numbers, _runner=SimpleNamespace(closed=closed, worker_indexes={}))
    before = sum(REFUSALS.counts.values())
    for node, number in said:
        Master._on_numbered(master, SimpleNamespace(node_id=node, data={"number": number}))
    return master._numbers, sum(REFUSALS.counts.values()) - before


def test_who_was_let_in_and_says_his_number_late_has_it() -> None:
    """On a busy machine all are ready for Locust before the last has said which one it is."""
    assert heard({"a": 0, "b": 1}, ("c", 2), closed=True) == ({"a": 0, "b": 1, "c": 2}, 0)


@pytest.mark.parametrize("said", [("c", 1), ("a", 2), ("a", 1)])
def test_nobody_takes_anothers_number_or_a_second_one_once_the_run_has_begun(said: tuple[str, int]) -> None:
    assert heard({"a": 0, "b": 1}, said, closed=True) == ({"a": 0, "b": 1}, 1)


def test_before_the_run_another_one_may_come_in_the_place_of_one_that_died() -> None:
    assert heard({"a": 0, "b": 1}, ("c", 1), closed=False) == ({"a": 0, "c": 1}, 0)
