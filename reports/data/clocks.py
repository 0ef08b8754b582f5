"""One time base for the journals of several hosts.

Monotonic stamps compare within one boot of one host. A master measures how far its workers' are from its own, exact to
half a round trip, and says so in its journal. Files of boots that nobody measured are shifted through the pairs of both
clocks that they hold: exact to how well the hosts' wall clocks agree (NTP: milliseconds). Neither is used within one
host, and each base has one shift for the whole run: no duration changes by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median_low

from loadtest.events.kinds import ClockCompared, HealthSampled, RunStarted

Base = tuple[str, str]
"""Host and boot id. Both, because a host that can't name its boot says "unknown"."""


@dataclass(slots=True)
class Anchors:
    """Pairs of both clocks, by base. The first base that was added is the one that all others are brought to."""

    _wall_minus_mono_ns: dict[Base, list[int]] = field(default_factory=dict)
    _compared: dict[Base, list[ClockCompared]] = field(default_factory=dict)
    _master: Base | None = None

    def add(self, started: RunStarted, samples: Sequence[HealthSampled | ClockCompared] = ()) -> None:
        """The anchors of one journal file, and the comparisons in a master's."""
        base = (started.host, started.boot_id)
        pairs = self._wall_minus_mono_ns.setdefault(base, [])
        pairs.append(started.wall_ns - started.t_ns)
        for sample in samples:
            if isinstance(sample, ClockCompared):
                self._master = base
                self._compared.setdefault((sample.host, sample.boot_id), []).append(sample)
            else:
                pairs.append(sample.wall_ns - sample.t_ns)

    def wall_offset_ns(self, base: Base) -> int:
        """What to add to a stamp of `base` to get Unix time. The median: one stepped or late pair must not count."""
        return median_low(self._wall_minus_mono_ns[base])

    def shift_ns(self, base: Base) -> int:
        """What to add to a stamp of `base` to get a stamp of the first base; 0 for the first base itself."""
        first = next(iter(self._wall_minus_mono_ns))
        return 0 if base == first else self._to_master_ns(base) - self._to_master_ns(first)

    def measured(self, base: Base) -> tuple[int, int] | None:
        """What to add to a stamp of `base` to get one of the master's, and the most that it can be off by. None for the
        master's own base, and where it was not measured."""
        if base == self._master or base not in self._compared:
            return None
        # A long round trip has room to lie; of the short ones the middle one, as clocks drift during the run.
        shortest_ns = min(sample.rtt_ns for sample in self._compared[base])
        good = [sample.offset_ns for sample in self._compared[base] if sample.rtt_ns <= 2 * shortest_ns]
        return median_low(good), shortest_ns

    def _to_master_ns(self, base: Base) -> int:
        """Without a master: to Unix time, which serves as well."""
        if (found := self.measured(base)) is not None:
            return found[0]
        return self.wall_offset_ns(base) - (self.wall_offset_ns(self._master) if self._master is not None else 0)
