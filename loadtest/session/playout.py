"""What a player would have had to play: the avatar's speech as it arrived, against a buffer that runs dry.

Frames are stamped on arrival, so what our own loop was late by is in here too. The buffer is twice what voids a run
(50 ms of loop lag, reports/sections/generator.py): on a fit generator it runs dry only because frames did not come.
"""

from loadtest.sound.speech import length_ns

BUFFER_NS = 100_000_000
"""What is played is this much behind what arrives, as in a browser."""
MOST_NS = 300_000_000
"""A player throws away what it would have to keep for longer: a burst does not hide the next hole for ever. One message
that is longer is kept whole: it can't be had in parts."""


class Playout:
    """What is heard of an avatar: one stream, or one of each room that was entered. Only holes in speech count: a room
    that sends nothing while the avatar is silent is none the worse. `ahead_ns`: so much of the speech came faster than
    it plays that a player would not have kept it. Who sends the file of an answer does so, and no rule forbids it.

    `frames`: stretches of audio that arrived, normally 20 ms each. `underruns`: how often the buffer ran dry, and
    `stalled_ns` for how long in all. `longest_gap_ns`: the longest wait for the next frame; None: nothing was said.
    """

    __slots__ = (
        "_astray_ns",
        "_ends_ns",
        "_first_ns",
        "_heard_ns",
        "_last_ns",
        "_length_ns",
        "_said_ns",
        "_waits",
        "ahead_ns",
        "frames",
        "longest_gap_ns",
        "stalled_ns",
        "underruns",
    )

    def __init__(self) -> None:
        self.frames = self.underruns = self.stalled_ns = self.ahead_ns = 0
        self.longest_gap_ns: int | None = None
        self._first_ns: int | None = None
        self._heard_ns = self._last_ns = self._ends_ns = self._length_ns = 0
        self._waits = self._astray_ns = self._said_ns = 0

    @property
    def heard_ns(self) -> int | None:
        """From the arrival of the first frame to the end of the last one, without the times between two streams; None:
        none came."""
        return self._heard_ns + self._of_stream_ns() if self.frames else None

    @property
    def jitter_ns(self) -> int | None:
        """Mean deviation of the waits for speech from the length of what came before: the interarrival jitter of RFC
        3550 (6.4.1), over the whole stream instead of its last sixteen packets. None: nothing was said."""
        return self._astray_ns // self._waits if self._waits else None

    def leave(self) -> None:
        """The room was left: what comes then is of another stream, and nothing was missed between them."""
        self._heard_ns += self._of_stream_ns()
        self._first_ns = None

    def _of_stream_ns(self) -> int:
        return 0 if self._first_ns is None else self._last_ns + self._length_ns - self._first_ns

    def rest(self, rest_ns: int) -> None:
        """For so long nothing was sent, for there was silence alone: it is played without."""
        self._last_ns += rest_ns
        self._ends_ns += rest_ns
        self._said_ns += rest_ns

    def take(self, t_ns: int, pcm: bytes, *, speaking: bool, lost: int = 0) -> None:
        """A stretch arrived at `t_ns`. `speaking`: the avatar was, before it; `lost`: so many before it never came."""
        if self._first_ns is None:
            self._first_ns, speaking = t_ns, False  # whoever spoke before it was not to be heard here
        self.frames += 1
        sounds_ns = length_ns(pcm)
        most_ns = t_ns + max(MOST_NS, sounds_ns + BUFFER_NS)
        if speaking:
            gap_ns = t_ns - self._last_ns
            if self.longest_gap_ns is None or gap_ns > self.longest_gap_ns:
                self.longest_gap_ns = gap_ns
            self._waits += 1
            self._astray_ns += abs(gap_ns - self._length_ns * (lost + 1))
            # From the onset on, holes included: what only catches up with them is not ahead.
            self._said_ns += sounds_ns
            over_ns = min(self._said_ns - most_ns, sounds_ns)  # what it keeps already stays
            if over_ns > 0:
                self.ahead_ns += over_ns
                self._said_ns -= over_ns
        else:
            self._said_ns = t_ns + sounds_ns
        self._last_ns, self._length_ns = t_ns, sounds_ns
        ends_ns = self._ends_ns
        if t_ns > ends_ns:
            if speaking:
                self.underruns += 1
                self.stalled_ns += t_ns - ends_ns
            ends_ns = t_ns + BUFFER_NS
        self._ends_ns = min(ends_ns + sounds_ns, max(most_ns, ends_ns))
