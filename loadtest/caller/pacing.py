"""One absolute schedule for all rooms of an engine: a frame every 20 ms each, phases spread over the 20 ms.

One ticker instead of a task per session saves a quarter of the CPU. A tick that is late is caught
up, never skipped, and its lateness is what `generator.pacing_error` reports.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable

from loadtest.sound.speech import FRAME_NS
from loadtest.system.clock import now_ns

SLOTS = 10
_SLOT_NS = FRAME_NS // SLOTS
_EARLY_NS = 500_000
"""What is due within half of the loop's own grain is not worth another turn of it."""

Tick = Callable[[], None]


class Ticker:
    """Calls every member once per 20 ms. `on_late_ns` gets the lateness of each slot that had members."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, on_late_ns: Callable[[int], None]) -> None:
        self._loop, self._on_late_ns = loop, on_late_ns
        self._slots: list[set[Tick]] = [set() for _ in range(SLOTS)]
        self._slot_of: dict[Tick, int] = {}
        self._due_ns = 0
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None
        self._later: list[tuple[int, int, Tick]] = []
        self._counted = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_ns = 0

    def add(self, tick: Tick) -> None:
        slot = min(range(SLOTS), key=lambda index: len(self._slots[index]))
        self._slots[slot].add(tick)
        self._slot_of[tick] = slot
        if self._timer is None:
            self._due_ns = now_ns()
            self._arm()

    def remove(self, tick: Tick) -> None:
        slot = self._slot_of.pop(tick, None)
        if slot is not None:
            self._slots[slot].discard(tick)

    def at(self, due_ns: int, call: Tick) -> None:
        """Calls once, at that time; those of one time in the order in which they were asked for. One timer for all: a
        frame on a slow line costs a place in a heap."""
        heapq.heappush(self._later, (due_ns, next(self._counted), call))
        if self._alarm is None or due_ns < self._alarm_ns:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_ns = self._later[0][0]
        self._alarm = self._loop.call_later(max(0, self._alarm_ns - now_ns()) / 1e9, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        t_ns = now_ns()
        self._on_late_ns(max(0, t_ns - self._alarm_ns))
        while self._later and self._later[0][0] <= t_ns + _EARLY_NS:
            heapq.heappop(self._later)[2]()
        if self._later and self._alarm is None:
            self._set_alarm()

    def _arm(self) -> None:
        self._due_ns += _SLOT_NS
        self._timer = self._loop.call_later(max(0, self._due_ns - now_ns()) / 1e9, self._run)

    def _run(self) -> None:
        self._at = (self._at + 1) % SLOTS
        if members := self._slots[self._at]:
            self._on_late_ns(max(0, now_ns() - self._due_ns))
            for tick in tuple(members):
                tick()
        if self._slot_of:
            self._arm()
        else:
            self._timer = None
