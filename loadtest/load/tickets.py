"""Who is to start the next session, and when: what the users of a process ask, and where they wait.

Gevent only: users are greenlets, and nothing here may block for longer than it takes to say when.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gevent.event import Event as Signal

from loadtest.arrivals.schedule import Arrival, ClosedPopulation, Shape, Span, share
from loadtest.config.keys.workload import Load
from loadtest.config.settings import Settings
from loadtest.events.kinds import StageStarted

WAVES, WAVE_GAP_S, WAVE_S = 3, 0.2, 0.05
"""After a level whose sessions are done in milliseconds: all users begin one at the same moment, a few times. Else as
many sessions as users would hardly ever be there at once, and a quota would not show. Nothing but a quota is read from
these; they are over within the slack that a stage has before it is judged."""


@dataclass(frozen=True, slots=True)
class Place:
    """Who a user is. `number` counts those of his kind in the whole run, from 0 and without holes: checks are dealt by
    it."""

    number: int
    checks: bool


def places(settings: Settings, *, process: int) -> Iterator[Place]:
    """Who the users of a process are, in the order in which they come. There are as many places in the run as its pool
    has; whoever comes when all are taken goes home."""
    checking = settings.probe_users
    for number in range(process, settings.pool, settings.load.processes):
        yield Place(number, True) if number < checking else Place(number - checking, False)


class Tickets:
    """The plan of one process of `processes`. A steered one gets its stages while it runs, and ends with `close`."""

    def __init__(self, load: Load, *, process: int, processes: int, steered: bool = False) -> None:
        self._process, self._processes = process, processes
        self._poisson = f"{load.seed}:arrivals" if load.arrivals == "poisson" else None
        shape = Shape(()) if steered else load.shape()
        self._population = ClosedPopulation(shape=shape, pacing_s=load.pacing)
        self._dealt: list[Iterator[Arrival]] = []
        if load.open and not steered:
            self._dealt.append(share(load.schedule(), process=process, processes=processes))
        self._more_to_come = steered
        self._news = Signal()

    def take(self) -> Arrival | None:
        """The next ticket of an open plan; waits while there is none yet. None: there will be none any more."""
        while True:
            while self._dealt:
                if (arrival := next(self._dealt[0], None)) is not None:
                    return arrival
                del self._dealt[0]
            if not self._more_to_come:
                return None
            self._news.wait()

    def first_s(self, place: float, from_s: float) -> float | None:
        """When the user at that place of a closed population is let in; waits while nobody knows. None: never."""
        while (due_s := self._population.first_s(place, from_s)) is None and self._more_to_come:
            self._news.wait()
        return due_s

    def next_s(self, place: float, due_s: float, now_s: float) -> float | None:
        """When that user's next session is due; waits while nobody knows. None: never."""
        return self.first_s(place, self._population.beat_s(due_s, now_s))

    def add(self, shape: Shape, *, open_: bool, first_index: int) -> None:
        """A further stage of a steered plan; it replaces what was before it, from its own start on."""
        if open_:
            arrivals = shape.arrivals(poisson_seed=self._poisson and f"{self._poisson}:{first_index}")
            self._dealt.append(
                share(arrivals, process=self._process, processes=self._processes, first_index=first_index)
            )
        else:
            self._population = replace(self._population, shape=shape)
        self._tell()

    def close(self) -> None:
        """There is nothing more to come: whoever waits here goes home."""
        self._more_to_come = False
        self._tell()

    def overdue(self, now_s: float) -> Iterator[Arrival]:
        """What is due by now and nobody has taken; it is taken with that."""
        for dealt in self._dealt:
            for arrival in dealt:
                if arrival.due_s > now_s:
                    break
                yield arrival
        self._dealt.clear()

    def _tell(self) -> None:
        news, self._news = self._news, Signal()
        news.set()


def steered_stage(order: dict[str, Any], *, begins_s: float, settings: Settings) -> tuple[Shape, list[StageStarted]]:
    """The load of one level, and how it is told: settling, held, at rest; `t_ns` is the offset from the run's start."""
    level, settle_s, hold_s = order["level"], order["settle_s"], order["hold_s"]
    spans = [Span(name=order["name"], duration_s=hold_s, start=level, end=level)]
    if settle_s and settings.load.open:
        spans.insert(0, Span(name="settle", duration_s=settle_s, start=level, end=level, steady=False))
    elif settle_s:  # users come in over the first half: all at once would be a wave that goes on for the whole stage
        spans.insert(0, Span(name="settle", duration_s=settle_s / 2, start=level, end=level, steady=False))
        spans.insert(0, Span(name="ramp", duration_s=settle_s / 2, start=0, end=level, steady=False))
    if not settings.load.open and settings.target.room == "none":
        wave = Span(name="wave", duration_s=WAVE_S, start=level, end=level, steady=False)
        calm = Span(name="calm", duration_s=WAVE_GAP_S, start=0, end=0, steady=False)
        spans += [calm, wave] * WAVES
    shape = Shape(tuple(spans), begins_s)
    users = settings.pool if settings.load.open else int(level)
    rate = level if settings.load.open else None
    at_s = begins_s + settle_s
    told = [
        (begins_s, f"settle {order['name']}", users, rate, False),
        (at_s, order["name"], users, rate, True),
        (at_s + hold_s, f"rest {order['name']}", 0, None, False),
    ]
    return shape, [
        StageStarted(t_ns=int(when_s * 1e9), stage=name, users=users, steady=steady, rate=rate)
        for when_s, name, users, rate, steady in told
    ]


def stages(settings: Settings) -> list[StageStarted]:
    """The spans of the plan as they will be told; `t_ns` is the offset from the start of the run."""
    load = settings.load
    placed = list(load.shape().placed())
    arrivals: list[int | None] = [None] * len(placed)
    if load.open:
        starts_s = [at_s for at_s, _ in placed]
        counted = Counter(bisect_right(starts_s, at_s) - 1 for at_s in load.schedule())
        arrivals = [counted[number] for number in range(len(placed))]
    return [
        StageStarted(
            t_ns=int(at_s * 1e9),
            stage=span.name,
            users=settings.pool if load.open else int(span.start),
            steady=span.steady,
            rate=round(span.start, 6) if load.open else None,
            arrivals=count,
        )
        for (at_s, span), count in zip(placed, arrivals, strict=True)
    ]
