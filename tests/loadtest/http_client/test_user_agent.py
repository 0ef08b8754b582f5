"""A target's people know the load by its User-Agent, on every way that there is to them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest
from aiohttp import web

from loadtest.config.settings import Settings
from loadtest.errors.exceptions import StepError
from loadtest.http_client import user_agent as module
from loadtest.http_client.user_agent import introduce, user_agent
from loadtest.preflight.first_look import look
from loadtest.rooms.webrtc import WebRtcRoom
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.services.control import Control
from loadtest.session.ports import Call, ClientSecret, Grant
from loadtest.system.version import __version__
from tests.loadtest.http_client.test_opening import DEADLINE_S, TRUST, served
from tests.loadtest.rooms.hearing import HandTicker, Recorder

OURS = f"avaload/{__version__} (load test; run autumn-1)"
SECRET = ClientSecret(value="ek_of_a_test", expires_at_s=0)
KEYS = {"OPENAI_API_KEY": "sk-of-openai", "AVATURN_API_KEY": "sk-of-avaturn"}


@pytest.fixture(autouse=True)
def introduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_run", None)
    introduce("autumn-1")


def settings_of(origin: str, **of_backend: Any) -> Settings:
    target: dict[str, Any] = {"openai_base_url": f"http://{origin}/v1", "avaturn_base_url": f"http://{origin}"}
    if of_backend:
        target["backend"] = {"url": f"http://{origin}/start", **of_backend}
    return Settings.model_validate({"target": target})


def by_lean(ask: Callable[[Control, str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    async def way(origin: str) -> None:
        lean = settings_of(origin).target.model_copy(update={"http": "lean"})
        async with Control(Settings(target=lean), KEYS, connections=4) as control:
            await ask(control, origin)

    return way


def by_control(ask: Callable[[Control, str], Awaitable[Any]], **of_backend: Any) -> Callable[[str], Awaitable[Any]]:
    async def way(origin: str) -> None:
        async with Control(settings_of(origin, **of_backend), KEYS, connections=4) as control:
            await ask(control, origin)

    return way


async def by_room(room_of: Callable[..., Any], url: str) -> None:
    room = room_of(Grant(room_url=url, token="token-1"), Recorder(), (), HandTicker(), proxy=None, trust=TRUST)
    try:
        await room.connect()
    finally:
        await room.close()


BACKEND = {"headers": {"X-App": "shop"}}
HTTPX = f"python-httpx/{httpx.__version__} {OURS}"

WAYS: dict[str, tuple[str, Callable[[str], Awaitable[Any]]]] = {
    "mint": (
        f"AsyncOpenAI/Python {openai.__version__} {OURS}",
        by_control(lambda control, _: control.mint(Call(), ttl_s=60, realtime={}, traceparent="")),
    ),
    "create": (HTTPX, by_control(lambda control, _: control.create(Call(), secret=SECRET, fields={}, traceparent=""))),
    "lean mint": (
        OURS,
        by_lean(lambda control, _: control.mint(Call(), ttl_s=60, realtime={}, traceparent="")),
    ),
    "lean create": (
        OURS,
        by_lean(lambda control, _: control.create(Call(), secret=SECRET, fields={}, traceparent="")),
    ),
    "lean delete": (
        OURS,
        by_lean(lambda control, _: control.delete(Call(), target_session_id="one", traceparent="")),
    ),
    "create at a backend": (
        OURS,
        by_control(
            lambda control, _: control.create_at_backend(Call(), user=1, iteration=1, trace_id="a", traceparent=""),
            **BACKEND,
        ),
    ),
    "create at a backend that wants another client": (
        "ShopApp/3",
        by_control(
            lambda control, _: control.create_at_backend(Call(), user=1, iteration=1, trace_id="a", traceparent=""),
            headers={"user-agent": "ShopApp/3"},
        ),
    ),
    "grant": (OURS, by_control(lambda control, _: control.grant(Call(), token="token-1", traceparent=""))),
    "look": (OURS, by_control(lambda control, _: control.look(Call(), token="token-1", traceparent=""))),
    "delete": (
        HTTPX,
        by_control(lambda control, _: control.delete(Call(), target_session_id="one", traceparent="")),
    ),
    "probe's WebSocket": (OURS, by_control(lambda control, origin: control.websocket(f"ws://{origin}/x", {}))),
    "first look": (OURS, lambda origin: look(settings_of(origin), KEYS)),
    "WebSocket room": (OURS, lambda origin: by_room(WebSocketRoom, f"ws://{origin}/room")),
    "WHIP room": (OURS, lambda origin: by_room(WebRtcRoom, f"http://{origin}/whip")),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_call_names_the_load_and_its_run_beside_the_client(way: str) -> None:
    expected, go = WAYS[way]
    heard: set[str | None] = set()

    async def hear(request: web.Request) -> web.Response:
        heard.add(", ".join(request.headers.getall("User-Agent", [])))
        return web.Response(status=418)

    async def script() -> None:
        async with asyncio.timeout(DEADLINE_S), served(hear) as origin:
            with contextlib.suppress(StepError):
                await go(origin)

    asyncio.run(script())
    assert heard == {expected}


@pytest.mark.parametrize(
    ("run_id", "told"),
    [
        ("runs of may (2)", "runs_of_may__2_"),
        ("a\r\nX-Evil: 1", "a__X-Evil:_1"),
        ("Größe\\", "Gr__e_"),
        ("n" * 300, "n" * 100),
    ],
)
def test_a_name_of_a_run_that_no_header_can_hold_is_told_as_far_as_it_goes(run_id: str, told: str) -> None:
    introduce(run_id)
    assert user_agent("client/1") == f"client/1 avaload/{__version__} (load test; run {told})"


def test_what_belongs_to_no_run_is_a_load_test_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_run", None)
    assert user_agent() == f"avaload/{__version__} (load test)"
