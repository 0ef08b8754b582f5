"""The WebSocket room against a small server of the test's own."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import picows
import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.session.ports import Grant
from loadtest.sound.speech import SILENCE
from tests.loadtest.rooms.hearing import CLIP, DEADLINE_S, LOUD, HandTicker, Recorder, footprint

TRUST = ssl.create_default_context()
JOINED = b'{"type":"room.joined"}'
AVATAR = json.dumps({"type": "room.participant", "owner": True, "state": "joined", "first_frame": True}).encode()


class Server(picows.WSListener):
    """One connection; `greet` is the test's script for what it says at once."""

    def __init__(self, greet: Callable[[Any], None]) -> None:
        self.frames: list[bytes] = []
        self.closed = asyncio.Event()
        self.transport: Any = None
        self._greet = greet

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport
        self._greet(transport)

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            self.frames.append(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: Any) -> None:
        self.closed.set()


def welcome(transport: Any) -> None:
    transport.send(picows.WSMsgType.TEXT, JOINED)
    transport.send(picows.WSMsgType.TEXT, AVATAR)
    transport.send(picows.WSMsgType.BINARY, SILENCE)


@asynccontextmanager
async def room_with(
    greet: Callable[[Any], None], *, between: tuple[bytes, ...] = (SILENCE,)
) -> AsyncIterator[tuple[WebSocketRoom, Server, Recorder, HandTicker]]:
    """A room, not yet connected, and its server; both are closed in the end."""
    server, listener, ticker = Server(greet), Recorder(), HandTicker()
    serving = await picows.ws_create_server(lambda _request: server, "127.0.0.1", 0)
    grant = Grant(room_url=f"ws://127.0.0.1:{serving.sockets[0].getsockname()[1]}/rooms/1", token="token-1")
    room = WebSocketRoom(grant, listener, between, ticker, proxy=None, trust=TRUST)  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield room, server, listener, ticker
    finally:
        await room.close()
        serving.close()
        await serving.wait_closed()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # the server has no events to wait for
            await asyncio.sleep(0.001)


async def failure_of(room: WebSocketRoom) -> StepError:
    with pytest.raises(StepError) as failed:
        await room.connect()
    return failed.value


def test_connecting_reports_its_phases_in_order() -> None:
    async def script() -> list[Mark]:
        async with room_with(welcome) as (room, _, listener, _):
            await room.connect()
            return listener.reached

    assert asyncio.run(script()) == [Mark.SIGNALLED, Mark.JOINED, Mark.AVATAR_PRESENT, Mark.FIRST_FRAME]


def test_a_clip_leaves_frame_by_frame_between_frames_of_silence() -> None:
    async def script() -> tuple[list[bytes], list[Mark]]:
        async with room_with(welcome) as (room, server, listener, ticker):
            await room.connect()
            ticker.tick()
            room.speak(CLIP)
            ticker.tick(len(CLIP.frames) + 1)
            await until(lambda: len(server.frames) == len(CLIP.frames) + 2)
            return server.frames, listener.reached[-2:]

    frames, marks = asyncio.run(script())
    assert frames == [SILENCE, *CLIP.frames, SILENCE]
    assert marks == [Mark.SPEECH_START, Mark.SPEECH_END]


def test_a_silent_microphone_sends_nothing_but_speech() -> None:
    async def script() -> list[bytes]:
        async with room_with(welcome, between=()) as (room, server, _, ticker):
            await room.connect()
            ticker.tick(5)
            room.speak(CLIP)
            ticker.tick(len(CLIP.frames) + 5)
            await until(lambda: len(server.frames) >= len(CLIP.frames))
            return server.frames

    assert asyncio.run(script()) == list(CLIP.frames)


def test_sound_and_messages_reach_the_listener_as_they_were_sent() -> None:
    def greet(transport: Any) -> None:
        welcome(transport)
        transport.send(picows.WSMsgType.TEXT, b'{"type":"avatar_started_speaking","phrase_id":"p"}')
        transport.send(picows.WSMsgType.BINARY, LOUD)

    async def script() -> Recorder:
        async with room_with(greet) as (room, _, listener, _):
            await room.connect()
            await listener.until(lambda: len(listener.audio) == 2)
            return listener

    heard = asyncio.run(script())
    assert [pcm for _, pcm in heard.audio] == [SILENCE, LOUD]
    assert [message for _, message in heard.messages] == [{"type": "avatar_started_speaking", "phrase_id": "p"}]


@pytest.mark.parametrize("text", [b"{", b"[]", b'"room.joined"', b'{"kind":"room.joined"}'])
def test_a_text_message_that_is_no_json_object_with_a_type_fails_the_connect(text: bytes) -> None:
    async def script() -> StepError:
        async with room_with(lambda transport: transport.send(picows.WSMsgType.TEXT, text)) as (room, _, _, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.BAD_JSON)


@pytest.mark.parametrize("code", [1000, 1011, 4410, 4999])
def test_a_close_before_the_first_frame_fails_the_connect_with_its_code(code: int) -> None:
    def refuse(transport: Any) -> None:
        transport.send_close(code, "go away")

    async def script() -> StepError:
        async with room_with(refuse) as (room, _, _, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.TRANSPORT, Code.WS_CLOSED)
    assert error.detail == f"the room closed: {code} go away"


@pytest.mark.parametrize(
    ("close", "reason", "code"),
    [(4429, "limits_exceeded", Code.LIMITS_EXCEEDED), (1008, "limits_exceeded", Code.LIMITS_EXCEEDED),
     (4401, "bad token", Code.UNAUTHORIZED), (4404, "no such room", Code.NOT_FOUND)],
)  # fmt: skip
def test_a_close_that_says_why_is_that_refusal(close: int, reason: str, code: Code) -> None:
    async def script() -> StepError:
        async with room_with(lambda transport: transport.send_close(close, reason)) as (room, _, _, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.REJECTED, code)
    assert error.detail == f"the room closed: {close} {reason}"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(429, b'{"detail":"limits_exceeded"}', Code.LIMITS_EXCEEDED), (429, b"", Code.RATE_LIMITED),
     (503, b"", Code.WS_REFUSED), (401, b"", Code.WS_REFUSED)],
)  # fmt: skip
def test_an_upgrade_that_is_refused_for_a_limit_says_so(status: int, body: bytes, code: Code) -> None:
    def refuse(_request: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
        return picows.WSUpgradeResponseWithListener(picows.WSUpgradeResponse.create_error_response(status, body), None)

    async def script() -> StepError:
        serving = await picows.ws_create_server(refuse, "127.0.0.1", 0)
        grant = Grant(room_url=f"ws://127.0.0.1:{serving.sockets[0].getsockname()[1]}/rooms/1", token="token-1")
        room = WebSocketRoom(grant, Recorder(), (), HandTicker(), proxy=None, trust=TRUST)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await failure_of(room)
        finally:
            await room.close()
            serving.close()
            await serving.wait_closed()

    error = asyncio.run(script())
    assert (error.kind, error.code, error.http_status) == (Kind.REJECTED, code, status)


def test_a_close_in_mid_conversation_is_told_once_and_ends_the_microphone() -> None:
    async def script() -> tuple[list[str], int, Code]:
        async with room_with(welcome) as (room, server, listener, ticker):
            await room.connect()
            server.transport.send_close(1000, "session ended")
            await listener.until(lambda: bool(listener.ends))
            await server.closed.wait()
            with pytest.raises(StepError) as refused:
                room.speak(CLIP)
            return [why.detail for why in listener.ends], len(ticker.members), refused.value.code

    assert asyncio.run(script()) == (["the room closed: 1000 session ended"], 0, Code.WS_CLOSED)


def test_a_close_of_our_own_is_not_told() -> None:
    async def script() -> list[StepError]:
        async with room_with(welcome) as (room, server, listener, _):
            await room.connect()
            await room.close()
            await server.closed.wait()
            await room.close()
            return listener.ends

    assert asyncio.run(script()) == []


def test_a_room_that_takes_no_more_sound_is_over() -> None:
    async def script() -> list[str]:
        async with room_with(welcome) as (room, server, listener, ticker):
            await room.connect()
            server.transport.underlying_transport.pause_reading()
            for _ in range(10_000):
                if listener.ends:
                    break
                ticker.tick(10)
                await asyncio.sleep(0)
            server.transport.underlying_transport.resume_reading()
            return [why.detail for why in listener.ends]

    assert asyncio.run(script()) == ["the room closed: 1006 the room takes no more audio"]


def test_a_room_that_never_speaks_is_left_by_the_deadline_of_the_caller_and_nothing_remains() -> None:
    async def script() -> tuple[int, int, list[Mark]]:
        before, _, _ = footprint()
        async with room_with(lambda _transport: None) as (room, server, listener, _):
            connecting = asyncio.ensure_future(room.connect())
            await listener.until(lambda: Mark.SIGNALLED in listener.reached)
            connecting.cancel()
            await asyncio.wait({connecting})
            await room.close()
            await server.closed.wait()
        return before, footprint()[0], listener.reached

    before, after, marks = asyncio.run(script())
    assert after == before
    assert marks == [Mark.SIGNALLED]


def test_a_handshake_that_is_cancelled_is_hung_up_on_at_once_and_nothing_remains() -> None:
    async def script() -> tuple[bytes, list[Mark], tuple[int, int], tuple[int, int]]:
        asked, gone = asyncio.Event(), asyncio.Event()
        rest = b"not read"

        async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal rest
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            rest = await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
        before = footprint()[::2]
        listener = Recorder()
        grant = Grant(room_url=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", token="t")
        room = WebSocketRoom(grant, listener, (), HandTicker(), proxy=None, trust=TRUST)  # type: ignore[arg-type]
        async with asyncio.timeout(DEADLINE_S):
            connecting = asyncio.ensure_future(room.connect())
            await asked.wait()
            connecting.cancel()
            await asyncio.wait({connecting})
            await room.close()
            await gone.wait()
            await until(lambda: footprint()[::2] == before)
        server.close()
        await server.wait_closed()
        return rest, listener.reached, before, footprint()[::2]

    rest, marks, before, after = asyncio.run(script())

    assert (rest, marks) == (b"", [])
    # The server's own socket is closed by now.
    assert after == (before[0], before[1] - 1)


@pytest.mark.parametrize(
    ("answered", "is_whole"),
    [
        (b"content-length: 0\r\n\r\n", True),
        (b"\r\nno", True),
        (b"content-length: 2\r\n\r\nno", True),
        (b"content-length: 2\r\n\r\n", False),
        (b"content-length: 2\r\n\r\nn", False),
        (b"transfer-encoding: chunked\r\n\r\n", False),
    ],
)
def test_an_upgrade_that_is_refused_is_a_rejection_which_says_if_its_body_was_not_read(
    answered: bytes, is_whole: bool
) -> None:
    async def script() -> StepError:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 403 Forbidden\r\n" + answered)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        grant = Grant(room_url=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", token="t")
        room = WebSocketRoom(grant, Recorder(), (), HandTicker(), proxy=None, trust=TRUST)  # type: ignore[arg-type]
        error = await failure_of(room)
        await room.close()
        server.close()
        await server.wait_closed()
        return error

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.REJECTED, Code.WS_REFUSED)
    assert ("its body came later, and was not read" in error.detail) is not is_whole
