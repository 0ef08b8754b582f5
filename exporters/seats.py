"""How many connections a server of a run holds at once. Nobody can keep all of its process's open files by connecting
and saying nothing: the connection that has waited for longest makes room for the next one.

Imports gevent: for the processes that are Locust's.
"""

import contextlib
import socket
from typing import Any, Final

from gevent.pywsgi import WSGIHandler, WSGIServer

MOST: Final = 64
"""Some scrapers, and some pages of a browser that keeps six connections for each."""
HANDSHAKE_S: Final = 10.0


class Seated(WSGIHandler):  # type: ignore[misc]  # gevent is untyped
    """Serves a connection."""

    def handle(self) -> None:
        """Every request of it, until it ends or another one needs its place."""
        seats = self.seats()
        if len(seats) >= MOST:
            longest = next(iter(seats))
            del seats[longest]
            with contextlib.suppress(OSError):
                longest.socket.shutdown(socket.SHUT_RDWR)
        seats[self] = None
        try:
            super().handle()
        finally:
            seats.pop(self, None)

    def seats(self) -> "dict[Seated, None]":
        """Of its server, in the order of their last requests."""
        found: dict[Seated, None] = self.server.__dict__.setdefault("seats", {})
        return found

    def handle_one_request(self) -> Any:
        """From now on it waits for one."""
        seats = self.seats()
        if self in seats:
            seats[self] = seats.pop(self)
        return super().handle_one_request()


class Server(WSGIServer):  # type: ignore[misc]
    """Of few connections."""

    handler_class = Seated

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> Any:
        """With TLS nobody has a place before the handshake."""
        client_socket.settimeout(HANDSHAKE_S)
        return super().wrap_socket_and_handle(client_socket, address)
