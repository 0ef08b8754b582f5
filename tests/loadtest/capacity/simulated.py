"""A target in simulated time: what the journals of a search would hold, without a clock, a socket or a core.

Creates wait for one of `slots` servers, in order; a session then lives for `alive_s`. Above `quota` sessions at once,
or `per_minute` creates, one is refused, as `refusal` says. A closed population's users begin their next session 50 ms
after the last one, or a second after one that failed.
"""

import heapq
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loadtest.arrivals.schedule import Shape, Span
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    Event,
    Failure,
    HealthSampled,
    Outcome,
    Remains,
    RemainsChanged,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)

CALL_S = 0.004


@dataclass
class Target:
    seed: int
    slots: int | None = None
    service_s: float = 0.1
    spread: float = 0.3
    alive_s: float = 0.0
    quota: int | None = None
    refusal: tuple[Step, Kind, Code] = (Step.CREATE, Kind.REJECTED, Code.LIMITS_EXCEEDED)
    """At which step, and as what: a session that is refused at connect was created, and takes no place."""
    freed_after_s: float = 0.0
    """So long after its delete a session still has its place."""
    per_minute: int | None = None
    """Creates in each minute of the target's clock; the others are refused as RATE_LIMITED."""
    fails_at_random: float = 0.0
    """Share of creates that are refused for no reason at all."""
    lag_ns: int = 1_000_000
    """Of the generator's own loop."""
    lags_from: float = float("inf")
    """Level from which the generator's loop is 80 ms late."""
    _now_s: float = 0.0
    _minute: tuple[int, int] = (-1, 0)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._chance, self._pauses = random.Random(self.seed), random.Random(f"{self.seed}:pauses")

    def stage(self, name: str, level: float, *, open_: bool, settle_s: float, hold_s: float) -> list[Event]:
        """All events of a stage, run until its last session has ended."""
        begin_s = self._now_s + 0.3
        steady_s, end_s = begin_s + settle_s, begin_s + settle_s + hold_s
        users, rate = (1000, level) if open_ else (int(level), None)
        events: list[Event] = [
            StageStarted(t_ns=ns(begin_s), stage=f"settle {name}", users=users, steady=False, rate=rate),
            StageStarted(t_ns=ns(steady_s), stage=name, users=users, steady=True, rate=rate),
            StageStarted(t_ns=ns(end_s), stage=f"rest {name}", users=0, steady=False),
        ]
        shape = Shape((Span(name="x", duration_s=settle_s + hold_s, start=level, end=level),), begin_s)
        due_s = shape.arrivals() if open_ else (begin_s + settle_s / 2 * u / level for u in range(int(level)))
        waiting = [(at_s, next(self._numbers)) for at_s in due_s]
        if not open_ and not self.alive_s:
            waves_s = [end_s + 0.2 + 0.25 * wave for wave in range(3)]
            waiting += [(at_s, next(self._numbers)) for at_s in waves_s for _ in range(int(level))]
        heapq.heapify(waiting)
        free_s = [0.0] * (self.slots or 0)
        alive: list[float] = []
        while waiting:
            at_s, number = heapq.heappop(waiting)
            ended_s, ok = self._session(number, at_s, free_s, alive, events)
            self._now_s = max(self._now_s, ended_s)
            next_s = ended_s + (0.05 if ok else 1.0) + self._pauses.uniform(0, 0.01)
            if not open_ and at_s < end_s and next_s < end_s:
                heapq.heappush(waiting, (next_s, next(self._numbers)))
        lag_ns = 80_000_000 if level >= self.lags_from else self.lag_ns
        for second in range(int(end_s - begin_s) + 2):
            t_ns = ns(begin_s + second)
            health = {"lag_p99_ns": lag_ns, "lag_max_ns": lag_ns, "cpu_percent": 35.0, "rss_bytes": 1}
            events += [HealthSampled(t_ns=t_ns, wall_ns=0, source="engine", process=0, **health)]
        return sorted(events, key=lambda event: event.t_ns)

    def _session(
        self, number: int, due_s: float, free_s: list[float], alive: list[float], events: list[Event]
    ) -> tuple[float, bool]:
        session, span = f"{number:032x}", {"span_id": "0" * 16, "parent_id": "0" * 16}
        minted_s = due_s + CALL_S
        begin_s = max(minted_s, free_s[0]) if free_s else minted_s
        while alive and alive[0] <= begin_s:
            heapq.heappop(alive)
        events.append(
            SessionStarted(
                t_ns=ns(due_s), session=session, span_id="0" * 16, scenario="s", user=number, due_ns=ns(due_s)
            )
        )
        step = {"session": session, **span}
        ok = {"outcome": Outcome.OK, **step}
        events.append(StepFinished(t_ns=ns(minted_s), step=Step.MINT, started_ns=ns(due_s), **ok))
        events.append(
            RemainsChanged(t_ns=ns(minted_s), session=session, remains=Remains.DOUBTFUL, reason="create_sent")
        )
        refused = self._refusal(begin_s, alive)
        if refused is not None:
            at, kind, code = refused
            failure, end_s = Failure(step=at, kind=kind, code=code), begin_s + CALL_S
            if at is Step.CONNECT:
                events += self._created(session, minted_s, end_s, ok)
            failed = {"outcome": Outcome.FAILED, "failure": failure, **step}
            began_s, end_s = (minted_s, end_s) if at is Step.CREATE else (end_s, end_s + CALL_S)
            events.append(StepFinished(t_ns=ns(end_s), step=at, started_ns=ns(began_s), **failed))
            if at is Step.CONNECT:
                events += self._deleted(session, end_s, ok)
                end_s += CALL_S
            self._finished(events, session, due_s, end_s, Outcome.FAILED, failure)
            return end_s, False
        created_s = minted_s + CALL_S
        if free_s:
            heapq.heappop(free_s)
            took_s = self.service_s * self._chance.lognormvariate(-(self.spread**2) / 2, self.spread)
            created_s = begin_s + took_s
            heapq.heappush(free_s, created_s)
        delete_s = created_s + CALL_S + self.alive_s
        heapq.heappush(alive, delete_s + CALL_S + self.freed_after_s)
        events += self._created(session, minted_s, created_s, ok)
        events.append(StepFinished(t_ns=ns(created_s + CALL_S), step=Step.CONNECT, started_ns=ns(created_s), **ok))
        events += self._deleted(session, delete_s, ok)
        self._finished(events, session, due_s, delete_s + CALL_S, Outcome.OK, None)
        return delete_s + CALL_S, True

    def _refusal(self, at_s: float, alive: list[float]) -> tuple[Step, Kind, Code] | None:
        if self.quota is not None and len(alive) >= self.quota:
            return self.refusal
        if self.fails_at_random and self._chance.random() < self.fails_at_random:
            return self.refusal
        if self.per_minute is not None:
            minute, count = self._minute
            if int(at_s // 60) != minute:
                minute, count = int(at_s // 60), 0
            self._minute = minute, count + 1
            if count >= self.per_minute:
                return Step.CREATE, Kind.REJECTED, Code.RATE_LIMITED
        return None

    @staticmethod
    def _created(session: str, sent_s: float, at_s: float, ok: dict[str, Any]) -> list[Event]:
        return [
            StepFinished(t_ns=ns(at_s), step=Step.CREATE, started_ns=ns(sent_s), **ok),
            RemainsChanged(t_ns=ns(at_s), session=session, remains=Remains.LEAKED, reason="create_answered"),
        ]

    @staticmethod
    def _deleted(session: str, sent_s: float, ok: dict[str, Any]) -> list[Event]:
        at_ns = ns(sent_s + CALL_S)
        return [
            StepFinished(t_ns=at_ns, step=Step.DELETE, started_ns=ns(sent_s), **ok),
            RemainsChanged(t_ns=at_ns, session=session, remains=Remains.NOTHING, reason="deleted"),
        ]

    def _finished(
        self, events: list[Event], session: str, due_s: float, end_s: float, outcome: Outcome, failure: Failure | None
    ) -> None:
        events.append(
            SessionFinished(
                t_ns=ns(end_s), session=session, scenario="s", started_ns=ns(due_s), due_ns=ns(due_s), outcome=outcome,
                remains=Remains.NOTHING, failure=failure,
            )
        )  # fmt: skip


def ns(seconds: float) -> int:
    return int(seconds * 1e9)
