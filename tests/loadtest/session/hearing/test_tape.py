import wave
from pathlib import Path

import pytest

from loadtest.session.hearing.tape import Tape, write_wavs
from loadtest.sound.speech import FRAME_BYTES, FRAME_NS, SILENCE
from tests.loadtest.fakes import CLIP, LOUD_FRAME


def test_both_tracks_begin_at_the_turns_beginning_and_holes_are_silence() -> None:
    tape = Tape()
    tape.begin(1_000)
    tape.said(1_000 + 3 * FRAME_NS, CLIP)
    tape.heard(1_000 + FRAME_NS, LOUD_FRAME)
    tape.heard(1_000 + 2 * FRAME_NS + 3_000_000, LOUD_FRAME)
    tape.heard(1_000 + 5 * FRAME_NS, LOUD_FRAME)
    user, avatar = tape.tracks()
    assert user == SILENCE * 3 + LOUD_FRAME * 2
    assert avatar == SILENCE + LOUD_FRAME * 2 + SILENCE * 2 + LOUD_FRAME


def test_what_a_slow_line_tells_in_the_turn_after_is_not_in_that_turns_track() -> None:
    tape = Tape()
    tape.begin(30 * FRAME_NS)
    for number in range(60):
        tape.heard(number * FRAME_NS, SILENCE if number < 50 else LOUD_FRAME)
    assert tape.tracks()[1] == SILENCE * 20 + LOUD_FRAME * 10


def test_a_new_turn_forgets_the_last_one() -> None:
    tape = Tape()
    tape.begin(0)
    tape.heard(0, LOUD_FRAME)
    tape.begin(FRAME_NS)
    assert tape.tracks() == (b"", b"")


@pytest.mark.parametrize("side", ["user", "avatar"])
def test_the_tracks_are_written_as_wav_files_that_the_harness_itself_can_read(tmp_path: Path, side: str) -> None:
    write_wavs(tmp_path / "audio", "ab12", 3, LOUD_FRAME, LOUD_FRAME * 2)
    with wave.open(str(tmp_path / "audio" / f"ab12-3-{side}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() * 2 == FRAME_BYTES * (1 if side == "user" else 2)
