"""Recorded sessions of the real service, played back: a server that says what it said, and the client that heard it.

`python -m tests.contract.cassettes DIRECTORY [--keep] [--set KEY=VALUE ...]` records each of a directory's recordings
through `avaload twin --record` and tells what `--replay-diff` finds in it; `--keep` writes what was recorded to `KEPT`.
The recordings are YAML as pydantic-ai keeps them: a WebSocket's messages in their order, or HTTP exchanges.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml
from aiohttp import web

from tests.loadtest.twin.process import DEADLINE_S, running_twin

_COMPARE_DEADLINE_S = 240.0
_KEY = "sk-of-nobody"
KEPT = Path(__file__).with_name("recorded")
"""Shapes that were recorded once, for where the recordings are not at hand."""
_OUR_OWN = ("content-length", "content-encoding", "transfer-encoding", "connection", "alt-svc")


class Cassette:
    """One recording."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        interactions = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
        self.messages: list[tuple[str, dict[str, Any]]] = [
            (each["direction"], each["data"]) for each in interactions if each.get("kind") == "message"
        ]
        """`sent` by the client or `received` by it, and the event."""
        self.exchanges: list[dict[str, Any]] = [each for each in interactions if "request" in each]

    @property
    def model(self) -> str:
        """What the client asked for in the address."""
        return next(
            (data["session"]["model"] for _, data in self.messages if data["type"] == "session.created"), "gpt-realtime"
        )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Be the service: say everything in its order, each event after what the client had sent before it."""
        if request.headers.get("upgrade", "").lower() != "websocket":
            return self._answer(request)
        socket = web.WebSocketResponse(protocols=("realtime",))
        await socket.prepare(request)
        for direction, data in self.messages:
            if direction == "received":
                await socket.send_json(data)
            else:
                await socket.receive(DEADLINE_S)
        await socket.receive(DEADLINE_S)
        return socket

    def _answer(self, request: web.Request) -> web.Response:
        for each in self.exchanges:
            if (each["request"]["method"], urlsplit(each["request"]["uri"]).path) == (request.method, request.path):
                headers = {
                    name: values[0]
                    for name, values in each["response"]["headers"].items()
                    if name.lower() not in (*_OUR_OWN, "content-type")
                }
                answer = each["response"]
                return web.json_response(answer["parsed_body"], status=answer["status"]["code"], headers=headers)
        return web.Response(status=404)

    async def drive(self, base_url: str) -> None:
        """Be the client: the same messages, each after what had been received before it."""
        auth = {"authorization": f"Bearer {_KEY}"}
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url))
        async with aiohttp.ClientSession(headers=auth) as http, asyncio.timeout(_COMPARE_DEADLINE_S):
            for each in self.exchanges:
                request = each["request"]
                url = origin + urlsplit(request["uri"]).path
                async with http.request(request["method"], url, json=request.get("parsed_body")) as answer:
                    await answer.read()
            if not self.messages:
                return
            async with http.ws_connect(f"{base_url}/realtime?model={self.model}", max_msg_size=0) as socket:
                for direction, data in self.messages:
                    if direction == "sent":
                        await socket.send_json(data)
                    else:
                        await socket.receive(DEADLINE_S)


@asynccontextmanager
async def playing(cassette: Cassette) -> AsyncIterator[str]:
    """The base URL under which the recording is served."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", cassette.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


def recorded(cassette: Cassette, path: Path) -> Path:
    """What `avaload twin --record` writes of the recording, in `path`."""

    async def record() -> None:
        async with playing(cassette) as url:
            options = ("--record", str(path), "--openai-base-url", url, "--avaturn-base-url", url.removesuffix("/v1"))
            with await asyncio.to_thread(_entered, options) as recorder:
                await cassette.drive(recorder)

    asyncio.run(record())
    return path


class _entered:  # noqa: N801  # a function that is left again
    """A recorder; its OpenAI base URL."""

    def __init__(self, options: tuple[str, ...]) -> None:
        self._twin = running_twin(*options)
        self._url = self._twin.__enter__().openai_url

    def __enter__(self) -> str:
        return self._url

    def __exit__(self, *error: Any) -> None:
        self._twin.__exit__(*error)


def compared(path: Path, *options: str) -> list[str]:
    """The lines of `--replay-diff`; none if nothing differs."""
    command = [sys.executable, "-m", "loadtest.twin", "--replay-diff", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPARE_DEADLINE_S, check=False)
    assert (done.returncode in (0, 3), done.stderr) == (True, "")
    return done.stdout.splitlines() if done.returncode else []


def cassettes(directory: Path) -> Iterator[Cassette]:
    """All recordings of a directory."""
    for path in sorted(directory.glob("*.yaml")):
        yield Cassette(path)


def main() -> int:
    """See the module; 3 if anything differs."""
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir():
        print(f"usage: {__package__}.cassettes DIRECTORY [--keep] [--set KEY=VALUE ...]", file=sys.stderr)
        return 2
    directory, options = Path(sys.argv[1]), [each for each in sys.argv[2:] if each != "--keep"]
    differences: set[str] = set()
    with TemporaryDirectory() as folder:
        for cassette in cassettes(directory):
            path = recorded(cassette, Path(folder) / f"{cassette.name}.jsonl")
            if "--keep" in sys.argv:
                (KEPT / path.name).write_bytes(path.read_bytes())
            found = compared(path, *options)
            differences |= set(found)
            print(f"{cassette.name}:", *(found or ["no difference"]), sep="\n  ", flush=True)
    print(f"{len(differences)} different lines")
    return 3 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
