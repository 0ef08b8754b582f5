"""Waiting for what a room tells: woken by each word of it, and over as soon as the room is."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.session.line import CallersLine
from loadtest.system.clock import now_ns
from loadtest.system.deadline import Deadline

STALLED_NS = 5_000_000_000
"""A joined room sends frames all the time, silence included; none for this long is a dead stream."""

_GRAIN_NS = 5_000_000


class Waiting:
    """Of one session; one waits at a time. `over`: why the room ended, once it did. `last_frame_ns`: when its last
    frame came, or would have, where several come in one message. `line`: between the room and its caller."""

    def __init__(self, line: CallersLine | None = None) -> None:
        self._line = line
        self.over: StepError | None = None
        self.last_frame_ns = 0
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Something was told."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _known_ns(self, t_ns: int) -> int:
        """All that the room told before is known here; what came since is still on the caller's own line."""
        sent_ns = None if self._line is None else self._line.down.sent_ns
        return t_ns if sent_ns is None else sent_ns

    def without_frame_ns(self, t_ns: int) -> int:
        """How long none has come; what is still on the caller's own line has."""
        return self._known_ns(t_ns) - self.last_frame_ns

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `condition` came true within `timeout_s`. Raises StepError at once if the room is over or its stream
        dead."""
        deadline_ns = now_ns() + int(timeout_s * 1e9)
        while True:
            if self.over is not None:
                raise self.over
            if condition():
                return True
            t_ns = now_ns()
            if t_ns >= deadline_ns:
                return False
            if self.without_frame_ns(t_ns) > STALLED_NS:
                raise StepError(Kind.TRANSPORT, Code.MEDIA_STALLED, "no frame from the avatar for 5 s")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                # What came while our loop stood still is heard before anything is said to be missing.
                async with Deadline(min((deadline_ns - t_ns) / 1e9, 1.0)):
                    await self._waiter
            except TimeoutError:
                pass
            finally:
                self._waiter = None

    async def until_told(self, condition: Callable[[], bool], by_ns: int) -> bool:
        """The same, of what the room told by then: the caller's own line may hand it on later."""
        while (left_ns := by_ns - self._known_ns(now_ns())) > 0:
            if await self.until(condition, max(left_ns, _GRAIN_NS) / 1e9):
                return True
        return await self.until(condition, 0)

    async def unless_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`, which is given up as soon as the room says that it is over. Raises StepError: what the room
        said goes before what `work` made of it."""
        working = asyncio.ensure_future(work)
        working.add_done_callback(lambda _: self.wake())
        try:
            while not working.done() and self.over is None:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            self._waiter = None
            working.cancel()
            await asyncio.wait({working})
        if self.over is not None:
            if not working.cancelled():
                working.exception()  # seen
            raise self.over
        working.result()
