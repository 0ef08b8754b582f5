"""What comes of a WebRTC room's sound: packets, by their numbers and their sender's clock, as stretches of PCM."""

from loadtest.rooms import opus
from loadtest.sound.speech import length_ns

NEW_NUMBERS = 3000
"""A jump of a minute is a stream that was numbered anew, not a minute that was lost."""


class Reception:
    """Of one room. `lost`: packets that didn't come, or too late to be heard."""

    def __init__(self) -> None:
        self.lost = 0
        self._decoder = opus.Decoder()
        self._last: int | None = None
        self._due = self._heard_until_ns = 0
        """The next packet's timestamp, and when it is to come, where the sound goes on."""

    def take(self, t_ns: int, sequence: int, timestamp: int, payload: bytes) -> tuple[bytes, int, int] | None:
        """PCM, how many packets just before it are lost, and for how long before it nothing was sent; None: it was
        overtaken, and is too late to be heard."""
        lost = rest_ns = 0
        if self._last is not None:
            ahead = (sequence - self._last) & 0xFFFF
            if ahead > 0x7FFF:
                return None
            if ahead == 1:
                rest_ns = self._rested_ns(t_ns, timestamp) if timestamp != self._due else 0
            elif ahead < NEW_NUMBERS:
                lost = max(0, ahead - 1)
                self.lost += lost
        pcm = self._decoder.decode(payload)
        # A byte of 16 bit at 24 kHz lasts as long as a tick of Opus' clock.
        self._last, self._due = sequence, (timestamp + len(pcm)) & 0xFFFFFFFF
        self._heard_until_ns = t_ns + length_ns(pcm)
        return pcm, lost, rest_ns

    def _rested_ns(self, t_ns: int, timestamp: int) -> int:
        """How long the sender had silence alone, and sent nothing, by his clock (RFC 7587 3.1.3): no longer than it
        took."""
        ticks = (timestamp - self._due) & 0xFFFFFFFF
        rested_ns = ticks * 1_000_000_000 // opus.CLOCK_HZ if ticks < 0x80000000 else 0
        return max(0, min(rested_ns, t_ns - self._heard_until_ns))
