"""Which sessions' traces are worth keeping: those that went wrong, those that were slow, and a share of the rest.

By trace id, so that every process that samples decides alike: the exemplars of `/metrics` lead to traces that are kept.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from loadtest.judging.slo import SECONDS, Slo
from loadtest.language.events import Outcome, Step, StepFinished

_ENOUGH: Final = 200
"""Of a step, before its 99th percentile means anything."""

_RECKON_EVERY: Final = 100


def in_share(session: str, share: float) -> bool:
    """Whether a session is in that share. The last 56 bits of a trace id are random by W3C Trace Context."""
    return int(session[-14:], 16) < share * (1 << 56)


class Bounds:
    """The upper bounds, in seconds, that a run's service levels put on steps and turns."""

    def __init__(self, slos: Iterable[Slo]) -> None:
        self._steps: dict[str, float] = {}
        self.first_audio_s = self.barge_in_s = float("inf")
        for slo in slos:
            if slo.max is None or slo.unit != SECONDS:
                continue
            if slo.indicator.startswith("turn.time_to_first_audio."):
                self.first_audio_s = min(self.first_audio_s, slo.max)
            elif slo.indicator.startswith("turn.barge_in."):
                self.barge_in_s = min(self.barge_in_s, slo.max)
            elif (step := slo.indicator.partition(".")[0]) in set(Step):
                self._steps[step] = min(self._steps.get(step, float("inf")), slo.max)

    def step_s(self, step: Step) -> float:
        """Infinite where no service level bounds it."""
        return self._steps.get(step, float("inf"))

    def broken_by(self, step: StepFinished) -> bool:
        """Whether it took longer than a service level's bound: one of the slow."""
        return (
            step.t_ns - step.started_ns > self.step_s(step.step) * 1e9
            or (step.first_audio_ns or 0) > self.first_audio_s * 1e9
            or (step.barge_in_ns or 0) > self.barge_in_s * 1e9
        )


class Slowest:
    """The slowest hundredth of each step and of the times to first audio, as far as it was seen. Memory is bounded."""

    def __init__(self) -> None:
        self._seen: defaultdict[str, _Times] = defaultdict(_Times)

    def add(self, step: StepFinished) -> bool:
        """Count a step that went well; whether it was above the 99th percentile of those before it."""
        if step.outcome is not Outcome.OK:
            return False
        slow = self._seen[step.step].add(step.t_ns - step.started_ns)
        if step.first_audio_ns is not None:
            slow = self._seen["first_audio"].add(step.first_audio_ns) or slow
        return slow


class _Times:
    """Counts in classes of 2 %: enough to know the 99th percentile by."""

    def __init__(self) -> None:
        self._classes: list[int] = []
        self._counts: defaultdict[int, int] = defaultdict(int)
        self._total = 0
        self._p99 = 0

    def add(self, ns: int) -> bool:
        mantissa_bits = 6
        shift = max(0, ns.bit_length() - mantissa_bits)
        which = (shift << mantissa_bits) + (ns >> shift)
        slow = self._total >= _ENOUGH and which > self._p99
        if which not in self._counts:
            insort(self._classes, which)
        self._counts[which] += 1
        self._total += 1
        if self._total >= _ENOUGH and self._total % _RECKON_EVERY == 0:
            below = list(accumulate(self._counts[each] for each in self._classes))
            self._p99 = self._classes[bisect_left(below, 0.99 * self._total)]
        return slow
