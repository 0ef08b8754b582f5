"""A deadline that a stop of our own does not use up."""

import asyncio
from types import TracebackType
from typing import Final, Self

from loadtest.system.clock import now_ns

LATE_NS: Final = 100_000_000
"""A deadline that passes later than this passed while our loop stood still: what came in time may lie unread."""


class Deadline:
    """asyncio.timeout(), which gives as much time again as it was late: once, and never more than it had."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s, self._limit = timeout_s, asyncio.timeout(None)
        self._due_ns = self.late_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        if self._timeout_s is not None:
            self._ring_in(self._timeout_s)
        return self

    def _ring_in(self, delay_s: float) -> None:
        self._due_ns = now_ns() + int(delay_s * 1e9)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring, delay_s)

    def _ring(self, delay_s: float) -> None:
        late_ns = now_ns() - self._due_ns
        if late_ns > LATE_NS and not self.late_ns:
            self.late_ns = late_ns
            self._ring_in(min(late_ns / 1e9, delay_s))
        else:
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)
