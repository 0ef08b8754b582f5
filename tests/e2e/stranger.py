"""Somebody who reaches the port of a run's master and was not invited, and all that he tries there."""

import contextlib
import secrets
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgpack
import zmq

from loadtest import __version__
from loadtest.distribution.channel import HOST, pack
from loadtest.distribution.port.keys import Keys

LINE: Final = "FORGED LINE"
JOURNAL: Final = "journal/strange-worker-0.jsonl"
FORGED: Final = {"avaload_sessions_total": {"default\x1fok": 60}, "avaload_sessions_started_total": {"default": 60}}
NUMBERED, READY, SNAPSHOT, FITNESS, DONE = (
    f"avaload.{word}" for word in ("numbered", "ready", "snapshot", "fitness", "done")
)
"""What the processes of a run say to each other; to import them from there would make this process Locust's."""
MUCH: Final = 100 << 20
LONG_FRAME: Final = b"\x02"
LONG_COMMAND: Final = b"\x06"
GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.0 without security: http://rfc.zeromq.org/spec:23."""
CURVE: Final = GREETING.replace(b"NULL\0", b"CURVE")


class Stranger:
    """On a DEALER of its own; `keys`: of a token that he guessed, or has."""

    def __init__(self, port: int, *, name: str = "stranger", keys: Keys | None = None) -> None:
        self.name, self._context = name, zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        if keys is not None:
            keys.guard_worker(self._socket)
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def say(self, kind: str, data: Any = None) -> None:
        self.send(msgpack.packb((kind, data, self.name)))

    def send(self, frame: bytes) -> None:
        """As far as anybody takes it."""
        with contextlib.suppress(zmq.Again):
            self._socket.send(frame, zmq.NOBLOCK)

    def answers(self, *, within_s: float) -> list[Any]:
        """All that comes until nothing came for so long."""
        found = []
        while self._socket.poll(int(within_s * 1000)):
            found.append(msgpack.unpackb(self._socket.recv(), strict_map_key=False))
        return found

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@contextmanager
def stranger(port: int, *, name: str = "stranger", keys: Keys | None = None) -> Iterator[Stranger]:
    came = Stranger(port, name=name, keys=keys)
    try:
        yield came
    finally:
        came.close()


def tries_all(it: Stranger) -> None:
    """What a stranger does who knows how a run's processes speak to each other."""
    it.send(b"\xc1")
    it.send(msgpack.packb("no message"))
    it.send(msgpack.packb((7, None, it.name)))
    it.send(msgpack.packb((SNAPSHOT, None, "somebody else")))
    it.say(
        HOST, {"op": "join", "version": __version__, "processes": 1, "host": f"a\n{LINE}", "directory": f"/x\n{LINE}"}
    )
    it.say(HOST, {"op": "join", "version": __version__, "processes": 1, "host": "strange", "directory": "/x"})
    it.say(HOST, {"op": "fetch", "name": "parcel/settings.json", "offset": 0})
    it.say(HOST, {"op": f"\n{LINE}"})
    it.say(HOST, None)
    it.say(f"\n{LINE}")
    it.say("locustfile", {"version": __version__})
    chunk = bytes(512 << 10)
    packed = pack(chunk)
    for offset in range(0, MUCH, len(chunk)):
        it.say(HOST, {"op": "chunk", "name": JOURNAL, "offset": offset, "packed": packed, "crc": zlib.crc32(chunk)})
    it.say("client_ready", __version__)
    it.say(NUMBERED, {"number": 0})
    it.say(READY)
    for snapshot in (
        None,
        {},
        {"avaload_sessions_total": None},
        {"avaload_sessions_total": {"default\x1fok": [1]}},
        FORGED,
    ):
        it.say(SNAPSHOT, snapshot)
    it.say(FITNESS, ["splendid", LINE])
    it.say("stats", None)
    it.say("heartbeat", None)
    it.say("exception", {"msg": LINE, "traceback": LINE})
    it.say(DONE, FORGED)
    it.say("quit")


def pours(port: int, *, most: int = 64 << 20) -> int:
    """Claims to send a message of 900 MB and sends it until he is thrown out; how many bytes were taken."""
    taken, piece = 0, secrets.token_bytes(1 << 20)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line, contextlib.suppress(OSError):
        line.sendall(GREETING)
        line.sendall(LONG_FRAME + (900 << 20).to_bytes(8, "big"))
        while taken < most:
            line.sendall(piece)
            taken += len(piece)
    return taken


def lingers(port: int) -> socket.socket:
    """Connects and says nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def hoards(port: int, size: int) -> socket.socket:
    """Greets as a worker does, and says all but the last byte of a command that is as large as any may be."""
    line = lingers(port)
    with contextlib.suppress(OSError):
        line.sendall(CURVE + LONG_COMMAND + size.to_bytes(8, "big") + secrets.token_bytes(size - 1))
    return line
