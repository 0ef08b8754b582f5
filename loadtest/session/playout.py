"""What a player would have had to play: the avatar's speech as it arrived, against a buffer that runs dry.

Frames are stamped on arrival, so what our own loop was late by is in here too. The buffer is twice what voids a run
(50 ms of loop lag, reports/sections/generator.py): on a fit generator it runs dry only because frames did not come.
"""

from loadtest.sound.speech import FRAME_BYTES, FRAME_NS, RATE_HZ

BUFFER_NS = 100_000_000
"""What is played is this much behind what arrives, as in a browser."""
MOST_NS = 300_000_000
"""A player throws away what it would have to keep for longer: a burst does not hide the next hole for ever."""


class Playout:
    """One stream. Only holes in speech count: a room that sends nothing while the avatar is silent is none the worse.

    `frames`: stretches of audio that arrived, normally 20 ms each. `underruns`: how often the buffer ran dry, and
    `stalled_ns` for how long in all. `longest_gap_ns`: the longest wait for the next frame; None: nothing was said.
    """

    __slots__ = ("_ends_ns", "_last_ns", "frames", "longest_gap_ns", "stalled_ns", "underruns")

    def __init__(self) -> None:
        self.frames = self.underruns = self.stalled_ns = 0
        self.longest_gap_ns: int | None = None
        self._last_ns = self._ends_ns = 0

    def take(self, t_ns: int, pcm: bytes, *, speaking: bool) -> None:
        """A stretch arrived at `t_ns`. `speaking`: the avatar was, before it."""
        self.frames += 1
        length_ns = FRAME_NS if len(pcm) == FRAME_BYTES else len(pcm) // 2 * 1_000_000_000 // RATE_HZ
        if speaking:
            gap_ns = t_ns - self._last_ns
            if self.longest_gap_ns is None or gap_ns > self.longest_gap_ns:
                self.longest_gap_ns = gap_ns
        self._last_ns = t_ns
        ends_ns = self._ends_ns
        if t_ns > ends_ns:
            if speaking:
                self.underruns += 1
                self.stalled_ns += t_ns - ends_ns
            ends_ns = t_ns + BUFFER_NS
        self._ends_ns = min(ends_ns + length_ns, t_ns + MOST_NS)
