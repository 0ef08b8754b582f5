"""What the three WebSockets of the twin share: whole messages in, an orderly close with a deadline out."""

import asyncio
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

_CLOSE_DEADLINE_S = 2.0
_TEXT, _BINARY, _CONTINUATION, _CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION, WSMsgType.CLOSE


class Transport(Protocol):
    """What a socket sends through: picows' WSTransport, or an end of an inline connection."""

    @property
    def is_close_frame_sent(self) -> bool:
        """Whether `send_close` was called."""

    def send(self, msg_type: WSMsgType, message: bytes | str, /) -> None:
        """Send a whole message."""

    def send_close(self, close_code: WSCloseCode, close_message: str = "", /) -> None:
        """Send a close frame."""

    def disconnect(self, graceful: bool = True, /) -> None:
        """Cut the connection, after what is queued unless it is to be abrupt."""


class Socket(WSListener):
    """A WebSocket that hands over whole messages and answers the peer's close. Children override the `on_…` below.

    Children have slots, too: on a class that C has begun, other attributes are several times slower.
    """

    __slots__ = ("_deadline", "_parts", "_parts_type", "_transport")

    def __init__(self) -> None:
        self._transport: Transport | None = None
        self._parts: list[bytes] = []
        self._parts_type = _TEXT
        self._deadline: asyncio.TimerHandle | None = None

    def on_open(self) -> None:
        """The handshake is complete."""

    def on_text(self, payload: bytes) -> None:
        """A whole text message (UTF-8, unchecked)."""

    def on_binary(self, payload: bytes) -> None:
        """A whole binary message."""

    def on_lost(self) -> None:
        """The connection is gone, in whatever way; called once."""

    def on_closing(self, code: WSCloseCode) -> None:
        """The peer has sent its close frame: send ours, if it wasn't we who began, and cut the connection."""
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK if code == WSCloseCode.NO_INFO else code)
            self._transport.disconnect()

    @property
    def is_open(self) -> bool:
        """Whether a message sent now has a chance to arrive."""
        return self._transport is not None and not self._transport.is_close_frame_sent

    def send_text(self, payload: bytes | str) -> None:
        """Send a text message; does nothing once closed."""
        if self._transport is not None:
            self._transport.send(_TEXT, payload)

    def send_binary(self, payload: bytes) -> None:
        """Send a binary message; does nothing once closed."""
        if self._transport is not None:
            self._transport.send(_BINARY, payload)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame and wait for the peer's, but not for ever.

        Shutting the TCP connection at once, with frames of the peer still unread, could reset it and lose our frame.
        """
        if self._transport is None or self._transport.is_close_frame_sent:
            return
        self._transport.send_close(code, reason)  # type: ignore[arg-type]  # any integer is a legal code
        self._deadline = asyncio.get_running_loop().call_later(_CLOSE_DEADLINE_S, self._transport.disconnect, False)

    def drop(self) -> None:
        """Cut the connection without a close frame: the peer sees 1006."""
        if self._transport is not None:
            self._transport.disconnect()

    def connected(self, transport: Transport) -> None:
        """The handshake is complete."""
        self._transport = transport
        self.on_open()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Called by picows."""
        self.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Called by picows; answers a close, joins fragments."""
        kind = frame.msg_type
        if kind == _BINARY and frame.fin:  # first, because it is sound
            self.on_binary(frame.get_payload_as_bytes())
        elif kind == _CLOSE:
            self.on_closing(frame.get_close_code())
        elif kind == _CONTINUATION or not frame.fin:
            self._collect(kind, frame.get_payload_as_bytes(), final=frame.fin)
        elif kind == _TEXT:
            self.on_text(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Called by picows."""
        self.disconnected()

    def disconnected(self) -> None:
        """The connection is gone."""
        self._transport = None
        if self._deadline is not None:
            self._deadline.cancel()
        self.on_lost()

    def pause_writing(self) -> None:
        """A slow peer is its own problem: what it doesn't read is queued, as a media server would."""

    def resume_writing(self) -> None:
        """See pause_writing."""

    def _collect(self, kind: WSMsgType, part: bytes, *, final: bool) -> None:
        if kind != _CONTINUATION:
            self._parts, self._parts_type = [], kind
        self._parts.append(part)
        if final:
            whole, self._parts = b"".join(self._parts), []
            if self._parts_type == _TEXT:
                self.on_text(whole)
            else:
                self.on_binary(whole)
