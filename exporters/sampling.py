"""Which sessions' traces are worth keeping: those that went wrong, those that were slow, and a share of the rest.

By trace id, so that every process that samples decides alike: the exemplars of `/metrics` lead to traces that are kept.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from loadtest.criteria.samples import SAMPLERS, Running, Sampler, Source, source_of
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import Event, Outcome, StepFinished

_ENOUGH: Final = 200
"""Of a step, before its 99th percentile means anything."""

_RECKON_EVERY: Final = 100


def in_share(session: str, share: float) -> bool:
    """Whether a session is in that share. The last 56 bits of a trace id are random by W3C Trace Context."""
    return int(session[-14:], 16) < share * (1 << 56)


class Bounds:
    """The bounds that a run's service levels put on single samples of its sessions."""

    def __init__(self, slos: Iterable[Slo]) -> None:
        self._judges: defaultdict[Source, list[tuple[Slo, Sampler]]] = defaultdict(list)
        for slo in slos:
            if slo.is_ranked:
                for source, sampler in SAMPLERS[slo.measure].items():
                    self._judges[source].append((slo, sampler))

    def broken_by(self, event: Event, running: Running | None) -> bool:
        """Whether it lies beyond a service level's bound: one of the slow. `running` has seen it."""
        for slo, sampler in self._judges.get(source_of(event), ()) if self._judges else ():
            value = sampler(event, running)
            if (
                value is not None
                and slo.beyond(value)
                and (running is None or slo.scenario in (None, running.scenario))
            ):
                return True
        return False


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
