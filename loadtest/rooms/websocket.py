"""The WebSocket room: PCM16 frames and JSON app-messages on one socket (INTERFACE.md "Room over WebSocket")."""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import picows

from loadtest.clock import now_ns
from loadtest.errors import Code, Kind, StepError, transport_failure
from loadtest.events import Mark
from loadtest.ports import Grant, Listener
from loadtest.redact import redact
from loadtest.rooms.app_messages import RoomMessages
from loadtest.rooms.microphone import Microphone
from loadtest.rooms.pacing import Ticker
from loadtest.speech import Clip

CLOSE_TIMEOUT_S = 1.0
HANDSHAKE_TIMEOUT_S = 60.0
"""Above every connect timeout: the step's own deadline ends a handshake that hangs."""
_BINARY, _TEXT, _CONTINUATION = picows.WSMsgType.BINARY, picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION
"""To look one up in its enum costs as much as a comparison of a frame with silence, a hundred times a second a room."""


class WebSocketRoom(picows.WSListener):
    """One user's side of a room. `between`: frames for when nothing is spoken, in turn; none: nothing is sent then."""

    def __init__(
        self,
        grant: Grant,
        listener: Listener,
        between: tuple[bytes, ...],
        ticker: Ticker,
        *,
        proxy: str | None,
        trust: ssl.SSLContext,
    ) -> None:
        self._grant, self._listener, self._ticker = grant, listener, ticker
        self._microphone = Microphone(between)
        self._messages = RoomMessages(listener, on_joined=self._on_joined, on_broken=self._fail)
        self._proxy, self._trust = proxy, trust
        self._transport: Any = None
        self._socket: socket.socket | None = None
        self._joined = asyncio.get_running_loop().create_future()
        self._leaving = False
        self._first_frame = True
        self._parts = bytearray()

    @property
    def lost(self) -> int | None:
        """Unknown: TCP hides what it has sent again."""
        return None

    async def connect(self) -> None:
        try:
            await picows.ws_connect(
                lambda: self,
                self._grant.room_url,
                extra_headers={"Authorization": f"Bearer {self._grant.token}"},
                websocket_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                max_redirects=0,
                proxy=self._proxy,
                socket_factory=self._connected_socket,
                ssl_context=self._trust if self._grant.room_url.startswith("wss:") else None,
            )
        except asyncio.CancelledError:
            # picows would leave the connection open until its own handshake timeout.
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            raise
        except picows.WSHandshakeError as error:
            raise StepError(Kind.REJECTED, Code.WS_REFUSED, str(error)) from error
        except OSError as error:
            raise transport_failure(error, Code.CONNECT_FAILED, str(error)) from error
        except picows.WSError as error:
            raise StepError(Kind.PROTOCOL, Code.WS_REFUSED, str(error)) from error
        await self._joined

    def speak(self, clip: Clip) -> None:
        if self._transport is None or self._transport.is_disconnected:
            raise StepError(Kind.TRANSPORT, Code.WS_CLOSED, "the room is over")
        self._microphone.speak(clip.frames, first_voiced=clip.first_voiced, last_voiced=clip.last_voiced)

    async def close(self) -> None:
        self._leaving = True
        self._ticker.remove(self._tick)
        if self._transport is None or self._transport.is_disconnected:
            return
        self._transport.send_close(picows.WSCloseCode.OK)
        try:
            await asyncio.wait_for(self._transport.wait_disconnected(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            self._transport.disconnect(graceful=False)

    def drop(self) -> None:
        """Be gone without a word, as after a crash."""
        self._leaving = True
        self._ticker.remove(self._tick)
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    async def _connected_socket(self, url: Any) -> socket.socket:
        """For picows: a socket that we know of while the handshake is still under way. Raises OSError."""
        loop = asyncio.get_running_loop()
        problem = OSError(f"{url.host} has no address")
        for family, kind, protocol, _, address in await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM):
            candidate = socket.socket(family, kind, protocol)
            candidate.setblocking(False)
            try:
                await loop.sock_connect(candidate, address)
            except OSError as error:
                candidate.close()
                problem = error
            except asyncio.CancelledError:
                candidate.close()
                raise
            else:
                self._socket = candidate
                return candidate
        raise problem

    def _tick(self) -> None:
        frame, marks = self._microphone.take()
        if frame is not None:
            t_ns = now_ns()  # before the hand-over: nobody can have the frame earlier than its mark says
            self._transport.send(_BINARY, frame)
            for mark in marks:
                self._listener.on_mark(t_ns, mark)

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport
        self._listener.on_mark(now_ns(), Mark.SIGNALLED)
        if self._leaving:  # cancelled just as the handshake was answered
            transport.disconnect(graceful=False)

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        t_ns = now_ns()
        kind = frame.msg_type
        if kind == _BINARY and frame.fin:
            if self._first_frame:
                self._first_frame = False
                self._listener.on_mark(t_ns, Mark.FIRST_FRAME)
                if not self._joined.done():
                    self._joined.set_result(None)
            self._listener.on_audio(t_ns, frame.get_payload_as_bytes())
        elif kind in (_TEXT, _CONTINUATION):
            self._parts += frame.get_payload_as_memoryview()
            if frame.fin:
                text, self._parts = bytes(self._parts), bytearray()
                self._messages.take(t_ns, text)
        elif kind == picows.WSMsgType.CLOSE:
            self._on_end(t_ns, int(frame.get_close_code()), frame.get_close_reason() or "")
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: Any) -> None:
        self._on_end(now_ns(), 1006, "connection lost")

    def pause_writing(self) -> None:
        """The peer takes no more audio: what was "sent" has not left, and no stamp of it would be true."""
        self._on_end(now_ns(), 1006, "the room takes no more audio")

    def _on_joined(self) -> None:
        if not self._leaving:
            self._ticker.add(self._tick)

    def _on_end(self, t_ns: int, code: int, reason: str) -> None:
        self._ticker.remove(self._tick)
        if not self._leaving:
            self._leaving = True
            why = StepError(Kind.TRANSPORT, Code.WS_CLOSED, redact(f"the room closed: {code} {reason}".strip()))
            self._fail(why)
            self._listener.on_closed(t_ns, why)

    def _fail(self, error: StepError) -> None:
        if not self._joined.done():
            self._joined.set_exception(error)
            self._joined.exception()  # seen: nobody may be waiting any more
