"""Sound in any form that libsndfile reads: WAV of every sort of samples, FLAC, Ogg, MP3, AIFF, AU, CAF, SPHERE, VOC."""

import io
from typing import Final

SUFFIXES: Final = frozenset({
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".nist", ".oga", ".ogg", ".opus", ".rf64", ".snd"),
    *(".sph", ".voc", ".w64", ".wav"),
})  # fmt: skip
"""Of the files that are looked for in a folder."""
LONGEST_S: Final = 3600
"""A small file can hold a long silence."""
_FULL_HZ: Final = 48_000
"""At a higher rate a clip may last as many samples as LONGEST_S has at this one."""
_BLOCK: Final = 1 << 18
"""Samples of all channels that are decoded at once."""
_UNKNOWN: Final = 1 << 62
"""By libsndfile, frames of a file that doesn't say how many it has, as a pipe's."""


def most_samples(rate_hz: int) -> int:
    """Of one channel."""
    return LONGEST_S * min(rate_hz, _FULL_HZ)


def too_long(rate_hz: int) -> str:
    """What is said of more."""
    minutes = most_samples(rate_hz) // max(1, rate_hz) // 60
    return f"more than {minutes} minutes: a clip is what somebody says in one go"


def decoded(content: bytes, *, most_s: int | None = None) -> tuple[int, bytes] | None:
    """Rate and 16-bit samples, channels mixed down to one; None: it is nothing that can be read, or holds no sound.
    `most_s`: of what is longer, the rest is left aside. Raises ValueError where it is too long, or holds samples that
    are no numbers."""
    import numpy as np  # only who brings such files pays for them
    import soundfile

    from loadtest.sound.speech import mono

    class Forward(soundfile.SoundFile):  # type: ignore[misc]
        """Read from its beginning to its end: in some files nobody can go anywhere else."""

        def seekable(self) -> bool:
            return False

    pcm, wrong = bytearray(), 0
    try:
        with Forward(io.BytesIO(content)) as file:
            rate_hz, channels, length = int(file.samplerate), int(file.channels), int(file.frames)
            most = most_samples(rate_hz) if most_s is None else most_s * rate_hz
            is_long = most < length < _UNKNOWN
            # In blocks: what a damaged header claims is not asked for, and nothing is held in a wider form as a whole.
            while not (is_long and most_s is None) and len(pcm) <= 2 * most:
                found = file.read(max(1, _BLOCK // channels), dtype="float32", always_2d=True)
                if not len(found):
                    break
                if not (finite := np.isfinite(found)).all():
                    wrong += int(np.count_nonzero(~finite))
                    continue
                block = np.clip(np.round(found * 32768), -32768, 32767).astype("<i2").tobytes()
                pcm += block if channels == 1 else mono(block, channels)
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError):
        return None
    if most_s is None and (is_long or len(pcm) > 2 * most):
        raise ValueError(too_long(rate_hz))
    if wrong:
        raise ValueError(f"{wrong:,} of its samples are no numbers (NaN or infinite)")
    return (rate_hz, bytes(pcm[: 2 * most])) if pcm and rate_hz else None
