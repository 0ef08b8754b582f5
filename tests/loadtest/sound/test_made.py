"""Sounds by rule have the level that was set, and the rhythm of what they stand for."""

import numpy as np
import pytest

from loadtest.errors.exceptions import ConfigError
from loadtest.sound.made import cough, laugh, made_clip, mm_hmm
from loadtest.sound.noises import samples_of
from loadtest.sound.recordings import is_made
from loadtest.sound.speech import FRAME_BYTES, RATE_HZ, Samples


def envelope(sound: Samples, piece_s: float = 0.01) -> Samples:
    """RMS of each 10 ms, the loudest as 1."""
    length = round(piece_s * RATE_HZ)
    pieces = sound[: len(sound) // length * length].reshape(-1, length)
    rms = np.sqrt(np.square(pieces.astype(float)).mean(axis=1))
    return np.asarray(rms / rms.max())


@pytest.mark.parametrize("kind", ["noise", "hum", "laugh", "cough"])
@pytest.mark.parametrize("level_dbfs", [-60, -26, -12])
def test_it_has_the_level_that_was_set_and_is_the_same_at_every_call(kind: str, level_dbfs: int) -> None:
    source = f"{kind}:{level_dbfs}"
    clip = made_clip(source)
    samples = samples_of(clip)
    assert 20 * np.log10(np.sqrt(np.mean(samples.astype(float) ** 2)) / 32768) == pytest.approx(level_dbfs, abs=0.4)
    assert clip == made_clip(source)
    assert (clip.name, clip.first_voiced, clip.last_voiced) == (source, 0, len(clip.frames) - 1)
    assert {len(frame) for frame in clip.frames} == {FRAME_BYTES}


def test_a_laugh_is_five_bursts_in_a_second_that_fade() -> None:
    loudness = envelope(laugh(-20))
    peaks = [loudness[at : at + 20].max() for at in range(0, 100, 20)]
    valleys = [loudness[at + 17 : at + 20].min() for at in range(0, 80, 20)]
    assert len(loudness) == 100
    assert peaks[0] > peaks[2] > peaks[4]
    assert max(valleys) < 0.3 < min(peaks)


def test_a_cough_is_a_burst_at_once_and_dies_away() -> None:
    loudness = envelope(cough(-20))
    assert int(np.argmax(loudness)) <= 2
    assert loudness[10:25].max() < 0.6
    assert loudness[-3:].max() < 0.1


def test_a_hum_is_two_notes() -> None:
    loudness = envelope(mm_hmm(-20))
    assert loudness[5:15].min() > 0.4 > loudness[21:23].max()
    assert loudness[29:40].min() > 0.4


@pytest.mark.parametrize("source", ["laugh:loud", "cough:", "hum:3", "noise:-91", "laugh:nan"])
def test_a_level_that_there_is_not_is_told(source: str) -> None:
    assert is_made(source)
    with pytest.raises(ConfigError, match="<dBFS> from -90 to 0 is needed"):
        made_clip(source)
    assert not is_made("laugh")
