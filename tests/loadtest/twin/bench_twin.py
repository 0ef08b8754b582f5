"""How much the twin carries on one core. Not a test; the driver needs a core of its own:

python -m tests.loadtest.twin.bench_twin http --seconds 10
python -m tests.loadtest.twin.bench_twin rooms --rooms 400 --seconds 20
python -m tests.loadtest.twin.bench_twin rooms --rooms 800 --seconds 20 --set upstream=inline
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

import psutil
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

_FRAME_BYTES = 960
_SILENT = bytes(_FRAME_BYTES)
_LOUD = (b"\x10\x27" * 12 + b"\xf0\xd8" * 12) * 20


class Connection(asyncio.Protocol):
    """The leanest HTTP client that will do: one request at a time on a kept connection."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length: ") + 16
        if len(body) >= int(head[at : at + 8].split(b"\r")[0]) and self._answer is not None:
            self._buffer = b""
            self._answer.set_result(head[9:12] + body)

    async def call(self, what: str, header: str, body: bytes = b"") -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        kind = "content-type: application/json\r\n" if body else ""
        head = f"{what} HTTP/1.1\r\nhost: twin\r\n{header}\r\n{kind}content-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
        return await asyncio.wait_for(self._answer, 10)


async def connect(base_url: str) -> Connection:
    host, port = base_url.removeprefix("http://").removesuffix("/v1").split(":")
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
    return connection


class Session:
    """One user's HTTP calls."""

    def __init__(self, twin: dict[str, Any], openai: Connection, avaturn: Connection) -> None:
        self._openai, self._avaturn = openai, avaturn
        self._mint_key = f"authorization: Bearer {twin['openai_api_key']}"
        self._project = f"authorization: Bearer {twin['avaturn_api_key']}"

    async def open(self) -> dict[str, Any]:
        body = b'{"session":{"type":"realtime","model":"gpt-realtime"}}'
        minted = await self._openai.call("POST /v1/realtime/client_secrets", self._mint_key, body)
        engine = {"type": "openai-realtime", "client_secret": json.loads(minted[3:])["value"]}
        body = json.dumps({"conversation_engine": engine}).encode()
        self.session = json.loads((await self._avaturn.call("POST /api/v1/sessions", self._project, body))[3:])
        grant: dict[str, Any] = json.loads((await self.look())[3:])
        return grant

    async def look(self) -> bytes:
        return await self._avaturn.call("GET /_sdk/v0/sessions", f"x-session-token: {self.session['token']}")

    async def close(self) -> None:
        await self._avaturn.call(f"DELETE /api/v1/sessions/{self.session['session_id']}", self._project)


async def bench_http(twin: dict[str, Any], process: psutil.Process, *, seconds: float, workers: int) -> None:
    done = 0
    until = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        session = Session(twin, await connect(twin["openai_base_url"]), await connect(twin["avaturn_base_url"]))
        while time.perf_counter() < until:
            await session.open()
            await session.close()
            assert (await session.look())[:3] == b"404"
            done += 1

    before, start = process.cpu_times(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    took, after = time.perf_counter() - start, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    print(
        f"{done / took:.0f} lifecycles/s of 5 calls with {workers} workers; twin {cpu / took:.0%} of a core, "
        f"{cpu / done * 1e6:.0f} us each; resident {process.memory_info().rss / 1e6:.0f} MB"
    )


class Ear(WSListener):
    """Listens in one room."""

    def __init__(self) -> None:
        self.live = asyncio.Event()
        self.arrivals: list[float] = []
        self.loud = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.arrivals.append(time.perf_counter())
            self.loud += frame.get_payload_as_bytes() != _SILENT
        elif frame.msg_type == WSMsgType.TEXT and b'"first_frame": true' in frame.get_payload_as_bytes():
            self.live.set()


async def bench_rooms(twin: dict[str, Any], process: psutil.Process, *, seconds: float, rooms: int) -> None:
    openai, avaturn = await connect(twin["openai_base_url"]), await connect(twin["avaturn_base_url"])
    ears, transports, sessions = [], [], []
    for _ in range(rooms):
        session = Session(twin, openai, avaturn)
        grant = await session.open()
        ear = Ear()
        headers = {"Authorization": f"Bearer {grant['limited_access_token']}"}
        transport, _ = await ws_connect(lambda ear=ear: ear, grant["room_url"], extra_headers=headers)
        await asyncio.wait_for(ear.live.wait(), 10)
        ears.append(ear)
        transports.append(transport)
        sessions.append(session)
    stop = asyncio.create_task(speak(transports))
    await asyncio.sleep(3)
    for ear in ears:
        ear.arrivals.clear()
        ear.loud = 0
    before, start = process.cpu_times(), time.perf_counter()
    await asyncio.sleep(seconds)
    took, after = time.perf_counter() - start, process.cpu_times()
    frames = sum(len(ear.arrivals) for ear in ears)
    loud = sum(ear.loud for ear in ears)
    lateness = sorted(late for ear in ears for late in latenesses(ear.arrivals))
    stop.cancel()
    cpu = after.user + after.system - before.user - before.system
    over = sum(late > 0.040 for late in lateness) / len(lateness)
    p50_ms, p99_ms = statistics.median(lateness) * 1e3, lateness[len(lateness) * 99 // 100] * 1e3
    print(
        f"{rooms} rooms: {frames / took / rooms:.2f} frames/s each, {loud / frames:.0%} of them audible; "
        f"twin {cpu / took:.0%} of a core, {cpu / took / rooms * 1e3:.2f} ms per session-second"
    )
    print(
        f"frame lateness: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, "
        f"max {lateness[-1] * 1e3:.1f} ms, over 40 ms {over:.2%}; resident {process.memory_info().rss / 1e6:.0f} MB"
    )
    for session, transport in zip(sessions, transports, strict=True):
        await session.close()
        transport.disconnect()


def latenesses(arrivals: list[float]) -> list[float]:
    """How late each frame came, against the best absolute 20 ms schedule that fits."""
    offsets = [at - index * 0.020 for index, at in enumerate(arrivals)]
    base = min(offsets)
    return [offset - base for offset in offsets]


async def speak(transports: list[WSTransport]) -> None:
    """Every user: one second of speech in five, phases spread over all of it, on an absolute schedule."""
    start, tick, slots = time.perf_counter(), 0, 10
    while True:
        tick += 1
        await asyncio.sleep(max(0, start + tick * 0.020 / slots - time.perf_counter()))
        for index in range(tick % slots, len(transports), slots):
            loud = (tick // slots + index * 37) % 250 < 50
            transports[index].send(WSMsgType.BINARY, _LOUD if loud else _SILENT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["http", "rooms"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--rooms", type=int, default=400)
    parser.add_argument("--core", type=int, default=0, help="of the twin; the driver takes the last one")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a knob of the twin")
    args = parser.parse_args()
    command = [sys.executable, "-m", "loadtest.twin", *(f"--set={setting}" for setting in args.set)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {args.core})
    ) as child:
        try:
            os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
            assert child.stdout is not None
            twin = json.loads(child.stdout.readline())
            process = psutil.Process(child.pid)
            if args.what == "http":
                uvloop.run(bench_http(twin, process, seconds=args.seconds, workers=args.workers))
            else:
                uvloop.run(bench_rooms(twin, process, seconds=args.seconds, rooms=args.rooms))
            with urllib.request.urlopen(f"{twin['state_url']}?alive=1", timeout=10) as answer:
                print(json.load(answer)["counters"])
        finally:
            child.terminate()


if __name__ == "__main__":
    main()
