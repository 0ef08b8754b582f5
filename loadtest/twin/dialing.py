"""How the Avaturn side reaches the OpenAI side: over a real socket, or without one.

Source: TWIN.md#both-services, `upstream`.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from picows import WSCloseCode, WSMsgType, ws_connect

from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.openai_side.realtime_socket import PATH, Realtime
from loadtest.twin.sockets.event_socket import Dial, EventSocket

_OPEN_DEADLINE_S = 10.0


def over_socket(origin: str, *, tls: ssl.SSLContext | None) -> Dial:
    """A WebSocket to the OpenAI side at `host:port`; over TLS, if there is what to trust."""

    async def dial(socket: EventSocket, headers: Mapping[str, str]) -> None:
        # The handshake has a deadline of its own, for a connection whose opening was cancelled.
        async with asyncio.timeout(_OPEN_DEADLINE_S):
            await ws_connect(
                lambda: socket,
                f"{'ws' if tls is None else 'wss'}://{origin}{PATH}",
                ssl_context=tls,
                extra_headers=headers,
                websocket_handshake_timeout=_OPEN_DEADLINE_S,
                max_redirects=0,
            )

    return dial


def inline(realtime: Realtime) -> Dial:
    """The same sockets and the same sessions, handing their events to each other: no network, and no text."""

    async def dial(socket: EventSocket, headers: Mapping[str, str]) -> None:
        answer = realtime.admit({name.lower(): value for name, value in headers.items()}, PATH)
        if isinstance(answer, RefusedError):
            raise ConnectionRefusedError(answer.message)
        ours, theirs = _End(socket), _End(answer)
        ours.peer, theirs.peer = theirs, ours
        answer.connected_inline(theirs, theirs)
        socket.connected_inline(ours, ours)

    return dial


class _End:
    """One end of an inline connection. Everything arrives in order, and nothing within the call that sends it, but for
    sound: that comes 50 times a second, and nothing but events ever answers it."""

    __slots__ = ("_is_up", "_soon", "_under_way", "is_close_frame_sent", "peer", "socket")

    peer: "_End"

    def __init__(self, socket: EventSocket) -> None:
        self.is_close_frame_sent = False
        self.socket = socket
        self._is_up = True
        self._under_way = 0
        """Events and sound that have not arrived here yet."""
        self._soon = asyncio.get_running_loop().call_soon

    def send(self, msg_type: WSMsgType, message: bytes | str, /) -> None:
        """Not for these."""
        raise ValueError("an inline connection carries events and sound alone")

    def send_event(self, event: dict[str, Any], /) -> None:
        """See Direct."""
        if not self.is_close_frame_sent:
            self.peer.take_later(self.peer.socket.on_message, event)

    def send_sound(self, pcm: bytes, /) -> None:
        """See Direct. It never overtakes anything."""
        if self.is_close_frame_sent:
            return
        peer = self.peer
        if peer._under_way:
            peer.take_later(peer.socket.on_sound, pcm)
        elif peer._is_up:
            peer.socket.on_sound(pcm)

    def send_close(self, close_code: WSCloseCode, close_message: str = "", /) -> None:
        """The peer answers it, as over a network."""
        if not self.is_close_frame_sent:
            self.is_close_frame_sent = True
            self._soon(self.peer.receive_close, close_code)

    def disconnect(self, graceful: bool = True, /) -> None:
        """Both ends lose the connection."""
        self._soon(self.lose)
        self._soon(self.peer.lose)

    def take_later(self, hand_over: Callable[[Any], None], what: object) -> None:
        """Something is on its way here."""
        self._under_way += 1
        self._soon(self._take, hand_over, what)

    def receive_close(self, code: WSCloseCode) -> None:
        """A close frame has come."""
        if self._is_up:
            self.socket.on_closing(code)

    def lose(self) -> None:
        """The connection is gone."""
        if self._is_up:
            self._is_up = False
            self.socket.disconnected()

    def _take(self, hand_over: Callable[[Any], None], what: object) -> None:
        self._under_way -= 1
        if self._is_up:
            hand_over(what)
