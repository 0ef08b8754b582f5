"""One user of a room who came over WebRTC: aiortc connects, the twin itself sends and receives the sound.

aiortc's own sender and receiver cost a task, a thread and several queues per user, and hold sound back; the truth about
when a frame was sent needs it to leave in the very tick. The hooks into aiortc are all here.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pylibsrtp
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from loadtest.twin.avaturn_side.rooms.room import Room, Visit
from loadtest.twin.avaturn_side.rooms.webrtc_opus import Decoder, encode
from loadtest.twin.pcm import SILENT_FRAME

CHANNEL = "app"
_CLOSE_DEADLINE_S = 1.0
_PACKETS_A_REPORT = 50
_RTP_CLOCK_STEP = 960
"""20 ms at Opus' 48 kHz (RFC 7587)."""


class BadOfferError(Exception):
    """The offer can't be answered; the text says why."""


class Caller:
    """`on_gone` is called once, when the connection is closed, by whichever side."""

    def __init__(
        self, *, room: Room, address: str, join_latency_s: Callable[[], float], on_gone: Callable[["Caller"], None]
    ) -> None:
        self._address = address
        self._on_gone = on_gone
        self._visit = Visit(room, self, join_latency_s=join_latency_s)
        # Without the empty list aiortc would ask a public STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        audio: Any = self._connection.addTransceiver("audio", direction="sendrecv")
        # An offer of other codecs alone is refused: nothing else is spoken here.
        audio.setCodecPreferences(
            [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/opus"]
        )
        audio.sender.send = self._begin_sending
        audio.receiver.receive = self._begin_receiving
        self._dtls: Any = audio.receiver.transport
        # The connection's own state overlooks a peer that hangs up.
        self._dtls.on("statechange", self._on_state)
        self._dtls.transport.on("statechange", self._on_state)
        self._connection.on("datachannel", self._on_channel)
        self._channel: Any = None
        self._decoder = Decoder()
        self._before = SILENT_FRAME
        self._transmit: Callable[[bytes], None] | None = None
        self._report: Callable[[bytes], None] | None = None
        self._payload_type = self._ssrc = self._sequence = self._timestamp = 0
        self._heard_packets = self._lost = 0
        self._heard_sequence: int | None = None
        self._closing: asyncio.Task[None] | None = None

    async def answer(self, offer: str) -> str:
        """The SDP answer, with the one candidate that the user's own request has shown to be reachable.

        Raises BadOfferError.
        """
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
            ice = self._dtls.transport
            connection = ice.iceGatherer._connection
            gather, addresses = connection.get_component_candidates, [self._address]
            connection.get_component_candidates = lambda component, **_: gather(component, addresses)
            await self._connection.setLocalDescription()
        except Exception as error:  # whatever the parser stumbles over
            raise BadOfferError(f"{type(error).__name__}: {error}") from error
        for protocol in connection._protocols:
            protocol.datagram_received = self._sorting(protocol.datagram_received)
        return str(self._connection.localDescription.sdp)

    def send_text(self, payload: bytes | str) -> None:
        """An app-message; does nothing once the channel is closed."""
        if self._channel is not None and self._channel.readyState == "open" and self._dtls.state == "connected":
            self._channel.send(payload if isinstance(payload, str) else payload.decode())

    def send_binary(self, payload: bytes) -> None:
        """20 ms of the avatar's sound, in the socket when this returns."""
        before, self._before = self._before, payload
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + _RTP_CLOCK_STEP) & 0xFFFFFFFF
        if self._transmit is not None:
            header = struct.pack(">BBHII", 0x80, self._payload_type, self._sequence, self._timestamp, self._ssrc)
            self._transmit(header + encode(before, payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang up, after what was said last has left. The reason has no place in WebRTC."""
        if self._closing is None:
            self._transmit = self._report = None
            self._closing = asyncio.get_running_loop().create_task(self._hang_up())

    async def closed(self) -> None:
        """Return when it is closed; takes at most about a second after `close`."""
        if self._closing is not None:
            await asyncio.wait({self._closing}, timeout=_CLOSE_DEADLINE_S)

    async def _hang_up(self) -> None:
        self._visit.end()
        self._on_gone(self)
        # In a task: aiortc's close must not be cancelled while another one, of its own, is under way.
        closing = asyncio.ensure_future(self._connection.close())
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not (await asyncio.wait({closing}, timeout=_CLOSE_DEADLINE_S))[0]:
            for protocol in self._dtls.transport.iceGatherer._connection._protocols:
                protocol.transport.abort()

    # --- instead of aiortc's RTCRtpSender and RTCRtpReceiver, called when DTLS is up

    async def _begin_sending(self, parameters: Any) -> None:
        pair = self._dtls.transport._connection._nominated[1]
        sendto, address, protect = pair.protocol.transport.sendto, pair.remote_addr, self._dtls._tx_srtp.protect
        protect_report = self._dtls._tx_srtp.protect_rtcp
        self._payload_type, self._ssrc = parameters.codecs[0].payloadType, parameters.rtcp.ssrc
        if self._closing is None:
            self._transmit = lambda packet: sendto(protect(packet), address)
            self._report = lambda packet: sendto(protect_report(packet), address)

    def _begin_receiving(self, _parameters: Any) -> Awaitable[None]:
        return asyncio.sleep(0)

    def _sorting(self, datagram_received: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
        """SRTP is for us, the rest for aiortc (RFC 7983); RTCP, which nobody here answers, is dropped (RFC 5761)."""

        def sort(data: bytes, address: Any) -> None:
            if not data:
                return
            if data[0] < 128 or data[0] > 191:
                datagram_received(data, address)
            elif (data[1] < 192 or data[1] > 223) and self._dtls._rx_srtp is not None and self._closing is None:
                try:
                    self._on_packet(self._dtls._rx_srtp.unprotect(data))
                except pylibsrtp.Error:
                    return

        return sort

    def _on_packet(self, packet: bytes) -> None:
        has_padding, has_extension, contributors = packet[0] & 0x20, packet[0] & 0x10, packet[0] & 0x0F
        start, end = 12 + 4 * contributors, len(packet) - (packet[-1] if has_padding else 0)
        if has_extension:
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        self._count(packet[2] << 8 | packet[3], int.from_bytes(packet[8:12]))
        self._visit.heard(self._decoder.decode(packet[start:end]))

    def _count(self, sequence: int, ssrc: int) -> None:
        """Once a second the user is told how many of his packets never came (RFC 3550 6.4.2); the rest of a report is
        left out: nobody here adapts a bit rate."""
        last = sequence if self._heard_sequence is None else self._heard_sequence
        ahead = (sequence - last) & 0xFFFF
        if ahead < 0x8000:  # else overtaken by the one before
            self._heard_sequence = sequence
            if ahead != 1:
                self._lost += max(0, ahead - 1)
                self._visit.missed(self._lost)
        self._heard_packets += 1
        if self._heard_packets % _PACKETS_A_REPORT == 0 and self._report is not None:
            seen = RtcpReceiverInfo(
                ssrc=ssrc, fraction_lost=0, packets_lost=self._lost, highest_sequence=sequence, jitter=0, lsr=0, dlsr=0
            )
            self._report(bytes(RtcpRrPacket(ssrc=self._ssrc, reports=[seen])))

    def _on_channel(self, channel: Any) -> None:
        if channel.label == CHANNEL and self._channel is None:
            self._channel = channel
            channel.on("message", self._visit.told)
            self._visit.begin()

    def _on_state(self) -> None:
        if {self._dtls.state, self._dtls.transport.state} & {"failed", "closed"}:
            self.close()
