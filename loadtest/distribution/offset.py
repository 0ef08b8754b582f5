"""How far this host's monotonic clock is from the master's: NTP's arithmetic over the pings that are sent anyway."""

from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 5_000_000_000
"""The first comparison is of a busy moment, while processes start; a short run has no other minute."""
TELL_NS: Final = 60_000_000_000
"""A clock drifts by some 10 ppm: 0.6 ms in this time."""
FIRST_AFTER: Final = 5
"""Samples before the first is told."""


@dataclass(slots=True)
class Offset:
    """The sample with the shortest round trip counts: its answer has the least room to lie."""

    _best: tuple[int, int] | None = None  # round trip, offset
    _samples: int = 0
    _next_ns: int | None = None

    def answered(self, *, sent_ns: int, master_ns: int, heard_ns: int) -> None:
        """A ping was sent and its answer heard at these times of ours; the master read `master_ns` in between."""
        rtt_ns = heard_ns - sent_ns
        sample = (rtt_ns, master_ns - (sent_ns + heard_ns) // 2)
        self._best = sample if self._best is None else min(self._best, sample)
        self._samples += 1

    @property
    def sampling(self) -> bool:
        """Whether pings should come quickly, because nothing is known yet."""
        return self._next_ns is None

    def tell(self, now_ns: int) -> tuple[int, int] | None:
        """The best sample since the last time, as (offset, round trip): what to add to a stamp of ours, twice its
        error. None if it isn't time for it."""
        due = self._samples >= FIRST_AFTER if self._next_ns is None else now_ns >= self._next_ns
        if not due or self._best is None:
            return None
        rtt_ns, offset_ns = self._best
        self._best, self._next_ns = None, now_ns + (SECOND_NS if self._next_ns is None else TELL_NS)
        return offset_ns, rtt_ns
