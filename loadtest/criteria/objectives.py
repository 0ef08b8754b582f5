"""Service levels judged while the run goes on: a fold over events that counts samples, and how many were beyond the
bound, in slots of time.

Counts are enough: a quantile is above its bound where too many samples are. So the fold's memory doesn't grow with the
run, the folds of several processes add up, and an objective breaks at the same count wherever it is judged
(`Slo.broken`). `reports.verdict.gates` counts the same samples with arrays, from the journals.

A sample belongs to the slot in which it ended. Slots are counted from the start of the first steady stage, and a window
is judged once it lies wholly in the past and in the steady part of the run.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from loadtest.criteria.samples import (
    REMEMBERED,
    SAMPLERS,
    WEIGHTS,
    Remembered,
    Running,
    Sampler,
    Source,
    scenario_of,
    source_of,
)
from loadtest.criteria.slo import COUNT, SLOTS_OF_A_WINDOW, Slo
from loadtest.events.kinds import (
    LOAD,
    Event,
    IterationDropped,
    RunAborted,
    SessionFinished,
    SessionStarted,
    StageStarted,
)

DELIVERY_NS: Final = 200_000_000
"""An event is here so long after it happened (engine/link.py sends batches every 50 ms)."""
SILENT_NS: Final = 3_000_000_000
"""Load processes speak each second."""
NEVER_NS: Final = 2**62
_KEPT_SLOTS: Final = 4 * SLOTS_OF_A_WINDOW

Counts = dict[str, Any]
"""A fold's value, fit for JSON and msgpack, cumulative: `slots`: per objective [slot, samples, beyond] rows;
`complete_ns`: all up to here has been counted; `steady_ns`: where steady stretches begin, end, begin …; both after the
first of these begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """An objective that is broken: so many samples in its window (or so far), so many of them beyond the bound."""

    slo: Slo
    count: int
    beyond: int


def slot_ns(slo: Slo) -> int:
    """By how much the objective's window slides; 0: there is no window."""
    return 0 if slo.window_s is None else max(1, round(slo.window_s * 1e9 / SLOTS_OF_A_WINDOW))


class State(StrEnum):
    """How an objective stands while the run goes on."""

    MET = "met so far"
    MISSED = "missed so far"
    OPEN = "too few yet"


class Standing(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An objective so far: of `count` samples, `beyond` the bound, or bad; of its last whole window, where it has one.
    A window that was missed stays so."""

    state: State
    count: int
    beyond: int


class Objectives:
    """The fold. `add` is a `Sink` and costs under a microsecond for an event. One process, one thread of greenlets."""

    def __init__(self, slos: Sequence[Slo], *, planned_s: float | None = None) -> None:
        """`planned_s`: length of the plan, where there is one: windows end with it, as in the report."""
        self._slos, self._planned_ns = tuple(slos), NEVER_NS if planned_s is None else round(planned_s * 1e9)
        self._origin_ns, self._until_ns = 0, NEVER_NS
        self._borders_ns: list[int] = []  # a steady stretch begins, ends, begins …
        self._running: dict[str, Running] = {}
        self._slots: list[dict[int, list[int]]] = [{} for _ in slos]
        self._takers: dict[Source, list[Callable[[Any, Running | None], None]]] = {}
        for slo, slots in zip(self._slos, self._slots, strict=True):
            for source, sampler in SAMPLERS[slo.measure].items():
                self._takers.setdefault(source, []).append(self._taker(slo, sampler, slots))
        handlers: dict[type, Callable[[Any], None]] = {
            StageStarted: self._stage_started,
            SessionStarted: self._session_started,
            SessionFinished: self._session_finished,
            IterationDropped: self._take,
            **dict.fromkeys(REMEMBERED, self._remembered),
        }
        self._handlers = handlers | {source: self._take for source, _ in self._takers if source not in handlers}

    def add(self, event: Event) -> None:
        """Fold one event in."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def value(self, now_ns: int) -> Counts:
        """What has been counted so far."""
        for slo, slots in zip(self._slos, self._slots, strict=True):
            if slo.window_s is not None and len(slots) > _KEPT_SLOTS:
                for slot in sorted(slots)[:-_KEPT_SLOTS]:
                    del slots[slot]
        complete_ns = min(now_ns - DELIVERY_NS, self._until_ns)
        return {
            "slots": [[[slot, *counts] for slot, counts in slots.items()] for slots in self._slots],
            "complete_ns": max(0, complete_ns - self._origin_ns) if self._origin_ns else 0,
            "steady_ns": [border_ns - self._origin_ns for border_ns in self._borders_ns],
        }

    def _taker(self, slo: Slo, sampler: Sampler, slots: dict[int, list[int]]) -> Callable[[Any, Running | None], None]:
        """Counts into the objective's slots what is in the steady part; of a count without a window, everything."""
        width_ns, borders_ns, wanted = slot_ns(slo), self._borders_ns, slo.scenario
        everything = slo.unit == COUNT and not width_ns
        beyond: Callable[[Any], int] = slo.beyond if slo.is_ranked else int
        weigh = WEIGHTS.get(slo.measure)

        def take(event: Any, running: Running | None) -> None:
            value = sampler(event, running)
            if value is None or (width_ns and event.t_ns >= self._until_ns):  # in no window: it would push others out
                return
            if wanted is not None and wanted != scenario_of(event, running):
                return
            if not everything and borders_ns and not bisect_right(borders_ns, event.t_ns) & 1:
                return
            slot = (event.t_ns - self._origin_ns) // width_ns if width_ns else 0
            counts = slots.get(slot)
            if counts is None:
                counts = slots[slot] = [0, 0]
            counts[0] += 1 if weigh is None else weigh(event)
            counts[1] += beyond(value)

        return take

    def _take(self, event: Any) -> None:
        if event.purpose == LOAD:
            running = self._running.get(getattr(event, "session", ""))
            for take in self._takers.get((type(event), None), ()):
                take(event, running)

    def _remembered(self, event: Remembered) -> None:
        running = self._running.get(event.session)
        if running is None:  # a probe's
            return
        running.saw(event)
        takers = self._takers.get(source_of(event))
        if takers is not None:
            for take in takers:
                take(event, running)

    def _session_started(self, event: SessionStarted) -> None:
        if event.purpose == LOAD:
            self._running[event.session] = Running(event.scenario, event.due_ns)
            self._take(event)

    def _session_finished(self, event: SessionFinished) -> None:
        self._take(event)
        self._running.pop(event.session, None)

    def _stage_started(self, event: StageStarted) -> None:
        borders_ns = self._borders_ns
        self._until_ns = min(self._until_ns, event.t_ns + self._planned_ns)
        if event.steady and not self._origin_ns:
            self._origin_ns = event.t_ns
        if event.steady != bool(len(borders_ns) & 1):
            borders_ns.append(event.t_ns)
        elif not borders_ns:
            borders_ns += (event.t_ns, event.t_ns)  # nothing was steady before, nor is it now


def breach(slos: Sequence[Slo], values: Iterable[Counts]) -> Breach | None:
    """The first objective that the folds' values, added up, show to be broken. `values`: of each load process that
    reports; a window counts once all of them have lived through it."""
    values = list(values)
    found = (_breach(slo, counts) for slo, counts in zip(slos, _counted(slos, values), strict=True))
    return next(filter(None, found), None) if values else None


def _breach(slo: Slo, windows: Iterable[tuple[int, int]]) -> Breach | None:
    for count, beyond in windows:
        if slo.broken(count, beyond, more_to_come=slo.window_s is None):
            return Breach(slo=slo, count=count, beyond=beyond)
    return None


def _counted(slos: Sequence[Slo], values: Sequence[Counts]) -> Iterator[Iterator[tuple[int, int]]]:
    """Of each objective, samples and those beyond: of each of its windows that can be judged, or of all so far."""
    complete_ns = min((int(value["complete_ns"]) for value in values), default=0)
    for place, slo in enumerate(slos):
        slots: dict[int, list[int]] = {}
        for value in values:
            for slot, count, beyond in value["slots"][place]:
                so_far = slots.setdefault(slot, [0, 0])
                so_far[0] += count
                so_far[1] += beyond
        yield _windows(slo, slots, values, complete_ns)


def _windows(
    slo: Slo, slots: dict[int, list[int]], values: Sequence[Counts], complete_ns: int
) -> Iterator[tuple[int, int]]:
    width_ns = slot_ns(slo)
    if not width_ns:
        windows: Iterable[list[list[int]]] = [list(slots.values())]
    else:
        ends = _ends(values[0]["steady_ns"], width_ns, complete_ns)
        windows = ([slots[slot] for slot in range(end - SLOTS_OF_A_WINDOW, end) if slot in slots] for end in ends)
    for window in windows:
        yield sum(row[0] for row in window), sum(row[1] for row in window)


def _ends(steady_ns: Sequence[int], width_ns: int, complete_ns: int) -> Iterable[int]:
    """The slots before which a window ends that is over, is still kept, and lies in one steady stretch."""
    last = complete_ns // width_ns
    for end in range(max(SLOTS_OF_A_WINDOW, last - _KEPT_SLOTS + SLOTS_OF_A_WINDOW), last + 1):
        stretch = bisect_right(steady_ns, (end - SLOTS_OF_A_WINDOW) * width_ns)
        if stretch & 1 and (stretch == len(steady_ns) or end * width_ns <= steady_ns[stretch]):
            yield end


class Judge:
    """Of the process that owns a run: takes the folds' values, says how each objective stands, and when one of those
    with `abort` has to stop the run, once."""

    def __init__(self, slos: Sequence[Slo]) -> None:
        self._slos = slos
        self._heard: dict[int, tuple[int, Counts]] = {}
        self._missed: set[int] = set()  # places of those that had a window beyond their bound
        self._at_abort: list[Standing] = []  # what ends afterwards is our doing: windows end with it

    def hear(self, process: int, value: Counts, *, now_ns: int) -> None:
        """The latest value of a load process; values are cumulative."""
        self._heard[process] = (now_ns, value)

    def look(self, *, now_ns: int) -> RunAborted | None:
        """What to write down before the run is stopped."""
        values = self._values(now_ns)
        counts = zip(self._slos, _counted(self._slos, values), strict=True)
        found = (_breach(slo, windows) for slo, windows in counts if slo.abort)
        broken = next(filter(None, found), None) if values else None
        if broken is None:
            return None
        self._at_abort = self.standings(now_ns=now_ns)
        return RunAborted(
            t_ns=now_ns,
            slo=broken.slo.name,
            indicator=broken.slo.indicator,
            count=broken.count,
            beyond=broken.beyond,
            window_s=broken.slo.window_s,
        )

    def standings(self, *, now_ns: int) -> list[Standing]:
        """How each objective stands, in their order."""
        if not (values := self._values(now_ns)):
            return [Standing(state=State.OPEN, count=0, beyond=0) for _ in self._slos]
        return [
            self._at_abort[place] if self._at_abort and slo.window_s else self._standing(place, slo, list(windows))
            for place, (slo, windows) in enumerate(zip(self._slos, _counted(self._slos, values), strict=True))
        ]

    def _standing(self, place: int, slo: Slo, windows: list[tuple[int, int]]) -> Standing:
        count, beyond = windows[-1] if windows else (0, 0)
        if slo.window_s is not None and _breach(slo, windows) is not None:
            self._missed.add(place)
        if place in self._missed or (windows and _breach(slo, windows[-1:]) and not _unripe(slo)):
            state = State.MISSED
        else:
            state = State.MET if slo.holds(count, beyond) else State.OPEN
        return Standing(state=state, count=count, beyond=beyond)

    def _values(self, now_ns: int) -> list[Counts]:
        """A process that is silent no longer says how far time has got, where others do; what it counted stays."""
        loud = [value["complete_ns"] for heard_ns, value in self._heard.values() if now_ns - heard_ns < SILENT_NS]
        return [
            value if now_ns - heard_ns < SILENT_NS else value | {"complete_ns": max(value["complete_ns"], *loud, 0)}
            for heard_ns, value in self._heard.values()
        ]


def _unripe(slo: Slo) -> bool:
    """The least of a count begins at 0: it is not missed before the end."""
    return slo.unit == COUNT and slo.max is None and slo.window_s is None
