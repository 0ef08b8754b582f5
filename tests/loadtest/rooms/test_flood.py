"""What a room may send in a second, and what is too much."""

from collections.abc import Callable

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.rooms import flood
from loadtest.rooms.flood import MOST_A_SECOND, FloodGate

S = 1_000_000_000


@pytest.mark.parametrize("weight", [1, flood.SOUND, flood.PING])
def test_so_much_may_come_in_a_second_and_no_more(weight: int) -> None:
    gate = FloodGate(10 * S)
    for _ in range(MOST_A_SECOND // weight):
        gate.take(10 * S + S // 2, weight)
    with pytest.raises(StepError) as raised:
        gate.take(11 * S - 1, weight)
    assert (raised.value.kind, raised.value.code) == (Kind.PROTOCOL, Code.BAD_SHAPE)


@pytest.mark.parametrize(
    ("weight", "size", "within_a_second"),
    [
        (flood.of_text, 100, 20_000),
        (flood.of_text, 1_000, 2_500),
        (flood.of_text, 1 << 20, 2),
        (flood.of_sound, 960, 2_000),
        (flood.of_sound, 48_000, 42),
    ],
)
def test_what_says_more_weighs_more(weight: Callable[[int], int], size: int, within_a_second: int) -> None:
    gate = FloodGate(0)
    for _ in range(within_a_second):
        gate.take(1, weight(size))
    with pytest.raises(StepError):
        gate.take(1, weight(size))


def test_a_room_that_says_as_much_in_longer_is_heard() -> None:
    gate = FloodGate(0)
    for at in range(10 * MOST_A_SECOND):
        gate.take(at * S // (MOST_A_SECOND - 1))


def test_a_conversation_with_all_its_frames_after_a_hole_of_half_a_minute_is_no_flood() -> None:
    gate = FloodGate(0)
    for _ in range(30 * 50):
        gate.take(5 * S, flood.SOUND)
