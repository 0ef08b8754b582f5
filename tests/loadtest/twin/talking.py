"""Test doubles of a user in a room and of a Realtime client, on a WebSocket library that the twin doesn't use."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from loadtest.twin.pcm import FRAME_BYTES, SILENT_FRAME, rms, tone
from tests.loadtest.twin.process import DEADLINE_S, RunningTwin

FRAME_S = 0.020


class User:
    """Someone in a room: hears everything, speaks when told, else sends silence 50 times a second."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.heard = bytearray()
        self.frames: list[tuple[int, bool]] = []
        """perf_counter_ns of each frame's arrival, and whether it was audible."""
        self.close_code: int | None = None
        self._to_say: list[bytes] = []
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self.frames.append((time.perf_counter_ns(), rms(message.data) > 0))
                self.heard += message.data
            elif message.type == aiohttp.WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))
            await self._notify()
        self.close_code = self.socket.close_code
        await self._notify()

    async def microphone(self) -> None:
        start_s, sent = time.perf_counter(), 0
        while not self.socket.closed:
            await self.socket.send_bytes(self._to_say.pop(0) if self._to_say else SILENT_FRAME)
            sent += 1
            await asyncio.sleep(max(0.0, start_s + sent * FRAME_S - time.perf_counter()))

    def say(self, *, duration_ms: int) -> None:
        sound = tone(duration_ms=duration_ms, frequency_hz=300)
        self._to_say += [sound[start : start + FRAME_BYTES] for start in range(0, len(sound), FRAME_BYTES)]

    async def message(self, kind: str, *, count: int = 1) -> dict[str, Any]:
        """The count-th message of this type, once it is there."""
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


@asynccontextmanager
async def in_room(grant: dict[str, Any], *, microphone: bool = True) -> AsyncIterator[User]:
    """Join with the grant of an SDK session, leave in the end."""
    headers = {"authorization": f"Bearer {grant['limited_access_token']}"}
    async with aiohttp.ClientSession() as http, http.ws_connect(grant["room_url"], headers=headers) as socket:
        user = User(socket)
        tasks = [asyncio.create_task(user.listen())]
        if microphone:
            tasks.append(asyncio.create_task(user.microphone()))
        try:
            yield user
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Client:
    """A Realtime client: sends events, collects the answers."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def say(self, *, speech_ms: int, silence_ms: int = 600) -> None:
        """Append speech and silence, as fast as the socket takes it."""
        sound = tone(duration_ms=speech_ms) + bytes(48 * silence_ms)
        await self.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())

    async def until(self, kind: str) -> dict[str, Any]:
        """Receive up to the next event of this type and return it."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                event: dict[str, Any] = await self.socket.receive_json()
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def closed(self) -> tuple[int | None, str | None]:
        """The close code and its reason; collects the events before it."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.socket.receive()
                if message.type == aiohttp.WSMsgType.CLOSE:
                    return message.data, message.extra
                if message.type == aiohttp.WSMsgType.TEXT:
                    self.events.append(json.loads(message.data))
                else:
                    return self.socket.close_code, None

    def types(self, *, since: str = "session.created") -> list[str]:
        """The types of the events after the last one of type `since`, runs of deltas as one."""
        kinds = [event["type"] for event in self.events]
        after = kinds[len(kinds) - kinds[::-1].index(since) :]
        return [kind for index, kind in enumerate(after) if not kind.endswith(".delta") or kind not in after[:index]]


@asynccontextmanager
async def realtime(
    twin: RunningTwin,
    *,
    session: dict[str, Any] | None = None,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    protocols: tuple[str, ...] = (),
    query: str = "",
) -> AsyncIterator[Client]:
    """An open Realtime socket, by default with a fresh client secret for `session`."""
    if not protocols:
        headers = {"authorization": f"Bearer {key or twin.secret(session)}", **(headers or {})}
    url = twin.realtime_url + query
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers, protocols=protocols) as socket:
        yield Client(socket)


def converse(twin: RunningTwin, script: Callable[[Client], Awaitable[None]], **options: Any) -> Client:
    """Run `script` on a socket that has said session.created."""

    async def run() -> Client:
        async with realtime(twin, **options) as client:
            await client.until("session.created")
            await script(client)
            return client

    return asyncio.run(run())
