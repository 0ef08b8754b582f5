"""One WebRTC connection, lean: aiortc makes the connection and carries the messages, the sound goes past it.

Of aiortc are ICE, DTLS and the data channel. Its RTP sender and receiver are left unused: a task, a queue and a decoder
thread per session, and a jitter buffer that holds every packet back by 80 ms. Here a packet is written to the socket in
the tick that makes it, and stamped in the very callback that brings it; a datagram's first byte tells what it is
(RFC 7983). Of RTCP only what the other side missed of ours is heard; none is sent: nobody adapts a bit rate here.

All private names of aiortc and aioice that this relies on are in this file; tests/loadtest/rooms/test_webrtc_room.py
uses each.
"""

import asyncio
import itertools
import struct
from collections.abc import Callable
from typing import Any, Protocol

import pylibsrtp
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSrPacket

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.rooms import flood
from loadtest.rooms.app_messages import bounded
from loadtest.rooms.flood import FloodGate
from loadtest.system.clock import now_ns

CHANNEL = "app"
"""Label of the data channel for app-messages (TWIN.md#rooms)."""
CLOSE_TIMEOUT_S = 1.0
_HEADER = struct.Struct(">BBHII")
_RTP_STEP = 960
"""20 ms on Opus' RTP clock, 48 kHz whatever the sound has (RFC 7587 4.1)."""
SILENT_NS = 200_000_000
"""A stream of which nothing came for so long may be followed by another one: a server that has begun anew."""
MAX_PIECES = 2_048
"""Of messages that aren't whole yet: each that comes is looked for among all of them."""
MAX_CHANNELS = 16
"""Streams of the one association that have ever said something."""


class Ear(Protocol):
    """What a peer tells its owner; every `t_ns` was taken on arrival."""

    def on_ice_connected(self, t_ns: int) -> None:
        """A pair of addresses works."""

    def on_dtls_connected(self, t_ns: int) -> None:
        """The keys are agreed on: sound can flow."""

    def on_failed(self, t_ns: int, part: str) -> None:
        """`part`, ice or dtls, has failed, now or after it had worked."""

    def on_packet(self, t_ns: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """An Opus packet of the other side; `sequence` counts modulo 65536, and goes on where a new stream follows.
        `timestamp`: on Opus' clock, modulo 2**32; of a new stream's first packet it is that of the one before."""

    def on_sent_lost(self, t_ns: int) -> None:
        """The other side reports that it has missed more of our packets."""

    def on_text(self, t_ns: int, text: str | bytes) -> None:
        """A message on the data channel."""

    def on_broken(self, t_ns: int, why: StepError) -> None:
        """It has sent what no room may send: nothing of it is heard from now on."""

    def on_closed(self, t_ns: int) -> None:
        """The other side has hung up."""


class Peer:
    """The offering side of one connection with one audio line both ways. `loopback`: the only local address offered, or
    the first one where `elsewhere`; None: all of this host's, loopback not among them. `close` it in any case."""

    def __init__(self, ear: Ear, *, loopback: str | None, elsewhere: bool = False) -> None:
        self._ear, self._loopback, self._elsewhere = ear, loopback, elsewhere
        # Without this empty list aiortc asks Google's STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        line: Any = self._connection.addTransceiver("audio", direction="sendrecv")
        # Nothing else is spoken here: a codec that is offered, G.711 say, may be chosen.
        spoken = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/opus"]
        line.setCodecPreferences(spoken)
        line.sender.send, line.receiver.receive = self._start_sending, self._start_receiving
        self._line = line
        self._dtls: Any = line.receiver.transport
        self._ice: Any = self._dtls.transport
        self._dtls.on("statechange", self._on_dtls_state)
        self._ice.on("statechange", self._on_ice_state)
        self._channel = self._connection.createDataChannel(CHANNEL)
        self._channel.on("message", lambda text: self._ear.on_text(now_ns(), text))
        self._write: Callable[[bytes], None] | None = None
        self._payload_type = self._ssrc = self._sequence = self._timestamp = self._marker = 0
        self._sent_lost = 0
        self._understood: tuple[int, ...] = ()
        """Payload types that are Opus: the offer's, and the answer's own number for it."""
        self._stream = b""
        """The SSRC that is listened to: two streams at once would be one muddle of numbers and of sound."""
        self._heard_ns = self._heard_sequence = self._renumbered = self._heard_timestamp = self._retimed = 0
        self._gate = FloodGate(now_ns())
        """For whatever isn't sound that is heard."""
        self._bound_reassembly()
        self._is_closed = self._is_deaf = False

    async def offer(self) -> str:
        """The SDP to send, with all candidates in it. No packet leaves the host."""
        connection = self._ice.iceGatherer._connection
        if self._loopback is not None:
            gather, own = connection.get_component_candidates, self._loopback
            connection.get_component_candidates = lambda component, addresses: gather(
                component, [own, *addresses] if self._elsewhere else [own]
            )
        await self._connection.setLocalDescription()
        self._understood = (self._line._codecs[0].payloadType,)
        for protocol in connection._protocols:
            protocol.datagram_received = self._demultiplexed(protocol.datagram_received)
        return str(self._connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """The other side's SDP: connecting begins. Raises ValueError for what is none, or none that fits the offer."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        except Exception as error:  # aiortc's parser raises whatever it stumbles over
            raise ValueError(f"the answer is no SDP that fits the offer ({error or type(error).__name__})") from error
        # RFC 3264 6.1 wants the offer's number in what is sent to us; there are servers that send their own.
        self._understood = (*self._understood, self._line._codecs[0].payloadType)

    def send(self, payload: bytes) -> None:
        """One 20 ms packet, written to the socket before this returns; nothing while there is no connection."""
        self.skip()
        kind, self._marker = self._marker | self._payload_type, 0
        if self._write is not None:
            self._write(_HEADER.pack(0x80, kind, self._sequence, self._timestamp, self._ssrc) + payload)

    def rest(self, packets: int = 1) -> None:
        """Nothing is said for as long: the clock goes on, the numbers don't, and the next packet begins another stretch
        of sound (RFC 3551 4.1)."""
        if packets:
            self._timestamp = (self._timestamp + packets * _RTP_STEP) & 0xFFFFFFFF
            self._marker = 0x80

    def skip(self) -> None:
        """One packet that never arrives: the next one's number says so."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + _RTP_STEP) & 0xFFFFFFFF

    @property
    def is_open(self) -> bool:
        """Whether sound that is sent now has a chance to arrive."""
        return self._write is not None

    async def close(self) -> None:
        """Hang up; bounded, idempotent, never raises. No task is left, and no socket."""
        self._is_closed, self._write = True, None
        # In a task: aiortc's close must not be cancelled while another one, of its own, is under way.
        closing = asyncio.ensure_future(self._connection.close())
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not (await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S))[0]:
            for protocol in self._ice.iceGatherer._connection._protocols:
                protocol.transport.abort()

    async def _start_sending(self, parameters: Any) -> None:
        """In the place of the sender's own, called once DTLS is up."""
        pair = self._ice._connection._nominated[1]
        protect, to, address = self._dtls._tx_srtp.protect, pair.protocol.transport.sendto, pair.remote_addr
        self._payload_type, self._ssrc = parameters.codecs[0].payloadType, parameters.rtcp.ssrc
        if not self._is_closed:
            self._write = lambda packet: to(protect(packet), address)

    async def _start_receiving(self, _parameters: Any) -> None:
        """In the place of the receiver's own, which would start a thread."""

    def _demultiplexed(self, datagram_received: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
        """RFC 7983: 128 to 191 is SRTP or SRTCP; of these, RTCP has payload types from 192 to 223 (RFC 5761 4)."""

        def received(data: bytes, address: Any) -> None:
            t_ns = now_ns()
            if len(data) < 2 or self._is_deaf:
                return
            if not 127 < data[0] < 192:
                if self._is_let_in(t_ns, flood.DATAGRAM):
                    datagram_received(data, address)
            elif self._dtls._rx_srtp is not None and not self._is_closed:
                try:
                    if 191 < data[1] < 224:
                        if self._is_let_in(t_ns, flood.DATAGRAM):
                            self._hear_reports(t_ns, self._dtls._rx_srtp.unprotect_rtcp(data))
                        return
                    stream = data[8:12]
                    if data[1] & 0x7F not in self._understood or (
                        stream != self._stream and t_ns - self._heard_ns < SILENT_NS
                    ):
                        self._is_let_in(t_ns, 1)
                        return
                    packet = self._dtls._rx_srtp.unprotect(data)
                    payload = payload_of(packet)
                    _, _, sequence, timestamp, _ = _HEADER.unpack_from(packet)
                except (pylibsrtp.Error, IndexError, struct.error):  # a stranger's, half a one, or one come twice
                    self._is_let_in(t_ns, flood.SOUND)
                    return
                if stream != self._stream:
                    self._follow(stream, sequence, timestamp)
                self._heard_ns, self._heard_sequence, self._heard_timestamp = t_ns, sequence, timestamp
                number, clock = (sequence + self._renumbered) & 0xFFFF, (timestamp + self._retimed) & 0xFFFFFFFF
                self._ear.on_packet(t_ns, number, clock, payload)

        return received

    def _bound_reassembly(self) -> None:
        """Of the messages on data channels: aiortc keeps their fragments without an end, until the last one comes."""
        association: Any = self._connection.sctp
        receive, streams = association._receive_data_chunk, association._inbound_streams
        window = association._advertised_rwnd

        async def received(chunk: Any) -> None:
            if self._is_deaf:
                return
            await receive(chunk)
            pieces = len(association._sack_misordered) + sum([len(each.reassembly) for each in streams.values()])
            if pieces > MAX_PIECES or len(streams) > MAX_CHANNELS:
                what = f"more than {MAX_PIECES} pieces of messages, or on more than {MAX_CHANNELS} channels"
                self._break(now_ns(), StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"the room sent {what}"))
                return
            try:
                bounded(window - association._advertised_rwnd)
            except StepError as error:
                self._break(now_ns(), error)
                return
            self._is_let_in(now_ns(), 1 + (pieces >> 7))

        association._receive_data_chunk = received

    def _is_let_in(self, t_ns: int, weight: int) -> bool:
        """Whether a second has room for something that weighs so much. If not, nothing is heard any more."""
        try:
            self._gate.take(t_ns, weight)
        except StepError as error:
            self._break(t_ns, error)
            return False
        return True

    def _break(self, t_ns: int, why: StepError) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            if not self._is_closed:
                self._ear.on_broken(t_ns, why)

    def _follow(self, stream: bytes, sequence: int, timestamp: int) -> None:
        """From now on this stream is heard. Its numbers go on behind those of the one before."""
        if self._stream:
            self._renumbered += self._heard_sequence + 1 - sequence
            self._retimed += self._heard_timestamp - timestamp
        self._stream = stream

    def _hear_reports(self, t_ns: int, data: bytes) -> None:
        """What receivers' and senders' reports say of our packets (RFC 3550 6.4)."""
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):  # whatever aiortc's parser stumbles over
            return
        told = [packet.reports for packet in packets if isinstance(packet, RtcpRrPacket | RtcpSrPacket)]
        lost = max((each.packets_lost for each in itertools.chain(*told) if each.ssrc == self._ssrc), default=0)
        if lost > self._sent_lost:
            self._sent_lost = lost
            self._ear.on_sent_lost(t_ns)

    def _on_ice_state(self) -> None:
        if self._ice.state == "completed":
            self._ear.on_ice_connected(now_ns())
        elif self._ice.state == "failed" and not self._is_closed:
            self._ear.on_failed(now_ns(), "ice")

    def _on_dtls_state(self) -> None:
        if self._dtls.state == "connected":
            self._ear.on_dtls_connected(now_ns())
        elif self._is_closed:
            return
        elif self._dtls.state == "failed":
            self._ear.on_failed(now_ns(), "dtls")
        elif self._dtls.state == "closed":
            self._write = None
            self._ear.on_closed(now_ns())


def payload_of(packet: bytes) -> bytes:
    """What an RTP packet carries (RFC 3550 5.1): without header, contributors, extension and padding."""
    first = packet[0]
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
    return packet[start : len(packet) - packet[-1] if first & 0x20 else len(packet)]
