"""Ports of this machine that a run listens on: taken, or found taken, before anything is started."""

import contextlib
import errno
import socket
from typing import Final

from loadtest.errors.exceptions import ConfigError

_OF_THE_PORT: Final = (errno.EADDRINUSE, errno.EACCES)
"""Why a port can't be taken. All else is for want of the address."""


def bind_metrics(port: int | str, host: str = "127.0.0.1") -> socket.socket | None:
    """The listening socket of `/metrics`, taken before anything is started. Raises ConfigError if the port is in
    use, or the address none of this machine's."""
    if not isinstance(port, int):
        return None
    listener = _bound(port, "output.metrics_port", host, hint="; choose another with --metrics-port N, or off")
    listener.listen(64)
    return listener


def check_port_free(port: int, name: str, host: str = "127.0.0.1") -> None:
    """Raises ConfigError if something listens there already, or it is none of this machine's addresses."""
    _bound(port, name, host).close()


def free_port() -> int:
    """A loopback port nobody listens on; for Locust's master, which can't be given a socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bound(port: int, name: str, host: str, *, hint: str = "") -> socket.socket:
    """`name`: the setting that says the port; the one with `host` in its place says the address."""
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except OSError as error:
            if error.errno in _OF_THE_PORT:
                raise ConfigError(f"{name}: {port} on {host}: {error.strerror}{hint}") from error
            address = name.replace("_port", "_host")
            raise ConfigError(f"{address}: {host}: {error.strerror}; give an address of this machine") from error
        stack.pop_all()
        return listener
