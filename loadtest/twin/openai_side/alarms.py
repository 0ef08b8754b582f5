"""Timers that die with what they belong to."""

import asyncio
from collections.abc import Callable


class Alarms:
    """The pending timers of one session, in real time."""

    def __init__(self) -> None:
        self.closed = False
        self._pending: set[asyncio.TimerHandle] = set()

    def after(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle | None:
        """Call back once after the delay, if not closed by then; without a delay at once, and no timer is returned."""
        if self.closed:
            return None
        if delay_s <= 0:
            callback()
            return None

        def run() -> None:
            self._pending.discard(handle)
            callback()

        handle = asyncio.get_running_loop().call_later(delay_s, run)
        self._pending.add(handle)
        return handle

    def cancel(self, handle: asyncio.TimerHandle | None) -> None:
        """Forget one; None and one that has rung already are fine."""
        if handle is not None:
            handle.cancel()
            self._pending.discard(handle)

    def close(self) -> None:
        """Forget all, and those to come."""
        self.closed = True
        for handle in self._pending:
            handle.cancel()
        self._pending.clear()
