"""An integrator's own engine, as the engine `external` expects it: a WebSocket server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from tests.loadtest.twin.process import DEADLINE_S


class OurEngine:
    """One connection of Avaturn's: what it says, and what is said to it."""

    def __init__(self) -> None:
        self.url = ""
        self.headers: dict[str, str] = {}
        self.messages: list[dict[str, Any]] = []
        self.sound: list[bytes] = []
        self.close_code: int | None = None
        self._socket = web.WebSocketResponse()
        self._changed = asyncio.Condition()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        await self._socket.prepare(request)
        async for message in self._socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self.sound.append(message.data)
            elif message.type == aiohttp.WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))
            await self._notify()
        self.close_code = self._socket.close_code
        await self._notify()
        return self._socket

    async def tell(self, kind: str, **fields: Any) -> None:
        await self._socket.send_json({"type": kind, **fields})

    async def say(self, uid: str, sound: bytes) -> None:
        """A whole segment."""
        await self.tell("avatar.speech.segment.create", segment_uid=uid)
        await self._socket.send_bytes(sound)
        await self.tell("avatar.speech.segment.close", segment_uid=uid)

    async def send(self, payload: bytes | str) -> None:
        await (self._socket.send_bytes(payload) if isinstance(payload, bytes) else self._socket.send_str(payload))

    async def close(self) -> None:
        await self._socket.close()

    async def message(self, kind: str, *, count: int = 1) -> dict[str, Any]:
        await self.until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[count - 1]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.messages if each["type"] == kind]

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(holds)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _moved(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect("/engine")


@asynccontextmanager
async def our_engine() -> AsyncIterator[OurEngine]:
    """Listens until the end of the block; takes one connection."""
    engine = OurEngine()
    app = web.Application()
    app.router.add_get("/engine", engine.serve)
    app.router.add_get("/moved", _moved)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    engine.url = f"ws://{host}:{port}/engine"
    try:
        yield engine
    finally:
        await runner.cleanup()
