"""The wire between a Locust process and its engine: JSON lines over a socket pair.

Event lines are the journal's own bytes; everything else has an `op`. To the engine: `run` (a ticket), `cancel` (its
number), `drain` (graceful_s, reason). From it: `ready`, `done` (number, outcome of the ticket), `drained`.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

FLUSH_S = 0.05
DONE_FLUSH_S = 0.004
"""For the end of a session: soon, but each write is a switch to the Locust process, so not for every one."""
MAX_BUFFERED_BYTES = 64 << 20
"""What a stopped Locust process may cost the engine; above it event lines are dropped and counted."""


class Orders(asyncio.Protocol):
    """The engine's reading end. All lines of a read are obeyed at once: one a turn of the loop would delay sessions."""

    def __init__(self, obey: Callable[[dict[str, Any]], None], on_lost: Callable[[], None]) -> None:
        self._obey, self._on_lost = obey, on_lost
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def connection_lost(self, error: Exception | None) -> None:
        self._on_lost()


class Outbox:
    """The engine's writing end: batches events, never blocks, says what it had to drop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._batch = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False

    def event(self, line: bytes) -> bool:
        """Whether the line was taken; it is dropped while the other side is far behind."""
        if len(self._batch) + self._transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            return False
        self._batch += line
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        return True

    def say(self, **message: Any) -> None:
        """A control message, after all events so far, within DONE_FLUSH_S."""
        self._batch += json.dumps(message).encode() + b"\n"
        if not self._urgent:
            self._urgent = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(DONE_FLUSH_S, self.flush)

    def flush(self) -> None:
        self._timer, self._urgent = None, False
        if self._batch and not self._transport.is_closing():
            self._transport.write(bytes(self._batch))
        self._batch.clear()
