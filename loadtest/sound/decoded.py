"""Sound in any form that libsndfile reads: WAV of every sort of samples, FLAC, Ogg, MP3, AIFF, AU, CAF."""

import io
from typing import Final

SUFFIXES: Final = frozenset({
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64"),
    ".wav",
})  # fmt: skip
"""Of the files that are looked for in a folder."""
LONGEST_S: Final = 3600
"""A small file can hold a long silence."""
TOO_LONG: Final = f"more than {LONGEST_S // 60} minutes: a clip is what somebody says in one go"


def is_too_long(samples: int, rate_hz: int) -> bool:
    """Of one channel."""
    return samples > LONGEST_S * rate_hz


def decoded(content: bytes) -> tuple[int, int, bytes] | None:
    """Rate, channels and 16-bit samples, channels in turn; None: it is nothing that can be read, or holds no sound.
    Raises ValueError where it is longer than LONGEST_S, or holds samples that are no numbers."""
    import numpy as np  # only who brings such files pays for them
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate_hz, channels, length = int(file.samplerate), int(file.channels), int(file.frames)
            # What a damaged header claims is not asked for.
            found = file.read(dtype="float32", always_2d=True) if not is_too_long(length, rate_hz) else None
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError):
        return None
    if found is None:
        raise ValueError(TOO_LONG)
    if not len(found) or not rate_hz:
        return None
    if not np.isfinite(found).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(found)):,} of its samples are no numbers (NaN or infinite)")
    pcm = np.clip(np.round(found * 32768), -32768, 32767).astype("<i2")
    return rate_hz, channels, pcm.tobytes()
