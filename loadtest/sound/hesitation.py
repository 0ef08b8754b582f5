"""Speech with a pause for thought in its middle, as people make it inside a sentence."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from loadtest.sound.frames import longest_pause_s, splitting_pauses
from loadtest.sound.speech import FRAME_MS, SILENCE, Clip, is_loud

_MIDDLE: Final = 3
"""The pause lies in the middle third of what is said."""
_HESITATION_S: Final = 0.3
"""Who pauses for so long inside a sentence hesitates; between words that follow each other it is less."""


def hesitating(clip: Clip, pause_s: float) -> Clip:
    """The same, with so much silence where it is quietest in its middle: between two words, if there are any. A clip
    that hesitates by itself does so for as long, and nowhere else."""
    pause = max(1, round(pause_s * 1000 / FRAME_MS))
    begin, end = _own_pause(clip) or (_quietest(clip) + 1,) * 2
    said = replace(
        clip,
        name=f"{clip.name}, hesitating",
        frames=(*clip.frames[:begin], *(SILENCE,) * pause, *clip.frames[end:]),
        last_voiced=clip.last_voiced + (pause - (end - begin) if begin <= clip.last_voiced else 0),
    )
    loud = _loud(said)
    return replace(said, longest_pause_s=longest_pause_s(loud), pauses=splitting_pauses(loud))


def _own_pause(clip: Clip) -> tuple[int, int] | None:
    """Its longest one: the first frame, and the one after the last; None: it has none that is a hesitation."""
    begin, end = max(_pauses(clip), key=lambda each: each[1] - each[0], default=(0, 0))
    return (begin, end) if (end - begin) * FRAME_MS / 1000 >= _HESITATION_S else None


def _pauses(clip: Clip) -> list[tuple[int, int]]:
    return [(before + 1, after) for before, after in pairwise(_loud(clip))]


def _loud(clip: Clip) -> list[int]:
    return [index for index in range(clip.first_voiced, clip.last_voiced + 1) if is_loud(clip.frames[index])]


def _quietest(clip: Clip) -> int:
    said = clip.last_voiced - clip.first_voiced
    first, last = clip.first_voiced + said // _MIDDLE, clip.last_voiced - said // _MIDDLE
    return min(range(first, last + 1), key=lambda index: _power(clip.frames[index]))


def _power(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    return float(samples.dot(samples))
