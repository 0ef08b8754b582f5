import pytest

from loadtest.session.playout import BUFFER_NS, MOST_NS, Playout
from loadtest.sound.speech import FRAME_NS, SILENCE
from tests.loadtest.fakes import LOUD_FRAME

MS = 1_000_000


def played(*arrivals_ms: float, speaking: bool = True) -> Playout:
    """A stream whose frames came at these times."""
    playout = Playout()
    for number, at_ms in enumerate(arrivals_ms):
        playout.take(int(at_ms * MS) + 1, LOUD_FRAME, speaking=speaking and number > 0)
    return playout


def told(playout: Playout) -> tuple[int, float, float | None]:
    """Underruns, ms stalled, the longest gap in ms."""
    gap = playout.longest_gap_ns
    return playout.underruns, playout.stalled_ns / MS, None if gap is None else gap / MS


def test_a_hole_that_the_buffer_covers_is_no_underrun() -> None:
    on_time = [20.0 * n for n in range(50)]
    late = [at + (BUFFER_NS / MS if n == 30 else 0) for n, at in enumerate(on_time)]
    assert told(played(*on_time)) == (0, 0, 20)
    assert told(played(*late[:31])) == (0, 0, 120)
    assert played(*on_time).frames == 50


def test_a_longer_one_stalls_speech_for_what_the_buffer_lacked() -> None:
    # Ten frames play until 300 ms: 200 of sound behind 100 of buffer.
    assert told(played(*(20.0 * n for n in range(10)), 450, 470, 490)) == (1, 150, 270)


def test_frames_that_keep_coming_too_slowly_run_it_dry_again_and_again() -> None:
    # 5 ms are lost with each frame, so a buffer of 100 ms lasts for 20 of them and is filled anew.
    underruns, stalled_ms, gap_ms = told(played(*(25.0 * n for n in range(100))))
    assert (underruns, stalled_ms, gap_ms) == (4, 20, 25)


def test_a_burst_is_kept_for_a_third_of_a_second_and_hides_no_later_hole() -> None:
    burst = [0.0] * 50  # a second of sound at once
    assert told(played(*burst, MOST_NS / MS))[0] == 0
    assert told(played(*burst, MOST_NS / MS + 40)) == (1, 40, 340)


def test_holes_in_silence_count_for_nothing() -> None:
    assert told(played(0, 20, 40, 5000, 5020, speaking=False)) == (0, 0, None)


def test_a_long_frame_lasts_as_long_as_its_sound() -> None:
    playout = Playout()
    playout.take(1, SILENCE * 10, speaking=False)
    playout.take(1 + BUFFER_NS + 10 * FRAME_NS, SILENCE, speaking=True)
    assert playout.underruns == 0


@pytest.mark.parametrize("frames", [1, 15, 20, 25, 50])
def test_messages_of_any_length_that_come_in_time_never_run_it_dry_nor_ahead(frames: int) -> None:
    length_ms = 20 * frames
    on_time = told_of_messages(frames, [length_ms * n for n in range(20)])
    assert on_time == (0, 0, 0)
    late = told_of_messages(frames, [length_ms * n + (150 if n >= 10 else 0) for n in range(20)])
    assert late == (1, 50, 0)


def told_of_messages(frames: int, arrivals_ms: list[int]) -> tuple[int, float, float]:
    """Underruns, ms stalled and ms ahead of messages of so many frames."""
    playout = Playout()
    for number, at_ms in enumerate(arrivals_ms):
        playout.take(at_ms * MS + 1, LOUD_FRAME * frames, speaking=number > 0)
    return playout.underruns, playout.stalled_ns / MS, playout.ahead_ns / MS


def test_jitter_is_how_far_the_waits_are_from_the_length_of_a_frame_on_average() -> None:
    assert played(*(20.0 * n for n in range(50))).jitter_ns == 0
    # 14, 26, 14 … ms: each wait is 6 ms off, though as many frames come as are due.
    assert played(*(20.0 * n - 6 * (n % 2) for n in range(51))).jitter_ns == 6 * MS
    # Two at a time: 0 and 40 ms in turn.
    assert played(*(40.0 * (n // 2) for n in range(51))).jitter_ns == 20 * MS
    assert played(0, 30, 60, speaking=False).jitter_ns is None


def test_a_packet_that_was_lost_is_no_jitter_of_those_around_it() -> None:
    playout = played(0, 20)
    playout.take(80 * MS + 1, LOUD_FRAME, speaking=True, lost=2)
    assert playout.jitter_ns == 0
    playout.take(160 * MS + 1, LOUD_FRAME, speaking=True)  # the same wait, and nothing was lost
    assert playout.jitter_ns == 20 * MS


def test_it_listened_from_the_first_frame_to_the_end_of_the_last_silence_included() -> None:
    assert played(100, 120, 500, speaking=False).heard_ns == 420 * MS
    assert Playout().heard_ns is None


def test_speech_that_comes_faster_than_it_plays_is_counted_beyond_what_a_player_keeps() -> None:
    assert played(*(20.0 * n for n in range(100))).ahead_ns == 0
    assert played(*[0.0] * 100).ahead_ns == (100 * 20 - MOST_NS / MS) * MS  # two seconds at once
    assert played(*(10.0 * n for n in range(101))).ahead_ns == (101 * 20 - 100 * 10 - MOST_NS / MS) * MS
    assert played(*(20.0 * n - 6 * (n % 2) for n in range(100))).ahead_ns == 0


def test_a_long_message_that_is_kept_is_not_thrown_away_for_a_short_one() -> None:
    playout = Playout()
    for at_ms, frames in ((1000, 50), (1010, 15), (2300, 1)):
        playout.take(at_ms * 1_000_000, SILENCE * frames, speaking=at_ms > 1000)
    assert (playout.ahead_ns, playout.stalled_ns) == (300_000_000, 200_000_000)


def test_what_only_catches_up_with_a_hole_is_not_ahead() -> None:
    held_up = [20.0 * n if not 20 <= n < 70 else 1400.0 for n in range(120)]
    assert played(*held_up).ahead_ns == 0
    assert played(*[0.0] * 100, speaking=False).ahead_ns == 0  # silence at once is nothing that anybody misses


def test_the_time_between_two_streams_is_not_listened_to_and_nothing_was_missed_in_it() -> None:
    playout = played(*(20.0 * n for n in range(100)))
    assert playout.heard_ns == 2_000 * MS
    playout.leave()
    playout.leave()
    assert playout.heard_ns == 2_000 * MS
    for number in range(50):
        playout.take((10_000 + 20 * number) * MS, LOUD_FRAME, speaking=True)
    assert playout.heard_ns == 3_000 * MS
    assert playout.frames == 150
    assert told(playout) == (0, 0, 20)
    assert playout.jitter_ns == 0
    assert Playout().heard_ns is None
