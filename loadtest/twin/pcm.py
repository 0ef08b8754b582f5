"""Sound as both services carry it: PCM16LE, mono, 24 kHz, in frames of 20 ms (docs/contract.md#sound)."""

import functools
import math

import numpy as np

SAMPLE_RATE_HZ = 24_000
FRAME_MS = 20
BYTES_PER_MS = SAMPLE_RATE_HZ * 2 // 1000
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
_KEPT_LOUDNESSES = 4096
SILENT_FRAME = bytes(FRAME_BYTES)
VOICED_RMS = 200.0
"""A frame at or above this RMS (of 32768, about -44 dBFS) is speech; so is it for whoever measures us."""


@functools.lru_cache(maxsize=_KEPT_LOUDNESSES)
def rms(pcm: bytes) -> float:
    """Root mean square of the samples, 0 to 32768; 0 for no samples. A trailing half sample is ignored.

    Both services ask it of the same frame, and a load test says the same clips again and again: asked before is free.
    """
    samples = np.frombuffer(pcm, dtype="<i2", count=len(pcm) // 2).astype(np.float32)
    return math.sqrt(float(samples @ samples) / samples.size) if samples.size else 0.0


def tone(*, duration_ms: int, frequency_hz: float = 440.0, amplitude: float = 8000.0) -> bytes:
    """A steady tone that is loud from its very first sample, so that its onset is exact to the sample."""
    at = np.arange(duration_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    return (amplitude * np.cos(2 * math.pi * frequency_hz * at)).astype("<i2").tobytes()


def driven(pcm: bytes, *, by: float) -> bytes:
    """The same so many times as loud; what doesn't fit into 16 bits is clipped."""
    loud = np.frombuffer(pcm, dtype="<i2").astype(np.float32) * by
    return bytes(np.clip(loud, -32768, 32767).astype("<i2").tobytes())
