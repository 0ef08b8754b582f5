"""A server of a test that plays what it was told, and ends with it: no connection is left to the next test."""

import asyncio
from abc import ABC, abstractmethod


class Serving(ABC):
    """For `asyncio.start_server`. Whoever has started it awaits `close`."""

    def __init__(self) -> None:
        self._serving: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it hangs up or the other end does."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            writer.transport.abort()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End what goes on."""
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving)
