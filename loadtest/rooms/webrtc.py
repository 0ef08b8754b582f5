"""The WebRTC room: WHIP signalling (RFC 9725), Opus both ways, app-messages on a data channel (TWIN.md#rooms)."""

import asyncio
import contextlib
import ssl
from collections import deque
from urllib.parse import urljoin, urlsplit

import aiohttp

from loadtest.caller.microphone import Sends
from loadtest.caller.pacing import Ticker
from loadtest.caller.situations import Around
from loadtest.config.access.guard import is_loopback
from loadtest.errors.causes import broken_by, transport_failure
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.http_client import why_refused
from loadtest.http_client.aiohttp_session import http_session
from loadtest.http_client.opening import no_way
from loadtest.rooms import flood, opus
from loadtest.rooms.app_messages import RoomMessages
from loadtest.rooms.flood import FloodGate
from loadtest.rooms.peer import Peer
from loadtest.rooms.reception import Reception
from loadtest.secrecy.redact import redact
from loadtest.session.ports import Grant, Listener, Situation
from loadtest.sound.speech import FRAME_NS, Clip
from loadtest.system.clock import now_ns
from loadtest.text.validation import reading

CLOSE_TIMEOUT_S = 1.0
_ANSWER_BYTES = 64 * 1024
_CANDIDATES = 64
"""Addresses of one server; each is asked from each of ours. Some have a dozen."""


class WebRtcRoom:
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
        self._around = Around(listener, situation, ticker, sends_again=False)
        self._grant, self._listener, self._ticker = grant, self._around.listener, ticker
        self._proxy, self._trust, self._live = proxy, trust, live
        host = urlsplit(grant.room_url).hostname or ""
        self._on_this_machine = is_loopback(grant.room_url)
        loopback = ("::1" if host == "::1" else "127.0.0.1") if self._on_this_machine else None
        self._peer = Peer(self, loopback=loopback, elsewhere=live)
        self._encodes = self._around.echo is not None
        """What the microphone hears isn't known ahead: its frames are encoded as they leave."""
        if self._encodes:
            heard = self._around.microphone(between, ahead_ns=FRAME_NS)
            self._microphone: Sends = opus.EncodedMicrophone(heard)
        else:
            self._microphone = self._around.microphone(opus.encode(between))
        self._uplink = self._around.uplink(self._put)
        self._resting, self._rested = 0, deque[int]()
        """How long nothing was said by now, and before each frame that is on the line, in frames."""
        self._beat = self._tick if self._uplink is None else self._tick_into_line
        self._messages = RoomMessages(self._listener, watch=grant.watch, on_joined=self._on_joined)
        self._reception = Reception()
        self._resource: str | None = None
        self._ready = asyncio.get_running_loop().create_future()
        self._is_over = self._has_frame = False
        self._gate = FloodGate(now_ns())

    @property
    def lost(self) -> int:
        """Packets that didn't come, or later than a player waits for them."""
        return self._reception.lost

    async def connect(self) -> None:
        offer = await self._peer.offer()
        with reading("the room's answer"):
            answer = await self._signal(offer)
            self._listener.on_mark(now_ns(), Mark.SIGNALLED)
            candidates = _candidates(answer)
            elsewhere = [] if self._live or not self._on_this_machine else [a for a in candidates if not _is_local(a)]
        if len(candidates) > _CANDIDATES:
            told = f"a room with {len(candidates)} addresses, and {_CANDIDATES} are too many"
            raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told)
        if elsewhere:
            told = f"a room on this machine offers the address {elsewhere[0]}, and the run is not --live"
            raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{told}: have it offer 127.0.0.1, or add --live")
        try:
            await self._peer.accept(answer)
        except ValueError as error:
            raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, redact(str(error))) from error
        await self._ready

    def speak(self, clip: Clip) -> None:
        if self._is_over or not self._peer.is_open:
            raise StepError(Kind.TRANSPORT, Code.RTC_CLOSED, "the room is over")
        if self._encodes:
            self._microphone.speak(clip.frames, first_voiced=clip.first_voiced, last_voiced=clip.last_voiced)
            return
        packets = opus.packets_of(clip)
        self._microphone.speak(packets.payloads, first_voiced=packets.first_voiced, last_voiced=packets.last_voiced)

    async def close(self) -> None:
        self._is_over = True
        self._around.leave()
        self._ticker.remove(self._beat)
        resource, self._resource = self._resource, None
        try:
            if resource is not None:
                # RFC 9725 4.2 wants it; the room is left either way.
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with (
                        asyncio.timeout(CLOSE_TIMEOUT_S),
                        self._http() as http,
                        http.delete(resource, allow_redirects=False),
                    ):
                        pass
        finally:
            await self._peer.close()

    async def cut(self) -> None:
        self._is_over = True
        self._resource = None
        self._around.leave()
        self._ticker.remove(self._beat)
        await self._peer.close()

    # --- what the peer tells

    def on_ice_connected(self, t_ns: int) -> None:
        self._listener.on_mark(t_ns, Mark.ICE_CONNECTED)

    def on_dtls_connected(self, t_ns: int) -> None:
        self._listener.on_mark(t_ns, Mark.DTLS_CONNECTED)

    def on_failed(self, t_ns: int, part: str) -> None:
        code = Code.ICE_FAILED if part == "ice" else Code.DTLS_FAILED
        self._end(t_ns, StepError(Kind.TRANSPORT, code, f"{part.upper()} failed"))

    def on_packet(self, t_ns: int, sequence: int, timestamp: int, payload: bytes) -> None:
        if self._is_over:
            return
        try:
            self._gate.take(t_ns, flood.SOUND)
            self._hear(t_ns, self._reception.take(t_ns, sequence, timestamp, payload))
        except Exception as error:
            self._end(t_ns, broken_by(error))

    def _hear(self, t_ns: int, received: tuple[bytes, int, int] | None) -> None:
        if received is None:
            return
        if not self._has_frame:
            self._has_frame = True
            self._listener.on_mark(t_ns, Mark.FIRST_FRAME)
            if not self._ready.done():
                self._ready.set_result(None)
        self._listener.on_audio(t_ns, *received)

    def on_sent_lost(self, t_ns: int) -> None:
        self._listener.on_mark(t_ns, Mark.SENT_LOST)

    def on_text(self, t_ns: int, text: str | bytes) -> None:
        if self._is_over:
            return
        try:
            self._gate.take(t_ns, flood.of_text(len(text)))
            self._messages.take(t_ns, text)
        except Exception as error:
            self._end(t_ns, broken_by(error))

    def on_broken(self, t_ns: int, why: StepError) -> None:
        self._end(t_ns, why)

    def on_closed(self, t_ns: int) -> None:
        self._resource = None  # gone with the connection
        self._end(t_ns, StepError(Kind.TRANSPORT, Code.RTC_CLOSED, "the room hung up"))

    # --- inner workings

    def _tick(self) -> None:
        frame, marks = self._microphone.take()
        if frame is None:
            self._peer.rest()
            return
        self._peer.send(frame)
        for mark in marks:
            self._listener.on_mark(now_ns(), mark)

    def _tick_into_line(self) -> None:
        frame, marks = self._microphone.take()
        if frame is None:
            self._resting += 1
        elif self._uplink is not None:
            self._rested.append(self._resting)
            self._resting = 0
            self._uplink.send(frame, marks)

    def _put(self, frame: bytes | None) -> None:
        """What has come to the end of the line; what was lost on it has a number, too."""
        self._peer.rest(self._rested.popleft())
        if frame is None:
            self._peer.skip()
        elif not self._is_over:
            self._peer.send(frame)

    def _on_joined(self) -> None:
        if not self._is_over:
            self._ticker.add(self._beat)

    def _end(self, t_ns: int, why: StepError) -> None:
        self._ticker.remove(self._beat)
        if not self._is_over:
            self._is_over = True
            self._fail(why)
            self._listener.on_closed(t_ns, why)

    def _fail(self, error: StepError) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # seen: nobody may be waiting any more

    def _http(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self._grant.token}"}
        return http_session(trust=self._trust, live=self._live, headers=headers, proxy=self._proxy)

    async def _signal(self, offer: str) -> str:
        """The answer to the offer. Redirects are refusals here: a run that may only reach this machine follows none."""
        headers = {"Content-Type": "application/sdp"}
        try:
            async with (
                self._http() as http,
                http.post(self._grant.room_url, data=offer, headers=headers, allow_redirects=False) as response,
            ):
                body = await _text(response)
                head = b"\n".join([b"%b: %b" % header for header in response.raw_headers])
                self._grant.watch.look(f"room: HTTP {response.status}, headers", head, in_room=True)
                self._grant.watch.look(f"room: HTTP {response.status}, body", body, in_room=True)
                if response.status != 201:
                    raise self._refused(response.status, body)
                if location := response.headers.get("Location"):
                    with reading("the room's Location"):
                        self._resource = self._own(urljoin(self._grant.room_url, location))
                return body
        except aiohttp.ClientHttpProxyError as error:
            raise StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, no_way(error.status, refused=True)) from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectionResetError) as error:
            raise transport_failure(error, Code.CONNECT_FAILED, redact(str(error))) from error
        except (aiohttp.ClientError, OSError) as error:
            raise transport_failure(error, Code.CONNECTION_LOST, redact(str(error))) from error

    def _own(self, resource: str) -> str | None:
        """The resource to delete, if it is where the room is: the token goes nowhere else."""
        same = urlsplit(resource)[:2] == urlsplit(self._grant.room_url)[:2]
        return resource if same else None

    def _refused(self, status: int, body: str) -> StepError:
        if status // 100 == 2:
            return StepError(
                Kind.PROTOCOL, Code.BAD_SHAPE, f"HTTP {status} is no WHIP answer (201)", http_status=status
            )
        code = why_refused.of_http(status, body)
        detail = redact(f"HTTP {status}: {body}", self._grant.token)
        return StepError(Kind.REJECTED, code, detail, http_status=status)


async def _text(response: aiohttp.ClientResponse) -> str:
    """The body; of a refusal what of it can be read. Raises StepError where no SDP is as long."""
    body, says_all = bytearray(), response.status // 100 != 2
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _ANSWER_BYTES:
                if says_all:
                    break
                raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"an answer of more than {_ANSWER_BYTES >> 10} KiB")
    except aiohttp.ClientPayloadError:
        if not says_all:
            raise
    return body.decode("utf-8", "replace")


def _candidates(answer: str) -> list[str]:
    """The addresses in an answer. Lines and words end where aiortc's parser has them end: it must find no others."""
    words = [line.split() for line in answer.splitlines() if line.startswith("a=candidate:")]
    return [each[4] for each in words if len(each) > 4]


def _is_local(address: str) -> bool:
    return is_loopback(f"//[{address}]" if ":" in address else f"//{address}")
