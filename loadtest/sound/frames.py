"""What a frame of sound is, and when one is loud; `speech.py` says it of sound that is held."""

from itertools import pairwise
from typing import Final

RATE_HZ: Final = 24_000
FRAME_MS: Final = 20
FRAME_NS: Final = FRAME_MS * 1_000_000
FRAME_SAMPLES: Final = RATE_HZ * FRAME_MS // 1000
FRAME_BYTES: Final = FRAME_SAMPLES * 2
LOUD_RMS: Final = 200.0
LOUD_POWER: Final = LOUD_RMS * LOUD_RMS
SPLITS_S: Final = 0.2
"""A detector that is quick takes a pause of that length in a speech for its end."""


def longest_pause_s(voiced: list[int]) -> float:
    """Between frames that are loud, by their numbers."""
    return max(_pauses(voiced), default=0) * FRAME_MS / 1000


def splitting_pauses(voiced: list[int]) -> int:
    """How many of the same are of SPLITS_S or longer."""
    return sum(frames * FRAME_MS / 1000 >= SPLITS_S for frames in _pauses(voiced))


def _pauses(voiced: list[int]) -> list[int]:
    return [after - before - 1 for before, after in pairwise(voiced)]
