"""The wire between a worker's command and its master: Locust's messages of one type, each with an `op`.

Without Locust on the command's side: importing it patches the process for gevent. Locust's frame is a msgpack of
(type, data, node id) on a DEALER socket whose identity is the node id (locust/rpc). All of it is encrypted (`port`).

From the command: `join` (version, processes, host, directory), `fetch` (name, offset), `leave` (reason), `ping`
(sent_ns, host, boot_id, clock), `chunk` (name, offset, packed, crc), `closed` (name, size), `bye` (files).
To it: `welcome` (run_id, numbers, salt, hidden, items), `refused` (reason), `piece` (name, offset, packed),
`pong` (sent_ns, master_ns, begun), `left`, `ack` (name, size, closed), `noted` (missing), `over` (reason).
"""

import contextlib
import socket
import time
import zlib
from typing import Any, Final, Self

import msgpack
import zmq

from loadtest.distribution.port.keys import Keys

HOST: Final = "avaload.host"
CHUNK_BYTES: Final = 512 << 10
"""Of a file, before it is packed. A command has one on its way at a time: so much memory the master spends on it."""
FAILURES: Final = 5
"""Handshakes that failed, one after the other, and none that succeeded: this is no accident."""
GREETING_S: Final = 2.0
_GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class CorruptError(ValueError):
    """What came is not what was sent."""


def pack(piece: bytes) -> bytes:
    """For the wire. Level 1: 300 MB/s for journals, a tenth of their size."""
    return zlib.compress(piece, 1)


def unpack(packed: bytes) -> bytes:
    """Never more than CHUNK_BYTES, whatever it claims to be. Raises CorruptError."""
    unpacker = zlib.decompressobj()
    try:
        piece = unpacker.decompress(packed, CHUNK_BYTES)
    except zlib.error as error:
        raise CorruptError(str(error)) from error
    if not unpacker.eof:
        raise CorruptError(f"more than {CHUNK_BYTES} bytes, or cut short")
    return piece


class Channel:
    """The command's end. Use as a context manager. Nothing is queued while the master is away."""

    def __init__(self, host: str, port: int, *, node: str, keys: Keys) -> None:
        self.node = node
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, node.encode())
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.LINGER, 500)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        keys.guard_worker(self._socket)
        self._monitor = self._socket.get_monitor_socket(_FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._failures, self._master = 0, (host, port)
        self._greeted = False
        """A master had greeted before the failures that are counted now."""
        self._socket.connect(f"tcp://{host}:{port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()
        self._context.term()

    @property
    def is_shut_out(self) -> bool:
        """Whether a master is there that does not share our token. A line that ends at nobody fails in the same way, so
        it is asked how it greets. A master may have come up behind the line just then: only what fails after it has
        greeted is its refusal."""
        from zmq.utils.monitor import recv_monitor_message  # asyncio, for those who join

        while self._monitor.poll(0):
            failed = recv_monitor_message(self._monitor)["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED
            self._failures, self._greeted = (self._failures + 1, self._greeted) if failed else (0, False)
        if self._failures < FAILURES:
            return False
        had_greeted = self._greeted
        self._failures, self._greeted = 0, _greets(*self._master)
        return had_greeted and self._greeted

    def say(self, op: str, **fields: Any) -> bool:
        """Whether it could be sent; the master need not have got it."""
        try:
            self._socket.send(msgpack.packb((HOST, {"op": op, **fields}, self.node)), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message of ours, or None by then."""
        deadline_s = time.monotonic() + timeout_s
        while self._socket.poll(max(0, int((deadline_s - time.monotonic()) * 1000))):
            try:
                kind, data, _ = msgpack.unpackb(self._socket.recv(), raw=False, strict_map_key=False)
            except (ValueError, TypeError, msgpack.exceptions.UnpackException):
                continue
            if kind == HOST and isinstance(data, dict) and isinstance(data.get("op"), str):
                return data
        return None


def _greets(host: str, port: int) -> bool:
    """Whether who listens there speaks ZMTP with CURVE (http://rfc.zeromq.org/spec:23), as our masters do."""
    answer = bytearray()
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=GREETING_S) as line:
        line.sendall(_GREETING)
        while len(answer) < len(_GREETING) and (more := line.recv(len(_GREETING) - len(answer))):
            answer += more
    return answer[:1] == b"\xff" and bytes(answer[12:32]).rstrip(b"\0") == b"CURVE"
