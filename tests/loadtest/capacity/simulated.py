"""A target in simulated time: what the journals of a search would hold, without a clock, a socket or a core.

Creates wait for one of `slots` servers, in order; a session then lives for `alive_s`. Above `quota` sessions at once a
create is refused at once. A closed population's users begin their next session 50 ms after the last one.
"""

import heapq
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtest.arrival import Shape, Span
from loadtest.errors import Code, Kind
from loadtest.events import (
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
    lag_ns: int = 1_000_000
    """Of the generator's own loop."""
    lags_from: float = float("inf")
    """Level from which the generator's loop is 80 ms late."""
    _now_s: float = 0.0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

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
        heapq.heapify(waiting)
        free_s = [0.0] * (self.slots or 0)
        alive: list[float] = []
        while waiting:
            at_s, number = heapq.heappop(waiting)
            ended_s = self._session(number, at_s, free_s, alive, events)
            self._now_s = max(self._now_s, ended_s)
            if not open_ and ended_s + 0.05 < end_s:
                heapq.heappush(waiting, (ended_s + 0.05, next(self._numbers)))
        lag_ns = 80_000_000 if level >= self.lags_from else self.lag_ns
        for second in range(int(end_s - begin_s) + 2):
            t_ns = ns(begin_s + second)
            health = {"lag_p99_ns": lag_ns, "lag_max_ns": lag_ns, "cpu_percent": 35.0, "rss_bytes": 1}
            events += [HealthSampled(t_ns=t_ns, wall_ns=0, source="engine", process=0, **health)]
        return sorted(events, key=lambda event: event.t_ns)

    def _session(
        self, number: int, due_s: float, free_s: list[float], alive: list[float], events: list[Event]
    ) -> float:
        session, span = f"{number:032x}", {"span_id": "0" * 16, "parent_id": "0" * 16}
        minted_s = due_s + CALL_S
        while alive and alive[0] <= minted_s:
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
        if self.quota is not None and len(alive) >= self.quota:
            end_s = minted_s + CALL_S
            failure = Failure(step=Step.CREATE, kind=Kind.REJECTED, code=Code.LIMITS_EXCEEDED)
            events.append(
                StepFinished(
                    t_ns=ns(end_s), step=Step.CREATE, started_ns=ns(minted_s), outcome=Outcome.FAILED, failure=failure,
                    **step,
                )
            )  # fmt: skip
            self._finished(events, session, due_s, end_s, Outcome.FAILED, failure)
            return end_s
        created_s = minted_s + CALL_S
        if free_s:
            begin_s = max(minted_s, heapq.heappop(free_s))
            took_s = self.service_s * self._chance.lognormvariate(-(self.spread**2) / 2, self.spread)
            created_s = begin_s + took_s
            heapq.heappush(free_s, created_s)
        delete_s = created_s + CALL_S + self.alive_s
        heapq.heappush(alive, delete_s + CALL_S)
        events += [
            StepFinished(t_ns=ns(created_s), step=Step.CREATE, started_ns=ns(minted_s), **ok),
            RemainsChanged(t_ns=ns(created_s), session=session, remains=Remains.LEAKED, reason="create_answered"),
            StepFinished(t_ns=ns(created_s + CALL_S), step=Step.CONNECT, started_ns=ns(created_s), **ok),
            StepFinished(t_ns=ns(delete_s + CALL_S), step=Step.DELETE, started_ns=ns(delete_s), **ok),
        ]
        self._finished(events, session, due_s, delete_s + CALL_S, Outcome.OK, None)
        return delete_s + CALL_S

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
