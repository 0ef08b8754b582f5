"""Tail sampling: a session is kept or left out whole, when it has ended and everything about it is known."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Self

from exporters.sampling import Bounds, Slowest, in_share
from loadtest.config.promise import Promise
from loadtest.config.run_dir import load_resolved
from loadtest.criteria.samples import REMEMBERED, Running
from loadtest.criteria.slo import Slo
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import (
    Event,
    MediaMeasured,
    Outcome,
    Remains,
    SessionFinished,
    SessionStarted,
    StepFinished,
)
from loadtest.rules.rulebook import Rulebook


class TailSampler:
    """Keeps every session that failed, may have left something, was slow or broke a rule, and a share of the rest.

    Slow: something of it lies beyond a service level's bound, a step or an answer took longer than 99 % of those before
    it, or the avatar's speech ran dry.
    """

    def __init__(self, share: float, *, slos: Iterable[Slo] = (), promises: dict[str, Promise] | None = None) -> None:
        self._share = share
        self._bounds, self._slowest = Bounds(slos), Slowest()
        self._rules = Rulebook(promises or {})
        self._violations = 0

    @classmethod
    def of_run(cls, run_dir: Path, share: float) -> Self:
        """With the service levels and the promises of the run's settings; without any where they can't be read."""
        try:
            settings = load_resolved(run_dir)
        except ConfigError:
            return cls(share)
        return cls(share, slos=settings.slos, promises=settings.promises(today=date.today()))

    def keeps(self, started: SessionStarted, events: Sequence[Event], finished: SessionFinished) -> bool:
        """Call it once per session, in the order of their ends: what is slow depends on what was before."""
        if self._share >= 1:
            return True
        # All of them are judged, also where the first word decides: each is a part of what the next is compared with.
        reasons = (
            finished.outcome == Outcome.FAILED or finished.remains != Remains.NOTHING,
            self._is_slow(started, events),
            self._breaks_a_rule([started, *events, finished]),
            in_share(finished.session, self._share),
        )
        return any(reasons)

    def _is_slow(self, started: SessionStarted, events: Iterable[Event]) -> bool:
        slow, running = False, Running(started.scenario, started.due_ns)
        for event in events:
            if isinstance(event, REMEMBERED):
                running.saw(event)
            if isinstance(event, StepFinished):
                slow = self._slowest.add(event) or event.outcome == Outcome.FAILED or slow
            elif isinstance(event, MediaMeasured):
                slow = slow or event.underruns > 0
            slow = slow or self._bounds.broken_by(event, running)
        return slow

    def _breaks_a_rule(self, events: Iterable[Event]) -> bool:
        for event in events:
            self._rules.add(event)
        before, self._violations = self._violations, sum(self._rules.violations().values())
        return self._violations > before
