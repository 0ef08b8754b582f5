"""How the Avaturn side reaches the OpenAI side: over a real socket, or without one (INTERFACE.md, `upstream=`)."""

import asyncio
from collections.abc import Mapping

from picows import WSCloseCode, WSMsgType, ws_connect

from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.openai_side.realtime_socket import PATH, Realtime
from loadtest.twin.wire import Dial, Socket

_OPEN_DEADLINE_S = 10.0


def over_socket(origin: str) -> Dial:
    """A WebSocket to the OpenAI side at `host:port`."""

    async def dial(socket: Socket, headers: Mapping[str, str]) -> None:
        # The handshake has a deadline of its own, for a connection whose opening was cancelled.
        async with asyncio.timeout(_OPEN_DEADLINE_S):
            await ws_connect(
                lambda: socket,
                f"ws://{origin}{PATH}",
                extra_headers=headers,
                websocket_handshake_timeout=_OPEN_DEADLINE_S,
            )

    return dial


def inline(realtime: Realtime) -> Dial:
    """The same sockets and the same sessions, handing their messages to each other: the cost of the network is gone."""

    async def dial(socket: Socket, headers: Mapping[str, str]) -> None:
        answer = realtime.admit({name.lower(): value for name, value in headers.items()}, PATH)
        if isinstance(answer, RefusedError):
            raise ConnectionRefusedError(answer.message)
        ours, theirs = _End(socket), _End(answer)
        ours.peer, theirs.peer = theirs, ours
        answer.connected(theirs)
        socket.connected(ours)

    return dial


class _End:
    """One end of an inline connection. Messages arrive in order, and never within the call that sends them."""

    peer: "_End"

    def __init__(self, socket: Socket) -> None:
        self.is_close_frame_sent = False
        self._socket = socket
        self._is_up = True
        self._soon = asyncio.get_running_loop().call_soon

    def send(self, msg_type: WSMsgType, message: bytes | str, /) -> None:
        """Only text goes over these."""
        if not self.is_close_frame_sent:
            self._soon(self.peer.receive, message.encode() if isinstance(message, str) else message)

    def send_close(self, close_code: WSCloseCode, close_message: str = "", /) -> None:
        """The peer answers it, as over a network."""
        if not self.is_close_frame_sent:
            self.is_close_frame_sent = True
            self._soon(self.peer.receive_close, close_code)

    def disconnect(self, graceful: bool = True, /) -> None:
        """Both ends lose the connection."""
        self._soon(self.lose)
        self._soon(self.peer.lose)

    def receive(self, payload: bytes) -> None:
        """A message has come."""
        if self._is_up:
            self._socket.on_text(payload)

    def receive_close(self, code: WSCloseCode) -> None:
        """A close frame has come."""
        if self._is_up:
            self._socket.on_closing(code)

    def lose(self) -> None:
        """The connection is gone."""
        if self._is_up:
            self._is_up = False
            self._socket.disconnected()
