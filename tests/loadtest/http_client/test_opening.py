"""What opens connections to a target leads nowhere else: a stranger's redirect is tried on every way that there is."""

import ast
import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import picows
import pytest
from aiohttp import web

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.http_client.aiohttp_session import http_session
from loadtest.http_client.opening import room_socket
from loadtest.rooms.webrtc import WebRtcRoom
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.services.control import Control
from loadtest.session.ports import Call, ClientSecret, Grant
from loadtest.twin.recorder.recording import Recorder as Recording
from tests.loadtest.config.test_settings import resolved
from tests.loadtest.rooms.hearing import HandTicker, Recorder
from tests.support import ROOT

TRUST = ssl.create_default_context()
REDIRECTS = (301, 302, 303, 307, 308)
DEADLINE_S = 20.0


@asynccontextmanager
async def served(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def redirecting(status: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that sends everybody to another one; who came to the other."""
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(f"{request.method} {request.headers.get('Authorization')}")
        return web.Response(status=200)

    async with served(hear) as elsewhere:

        async def send_on(_: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"http://{elsewhere}/stolen"})

        async with served(send_on) as origin:
            yield origin, heard


def control(origin: str = "127.0.0.1:9", http: str = "official") -> Control:
    keys = {"OPENAI_API_KEY": "sk-of-openai", "AVATURN_API_KEY": "sk-of-avaturn"}
    settings = resolved({"target.http": http}).with_endpoints(
        openai_base_url=f"http://{origin}/v1", avaturn_base_url=f"http://{origin}"
    )
    return Control(settings, keys, connections=4)


async def by_http(origin: str) -> int | None:
    async with http_session(trust=TRUST) as session:
        try:
            async with session.get(f"http://{origin}/x", headers={"Authorization": "Bearer t"}) as answer:
                return answer.status
        except aiohttp.WSServerHandshakeError as error:
            return error.status


def by_step(ask: Callable[[Control], Awaitable[Any]], http: str) -> Callable[[str], Awaitable[int | None]]:
    async def way(origin: str) -> int | None:
        async with control(origin, http) as client:
            with pytest.raises(StepError) as raised:
                await ask(client)
        assert (raised.value.kind, raised.value.code) == (Kind.REJECTED, Code.HTTP_3XX)
        return raised.value.http_status

    return way


SECRET = ClientSecret(value="ek_of_a_test", expires_at_s=0)
STEPS: dict[str, Callable[[Control], Awaitable[Any]]] = {
    "mint": lambda control: control.mint(Call(), ttl_s=60, realtime={}, traceparent="00-a"),
    "create": lambda control: control.create(Call(), secret=SECRET, fields={}, traceparent="00-a"),
    "grant": lambda control: control.grant(Call(), token="token-1", traceparent="00-a"),
    "delete": lambda control: control.delete(Call(), target_session_id="one", traceparent="00-a"),
}


async def by_probe_socket(origin: str) -> int | None:
    async with control() as client:
        with pytest.raises(StepError) as raised:
            await client.websocket(f"ws://{origin}/v1/realtime", {"Authorization": "Bearer ek_of_a_probe"})
    assert (raised.value.kind, raised.value.code) == (Kind.REJECTED, Code.WS_REFUSED)
    return raised.value.http_status


async def by_room(room_of: Callable[..., Any], url: str) -> int | None:
    room = room_of(Grant(room_url=url, token="token-1"), Recorder(), (), HandTicker(), proxy=None, trust=TRUST)
    try:
        with pytest.raises(StepError) as raised:
            await room.connect()
    finally:
        await room.close()
    assert raised.value.kind is Kind.REJECTED
    return raised.value.http_status


async def by_recorder(origin: str) -> int | None:
    with contextlib.ExitStack() as stack:
        own = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in ("openai", "avaturn")}
        upstreams = {"openai": f"http://{origin}/v1", "avaturn": f"http://{origin}"}
        recorder = Recording(upstreams=upstreams, own=own, write=lambda _: None)
        async with recorder.serving(), aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
                await client.ws_connect(
                    f"http://{recorder.origin('openai')}/v1/realtime", headers={"Authorization": "Bearer ek_x"}
                )
        return raised.value.status


WAYS: dict[str, Callable[[str], Awaitable[int | None]]] = {
    "an HTTP call": by_http,
    **{f"{http} {name}": by_step(ask, http) for name, ask in STEPS.items() for http in ("official", "lean")},
    "a probe's WebSocket": by_probe_socket,
    "the recorder's WebSocket": by_recorder,
    "a WebSocket room": lambda origin: by_room(WebSocketRoom, f"ws://{origin}/room"),
    "a WHIP room": lambda origin: by_room(WebRtcRoom, f"http://{origin}/whip"),
}


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_is_refused_with_its_status_and_nobody_comes_to_the_other_host(way: str, status: int) -> None:
    async def script() -> tuple[int | None, list[str]]:
        async with asyncio.timeout(DEADLINE_S), redirecting(status) as (origin, heard):
            return await WAYS[way](origin), heard

    assert asyncio.run(script()) == (status, [])


def test_the_delete_of_a_whip_room_is_not_led_elsewhere_either() -> None:
    async def script() -> list[str]:
        async with asyncio.timeout(DEADLINE_S), redirecting(307) as (origin, heard):
            grant = Grant(room_url=f"http://{origin}/whip", token="token-1")
            room = WebRtcRoom(grant, Recorder(), (), HandTicker(), proxy=None, trust=TRUST)
            room._resource = f"http://{origin}/whip/1"
            await room.close()
            return heard

    assert asyncio.run(script()) == []


@pytest.fixture
def a_name_that_leads_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` is a name like any other: somebody may have pointed it elsewhere."""

    def away(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", int(port or 0)))]

    monkeypatch.setattr(socket, "getaddrinfo", away)


@pytest.mark.usefixtures("a_name_that_leads_away")
def test_a_run_that_is_not_live_connects_to_no_address_but_this_machines_whatever_a_name_resolves_to() -> None:
    async def script() -> list[str]:
        told = []
        async with asyncio.timeout(DEADLINE_S), http_session(trust=TRUST) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as by_http:
                await session.get("http://localhost:9/x")
            told.append(str(by_http.value))
            with pytest.raises(OSError) as by_room:
                await room_socket(
                    picows.WSListener(),
                    "ws://localhost:9/room",
                    headers={},
                    live=False,
                    trust=TRUST,
                    proxy=None,
                    max_frame_bytes=1000,
                    on_socket=lambda _: None,
                )
            told.append(str(by_room.value))
        return told

    for told in asyncio.run(script()):
        assert "192.0.2.7 is not on this machine" in told


OPENERS = {
    *("ClientSession", "ws_connect", "urlopen", "create_connection", "open_connection"),
    *("HTTPConnection", "HTTPSConnection", "Session", "_HeardSession", "PoolManager"),
}
"""Names of calls that open connections, or of classes whose objects do."""
MAY_OPEN = {
    "loadtest/http_client/opening.py": "for all of a run",
    "loadtest/http_client/aiohttp_session.py": "by the rules of http_client/opening.py",
    "loadtest/services/control.py": "on a session of http_client/aiohttp_session.py",
    "loadtest/preflight/certificates.py": "a TLS handshake with hosts that were allowed; nothing is asked or followed",
    "loadtest/distribution/channel.py": "to the master that the worker was told",
    "loadtest/distribution/worker.py": "to say what listens at the master's port",
    "loadtest/engine/engine.py": "on the socket that its parent gave it",
    "exporters/traces/collector.py": "max_redirects = 0",
    "loadtest/twin/recorder/upstream.py": "the same rule, for the twin",
    "loadtest/twin/recorder/recording.py": "on a session of upstream.py",
    "loadtest/twin/recorder/replaying.py": "on a session of upstream.py",
    "loadtest/twin/avaturn_side/engines/external.py": "loopback alone, max_redirects = 0",
    "loadtest/twin/dialing.py": "the twin's other side, max_redirects = 0",
    "loadtest/twin/warm_up.py": "the twin itself, max_redirects = 0",
}


def test_connections_are_opened_where_the_rule_is_kept_and_nowhere_else() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("loadtest", "exporters", "reports")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if _opens(path)
    }
    assert found == set(MAY_OPEN)


def _opens(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if name in OPENERS:
                return True
    return False
