"""A twin inside the test's own event loop: fast to start, and its parts can be looked at."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import uvloop

from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.command_line.loading import load
from loadtest.twin.service import Twin
from tests.loadtest.twin.process import DEADLINE_S
from tests.loadtest.twin.talking import User, in_room

T = TypeVar("T")


class Answer:
    """What an HTTP call brought."""

    def __init__(self, status: int, headers: Any, body: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Inside:
    """Short names for the calls of tests; `parts` is the twin itself."""

    def __init__(self, parts: Twin, http: aiohttp.ClientSession) -> None:
        self.parts = parts
        self.http = http
        self.openai = f"http://{parts.openai_origin}/v1/realtime"
        self.avaturn = f"http://{parts.avaturn_origin}"

    async def call(self, method: str, url: str, *, bearer: str = "", token: str = "", body: Any = None) -> Answer:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= {"x-session-token": token} if token else {}
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            with contextlib.suppress(ValueError):
                return Answer(answer.status, answer.headers, await answer.json())
            return Answer(answer.status, answer.headers, text)

    async def mint(self, body: Any) -> Answer:
        return await self.call("POST", f"{self.openai}/client_secrets", bearer=self.parts.keys.openai, body=body)

    async def secret(self, session: dict[str, Any] | None = None, *, ttl_s: int = 600) -> str:
        body = {"expires_after": {"seconds": ttl_s}, "session": {"type": "realtime", **(session or {})}}
        minted = await self.mint(body)
        assert minted.status == 200, minted.body
        value: str = minted.body["value"]
        return value

    async def create(self, body: Any, *, key: str = "") -> Answer:
        bearer = key or self.parts.keys.avaturn
        return await self.call("POST", f"{self.avaturn}/api/v1/sessions", bearer=bearer, body=body)

    async def new(self, **body: Any) -> dict[str, str]:
        created = await self.create(body)
        assert created.status == 200, created.body
        session: dict[str, str] = created.body
        return session

    async def talking(self, session: dict[str, Any] | None = None, **body: Any) -> dict[str, str]:
        """A session of the engine openai-realtime."""
        engine = {"type": "openai-realtime", "client_secret": await self.secret(session)}
        return await self.new(conversation_engine=engine, **body)

    async def delete(self, session_id: str, *, key: str = "") -> Answer:
        bearer = key or self.parts.keys.avaturn
        return await self.call("DELETE", f"{self.avaturn}/api/v1/sessions/{session_id}", bearer=bearer)

    async def sdk(self, token: str, path: str = "", *, method: str = "GET", body: Any = None) -> Answer:
        return await self.call(method, f"{self.avaturn}/_sdk/v0/sessions{path}", token=token, body=body)

    @asynccontextmanager
    async def joined(self, session: dict[str, str], *, microphone: bool = True) -> AsyncIterator[User]:
        grant = await self.sdk(session["token"])
        assert grant.status == 200, grant.body
        async with in_room(grant.body, microphone=microphone) as user:
            await user.message("room.joined")
            yield user

    def session(self, session_id: str) -> Session | None:
        """The session itself, while it is alive."""
        return self.parts._sessions.alive.get(session_id)

    def state(self, session_id: str) -> str:
        found = self.session(session_id)
        return "ended" if found is None else found.state

    async def truth(self, session_id: str) -> dict[str, Any]:
        state = await self.call("GET", self.parts.state_url)
        return next(each for each in state.body["sessions"] if each["session_id"] == session_id)

    async def eventually(self, holds: Callable[[], bool], *, within_s: float = DEADLINE_S) -> bool:
        """Whether it holds before the deadline; returns as soon as it does."""
        deadline_s = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(0.005)
        return True


@asynccontextmanager
async def inside(*settings: str, scale: float = 1.0) -> AsyncIterator[Inside]:
    """An instant twin with these knobs; `scale` is its clock's."""
    openai, avaturn = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    profile = load(name="instant", settings=settings)
    twin = Twin(profile=profile, seed=0, clock_scale=scale, openai=openai, avaturn=avaturn)
    await twin.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Inside(twin, http)
    finally:
        await twin.stop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """On the event loop that the twin is served with."""
    return uvloop.run(main)
