"""What a line does to packets: what was set is what comes out, for one short session as for many."""

import random
from itertools import groupby, pairwise
from statistics import fmean
from typing import Any

import pytest

from loadtest.config.keys.caller import Caller, Line
from loadtest.events.kinds import Mark, Way
from loadtest.session.line import QUEUE_NS, CallersLine, Direction, Speech
from loadtest.sound.speech import FRAME_NS

MS = 1_000_000


def carried(
    packets: int, *, seed: int = 1, sends_again: bool = False, size: int = 100, round_trip_ms: int = 0, **keys: Any
) -> tuple[Direction, list[tuple[int, int, bool]]]:
    """The way, and for each packet when it was sent, when it arrived, and whether it was lost."""
    way = Direction(Way.UP, Line(**keys), random.Random(seed), round_trip_ns=round_trip_ms * MS)
    sent = [number * FRAME_NS for number in range(packets)]
    return way, [(t_ns, *way.carry(t_ns, size, sends_again=sends_again)) for t_ns in sent]


@pytest.mark.parametrize("packets", [500, 3000])
@pytest.mark.parametrize(("loss", "burst"), [(0.01, 1), (0.05, 1), (0.02, 2), (0.2, 3)])
def test_the_share_that_is_lost_is_the_one_that_was_set_within_half_a_point(
    loss: float, burst: float, packets: int
) -> None:
    for seed in range(20):
        way, _ = carried(packets, seed=seed, loss=loss, burst=burst)
        allowed = max(0.005, 10 * burst / packets)
        assert way.lost / way.packets == pytest.approx(loss, abs=allowed), seed
    shares = [carried(packets, seed=seed, loss=loss, burst=burst)[0].lost / packets for seed in range(200)]
    assert fmean(shares) == pytest.approx(loss, abs=0.002)


@pytest.mark.parametrize("burst", [1.5, 3, 8])
def test_what_is_lost_is_lost_in_runs_of_that_mean_length(burst: float) -> None:
    _, packets = carried(100_000, loss=0.02, burst=burst)
    runs = [len(list(group)) for is_lost, group in groupby(lost for *_, lost in packets) if is_lost]
    assert fmean(runs) == pytest.approx(burst, rel=0.1)
    assert max(runs) > burst


def test_a_delay_is_kept_to_the_nanosecond_and_one_that_wanders_on_average() -> None:
    _, steady = carried(500, delay_s=0.08)
    assert {due - t for t, due, _ in steady} == {80 * MS}
    way, wandering = carried(5000, delay_s=0.08, jitter_s=0.03)
    took = [(due - t) / MS for t, due, _ in wandering]
    assert fmean(took) == pytest.approx(80, abs=2)
    assert way.delay_ns / 5000 / MS == pytest.approx(fmean(took))
    assert 50 <= min(took) < 60
    assert 100 < max(took) <= 110


@pytest.mark.parametrize("keys", [{"jitter_s": 0.1}, {"stall_s": 0.5}, {"loss": 0.1}, {"bandwidth_kbps": 50}])
@pytest.mark.parametrize("sends_again", [True, False])
def test_packets_keep_their_order(keys: dict[str, float], sends_again: bool) -> None:
    _, packets = carried(3000, delay_s=0.1, sends_again=sends_again, round_trip_ms=200, **keys)
    arrived = [due for _, due, lost in packets if not lost]
    assert arrived == sorted(arrived)


def test_what_tcp_sends_again_comes_a_round_trip_and_a_quarter_after_the_next_and_all_behind_it_with_it() -> None:
    way, packets = carried(2000, delay_s=0.05, loss=0.01, sends_again=True, round_trip_ms=100)
    assert (way.lost, way.held) == (0, pytest.approx(20, abs=2))
    late = [number for number, (t, due, _) in enumerate(packets) if due - t == (50 + 20 + 125) * MS]
    assert len(late) >= 15
    for number in late[:5]:
        together = [due for _, due, _ in packets[number : number + 7]]
        assert len(set(together)) == 1
        assert packets[number + 8][1] - packets[number + 8][0] == 50 * MS


def test_a_narrow_line_makes_packets_wait_and_gives_up_what_would_wait_too_long() -> None:
    _, enough = carried(500, size=110, bandwidth_kbps=64.1)  # 160 bytes with their headers, in 20 ms
    assert {lost for *_, lost in enough} == {False}
    way, narrow = carried(2000, size=270, bandwidth_kbps=64)  # twice of that
    assert way.lost / way.packets == pytest.approx(0.5, abs=0.02)
    waits = [due - t for t, due, lost in narrow[500:] if not lost]
    assert QUEUE_NS <= max(waits) <= QUEUE_NS + 45 * MS


def test_a_line_that_stands_still_lets_all_arrive_at_its_end() -> None:
    _, packets = carried(3000, stall_s=0.4, stall_every_s=5)
    late = [(t, due) for t, due, _ in packets if due > t]
    ends = sorted({due for _, due in late})
    assert len(ends) in (11, 12, 13)
    assert len(late) == pytest.approx(20 * len(ends), abs=20)
    assert {round((b - a) / 1e9, 6) for a, b in pairwise(ends)} == {5}


def test_the_same_seed_makes_the_same_line_and_one_way_tells_nothing_of_the_other() -> None:
    keys = Caller(up=Line(loss=0.1), down=Line(loss=0.1))
    first, second = (CallersLine(keys, random.Random(7)) for _ in range(2))
    of_first = [first.up.carry(n * FRAME_NS, 100, sends_again=False)[1] for n in range(200)]
    for number in range(50):
        second.down.carry(number * FRAME_NS, 100, sends_again=False)
    assert [second.up.carry(n * FRAME_NS, 100, sends_again=False)[1] for n in range(200)] == of_first
    assert [first.down.carry(n * FRAME_NS, 100, sends_again=False)[1] for n in range(200)] != of_first


def test_what_a_line_adds_to_a_turn_is_both_ways_means_of_that_turn() -> None:
    line = CallersLine(Caller(up=Line(delay_s=0.08), down=Line(delay_s=0.05)), random.Random(1))
    line.up.carry(0, 100, sends_again=False)
    before = line.seen()
    assert line.added_ns(before) == 0
    for number in range(10):
        line.up.carry(number * FRAME_NS, 100, sends_again=False)
        line.down.carry(number * FRAME_NS, 100, sends_again=False)
    assert line.added_ns(before) == 130 * MS


FIRST, LAST = 10, 59
"""A second of speech, by its frames."""


def said(took_ms: dict[int, int | None], frames: int = 150) -> Speech:
    """A speech whose frames take 50 ms, but for those that take so long; None: they never come."""
    speech, free_ns = Speech(), 0
    marks = {FIRST: (Mark.SPEECH_START,), LAST: (Mark.SPEECH_END,)}
    for number in range(frames):
        took = took_ms.get(number, 50)
        sent_ns = number * FRAME_NS
        free_ns = max(free_ns, sent_ns + (took or 50) * MS)  # in their order
        speech.sends(marks.get(number, ()))
        speech.arrives(free_ns, free_ns - sent_ns, marks.get(number, ()), is_lost=took is None)
    return speech


def lost(first: int, frames: int) -> dict[int, int | None]:
    return dict.fromkeys(range(first, first + frames))


END_NS = LAST * FRAME_NS + 50 * MS


@pytest.mark.parametrize(
    ("took_ms", "is_bent"),
    [
        ({}, False),
        (lost(LAST + 1, 4), False),
        (lost(LAST + 1, 5), True),
        (dict.fromkeys(range(LAST + 1, LAST + 50, 10)), True),  # five of fifty
        ({LAST + 20: 149}, False),
        ({LAST + 20: 150}, True),
        ({LAST: 149}, False),
        ({LAST: 150}, True),  # its end is late, and the silence behind it comes at once
        (lost(LAST - 4, 5), True),  # who does not get the end hears an earlier one
        (lost(LAST - 5, 5), False),
        (lost(LAST + 55, 20), False),  # the service had heard enough
    ],
)
def test_a_time_from_the_end_of_a_speech_has_no_more_of_the_line_in_it_than_a_hole(
    took_ms: dict[int, int | None], is_bent: bool
) -> None:
    assert said(took_ms).is_bent(Mark.SPEECH_END, END_NS + 2_000 * MS) is is_bent
    assert not said(took_ms).is_bent(Mark.SPEECH_START, END_NS - 250 * MS)


def test_what_the_line_does_once_the_answer_is_there_is_not_in_its_time() -> None:
    speech = said({LAST + 20: 250})
    assert [speech.is_bent(Mark.SPEECH_END, END_NS + after_ms * MS) for after_ms in (599, 600)] == [False, True]


def test_a_time_from_the_beginning_of_a_speech_is_bent_where_its_first_second_is() -> None:
    by_ns = FIRST * FRAME_NS + 2_000 * MS
    assert [said(took).is_bent(Mark.SPEECH_START, by_ns) for took in ({}, lost(FIRST, 5), {FIRST + 9: 200})] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("frames", "is_swallowed"), [(0, False), (24, False), (25, True), (50, True)])
def test_a_speech_is_swallowed_where_half_of_it_never_came(frames: int, is_swallowed: bool) -> None:
    assert said(lost(FIRST + 50 - frames, frames)).is_swallowed is is_swallowed
    assert said(lost(LAST + 1, frames)).is_swallowed is False


@pytest.mark.parametrize(("profile", "most"), [("wifi", 0.1), ("lte", 0.0), ("4g", 0.2), ("3g", 0.4), ("train", 0.4)])
def test_on_the_usual_lines_most_speeches_end_without_a_bend(profile: str, most: float) -> None:
    bent = 0
    for seed in range(20):
        way = CallersLine(Caller(profile=profile), random.Random(seed)).up
        for number in range(120):
            marks = {FIRST: (Mark.SPEECH_START,), LAST: (Mark.SPEECH_END,)}.get(number, ())
            due_ns, is_lost = way.carry(number * FRAME_NS, 960, sends_again=True)
            way.speech.sends(marks)
            way.speech.arrives(due_ns, due_ns - number * FRAME_NS, marks, is_lost=is_lost)
        bent += way.speech.is_bent(Mark.SPEECH_END, 10_000 * MS)
    assert bent / 20 <= most


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"delay_s": 0.01, "jitter_s": 0.02}, "jitter_s is above delay_s"),
        ({"burst": 3}, "nothing is lost"),
        ({"stall_s": 2, "stall_every_s": 1}, "stall_every_s must be longer"),
    ],
)
def test_a_line_that_can_not_be_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Line(**keys)
