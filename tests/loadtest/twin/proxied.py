"""A recorder before a twin, and a replay of what it wrote, all in one process: no start of another costs time."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from loadtest.twin import serving
from loadtest.twin.command_line.options import parse
from loadtest.twin.recorder.contract import Line
from loadtest.twin.recorder.recording import Recorder
from tests.loadtest.twin.inside import Inside, inside, run
from tests.loadtest.twin.talking import Client


class Proxied(Inside):
    """The twin by way of the recorder."""

    def __init__(self, inside: Inside, recorder: Recorder) -> None:
        super().__init__(inside.parts, inside.http)
        self.openai = f"{recorder.url('openai')}/realtime"
        self.avaturn = recorder.url("avaturn")

    @asynccontextmanager
    async def realtime(
        self, query: str = "?model=gpt-realtime", *, key: str | None = None, **options: Any
    ) -> AsyncIterator[Client]:
        """A Realtime socket, by default with the API key."""
        headers = {"authorization": f"Bearer {key or self.parts.keys.openai}", **options.pop("headers", {})}
        async with self.http.ws_connect(self.openai + query, headers=headers, **options) as opened:
            yield Client(opened)


def recorded(*scenes: Callable[[Proxied], Awaitable[object]], knobs: Sequence[str] = ()) -> list[Line]:
    """What the recorder writes of these scenes, without the first line."""
    lines: list[Line] = []

    async def record() -> None:
        async with inside(*knobs) as real:
            upstreams = {"openai": real.parts.openai_base_url, "avaturn": real.parts.avaturn_base_url}
            recorder = Recorder(upstreams=upstreams, own=_two(), write=lines.append)
            async with recorder.serving():
                for scene in scenes:
                    await scene(Proxied(real, recorder))

    run(record())
    return [json.loads(json.dumps(line)) for line in lines]


def talk(script: Callable[[Client], Awaitable[object]], **options: Any) -> Callable[[Proxied], Awaitable[object]]:
    """A scene: a Realtime socket that has said session.created, and what is done there."""

    async def scene(to: Proxied) -> None:
        async with to.realtime(**options) as client:
            await client.until("session.created")
            await script(client)

    return scene


def replayed(lines: list[Line], *knobs: str) -> list[str]:
    """In what a twin with these knobs differs."""
    options = parse(["--replay-diff", "any", *(option for knob in knobs for option in ("--set", knob))])
    return run(serving._compare(options, lines, **_two()))


def _two() -> dict[str, socket.socket]:
    return {service: socket.create_server(("127.0.0.1", 0)) for service in ("openai", "avaturn")}
