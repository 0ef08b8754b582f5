"""One beginning for all load processes: when it is set, what each is told, and what is still waited for."""

import pytest

from loadtest.distribution.barrier import AHEAD_NS, StartBarrier, renumbered

SECOND_NS = 1_000_000_000


def test_nothing_begins_before_the_last_load_process_is_ready_and_then_once() -> None:
    barrier = StartBarrier(2, lambda _: 0)
    barrier.ready(0)
    barrier.ready(0)  # said twice, it is still one
    assert not barrier.look(5)
    assert (barrier.zero_ns, barrier.zero_for(0)) == (None, None)
    assert barrier.waiting_for == "load processes: 1 of 2 are ready"
    barrier.ready(1)
    assert barrier.look(7)
    assert barrier.zero_ns == 7 + AHEAD_NS
    assert barrier.waiting_for is None
    assert not barrier.look(9)
    assert barrier.zero_ns == 7 + AHEAD_NS


def test_each_is_told_the_same_moment_on_its_own_clock() -> None:
    """Clocks seconds apart, one ahead of the master's and one behind."""
    offsets_ns = {0: 0, 1: -3 * SECOND_NS, 2: 4 * SECOND_NS}
    barrier = StartBarrier(3, offsets_ns.get)
    for number in offsets_ns:
        barrier.ready(number)
    assert barrier.look(100 * SECOND_NS)
    zero_ns = 100 * SECOND_NS + AHEAD_NS
    assert [barrier.zero_for(number) for number in offsets_ns] == [
        zero_ns,
        zero_ns + 3 * SECOND_NS,
        zero_ns - 4 * SECOND_NS,
    ]


def test_a_host_whose_clock_is_unknown_is_waited_for() -> None:
    offsets_ns = {0: 0}
    barrier = StartBarrier(2, offsets_ns.get)
    barrier.ready(0)
    barrier.ready(1)
    assert not barrier.look(1)
    assert barrier.waiting_for == "the clocks of the hosts to be compared"
    offsets_ns[1] = 5
    assert barrier.look(2)


def test_a_load_process_that_is_not_of_this_run_counts_for_nothing() -> None:
    barrier = StartBarrier(1, lambda _: 0)
    barrier.ready(7)
    barrier.ready(-1)
    assert not barrier.look(1)


def test_who_was_let_in_and_says_late_which_load_process_it_is_is_heard() -> None:
    """On a busy machine all are ready for Locust before the last has said it."""
    assert renumbered({"a": 0, "b": 1}, "c", 2, is_closed=True) == {"a": 0, "b": 1, "c": 2}
    assert renumbered({"a": 0, "b": 1}, "b", 1, is_closed=True) == {"a": 0, "b": 1}


@pytest.mark.parametrize(("node", "number"), [("c", 1), ("a", 2), ("a", 1)])
def test_nobody_takes_a_number_that_is_taken_or_a_second_one_once_all_are_here(node: str, number: int) -> None:
    assert renumbered({"a": 0, "b": 1}, node, number, is_closed=True) is None


def test_before_all_are_here_another_one_may_come_in_the_place_of_one_that_died() -> None:
    assert renumbered({"a": 0, "b": 1}, "c", 1, is_closed=False) == {"a": 0, "c": 1}
