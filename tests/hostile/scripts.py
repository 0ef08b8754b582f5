"""Hostile targets by name: what one endpoint, or the room, sends instead of what it should, and how that is to be told.

`told`: kind/code of the session's failure; several where the machine decides which comes first. None: the session goes
on as if nothing had been, to the end of a conversation in which this room's avatar never answers.
"""

import asyncio
import gzip
import json
import socket
import struct
from dataclasses import dataclass, field

from loadtest.sound.speech import SILENCE
from tests.hostile.target import (
    BINARY,
    CLOSE,
    SECRET,
    TEXT,
    WELCOME,
    Script,
    Writer,
    answer,
    frame,
)

HALF = "\ud83d"
NESTED = b"[" * 200_000 + b"]" * 200_000
BAD_SHAPE, BAD_JSON = "protocol/bad_shape", "protocol/bad_json"
NO_ANSWER = "no_response/no_answer"
TIMEOUT, LOST = "timeout/timeout", "transport/connection_lost"
FLOOD, STALLED = BAD_SHAPE, "transport/media_stalled"
"""A room that says more in a second than any conversation does in an hour."""
CLOSED, OTHER = "transport/ws_closed", "protocol/other"
REFUSED = ("rejected/http_3xx", "rejected/http_4xx", "rejected/invalid_request")
"""By such an answer nothing was created."""


@dataclass(frozen=True)
class Hostile:
    """One of them. `leaves`: it tells no id that could be deleted, so the session can only be called doubtful. `stays`:
    its delete is never confirmed, so the session is called leaked."""

    name: str
    told: str | tuple[str, ...] | None
    scripts: dict[str, Script] = field(default_factory=dict)
    room: Script = WELCOME
    leaves: bool = False
    stays: bool = False


def raw(text: bytes, headers: str = "", status: str = "200 OK") -> bytes:
    return answer(text, headers=headers, status=status)


async def drip(writer: Writer) -> None:
    """A body that never ends, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


def endless(head: bytes, more: bytes) -> Script:
    async def send(writer: Writer) -> None:
        writer.write(head)
        while True:
            writer.write(more)
            await writer.drain()

    return send


async def silent(_writer: Writer) -> None:
    await asyncio.Event().wait()


async def hang_up(writer: Writer) -> None:
    writer.close()


async def informing(writer: Writer) -> None:
    for _ in range(20_000):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
        await writer.drain()
    writer.write(answer(SECRET))


def trickle(slow: bytes, *, head: bytes = b"") -> Script:
    """`head` at once, then a byte at a time."""

    async def send(writer: Writer) -> None:
        writer.write(head)
        for byte in slow:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.2)

    return send


def reset(data: bytes) -> Script:
    """A connection that is not closed but torn off."""

    async def send(writer: Writer) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return send


def once(data: bytes, *, then: Script = silent) -> Script:
    async def send(writer: Writer) -> None:
        writer.write(data)
        await writer.drain()
        if callable(then):
            await then(writer)

    return send


def many(message: bytes, count: int) -> Script:
    async def send(writer: Writer) -> None:
        writer.write(WELCOME)
        for _ in range(count // 100):
            writer.write(message * 100)
            await writer.drain()
            await asyncio.sleep(0.01)
        while True:
            writer.write(frame(BINARY, SILENCE))
            await writer.drain()
            await asyncio.sleep(0.02)

    return send


def say(message: object) -> bytes:
    return WELCOME + frame(TEXT, message if isinstance(message, bytes) else json.dumps(message).encode())


def close(payload: bytes) -> bytes:
    return WELCOME + frame(CLOSE, payload)


BOMB = gzip.compress(bytes(64 << 20))
SDK = {"room_url": "ws://127.0.0.1:1/rooms/1", "limited_access_token": "room"}
TRANSCRIPT = {"type": "ce_events.realtime.response_transcript", "transcript": "well", "timestamp": 1.5}
