"""What comes of a WebRTC room's sound: packets, by their numbers and their sender's clock, as stretches of PCM."""

from collections import deque

from loadtest.rooms import opus
from loadtest.session.playout import BUFFER_NS
from loadtest.sound.speech import FRAME_NS, length_ns

NEW_NUMBERS = 3000
"""A jump of a minute is a stream that was numbered anew, not a minute that was lost."""
_MISSED = 16
"""So many of the last numbers that were missed are remembered: more don't come late within a player's buffer."""


class Reception:
    """Of one room. `lost`: packets that didn't come, or later than a player waits for them (BUFFER_NS)."""

    def __init__(self) -> None:
        self.lost = 0
        self._decoder = opus.Decoder()
        self._last: int | None = None
        self._missed: deque[tuple[int, int]] = deque(maxlen=_MISSED)
        self._due = self._heard_until_ns = 0
        """The next packet's timestamp, and when it is to come, where the sound goes on."""

    def take(self, t_ns: int, sequence: int, timestamp: int, payload: bytes) -> tuple[bytes, int, int] | None:
        """PCM, how many packets just before it are lost, and for how long before it nothing was sent; None: it was
        overtaken. Its sound isn't put where it belongs, but it counts as received (RFC 3550 A.3)."""
        lost = rest_ns = 0
        if self._last is not None:
            ahead = (sequence - self._last) & 0xFFFF
            if ahead > 0x7FFF:
                self._comes_late(t_ns, sequence)
                return None
            if ahead == 1:
                rest_ns = self._rested_ns(t_ns, timestamp) if timestamp != self._due else 0
            elif ahead < NEW_NUMBERS:
                lost = max(0, ahead - 1)
                self.lost += lost
                self._missed.extend(((sequence - each) & 0xFFFF, t_ns) for each in range(min(lost, _MISSED), 0, -1))
        pcm = self._decoder.decode(payload)
        # A byte of 16 bit at 24 kHz lasts as long as a tick of Opus' clock.
        self._last, self._due = sequence, (timestamp + len(pcm)) & 0xFFFFFFFF
        self._heard_until_ns = t_ns + length_ns(pcm)
        return pcm, lost, rest_ns

    def _comes_late(self, t_ns: int, sequence: int) -> None:
        for missed in self._missed:
            if missed[0] == sequence and t_ns - missed[1] <= BUFFER_NS:
                self._missed.remove(missed)
                self.lost -= 1
                return

    def _rested_ns(self, t_ns: int, timestamp: int) -> int:
        """How long the sender had silence alone, and sent nothing, by his clock (RFC 7587 3.1.3): no longer than it
        took. Less than half a frame is a clock that isn't quite even."""
        ticks = (timestamp - self._due) & 0xFFFFFFFF
        rested_ns = ticks * 1_000_000_000 // opus.CLOCK_HZ if ticks < 0x80000000 else 0
        rested_ns = min(rested_ns, t_ns - self._heard_until_ns)
        return rested_ns if rested_ns >= FRAME_NS // 2 else 0
