"""Which room a grant leads to."""

import ssl
from urllib.parse import urlsplit

from loadtest.errors import Code, Kind, StepError
from loadtest.ports import Grant, Listener, Room
from loadtest.rooms.pacing import Ticker
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.settings import Settings, is_loopback


def open_room(
    grant: Grant,
    listener: Listener,
    between: tuple[bytes, ...],
    ticker: Ticker,
    settings: Settings,
    trust: ssl.SSLContext,
) -> Room:
    """The room of `room_url`, not yet connected. Raises StepError where there is none for it, or where a run that was
    allowed only this machine is sent elsewhere."""
    if not settings.target.live and not is_loopback(grant.room_url):
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, "room_url is not on this machine, and the run is not --live")
    if urlsplit(grant.room_url).scheme not in ("ws", "wss"):
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, "room_url is no WebSocket address")
    return WebSocketRoom(grant, listener, between, ticker, proxy=settings.target.proxy, trust=trust)
