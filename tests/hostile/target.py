"""A target that answers as a test says, byte by byte: both services and the room on one loopback port.

What a script doesn't change is answered as the services would; `alive` is the ground truth of what was created and not
deleted.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from loadtest.caller.pacing import Ticker
from loadtest.config.clips.microphone import Microphone
from loadtest.config.settings import Settings
from loadtest.engine.health import PROBE_S
from loadtest.events.kinds import Event
from loadtest.journal import decode, encode
from loadtest.rooms.opening import open_room
from loadtest.services.control import Control
from loadtest.session.lifecycle import Lifecycle, Surroundings
from loadtest.session.ticket import Ticket
from loadtest.sound.speech import FRAME_BYTES, SILENCE, clip_of

Writer = asyncio.StreamWriter
Script = bytes | Callable[[Writer], Awaitable[None]]
LOUD = b"\x00\x20" * (FRAME_BYTES // 2)
CLIP = clip_of("two loud frames", LOUD * 2)
KEYS = {"OPENAI_API_KEY": "sk-hostile-openai", "AVATURN_API_KEY": "hostile-avaturn"}
SECRET = {"value": "ek_hostile_0001", "expires_at": 1_900_000_000}
UPGRADED = b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def answer(body: Any, *, status: str = "200 OK", headers: str = "") -> bytes:
    """An HTTP answer; `body`: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(raw)}\r\n\r\n".encode() + raw


def frame(opcode: int, payload: bytes, *, fin: bool = True, reserved: int = 0, masked: bool = False) -> bytes:
    """A WebSocket frame of a server (RFC 6455 5.2), right or wrong."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    mask = masked << 7
    if len(payload) < 126:
        head += bytes([mask | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([mask | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WELCOME = (
    frame(TEXT, b'{"type":"room.joined"}')
    + frame(TEXT, b'{"type":"room.participant","owner":true,"state":"joined"}')
    + frame(BINARY, SILENCE)
)


class Target:
    """`scripts`: by endpoint (mint, create, sdk, delete, upgrade), what is answered instead; `room`: what the room
    sends, after the upgrade and before it only listens."""

    def __init__(self, scripts: Mapping[str, Script], room: Script = WELCOME) -> None:
        self.scripts, self.room = scripts, room
        self.url = ""
        self.body = b""
        """Of the request that is being answered."""
        self.alive: set[str] = set()
        self.calls: list[str] = []
        self._numbers = itertools.count()
        self._serving: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                verb, path = head.split(b" ", 2)[:2]
                fields = {
                    line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in head.split(b"\r\n")[1:]
                }
                self.body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                if not await self._answer(verb, path, fields, reader, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            writer.close()

    async def close(self) -> None:
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _answer(
        self, verb: bytes, path: bytes, fields: dict[bytes, bytes], reader: asyncio.StreamReader, writer: Writer
    ) -> bool:
        """Whether the connection goes on."""
        if b"upgrade" in fields.get(b"connection", b"").lower():
            await self._in_room(fields[b"sec-websocket-key"], reader, writer)
            return False
        if path.endswith(b"/client_secrets"):
            endpoint, usual = "mint", answer(SECRET, headers="date: Thu, 01 Jan 2026 00:00:00 GMT\r\n")
        elif verb == b"POST":
            number = f"av-{next(self._numbers)}"
            self.alive.add(number)
            endpoint, usual = "create", answer({"session_id": number, "token": f"token-{number}"}, status="201 Created")
        elif verb == b"DELETE":
            endpoint, usual = "delete", answer(b"", status="204 No Content")
            self.alive.clear()  # there is never more than one
        else:
            endpoint = "sdk"
            room = f"ws://{self.url.removeprefix('http://')}/rooms/1"
            usual = answer({"room_url": room, "limited_access_token": "room-token"})
            if not self.alive:
                usual = answer({}, status="404 Not Found")
        script = usual if endpoint == "sdk" and endpoint in self.calls else self.scripts.get(endpoint, usual)
        self.calls.append(endpoint)
        if callable(script):
            await script(writer)
            return False
        writer.write(script.replace(b"{id}", b"av-0"))
        return True

    async def _in_room(self, key: bytes, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.calls.append("room")
        script = self.scripts.get("upgrade")
        if callable(script):
            await script(writer)
            return
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        usual = UPGRADED + b"sec-websocket-accept: " + accept + b"\r\n\r\n"
        writer.write(usual if script is None else script.replace(b"{accept}", accept))
        if callable(self.room):
            await self.room(writer)
        else:
            writer.write(self.room)
        while await reader.read(1 << 16):
            pass


@asynccontextmanager
async def served(scripts: Mapping[str, Script], room: Script = WELCOME) -> AsyncIterator[Target]:
    """The target, listening."""
    async with listening(Target(scripts, room)) as target:
        yield target


@asynccontextmanager
async def listening(target: Target) -> AsyncIterator[Target]:
    """The same of a target of the test's own."""
    server = await asyncio.start_server(target, "127.0.0.1", 0, limit=1 << 20)
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield target
    finally:
        server.close()
        await target.close()
        await server.wait_closed()


def settings(url: str, *, room: str = "websocket", timeout_s: float = 1.0, **target: Any) -> Settings:
    """A run against that URL, with deadlines that a test can wait for."""
    timeouts = dict.fromkeys(
        ("mint_timeout_s", "create_timeout_s", "connect_timeout_s", "delete_timeout_s", "gone_timeout_s"), timeout_s
    )
    where = {"openai_base_url": f"{url}/v1", "avaturn_base_url": url}
    turns = [{"kind": "say", "clip": "corpus:en"}]
    return Settings.model_validate(
        {
            "name": "hostile",
            "target": {**where, **timeouts, "room": room, **target},
            "conversation": {"turns": turns, "think_min_s": 0, "think_max_s": 0, "answer_timeout_s": 0.5},
            "output": {"keep_transcripts": True},
        }
    )


@asynccontextmanager
async def engine(resolved: Settings) -> AsyncIterator[tuple[Callable[[], Awaitable[list[Event]]], list[float]]]:
    """What plays one session after the other, and returns its events as a journal would hold them; and the lags of the
    loop meanwhile, in s."""
    loop = asyncio.get_running_loop()
    ticker = Ticker(loop, on_late_ns=lambda _ns: None)
    lags: list[float] = []
    numbers = itertools.count()

    async def probe() -> None:
        while True:
            due = loop.time() + PROBE_S
            await asyncio.sleep(PROBE_S)
            lags.append(loop.time() - due)

    async with Control(resolved, KEYS, connections=8) as control:

        async def play() -> list[Event]:
            lines: list[bytes] = []
            around = Surroundings(
                settings=resolved,
                scenarios=resolved.scenarios,
                control=control,
                open_room=lambda grant, listener, between, situation=None: open_room(
                    grant, listener, between, ticker, resolved, control.trust_for(grant.room_url), situation
                ),
                microphones={resolved.name: Microphone(clips={"corpus:en": (CLIP,)}, between=())},
                emit=lambda event: lines.append(encode(event)),
                lag_ns=lambda: 0,
                salt=b"salt",
            )
            await Lifecycle(around, Ticket(number=next(numbers), user=0, iteration=0, due_ns=0)).run()
            return [decode(line) for line in lines]

        probing = asyncio.ensure_future(probe())
        try:
            yield play, lags
        finally:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
