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


def longest_pause_s(voiced: list[int]) -> float:
    """Between frames that are loud, by their numbers."""
    pauses = [after - before - 1 for before, after in pairwise(voiced)]
    return max(pauses, default=0) * FRAME_MS / 1000
