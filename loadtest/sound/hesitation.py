"""Speech with a pause for thought in its middle, as people make it inside a sentence."""

from dataclasses import replace

import numpy as np

from loadtest.sound.speech import FRAME_MS, SILENCE, Clip

_MIDDLE = 3
"""The pause lies in the middle third of what is said."""


def hesitating(clip: Clip, pause_s: float) -> Clip:
    """The same, with so much silence where it is quietest in its middle: between two words, if there are any."""
    pause = max(1, round(pause_s * 1000 / FRAME_MS))
    said = clip.last_voiced - clip.first_voiced
    first, last = clip.first_voiced + said // _MIDDLE, clip.last_voiced - said // _MIDDLE
    at = min(range(first, last + 1), key=lambda index: _power(clip.frames[index]))
    silence = (SILENCE,) * pause
    return replace(
        clip,
        name=f"{clip.name}, hesitating",
        frames=(*clip.frames[: at + 1], *silence, *clip.frames[at + 1 :]),
        last_voiced=clip.last_voiced + (pause if at < clip.last_voiced else 0),
        longest_pause_s=max(clip.longest_pause_s, pause * FRAME_MS / 1000),
    )


def _power(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    return float(samples.dot(samples))
