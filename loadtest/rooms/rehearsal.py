"""A WebRTC connection of this process with itself, so that no session pays for first calls (30 ms of DTLS alone)."""

import asyncio
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from loadtest.errors.exceptions import StepError
from loadtest.rooms.peer import Peer

LIMIT_S = 5.0
_LOOPBACK = "127.0.0.1"


class _Silent:
    """A peer's owner that only waits for a message to come back."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def on_ice_connected(self, t_ns: int) -> None:
        """Nothing to do."""

    def on_dtls_connected(self, t_ns: int) -> None:
        """Nothing to do."""

    def on_failed(self, t_ns: int, part: str) -> None:
        """The limit ends it."""

    def on_broken(self, t_ns: int, why: StepError) -> None:
        """The limit ends it."""

    def on_closed(self, t_ns: int) -> None:
        """Nothing to do."""

    def on_packet(self, t_ns: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """Nothing to do."""

    def on_sent_lost(self, t_ns: int) -> None:
        """Nothing to do."""

    def on_text(self, t_ns: int, text: str | bytes) -> None:
        self.heard.set()


async def rehearse() -> None:
    """Connect, exchange a message, hang up. Raises TimeoutError where that can't be done within LIMIT_S."""
    owner = _Silent()
    peer = Peer(owner, loopback=_LOOPBACK)
    other = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    other.on("datachannel", lambda channel: channel.send("hello"))
    try:
        async with asyncio.timeout(LIMIT_S):
            await other.setRemoteDescription(RTCSessionDescription(sdp=await peer.offer(), type="offer"))
            ice: Any = other.getReceivers()[0].transport.transport.iceGatherer
            gather = ice._connection.get_component_candidates
            ice._connection.get_component_candidates = lambda component, **_: gather(component, [_LOOPBACK])
            await other.setLocalDescription()
            await peer.accept(other.localDescription.sdp)
            await owner.heard.wait()
            peer.send(b"\0")
    finally:
        await peer.close()
        await other.close()
