"""How many of something there were at a time, from when each began and ended."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """How many intervals are open at a time; steps in order of time."""

    t_ns: list[int]
    count: list[int]

    @classmethod
    def of(cls, intervals: Iterable[tuple[int | None, int | None]]) -> "Line":
        steps: list[tuple[int, int]] = []
        for start_ns, end_ns in intervals:
            if start_ns is None:
                continue
            steps.append((start_ns, 1))
            if end_ns is not None:
                steps.append((end_ns, -1))
        steps.sort()
        t_ns, count, now = [], [], 0
        for at_ns, step in steps:
            now += step
            t_ns.append(at_ns)
            count.append(now)
        return cls(t_ns, count)

    def at(self, t_ns: int) -> int:
        place = bisect_right(self.t_ns, t_ns) - 1
        return self.count[place] if place >= 0 else 0

    def mean(self, from_ns: int, to_ns: int) -> float:
        """Over that time."""
        low, high = bisect_right(self.t_ns, from_ns), bisect_left(self.t_ns, to_ns)
        stamps = [from_ns, *self.t_ns[low:high], to_ns]
        levels = [self.at(from_ns), *self.count[low:high]]
        area = sum(level * (b - a) for level, a, b in zip(levels, stamps, stamps[1:], strict=False))
        return area / (to_ns - from_ns) if to_ns > from_ns else 0.0

    def peak(self, from_ns: int, to_ns: int) -> tuple[int, int]:
        """The highest count within, and how often it was reached anew."""
        low, high = bisect_left(self.t_ns, from_ns), bisect_right(self.t_ns, to_ns)
        inside = [self.at(from_ns), *self.count[low:high]]
        top = max(inside)
        return top, sum(now == top and before < top for before, now in zip([0, *inside], inside, strict=False))
