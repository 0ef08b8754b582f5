"""One time base for the journals of several hosts.

Monotonic stamps compare within one boot of one host. Files of other boots are shifted through the pairs of both clocks
that they hold: exact to how well the hosts' wall clocks agree (NTP: milliseconds), never used within one host.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median_low

from loadtest.events import HealthSampled, RunStarted

Base = tuple[str, str]
"""Host and boot id. Both, because a host that can't name its boot says "unknown"."""


@dataclass(slots=True)
class Anchors:
    """Pairs of both clocks, by base. The first base that was added is the one that all others are brought to."""

    _wall_minus_mono_ns: dict[Base, list[int]] = field(default_factory=dict)

    def add(self, started: RunStarted, samples: Sequence[HealthSampled] = ()) -> None:
        """The anchors of one journal file."""
        pairs = self._wall_minus_mono_ns.setdefault((started.host, started.boot_id), [])
        pairs.append(started.wall_ns - started.t_ns)
        pairs += [sample.wall_ns - sample.t_ns for sample in samples]

    def wall_offset_ns(self, base: Base) -> int:
        """What to add to a stamp of `base` to get Unix time. The median: one stepped or late pair must not count."""
        return median_low(self._wall_minus_mono_ns[base])

    def shift_ns(self, base: Base) -> int:
        """What to add to a stamp of `base` to get a stamp of the first base; 0 for the first base itself."""
        first = next(iter(self._wall_minus_mono_ns))
        return self.wall_offset_ns(base) - self.wall_offset_ns(first)
