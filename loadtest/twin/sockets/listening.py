"""One port for HTTP and WebSocket: uvicorn parses every request, and hands an upgrade over to picows."""

import asyncio
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # public in its sources, absent from its stub
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

Upgrade = Callable[[WSUpgradeRequest], WSListener | WSUpgradeResponseWithListener]
"""Decides what answers a WebSocket request, as in picows' `ws_create_server`."""

ARRIVED_NS = "twin.arrived_ns"
"""Key in the ASGI scope: perf_counter_ns at which the request's first bytes were read."""

_BACKLOG = 4096
# Longer than any pause of a load test: an idle connection closed by us just as it is used again would be our fault.
_KEEP_ALIVE_S = 600
_HANDSHAKE_S = 5.0
# Base64 of the largest append (15 MiB) plus its JSON.
_MAX_MESSAGE_BYTES = 21 * 1024 * 1024
_READ_BUFFER_BYTES = 16 * 1024
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*")
_logger = logging.getLogger("avaload.twin")


class _Http(HttpToolsProtocol):
    """uvicorn's HTTP, with the arrival stamp that `x-twin-handled-ns` counts from."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[ARRIVED_NS] = time.perf_counter_ns()  # type: ignore[literal-required]


class _WebSocket(WSProtocol):  # type: ignore[misc]  # untyped, see above
    """picows' server side on a connection whose upgrade request was already read by uvicorn."""

    def data_received(self, data: bytes) -> None:
        """Replay the request; uvicorn calls this once, before it hands over the transport."""
        # Firefox asks for "keep-alive, Upgrade", which picows doesn't take for an upgrade.
        data = _CONNECTION.sub(b"\r\nconnection: Upgrade", data, count=1)
        while data:
            space = self.get_buffer(-1)
            size = min(len(space), len(data))
            space[:size] = data[:size]
            self.buffer_updated(size)
            data = data[size:]


async def listen(
    sock: socket.socket, *, app: ASGI3Application, upgrade: Upgrade, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Serve `app` and WebSockets on a bound socket, over `tls` if that is given. The caller closes the server."""

    def websocket(**_: Any) -> _WebSocket:
        return _WebSocket(
            None,
            None,
            False,
            upgrade,
            _logger,
            True,
            _HANDSHAKE_S,
            False,
            20,
            20,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            True,
            _MAX_MESSAGE_BYTES,
            None,
            _READ_BUFFER_BYTES,
        )

    config = Config(
        app,
        http=_Http,
        ws=websocket,  # type: ignore[arg-type]  # called like the class that uvicorn expects
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Http(config, state, {}, loop), sock=sock, backlog=_BACKLOG, ssl=tls)
