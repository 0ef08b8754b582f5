"""Ports of this machine that a run listens on: taken, or found taken, before anything is started."""

import socket

from loadtest.language.errors import ConfigError


def bind_metrics(port: int | str, host: str = "127.0.0.1") -> socket.socket | None:
    """The listening socket of `/metrics`, taken before anything is started. Raises ConfigError if the port is in
    use."""
    if not isinstance(port, int):
        return None
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"output.metrics_port: {port} on {host}: {error.strerror}; choose another with --metrics-port N, or off"
        ) from error
    listener.listen(64)
    return listener


def check_port_free(port: int, name: str, host: str = "127.0.0.1") -> None:
    """Raises ConfigError if something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{name}: {port} on {host}: {error.strerror}") from error


def free_port() -> int:
    """A loopback port nobody listens on; for Locust's master, which can't be given a socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
