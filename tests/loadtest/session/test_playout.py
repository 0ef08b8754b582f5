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
