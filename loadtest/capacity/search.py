"""Which level to try next: grow until one fails, close in on the border, then hold the best level for longer.

Pure arithmetic: it is told how each stage went and never asks a clock.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from loadtest.config.keys.workload import Capacity

UNFIT_ATTEMPTS = 3
"""So often is a level tried again at which the generator was not fit: something else may have used the machine."""
SUSTAIN_ATTEMPTS = 4
SMALL = 32
"""Up to this level a quota is looked for beyond a level that only got no more done: quotas of trial accounts are small,
and where the target refuses, that is its limit."""
MOST_STAGES = 60


class Purpose(StrEnum):
    """Why a stage is run."""

    GROW = "grow"
    BISECT = "bisect"
    AGAIN = "again"  # it failed by a narrow margin
    SUSTAIN = "sustain"


class Found(StrEnum):
    """How a stage went. `NARROWLY`: failed, but so little that chance may have done it. `SLOW`: it held every
    objective, but more users got no more done. `REFUSED`: the target refused sessions for their number. `INVALID`: the
    generator was not fit to judge."""

    PASSED = "passed"
    FAILED = "failed"
    NARROWLY = "narrowly"
    SLOW = "slow"
    REFUSED = "refused"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A level to be held."""

    level: float
    purpose: Purpose


class Search:
    """Levels are whole numbers for users, any number for rates, and none is above `most`. `factor`: by how much it
    grows."""

    def __init__(self, *, start: float, most: float, precision: float, whole: bool, factor: float = 2.0) -> None:
        self._start, self._precision, self._whole = start, precision, whole
        self._most = float(math.floor(most)) if whole else most
        self._factor = factor
        self._told: list[tuple[Probe, Found]] = []
        self._passed: set[float] = set()
        self._failed: set[float] = set()
        self._slow: list[float] = []
        """Levels at which more users got no more done, while a quota is still looked for above them."""
        self._met_quota = False
        self._sustained: float | None = None
        self._next: Probe | None = Probe(level=self._rounded(start), purpose=Purpose.GROW)

    @classmethod
    def of(cls, asked: Capacity) -> "Search":
        return cls(start=asked.start, most=asked.most, precision=asked.precision, whole=asked.by == "users")

    def next(self) -> Probe | None:
        """What to try; None: the search is over."""
        return None if len(self._told) >= MOST_STAGES else self._next

    def tell(self, found: Found) -> None:
        """How the stage that `next` asked for went."""
        probe = self._next
        assert probe is not None, "told without having asked"
        self._told.append((probe, found))
        self._met_quota |= found is Found.REFUSED
        if found is Found.SLOW and self._met_quota:
            found = Found.PASSED
        if found is Found.SLOW and not self._failed and probe.purpose is Purpose.GROW:
            self._slow.append(probe.level)
            if probe.level < min(SMALL, self._most):
                self._next = self._grown(probe.level)
                return
        if self._slow and found is not Found.REFUSED:
            self._end_growth(probe, found)
            return
        self._passed.update(self._slow)  # what made them slow was not their number
        self._slow.clear()
        if found is Found.INVALID:
            unfit = sum(one is Found.INVALID and each.level == probe.level for each, one in self._told)
            self._next = None if unfit >= UNFIT_ATTEMPTS else probe
            return
        if found in (Found.NARROWLY, Found.SLOW) and probe.purpose not in (Purpose.AGAIN, Purpose.SUSTAIN):
            self._next = Probe(level=probe.level, purpose=Purpose.AGAIN)
            return
        if found is Found.PASSED:
            self._passed.add(probe.level)
            if probe.purpose is Purpose.SUSTAIN:
                self._sustained = probe.level
        else:
            self._failed.add(probe.level)
        self._next = self._choose()

    def _end_growth(self, probe: Probe, found: Found) -> None:
        """No quota showed above the slow levels: the lowest of them is tried once more."""
        slow, self._slow = self._slow, []
        if found is Found.PASSED:
            self._passed.add(probe.level)
        elif found is not Found.INVALID:
            self._failed.add(probe.level)
        self._failed.update(slow[1:])
        self._next = Probe(level=slow[0], purpose=Purpose.AGAIN)

    def _grown(self, level: float) -> Probe:
        return Probe(level=self._rounded(level * self._factor), purpose=Purpose.GROW)

    def _choose(self) -> Probe | None:
        """The limit is looked for below the lowest level that failed: what passed above it is luck, or told as not
        monotonic."""
        if self._sustained is not None:
            return None
        failed = min(self._failed, default=None)
        passed = max((level for level in self._passed if failed is None or level < failed), default=None)
        if failed is None:
            assert passed is not None
            if passed >= self._most:
                return self._sustain(passed)
            return self._grown(passed)
        if passed is None:
            lower = self._rounded(failed / self._factor)
            lowest = 1.0 if self._whole else self._start / 64
            return None if lower >= failed or lower < lowest else Probe(level=lower, purpose=Purpose.BISECT)
        between = self._rounded((passed + failed) / 2)
        if failed - passed <= self._precision * failed or between in (passed, failed):
            return self._sustain(passed)
        return Probe(level=between, purpose=Purpose.BISECT)

    def _sustain(self, level: float) -> Probe | None:
        attempts = sum(probe.purpose is Purpose.SUSTAIN for probe, _ in self._told)
        return None if attempts >= SUSTAIN_ATTEMPTS else Probe(level=level, purpose=Purpose.SUSTAIN)

    def _rounded(self, level: float) -> float:
        if self._whole:
            level = float(max(1, round(level)))
        elif level > 0 and math.isfinite(level):
            level = float(f"{level:.3g}")
        return min(self._most, level)
