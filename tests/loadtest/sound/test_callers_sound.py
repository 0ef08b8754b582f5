"""Noises have their level and colour; speech comes out as a microphone and a telephone make it."""

import itertools
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from loadtest.config.clips.microphone import microphone
from loadtest.config.keys.caller import Caller
from loadtest.config.keys.scenario import Conversation, Ignore, Say
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.levels import at_level, driven, phoned, speech_rms
from loadtest.sound.noises import hum, samples_of
from loadtest.sound.sources import corpus
from loadtest.sound.speech import FRAME_BYTES, RATE_HZ, SILENCE, Samples
from tests.loadtest.sound.test_speech import tone, wav


def dbfs(samples: Samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples.astype(float) ** 2)) / 32768))


def power(samples: Samples, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].sum())


@pytest.mark.parametrize("band", ["full", "phone"])
@pytest.mark.parametrize("kind", ["white", "pink", "babble"])
def test_it_has_that_level_at_the_microphone_whatever_the_line_carries_of_it(
    kind: str, band: Literal["full", "phone"]
) -> None:
    between = microphone(PLAN, Caller(noise=kind, noise_dbfs=-40, band=band)).between
    assert dbfs(np.frombuffer(b"".join(between), "<i2").astype(np.float32)) == pytest.approx(-40, abs=0.2)


@pytest.mark.parametrize("kind", ["white", "pink", "babble"])
@pytest.mark.parametrize("level_dbfs", [-60, -35])
def test_a_noise_has_the_level_that_was_set(kind: str, level_dbfs: float) -> None:
    assert dbfs(hum(kind, level_dbfs)) == pytest.approx(level_dbfs, abs=0.1)


def test_pink_noise_has_as_much_power_in_each_octave_and_white_twice_as_much_in_each_higher_one() -> None:
    pink, white = hum("pink", -30), hum("white", -30)
    octaves = [(500, 1000), (1000, 2000), (2000, 4000)]
    of_pink = [power(pink, *octave) for octave in octaves]
    of_white = [power(white, *octave) for octave in octaves]
    assert max(of_pink) / min(of_pink) < 1.15
    assert [b / a for a, b in itertools.pairwise(of_white)] == pytest.approx([2, 2], rel=0.15)


def test_a_file_can_be_the_noise_and_a_silent_one_or_none_is_told(tmp_path: Path) -> None:
    found = wav(tmp_path / "street.wav", tone(3000, RATE_HZ))
    assert dbfs(hum(str(found), -40)) == pytest.approx(-40, abs=0.1)
    faint = wav(tmp_path / "room.wav", tone(100, RATE_HZ))  # quieter than speech may be
    assert dbfs(hum(str(faint), -40)) == pytest.approx(-40, abs=0.1)
    with pytest.raises(ConfigError, match=r"its first 60 s are silent"):
        hum(str(wav(tmp_path / "none.wav", SILENCE * 50)), -40)
    with pytest.raises(ConfigError, match="no such file, and neither white, pink nor babble"):
        hum("brown", -40)


def test_speech_has_the_level_that_was_set_by_its_loud_frames() -> None:
    speech = samples_of(corpus("corpus:en")[0])
    louder = at_level(speech, -20)
    loud = np.abs(speech.reshape(-1, 480)).max(axis=1) > 0
    assert loud.any()
    assert 20 * np.log10(speech_rms(louder) / 32768) == pytest.approx(-20, abs=0.7)


def test_what_is_driven_beyond_full_scale_is_cut_off_there() -> None:
    speech = samples_of(corpus("corpus:en")[0])
    loud = driven(speech, 12)
    assert np.abs(loud).max() == 32767
    assert np.mean(np.abs(loud) == 32767) > 0.01
    assert np.mean(np.abs(driven(speech, 0.001)) == 32767) < 0.001


def test_a_telephone_carries_300_to_3400_hz_and_nothing_else() -> None:
    white = hum("white", -20)
    narrow = phoned(white)
    inside, outside = power(narrow, 300, 3400), power(narrow, 20, 150) + power(narrow, 4000, 12000)
    assert inside / power(white, 300, 3400) == pytest.approx(1, rel=0.05)
    assert outside / inside < 0.01


PLAN = Conversation(turns=(Say(clip="corpus:en"), Ignore(clip="noise:-60")))


def test_a_clean_callers_clips_and_silence_are_the_very_ones_that_were_read() -> None:
    clean = microphone(PLAN, Caller())
    assert clean.clips["corpus:en"] is corpus("corpus:en")
    assert clean.between == (SILENCE,)


def test_noise_is_under_the_clips_and_between_them_and_moves_no_voiced_frame() -> None:
    noisy = microphone(PLAN, Caller(noise="babble", noise_dbfs=-45))
    frames = np.frombuffer(b"".join(noisy.between), "<i2").astype(np.float32)
    assert dbfs(frames) == pytest.approx(-45, abs=0.2)
    assert {len(frame) for frame in noisy.between} == {FRAME_BYTES}
    for clean, clip in zip(corpus("corpus:en"), noisy.clips["corpus:en"], strict=True):
        assert (clip.first_voiced, clip.last_voiced) == (clean.first_voiced, clean.last_voiced)
        assert clip.frames != clean.frames


def test_speech_too_quiet_to_be_heard_is_told_before_the_run() -> None:
    with pytest.raises(ConfigError, match=r"no speech in it .* as this caller says it"):
        microphone(PLAN, Caller(speech_dbfs=-65))


def test_a_callers_microphone_changes_speech_and_leaves_a_noise_that_a_turn_makes() -> None:
    quiet = microphone(PLAN, Caller(speech_dbfs=-35, band="phone"))
    assert quiet.clips["noise:-60"] == corpus("noise:-60")
    loud = [speech_rms(samples_of(clip)) for clip in quiet.clips["corpus:en"]]
    assert 20 * np.log10(np.mean(loud) / 32768) == pytest.approx(-35, abs=0.7)
