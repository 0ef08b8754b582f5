"""What a microphone and a telephone line make of speech, on whole clips: levels, clipping, the band of a phone."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.sound.speech import FRAME_SAMPLES, LOUD_RMS, RATE_HZ, Samples

FULL_SCALE: Final = 32767.0
_PHONE_HZ: Final = (300.0, 3400.0)
"""What a telephone line carries (ITU-T G.712)."""
_EDGE_HZ: Final = 100.0
"""Over so many Hz below and above, the band fades out."""
_MU: Final = 255.0
_TAPS: Final = 480
_NOTHING: Final = np.zeros(_TAPS, np.float32)


def speech_rms(samples: Samples) -> float:
    """RMS of the loud frames alone, pauses left out; 0: there are none."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype(np.float64)
    power = np.square(frames).mean(axis=1)
    loud = power[power >= LOUD_RMS**2]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def at_level(samples: Samples, level_dbfs: float) -> Samples:
    """Speech whose loud frames have that level."""
    rms = speech_rms(samples)
    louder: Samples = samples * np.float32(32768 * 10 ** (level_dbfs / 20) / (rms or 1.0))
    return louder


def driven(samples: Samples, clipping_db: float) -> Samples:
    """Speech whose highest peak would be so far above full scale; what is above is cut off."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0:
        return samples
    loud: Samples = samples * np.float32(FULL_SCALE * 10 ** (clipping_db / 20) / peak)
    return loud.clip(-FULL_SCALE, FULL_SCALE)


def phoned(samples: Samples) -> Samples:
    """Through a telephone: its band, and the 8 bits of µ-law (ITU-T G.711) that a sample has there."""
    if not len(samples):
        return samples
    return coded(np.fft.irfft(np.fft.rfft(samples) * _band(len(samples)), len(samples)))


def coded(samples: npt.NDArray[np.floating]) -> Samples:
    """As the 8 bits of µ-law keep them."""
    narrow = np.clip(samples / 32768, -1, 1)
    companded = np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU)
    coded = np.round(companded * 127) / 127
    heard: Samples = (np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU * 32768).astype(np.float32)
    return heard


class PhoneBand:
    """A telephone's band for sound that comes piece by piece. It delays what it lets through by less than 2 ms, so that
    a piece can be sent on at once."""

    def __init__(self) -> None:
        self._before = _NOTHING

    def rest(self) -> None:
        """Silence came, of which nothing is sent on."""
        self._before = _NOTHING

    def through(self, samples: Samples) -> Samples:
        """The next piece; it goes on where the last one ended."""
        whole = np.concatenate([self._before, samples])
        self._before = whole[-_TAPS:]
        narrow: Samples = np.fft.irfft(np.fft.rfft(whole) * _filter(len(whole)), len(whole))[_TAPS:].astype(np.float32)
        return narrow


def _band(length: int) -> Samples:
    """How much of each frequency of that many samples a telephone carries."""
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    low, high = _PHONE_HZ
    return np.asarray(np.clip(np.minimum(hz - low, high - hz) / _EDGE_HZ + 1, 0, 1))


@cache
def _filter(length: int) -> npt.NDArray[np.complex128]:
    """The band as a filter of minimum phase, which answers at once: by the cepstrum, whose part before time 0 is folded
    onto that behind it (Oppenheim and Schafer, Discrete-Time Signal Processing)."""
    size = 8 * _TAPS
    cepstrum = np.fft.irfft(np.log(np.maximum(_band(size), 1e-3)), size)
    fold = np.concatenate([[1.0], np.full(size // 2 - 1, 2.0), [1.0], np.zeros(size // 2 - 1)])
    taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)), size)[:_TAPS]
    return np.asarray(np.fft.rfft(taps, length))
