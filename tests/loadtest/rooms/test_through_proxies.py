"""Rooms behind a proxy: what is said of one that lets nobody through, and by whose certificate it is trusted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import picows
import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.rooms.webrtc import WebRtcRoom
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.session.ports import Grant
from tests.loadtest.http_client.test_opening import TRUST
from tests.loadtest.preflight.test_certificates import Certified, proxy
from tests.loadtest.preflight.test_certificates import certified as certified
from tests.loadtest.rooms.hearing import DEADLINE_S, HandTicker, Recorder
from tests.loadtest.rooms.test_websocket_room import Server, failure_of, welcome
from tests.loadtest.services.test_both_ways import controlled
from tests.serving import Serving


class Saying(Serving):
    """A proxy that answers every CONNECT so, and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        super().__init__()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._answer)
        await writer.drain()


@asynccontextmanager
async def entrance(answer: bytes) -> AsyncIterator[str]:
    saying = Saying(answer)
    async with asyncio.timeout(DEADLINE_S), await asyncio.start_server(saying, "127.0.0.1", 0) as server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await saying.close()


def failed(answer: bytes, room_of: Callable[..., Any], url: str) -> StepError:
    async def script() -> StepError:
        async with entrance(answer) as through:
            room = room_of(Grant(room_url=url, token="t"), Recorder(), (), HandTicker(), proxy=through, trust=TRUST)
            try:
                return await failure_of(room)
            finally:
                await room.close()

    return asyncio.run(script())


@pytest.mark.parametrize("url", ["ws://rooms.example/1", "wss://rooms.example/1"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy refused the way to the target: 403"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy refused the way to the target: 407"),
        (b"", "the proxy lost the way to the target: HTTP proxy closed the connection before replying"),
        (b"220 mail\r\n\r\n", "the proxy lost the way to the target: HTTP proxy returned an invalid response"),
    ],
    ids=["403", "407", "hangs up", "is none"],
)
def test_a_proxy_that_lets_no_websocket_through_is_not_the_rooms_answer(answer: bytes, told: str, url: str) -> None:
    error = failed(answer, WebSocketRoom, url)
    assert (error.kind, error.code, error.detail) == (Kind.TRANSPORT, Code.CONNECT_FAILED, told)


def test_a_proxy_that_lets_no_whip_call_through_is_not_the_rooms_answer_either() -> None:
    error = failed(b"HTTP/1.1 403 Forbidden\r\n\r\n", WebRtcRoom, "https://rooms.example/whip")
    told = "the proxy refused the way to the target: 403"
    assert (error.kind, error.code, error.detail) == (Kind.TRANSPORT, Code.CONNECT_FAILED, told)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_room_trusts_a_proxy_with_tls_by_the_file_alone(trusted: bool, certified: Certified) -> None:
    asked: list[bytes] = []
    ca_file = certified.trusted("proxy" if trusted else "service")

    async def script() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(DEADLINE_S))
            port = await stack.enter_async_context(proxy(certified, secured=True, asked=asked))
            through = f"https://localhost:{port}"
            serving = await picows.ws_create_server(lambda _: Server(welcome), "127.0.0.1", 0)
            stack.callback(serving.close)
            grant = Grant(room_url=f"ws://127.0.0.1:{serving.sockets[0].getsockname()[1]}/", token="t")
            control = controlled("lean", "http://localhost:9", proxy=through, ca_file=ca_file)
            await stack.enter_async_context(control)
            trust = control.trust_for(grant.room_url)
            room = WebSocketRoom(grant, Recorder(), (), HandTicker(), proxy=through, trust=trust)  # type: ignore[arg-type]
            stack.push_async_callback(room.close)
            await room.connect()

    if trusted:
        asyncio.run(script())
    else:
        with pytest.raises(StepError) as raised:
            asyncio.run(script())
        assert (raised.value.kind, raised.value.code) == (Kind.TRANSPORT, Code.CONNECT_FAILED)
        assert "certificate" in raised.value.detail.lower()
    assert len(asked) == trusted
