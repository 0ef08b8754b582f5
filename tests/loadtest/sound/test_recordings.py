"""How long clips are, as it is known without their sound: what is then spoken is as long."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from loadtest.errors.exceptions import ConfigError
from loadtest.sound import recordings
from loadtest.sound.recordings import lengths_s, pauses_s
from loadtest.sound.sources import corpus
from loadtest.sound.speech import FRAME_MS
from tests.loadtest.sound.test_decoded import written


@pytest.fixture(autouse=True)
def fresh() -> None:
    lengths_s.cache_clear()
    corpus.cache_clear()


def spoken_s(source: str) -> float:
    return max(clip.duration_s for clip in corpus(source))


@pytest.mark.parametrize("source", ["corpus:en", "corpus:de", "noise:-30", "hum:-20", "laugh:-20", "cough:-20"])
def test_what_comes_with_avaload_is_as_long_as_it_is_spoken(source: str) -> None:
    assert sorted(lengths_s(source)) == sorted(clip.duration_s for clip in corpus(source))


@pytest.mark.parametrize("source", ["corpus:en", "corpus:fr", "corpus:en/hesitant"])
def test_our_own_clips_pause_as_long_as_they_do_when_their_sound_is_looked_at(source: str) -> None:
    assert pauses_s(source) == {clip.name: clip.longest_pause_s for clip in corpus(source)}


def test_what_is_made_does_not_pause() -> None:
    assert pauses_s("noise:-30") == {}


def test_a_made_clip_of_no_level_is_refused_without_its_sound_too() -> None:
    for look in (lengths_s, pauses_s):
        with pytest.raises(ConfigError, match="noise:<dBFS> from -90 to 0 is needed"):
            look("noise:3")


@pytest.mark.parametrize(
    ("name", "kind", "sort", "rate_hz", "channels"),
    [
        ("a.wav", "WAV", "PCM_16", 24_000, 1),
        ("a.wav", "WAV", "PCM_16", 44_100, 2),
        ("a.wav", "WAV", "FLOAT", 8_000, 2),
        ("a.flac", "FLAC", "PCM_24", 48_000, 1),
        ("a.mp3", "MP3", "MPEG_LAYER_III", 24_000, 1),
    ],
)
def test_a_file_in_any_form_is_as_long_as_it_is_spoken(
    name: str, kind: str, sort: str, rate_hz: int, channels: int, tmp_path: Path
) -> None:
    path = written(tmp_path / name, kind, sort, rate_hz=rate_hz, channels=channels)
    assert max(lengths_s(str(path))) == pytest.approx(spoken_s(str(path)), abs=FRAME_MS / 1000)


def test_of_a_folder_that_is_too_large_those_count_that_are_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 21):
        sound = 0.25 * np.sin(np.arange(2400 * number) / 10)
        soundfile.write(tmp_path / f"{number:02}.wav", sound, 24_000, subtype="PCM_16")
    monkeypatch.setattr("loadtest.sound.recordings.MOST_BYTES", 4 * 48_000)
    clips = corpus(str(tmp_path))
    assert len(clips) < 8
    assert spoken_s(str(tmp_path)) < 1.9
    assert max(lengths_s(str(tmp_path))) == pytest.approx(spoken_s(str(tmp_path)), abs=FRAME_MS / 1000)


def test_a_clip_that_can_not_be_read_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match="not a readable WAV file"):
        max(lengths_s(str(tmp_path / "a.wav")))
    with pytest.raises(ConfigError, match="no such corpus"):
        recordings.recordings("corpus:klingon")
