"""Noise in the caller's room: seeded, and a loop of some seconds that is cut into frames once per process."""

from functools import cache
from pathlib import Path

import numpy as np

from loadtest.errors.exceptions import ConfigError
from loadtest.sound.made import noise
from loadtest.sound.sources import corpus, read_pcm
from loadtest.sound.speech import FRAME_SAMPLES, RATE_HZ, Clip, Samples

LOOP_S = 10
VOICES = 6
"""People who talk at once in a babble: with fewer, single words can be made out."""
LONGEST_S = 60
"""Of a file; what is longer is cut, since every process holds it as frames."""
_SEED = 1


@cache
def hum(kind: str, level_dbfs: float) -> Samples:
    """That noise at that RMS (`white`, `pink`, `babble`, or a file), to be played in a loop. Raises ConfigError for a
    file that is none, or is silent."""
    match kind:
        case "white":
            return noise(level_dbfs, RATE_HZ)
        case "pink":
            return at_rms(_pink(LOOP_S * RATE_HZ), level_dbfs)
        case "babble":
            return at_rms(_babble(LOOP_S * RATE_HZ), level_dbfs)
    if not Path(kind).is_file():
        raise ConfigError(f"caller.noise: {kind}: no such file, and neither white, pink nor babble")
    found = np.frombuffer(read_pcm(Path(kind), most_s=LONGEST_S), dtype="<i2").astype(np.float32)
    if not found.any():
        raise ConfigError(f"caller.noise: {kind}: its first {LONGEST_S} s are silent")
    return at_rms(found, level_dbfs)


def samples_of(clip: Clip) -> Samples:
    """All of its frames in one."""
    return np.frombuffer(b"".join(clip.frames), dtype="<i2").astype(np.float32)


def at_rms(samples: Samples, level_dbfs: float) -> Samples:
    """Noise that has that level."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return (samples * (32768 * 10 ** (level_dbfs / 20) / (rms or 1.0))).astype(np.float32)


def _pink(length: int) -> Samples:
    """Power falls by 3 dB an octave, from 20 Hz on: below, a loudspeaker gives nothing."""
    spectrum = np.fft.rfft(np.random.default_rng(_SEED).normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    shape = np.where(hz >= 20, 1 / np.sqrt(np.maximum(hz, 20)), 0.0)
    return np.fft.irfft(spectrum * shape, length).astype(np.float32)


def _babble(length: int) -> Samples:
    """Several people at once, each saying the clips of the corpus in an order of their own, without a pause."""
    chance = np.random.default_rng(_SEED)
    said = [
        samples_of(clip)[clip.first_voiced * FRAME_SAMPLES : (clip.last_voiced + 1) * FRAME_SAMPLES]
        for clip in corpus("corpus:en")
    ]
    mixed = np.zeros(length, np.float32)
    for _ in range(VOICES):
        talk = np.concatenate([said[index] for index in chance.permutation(len(said))])
        start = int(chance.integers(len(talk)))
        mixed += np.resize(np.roll(talk, -start), length)
    return mixed
