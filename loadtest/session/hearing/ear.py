"""When the avatar is heard: where its speech begins and where it ends, from the sound alone."""

from collections.abc import Callable

from loadtest.sound.speech import (
    FRAME_BYTES,
    FRAME_NS,
    FULL_POWER,
    LOUD_POWER,
    first_loud_ns,
    is_clipped,
    length_ns,
    power,
)

CONFIRM_FRAMES = 2
"""Loud frames in a row that make an onset: one alone may be a click."""
QUIET_NS = 240_000_000
"""Silence that ends a stretch of speech; shorter gaps are pauses between words."""


class Ear:
    """Energy voice activity detection with back-dated edges: confirming an onset must not delay its stamp.

    `on_onset(t_ns)` is called once two loud frames came in a row, with the arrival of the first one plus where in it
    the sound begins; `on_offset(t_ns)` after a stretch of quiet, with the arrival of the last loud frame (whose 20 ms
    still sound). `loud_stretches`: so many frames were loud, and `clipped_stretches` of them were clipped. `length_ns`:
    how long the sound is that was heard last, from its onset to its last loud sample; by the clock it took less where a
    room sends an answer faster than it can be said.
    """

    def __init__(self, *, on_onset: Callable[[int], None], on_offset: Callable[[int], None]) -> None:
        self._on_onset, self._on_offset = on_onset, on_offset
        self.loud_stretches = self.clipped_stretches = 0
        self.length_ns = self._quiet_ns = 0
        self._speaking = False
        self._loud_frames = 0
        self._onset_ns = 0
        self._last_loud_ns = 0

    def hear(self, t_ns: int, pcm: bytes) -> None:
        """Take a stretch of audio that arrived at `t_ns`: normally a frame; a longer one is heard frame by frame, as it
        is played. What is left of a frame goes with the last whole one: by itself it would count as much."""
        if len(pcm) >= 2 * FRAME_BYTES:
            last = len(pcm) // FRAME_BYTES - 1
            for at in range(last):
                self._hear(t_ns + at * FRAME_NS, pcm[at * FRAME_BYTES : (at + 1) * FRAME_BYTES])
            t_ns, pcm = t_ns + last * FRAME_NS, pcm[last * FRAME_BYTES :]
        self._hear(t_ns, pcm)

    def _hear(self, t_ns: int, pcm: bytes) -> None:
        strength = power(pcm)
        if strength < LOUD_POWER:
            if not self._speaking:
                self._loud_frames = 0
            elif t_ns - self._last_loud_ns >= QUIET_NS:
                self._speaking = False
                self._loud_frames = 0
                self._on_offset(self._last_loud_ns)
            else:
                self._quiet_ns += length_ns(pcm)
            return
        self.loud_stretches += 1
        if strength >= FULL_POWER:
            self.clipped_stretches += is_clipped(pcm)
        sounds_ns = length_ns(pcm)
        self._last_loud_ns = t_ns + sounds_ns - FRAME_NS
        if self._speaking:
            self.length_ns += self._quiet_ns + sounds_ns
            self._quiet_ns = 0
            return
        if self._loud_frames == 0:
            before_ns = first_loud_ns(pcm)
            self._onset_ns = t_ns + before_ns
            self.length_ns, self._quiet_ns = -before_ns, 0
        self.length_ns += sounds_ns
        self._loud_frames += 1
        if self._loud_frames >= CONFIRM_FRAMES:
            self._speaking = True
            self._on_onset(self._onset_ns)
