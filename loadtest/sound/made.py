"""Sounds by rule, in no file: noise, and what people say or do without a word. The same at every call.

A laugh and a cough here have the envelope, the rhythm and about the spectrum of real ones. They are no recordings, and
nobody would take them for one.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.sound.recordings import MADE_S, level_of
from loadtest.sound.speech import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ, Clip, Samples, pcm_of

_Wave = npt.NDArray[np.float64]

_NOISE_S, _HUM_S, _LAUGH_S, _COUGH_S = (MADE_S[kind] for kind in ("noise", "hum", "laugh", "cough"))
_HAS: Final = 5
"""Syllables of a laugh; people make about five a second."""


def noise(level_dbfs: float, samples: int) -> Samples:
    """White noise with that RMS; the same at every call."""
    return np.random.default_rng(1).normal(0.0, 32768 * 10 ** (level_dbfs / 20), samples).astype(np.float32)


def mm_hmm(level_dbfs: float) -> Samples:
    """ "Mm-hmm", half a second of it with that RMS: two notes of a voice through a closed mouth, the second rising."""
    at_s = _seconds(_HUM_S)
    voice = _voice(at_s, [0.0, 0.2, 0.25, 0.5], [120.0, 108.0, 112.0, 150.0])
    voice = voice * np.interp(at_s, [0.0, 0.04, 0.17, 0.22, 0.28, 0.44, 0.5], [0.1, 1.0, 0.8, 0.15, 1.0, 0.9, 0.1])
    return _at_rms(voice, level_dbfs)


def laugh(level_dbfs: float) -> Samples:
    """ "Ha-ha-ha", a second of it with that RMS: breath, then voice, five times, falling and fading."""
    at_s = _seconds(_LAUGH_S)
    within = at_s * _HAS % 1  # of a syllable
    breath = np.interp(within, [0.0, 0.1, 0.3, 0.45, 1.0], [0.2, 1.0, 0.5, 0.1, 0.05])
    voiced = np.interp(within, [0.0, 0.2, 0.35, 0.6, 0.8, 1.0], [0.0, 0.0, 1.0, 0.9, 0.1, 0.0])
    voice = _voice(at_s, [0.0, 0.2, _LAUGH_S], [210.0, 240.0, 150.0])
    fades = np.interp(at_s, [0.0, 0.2, _LAUGH_S], [0.7, 1.0, 0.35])
    return _at_rms((voice / np.abs(voice).max() * voiced + 0.25 * _breath(len(at_s)) * breath) * fades, level_dbfs)


def cough(level_dbfs: float) -> Samples:
    """A cough, half a second of it with that RMS: a burst, the air behind it, and a last bit of voice."""
    at_s = _seconds(_COUGH_S)
    burst = np.interp(at_s, [0.0, 0.005, 0.04, 0.1], [0.0, 1.0, 0.5, 0.0])
    air = np.interp(at_s, [0.03, 0.08, 0.28, 0.44], [0.0, 0.22, 0.15, 0.0])
    voiced = np.interp(at_s, [0.27, 0.32, 0.38, 0.46], [0.0, 0.11, 0.09, 0.0])
    voice = _voice(at_s, [0.0, _COUGH_S], [170.0, 110.0])
    return _at_rms(_breath(len(at_s)) * (burst + air) + voice / np.abs(voice).max() * voiced, level_dbfs)


_KINDS: Final[Mapping[str, Callable[[float], Samples]]] = {
    "noise": lambda level_dbfs: noise(level_dbfs, round(_NOISE_S * RATE_HZ)),
    "hum": mm_hmm,
    "laugh": laugh,
    "cough": cough,
}


def made_clip(source: str) -> Clip:
    """Of a source that `is_made`. Raises ConfigError for a level that there isn't."""
    level_dbfs = level_of(source)
    pcm = pcm_of(_KINDS[source.partition(":")[0]](level_dbfs))
    frames = tuple(pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
    return Clip(name=source, frames=frames, first_voiced=0, last_voiced=len(frames) - 1, longest_pause_s=0.0)


def _seconds(length_s: float) -> _Wave:
    return np.arange(round(length_s * RATE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES) / RATE_HZ


def _voice(at_s: _Wave, when_s: list[float], pitch_hz: list[float]) -> _Wave:
    """A voice whose pitch goes that way."""
    phase = 2 * np.pi * np.cumsum(np.interp(at_s, when_s, pitch_hz)) / RATE_HZ
    return np.asarray(sum(np.sin(number * phase) / number**1.5 for number in range(1, 13)))


def _breath(length: int) -> _Wave:
    """Noise as the mouth makes it: most of it from 500 to 4000 Hz, and 1 at its loudest."""
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    found = np.fft.irfft(spectrum * np.interp(hz, [0, 300, 800, 4000, 9000, 12000], [0, 0.3, 1, 0.6, 0.1, 0]), length)
    return np.asarray(found / np.abs(found).max())


def _at_rms(sound: _Wave, level_dbfs: float) -> Samples:
    level = 32768 * 10 ** (level_dbfs / 20)
    found: Samples = (sound * level / np.sqrt(np.mean(sound**2))).astype(np.float32)
    return found
