"""Service time that a test moves by hand."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from loadtest.twin.timers import Timers


class HandClock(Timers):
    """Timers that ring while `advance` passes them."""

    def __init__(self) -> None:
        super().__init__(scale=1)
        self._now_s = 0.0
        self._numbers = itertools.count()
        self._pending: list[tuple[float, int, Bell]] = []

    def now_s(self) -> float:
        return self._now_s

    def after(self, delay_s: float, callback: Callable[[], None]) -> Any:
        bell = Bell(callback)
        heapq.heappush(self._pending, (self._now_s + delay_s, next(self._numbers), bell))
        return bell

    def advance(self, seconds: float) -> None:
        until_s = self._now_s + seconds
        while self._pending and self._pending[0][0] <= until_s:
            self._now_s, _, bell = heapq.heappop(self._pending)
            bell.ring()
        self._now_s = until_s


class Bell:
    """One pending callback."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def ring(self) -> None:
        if self._callback is not None:
            self._callback()
