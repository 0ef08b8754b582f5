"""Every connection to a target is opened here, and none leads further than the operator allowed.

Two rules, for all of them. No redirect is followed: a target must not send a run, or its keys, to another host. And a
run that is not live connects to addresses of this machine alone, whatever a name resolves to. A test looks for calls
elsewhere that open one (tests/loadtest/http_client/test_opening.py).
"""

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohappyeyeballs
import picows
from picows.proxy import ProxyError  # type: ignore[attr-defined]  # python-socks': picows has no own

from loadtest.http_client.user_agent import user_agent

ROOM_BUFFER_BYTES: Final = 32 << 10
"""Of what a room has sent and nobody has read: half a second of sound. What is read at once is taken apart at once, and
no other session has its turn meanwhile."""
_NEXT_ADDRESS_S: Final = 0.25
"""After which a host's next address is tried beside the one that hasn't answered yet (RFC 8305)."""
_HANDSHAKE_TIMEOUT_S: Final = 60.0
"""Above every connect timeout: the step's own deadline ends a handshake that hangs."""


_PROXY_STATUS: Final = "rejected connection with status "
"""Before the number, in picows' words."""


class ElsewhereError(OSError):
    """An address that is not of this machine, in a run that was not allowed to leave it."""


async def room_socket(
    listener: picows.WSListener,
    url: str,
    *,
    headers: Mapping[str, str],
    live: bool,
    trust: ssl.SSLContext | None,
    proxy: str | None,
    max_frame_bytes: int,
    on_socket: Callable[[socket.socket], None],
) -> None:
    """A WebSocket whose frames `listener` gets, pings among them, which it answers itself. `on_socket`: told of the
    socket while the handshake is under way.
    `trust`: of the room and of its proxy, whichever has TLS. Raises OSError and picows.WSError."""

    async def connected(parsed: Any) -> socket.socket:
        found = await _connected(parsed.host, parsed.port, live=live, receive_bytes=ROOM_BUFFER_BYTES)
        on_socket(found)
        return found

    try:
        await picows.ws_connect(
            lambda: listener,
            url,
            extra_headers={"User-Agent": user_agent(), **headers},
            websocket_handshake_timeout=_HANDSHAKE_TIMEOUT_S,
            max_redirects=0,
            max_frame_size=max_frame_bytes,
            enable_auto_pong=False,
            proxy=proxy,
            proxy_ssl_context=trust if is_secured(proxy) else None,
            socket_factory=connected,
            ssl_context=trust if url.startswith("wss:") else None,
        )
    except ProxyError as error:
        told = str(error)
        status = told.rpartition(_PROXY_STATUS)[2] if _PROXY_STATUS in told else None
        raise OSError(no_way(told) if status is None else no_way(status, refused=True)) from error


def no_way(why: object, *, refused: bool = False) -> str:
    """What is said of a proxy that does not let a connection through: with a status that refuses, or by hanging up."""
    return f"the proxy {'refused' if refused else 'lost'} the way to the target: {why}"


def is_secured(proxy: str | None) -> bool:
    """Whether the way to the proxy has TLS."""
    return proxy is not None and urlsplit(proxy).scheme == "https"


async def reach(host: str, port: int, *, live: bool) -> None:
    """Connect, say nothing, leave. Raises OSError where nobody listens."""
    (await _connected(host, port, live=live)).close()


async def opened(
    factory: Callable[[], asyncio.Protocol], host: str, port: int, *, live: bool, trust: ssl.SSLContext | None
) -> None:
    """A connection to that host, with TLS if `trust` says whom; `factory` makes its protocol. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await _connected(host, port, live=live)
    try:
        await loop.create_connection(factory, sock=found, ssl=trust, server_hostname=None if trust is None else host)
    except BaseException:
        found.close()
        raise


async def secured(transport: asyncio.Transport, protocol: asyncio.Protocol, trust: ssl.SSLContext, host: str) -> None:
    """TLS to that host within a connection; `protocol` hears what is in it. Raises OSError."""
    inner = await asyncio.get_running_loop().start_tls(transport, protocol, trust, server_hostname=host)
    if inner is None:
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    protocol.connection_made(inner)


async def _connected(host: str, port: int, *, live: bool, receive_bytes: int | None = None) -> socket.socket:
    """Over IPv6 or IPv4, whichever answers. `receive_bytes`: the size of its buffer, instead of the system's. Raises
    OSError."""

    def made(info: tuple[Any, ...]) -> socket.socket:
        candidate = socket.socket(*info[:3]) if live else local_socket(info)
        if receive_bytes is not None:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        return candidate

    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not infos:
        raise OSError(f"{host} has no address")
    return await aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=_NEXT_ADDRESS_S, socket_factory=made)


def local_socket(info: tuple[Any, ...]) -> socket.socket:
    """For an address that is to be connected to. Raises ElsewhereError for one that is not of this machine."""
    family, kind, protocol, _, address = info
    if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ElsewhereError(errno.EACCES, f"{address[0]} is not on this machine, and the run is not --live")
    return socket.socket(family, kind, protocol)
