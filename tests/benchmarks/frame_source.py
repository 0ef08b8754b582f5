"""A target that costs next to nothing: the five HTTP calls answered from memory, and rooms that send 50 frames/s to
everybody.

Where the twin would be the limit this stands in for it. It speaks the wire of the WebSocket room and nothing else: two
of every five seconds its frames are a tone, the rest silence. `GET /made` says how many sessions were created.
`--answer-after S`: each call is answered so much later, and the answer says how long it took, as a twin's does.
On SIGTERM it prints one JSON line: frames received, and how many came more than 40 ms after the one before, as the
target saw them.
"""

import argparse
import asyncio
import json
import signal
import sys
from time import perf_counter_ns
from typing import Any, ClassVar

import picows
import uvloop

TONE = b"\x00\x20" * 480
SILENCE = bytes(960)
LATE_NS = 40_000_000
SLOTS = 10
TONE_EVERY_S, TONE_S = 5.0, 2.0


class Counts:
    """What the clients' frames looked like from here."""

    frames = 0
    late = 0
    rooms_peak = 0


class Room(picows.WSListener):
    """One user's room."""

    rooms: ClassVar[list["set[Room]"]] = [set() for _ in range(SLOTS)]
    by_id: ClassVar[dict[str, "Room"]] = {}

    def __init__(self, session_id: str) -> None:
        self._id, self._last_ns = session_id, 0
        self.transport: Any = None

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport
        self.by_id[self._id] = self
        self._slot = min(self.rooms, key=len)
        self._slot.add(self)
        Counts.rooms_peak = max(Counts.rooms_peak, len(self.by_id))
        transport.send(picows.WSMsgType.TEXT, b'{"type":"room.joined"}')

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            now = perf_counter_ns()
            Counts.frames += 1
            Counts.late += self._last_ns != 0 and now - self._last_ns > LATE_NS
            self._last_ns = now
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: Any) -> None:
        self._slot.discard(self)
        self.by_id.pop(self._id, None)


async def send_frames() -> None:
    """50 frames/s to every room, on an absolute schedule, phases spread over ten slots."""
    due_ns, slot = perf_counter_ns(), 0
    while True:
        due_ns += 20_000_000 // SLOTS
        await asyncio.sleep(max(0, due_ns - perf_counter_ns()) / 1e9)
        slot = (slot + 1) % SLOTS
        frame = TONE if due_ns / 1e9 % TONE_EVERY_S < TONE_S else SILENCE
        for room in Room.rooms[slot]:
            room.transport.send(picows.WSMsgType.BINARY, frame)


class Http(asyncio.Protocol):
    """HTTP/1.1 with keep-alive: just enough for the five calls."""

    made = 0
    answer_after_s = 0.0
    alive: ClassVar[set[str]] = set()

    def __init__(self, room_port: int) -> None:
        self._room_port, self._data = room_port, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].decode("latin-1")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.split("\r\n")[1:])}
            length = int(headers.get("content-length", 0))
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            verb, path = head.split(" ", 2)[:2]
            if self.answer_after_s:
                asyncio.get_running_loop().call_later(
                    self.answer_after_s, self._answer_late, perf_counter_ns(), verb, path, headers
                )
            else:
                self._answer(*self._act(verb, path, headers))

    def _act(self, verb: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/client_secrets"):
            return 200, {"value": "ek_source", "expires_at": 1, "session": {}}
        if verb == "POST":
            Http.made += 1
            name = str(Http.made)
            self.alive.add(name)
            return 200, {"session_id": name, "token": name}
        if verb == "DELETE":
            self.alive.discard(path.rsplit("/", 1)[1])
            return 200, {}
        if path == "/made":
            return 200, {"made": Http.made}
        name = headers.get("x-session-token", "")
        if name not in self.alive:
            return 404, {}
        return 200, {"room_url": f"ws://127.0.0.1:{self._room_port}/{name}", "limited_access_token": name}

    def _answer_late(self, came_ns: int, verb: str, path: str, headers: dict[str, str]) -> None:
        acted = self._act(verb, path, headers)
        self._answer(*acted, b"x-twin-handled-ns: %d\r\n" % (perf_counter_ns() - came_ns))

    def _answer(self, status: int, body: dict[str, Any], headers: bytes = b"") -> None:
        text = json.dumps(body).encode()
        head = b"HTTP/1.1 %d x\r\n%scontent-length: %d\r\n\r\n" % (status, headers, len(text))
        self._transport.write(head + text)


async def serve() -> None:
    """Announce the addresses as the twin does, serve until SIGTERM, print the counts."""
    loop = asyncio.get_running_loop()
    rooms = await picows.ws_create_server(lambda r: Room(r.path.decode().strip("/")), "127.0.0.1", 0, backlog=4096)
    port = rooms.sockets[0].getsockname()[1]
    http = await loop.create_server(lambda: Http(port), "127.0.0.1", 0, backlog=4096)
    url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
    keys = {"openai_api_key": "sk-source", "avaturn_api_key": "source"}
    print(json.dumps({"openai_base_url": url + "/v1", "avaturn_base_url": url, **keys}), flush=True)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    sender = asyncio.ensure_future(send_frames())
    await stop.wait()
    sender.cancel()
    print(json.dumps({"frames": Counts.frames, "late": Counts.late, "rooms_peak": Counts.rooms_peak}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--answer-after", type=float, default=0.0)
    Http.answer_after_s = parser.parse_args().answer_after
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    sys.exit(0)
