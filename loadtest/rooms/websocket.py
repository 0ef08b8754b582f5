"""The WebSocket room: PCM16 frames and JSON app-messages on one socket (TWIN.md#rooms)."""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import picows

from loadtest.caller.pacing import Ticker
from loadtest.caller.situations import Around
from loadtest.errors.causes import broken_by, transport_failure
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.http_client import why_refused
from loadtest.http_client.opening import room_socket
from loadtest.rooms import flood
from loadtest.rooms.app_messages import MAX_MESSAGE_BYTES, RoomMessages, bounded
from loadtest.rooms.flood import FloodGate
from loadtest.secrecy.redact import redact
from loadtest.session.ports import Grant, Listener, Situation
from loadtest.sound.speech import FRAME_BYTES, RATE_HZ, Clip
from loadtest.system.clock import now_ns
from loadtest.text.outlets import text as printable
from loadtest.text.validation import reading, whole_number

CLOSE_TIMEOUT_S = 1.0
MAX_SOUND_BYTES = 2 * RATE_HZ
"""A second in one message; frames have 20 ms, and of a longer stretch nobody could say when its parts were heard."""
_BINARY, _TEXT, _CONTINUATION = picows.WSMsgType.BINARY, picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION
_CLOSE, _PING = picows.WSMsgType.CLOSE, picows.WSMsgType.PING
"""To look one up in its enum costs as much as a comparison of a frame with silence, a hundred times a second a room."""
NO_CODE = 1005
_UNASKED = ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol")
"""What an upgrade may only agree to where it was asked for (RFC 6455 4.1): browsers refuse such a room."""
_NEVER_SENT = (picows.WSCloseCode.NO_INFO, picows.WSCloseCode.ABNORMAL_CLOSURE)
"""Codes that only stand for a close without one (RFC 6455 7.4.1)."""


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
        trust: ssl.SSLContext | None,
        live: bool = False,
        situation: Situation | None = None,
    ) -> None:
        self._around = Around(listener, situation, ticker, sends_again=True)
        self._grant, self._listener, self._ticker = grant, self._around.listener, ticker
        self._microphone = self._around.microphone(between)
        self._uplink = self._around.uplink(self._put)
        self._beat = self._tick if self._uplink is None else self._tick_into_line
        self._messages = RoomMessages(self._listener, watch=grant.watch, on_joined=self._on_joined)
        self._proxy, self._trust, self._live = proxy, trust, live
        self._transport: Any = None
        self._socket: socket.socket | None = None
        self._joined = asyncio.get_running_loop().create_future()
        self._leaving = False
        self._first_frame = True
        self._parts = bytearray()
        self._parts_kind: Any = None
        self._learning: asyncio.Task[None] | None = None
        self._gate = FloodGate(now_ns())

    @property
    def lost(self) -> int | None:
        """Unknown: TCP hides what it has sent again."""
        return None

    async def connect(self) -> None:
        try:
            with reading("the room's upgrade"):
                await self._upgrade()
        except asyncio.CancelledError:
            # picows would leave the connection open until its own handshake timeout.
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            raise
        if self._transport is None:  # picows calls a handshake complete whose connection was lost
            raise StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, "the connection was lost in the upgrade")
        await self._joined

    async def _upgrade(self) -> None:
        try:
            await room_socket(
                self,
                self._grant.room_url,
                headers={"Authorization": f"Bearer {self._grant.token}"},
                live=self._live,
                trust=self._trust,
                proxy=self._proxy,
                max_frame_bytes=MAX_MESSAGE_BYTES,
                on_socket=self._on_socket,
            )
        except (OSError, picows.WSError) as error:
            if isinstance(error, picows.WSHandshakeError):
                self._grant.watch.look("room: refused handshake", error.raw_header or b"", in_room=True)
                self._grant.watch.look("room: refused handshake, body", error.raw_body or b"", in_room=True)
            raise _refused(error) from error

    def speak(self, clip: Clip) -> None:
        if self._transport is None or self._transport.is_disconnected:
            raise StepError(Kind.TRANSPORT, Code.WS_CLOSED, "the room is over")
        self._microphone.speak(clip.frames, first_voiced=clip.first_voiced, last_voiced=clip.last_voiced)

    async def close(self) -> None:
        self._leaving = True
        self._around.leave()
        self._ticker.remove(self._beat)
        if self._transport is None or self._transport.is_disconnected:
            return
        self._transport.send_close(picows.WSCloseCode.OK)
        try:
            await asyncio.wait_for(self._transport.wait_disconnected(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            self._transport.disconnect(graceful=False)
        except Exception:  # noqa: S110  # picows tells here what it found wrong with a frame; the room is left either way
            pass

    async def cut(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Be gone without a word, as after a crash."""
        self._leaving = True
        self._around.leave()
        self._ticker.remove(self._beat)
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    def _on_socket(self, opened: socket.socket) -> None:
        self._socket = opened

    def _tick(self) -> None:
        frame, marks = self._microphone.take()
        if frame is not None:
            t_ns = now_ns()  # before the hand-over: nobody can have the frame earlier than its mark says
            self._transport.send(_BINARY, frame)
            for mark in marks:
                self._listener.on_mark(t_ns, mark)

    def _tick_into_line(self) -> None:
        frame, marks = self._microphone.take()
        if frame is not None and self._uplink is not None:
            self._uplink.send(frame, marks)

    def _put(self, frame: bytes | None) -> None:
        """What has come to the end of the line."""
        if frame is not None and not self._leaving and not self._transport.is_disconnected:
            self._transport.send(_BINARY, frame)

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport
        self._listener.on_mark(now_ns(), Mark.SIGNALLED)
        try:
            answered = transport.response.headers
            head = "\n".join(f"{name}: {value}" for name, value in answered.items())
            self._grant.watch.look("room: handshake", head, in_room=True)
            for name in _UNASKED:
                if answered.get(name):
                    raise _no_room(f"an upgrade with {name}, which nobody asked for")
        except Exception as error:
            self._end(now_ns(), broken_by(error))
            transport.disconnect(graceful=False)
        if self._leaving:  # cancelled just as the handshake was answered
            transport.disconnect(graceful=False)

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        t_ns = now_ns()
        kind = frame.msg_type
        if kind == _CLOSE:
            code = frame.get_close_code()
            try:
                with reading("the reason that the room closed with"):
                    reason = frame.get_close_reason() or ""
                self._grant.watch.look("room: close reason", reason, in_room=True)
                self._on_end(t_ns, int(code) or NO_CODE, printable(reason))
            except Exception as error:
                self._end(t_ns, broken_by(error))
            transport.send_close(picows.WSCloseCode.OK if code in _NEVER_SENT else code)
            transport.disconnect()
        elif not self._leaving:
            try:
                if frame.rsv1 or frame.rsv2 or frame.rsv3:
                    raise _no_room("a frame with reserved bits, and no extension was agreed on")
                if kind == _BINARY and self._parts_kind is None and frame.fin:  # nearly all: fifty a second
                    self._gate.take(t_ns, flood.of_sound(frame.payload_size))
                    self._on_sound(t_ns, frame.get_payload_as_bytes())
                else:
                    self._take(t_ns, kind, frame)
            except Exception as error:
                self._end(t_ns, broken_by(error))
                transport.send_close(picows.WSCloseCode.PROTOCOL_ERROR)
                transport.disconnect()  # it may go on for ever

    def _take(self, t_ns: int, kind: Any, frame: Any) -> None:
        """A frame that is neither a close nor a whole piece of sound. Raises StepError for what no room may send."""
        size = frame.payload_size
        weight = flood.PING if kind == _PING else flood.of_sound(size) if kind == _BINARY else flood.of_text(size)
        self._gate.take(t_ns, weight)
        if kind == _PING:
            self._transport.send_pong(frame.get_payload_as_bytes())
        elif kind in (_BINARY, _TEXT, _CONTINUATION):
            self._on_part(t_ns, kind, frame)

    def _on_part(self, t_ns: int, kind: Any, frame: Any) -> None:
        """A message in one frame or in several (RFC 6455 5.4)."""
        if (kind == _CONTINUATION) == (self._parts_kind is None):
            raise _no_room("a frame that continues nothing" if kind == _CONTINUATION else "a message within another")
        if kind != _CONTINUATION:
            self._parts_kind = kind
        bounded(len(self._parts) + frame.payload_size)
        self._parts += frame.get_payload_as_memoryview()
        if frame.fin:
            whole, self._parts = bytes(self._parts), bytearray()
            kind, self._parts_kind = self._parts_kind, None
            if kind == _TEXT:
                self._messages.take(t_ns, whole)
            else:
                self._on_sound(t_ns, whole)

    def _on_sound(self, t_ns: int, pcm: bytes) -> None:
        if len(pcm) != FRAME_BYTES and (not pcm or len(pcm) % 2 or len(pcm) > MAX_SOUND_BYTES):
            raise _no_room(f"a message of {len(pcm)} bytes where 16-bit PCM of some ms was to be")
        if self._first_frame:
            self._first_frame = False
            self._listener.on_mark(t_ns, Mark.FIRST_FRAME)
            if not self._joined.done():
                self._joined.set_result(None)
        self._listener.on_audio(t_ns, pcm)

    def on_ws_disconnected(self, transport: Any) -> None:
        self._ticker.remove(self._beat)
        self._learning = asyncio.ensure_future(self._learn_end(now_ns(), transport))

    async def _learn_end(self, t_ns: int, transport: Any) -> None:
        """Why the connection was lost: picows says only afterwards that it was it who hung up, over a bad frame."""
        try:
            await transport.wait_disconnected()
        except Exception as error:
            said = error.args[1] if isinstance(error, picows.WSProtocolError) else repr(error)
            self._end(t_ns, _no_room(f"a broken frame: {said}"))
        else:
            self._on_end(t_ns, 1006, "connection lost")

    def pause_writing(self) -> None:
        """The peer takes no more audio: what was "sent" has not left, and no stamp of it would be true."""
        self._on_end(now_ns(), 1006, "the room takes no more audio")

    def _on_joined(self) -> None:
        if not self._leaving:
            self._ticker.add(self._beat)

    def _on_end(self, t_ns: int, code: int, reason: str) -> None:
        detail = redact(f"the room closed: {code} {reason}".strip())
        told = why_refused.of_close(code, reason, detail=detail)
        self._end(t_ns, told or StepError(Kind.TRANSPORT, Code.WS_CLOSED, detail))

    def _end(self, t_ns: int, why: StepError) -> None:
        self._ticker.remove(self._beat)
        if not self._leaving:
            self._leaving = True
            self._fail(why)
            self._listener.on_closed(t_ns, why)

    def _fail(self, error: StepError) -> None:
        if not self._joined.done():
            self._joined.set_exception(error)
            self._joined.exception()  # seen: nobody may be waiting any more


def _refused(error: OSError | picows.WSError) -> StepError:
    """An upgrade that was not granted; only a limit is more telling than that it was refused."""
    if isinstance(error, OSError):
        return transport_failure(error, Code.CONNECT_FAILED, redact(str(error)))
    if not isinstance(error, picows.WSHandshakeError) or error.response is None:
        kind = Kind.REJECTED if isinstance(error, picows.WSHandshakeError) else Kind.PROTOCOL
        return StepError(kind, Code.WS_REFUSED, redact(str(error)))
    status, packed, headers = int(error.response.status), error.raw_body or b"", error.response.headers
    body = packed.decode(errors="replace")
    code = why_refused.of_http(status, body)
    if code not in (Code.LIMITS_EXCEEDED, Code.QUOTA, Code.RATE_LIMITED):
        code = Code.WS_REFUSED
    due = whole_number(headers.get("Content-Length", "")) or int("Transfer-Encoding" in headers)
    unread = " (its body came later, and was not read)" if len(packed) < due else ""  # picows waits for the head alone
    return StepError(Kind.REJECTED, code, redact(f"{error}{unread}: {body}".rstrip(": ")), http_status=status)


def _no_room(what: str) -> StepError:
    return StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"the room sent {what}")
