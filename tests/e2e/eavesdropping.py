"""Somebody on the way between workers and their master: he hears every byte, and can cut the line."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Line:
    """`heard`: for each connection, what went to the master and what came back."""

    def __init__(self, to_port: int) -> None:
        self.heard: list[tuple[bytearray, bytearray]] = []
        self._to_port = to_port
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut(self) -> int:
        """All connections are gone; new ones may come. Returns how many there were."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            return len(self._open) // 2

    def carry(self, near: socket.socket) -> None:
        """A connection, to its end."""
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._to_port)) as far:
            there, back = bytearray(), bytearray()
            with self._lock:
                self.heard.append((there, back))
                self._open |= {near, far}
            way_back = threading.Thread(target=_pump, args=(far, near, back))
            way_back.start()
            _pump(near, far, there)
            way_back.join()
            with self._lock:
                self._open -= {near, far}


def _pump(source: socket.socket, sink: socket.socket, heard: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            heard += data
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(to_port: int) -> Iterator[tuple[int, Line]]:
    """A port of loopback from which a line leads to the other one."""
    found, threads = Line(to_port), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = server.accept()
                    threads.append(threading.Thread(target=found.carry, args=(near,)))
                    threads[-1].start()

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield int(server.getsockname()[1]), found
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving.join()
            found.cut()
            for thread in threads:
                thread.join(10)


def replay(port: int, said: bytes, *, within_s: float) -> bytes:
    """Say again what somebody said to the master; all that it answers."""
    answers = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=within_s) as again, contextlib.suppress(OSError):
        again.sendall(said)
        while data := again.recv(65536):
            answers += data
    return bytes(answers)
