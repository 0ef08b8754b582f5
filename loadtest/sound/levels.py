"""What a microphone and a telephone line make of speech, on whole clips: levels, clipping, the band of a phone."""

from typing import Final

import numpy as np

from loadtest.sound.speech import FRAME_SAMPLES, LOUD_RMS, RATE_HZ, Samples

FULL_SCALE: Final = 32767.0
_PHONE_HZ: Final = (300.0, 3400.0)
"""What a telephone line carries (ITU-T G.712)."""
_EDGE_HZ: Final = 100.0
"""Over so many Hz below and above, the band fades out."""
_MU: Final = 255.0


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
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    low, high = _PHONE_HZ
    fade = np.clip(np.minimum(hz - low, high - hz) / _EDGE_HZ + 1, 0, 1)
    narrow = np.clip(np.fft.irfft(np.fft.rfft(samples) * fade, len(samples)) / 32768, -1, 1)
    companded = np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU)
    coded = np.round(companded * 127) / 127
    heard: Samples = (np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU * 32768).astype(np.float32)
    return heard
