"""Which room a grant leads to. What WebRTC and Daily need is imported only where such a room is opened."""

import contextlib
import ssl
from collections.abc import Iterable
from typing import Literal, assert_never
from urllib.parse import urlsplit

from loadtest.caller.pacing import Ticker
from loadtest.config.access.guard import is_loopback
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError, StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.rooms.extras import PACKAGES, is_installed, missing
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.session.ports import Grant, Listener, Room, Situation
from loadtest.sound.speech import Clip
from loadtest.text.validation import is_at_daily

RoomKind = Literal["websocket", "webrtc", "daily"]


def kind_of(room_url: str) -> RoomKind | None:
    """The sort of room that the address tells of; None: of none that is known."""
    parts = urlsplit(room_url)
    if parts.scheme in ("ws", "wss"):
        return "websocket"
    if parts.scheme in ("http", "https") and parts.path.endswith("/whip"):
        return "webrtc"
    return "daily" if is_at_daily(room_url) else None


def open_room(
    grant: Grant,
    listener: Listener,
    between: tuple[bytes, ...],
    ticker: Ticker,
    settings: Settings,
    trust: ssl.SSLContext | None,
    situation: Situation | None = None,
) -> Room:
    """The room of `room_url`, or of the kind that the settings insist on; not yet connected. Raises StepError where
    there is none for it, where its extra is not installed, or where a run that was allowed only this machine is sent
    elsewhere."""
    target = settings.target
    if not target.live and not is_loopback(grant.room_url):
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, "room_url is not on this machine, and the run is not --live")
    kind = kind_of(grant.room_url) if target.room == "auto" else target.room
    scheme = urlsplit(grant.room_url).scheme
    try:
        match kind:
            case "websocket" if scheme in ("ws", "wss"):
                return WebSocketRoom(
                    grant,
                    listener,
                    between,
                    ticker,
                    proxy=target.proxy,
                    trust=trust,
                    live=target.live,
                    situation=situation,
                )
            case "webrtc" if scheme in ("http", "https"):
                from loadtest.rooms.webrtc import WebRtcRoom

                return WebRtcRoom(
                    grant,
                    listener,
                    between,
                    ticker,
                    proxy=target.proxy,
                    trust=trust,
                    live=target.live,
                    situation=situation,
                )
            case "daily":
                if situation is not None and situation.line is not None:
                    told = "a Daily room has a line of its own: [caller.up] and [caller.down] can't be put before it"
                    raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told)
                if not target.live:
                    told = "a Daily room is looked up at Daily, and the run is not --live"
                    raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told)
                from loadtest.rooms.daily import DailyRoom

                return DailyRoom(grant, listener, between, situation=situation)
            case "websocket" | "webrtc" | "none" | "auto" | None:
                pass
            case _:
                assert_never(kind)
    except ImportError as error:
        raise StepError(Kind.BUG, Code.EXTRA_MISSING, missing(str(kind))) from error
    raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"room_url is no address of a {kind or 'known kind of'} room")


async def prepare(settings: Settings, clips: Iterable[Clip]) -> None:
    """Import, encode and rehearse before the first session what the kinds of room that may come need: 0.7 s that would
    end up in somebody's latency. A kind that was asked for by name must work: raises ConfigError where its extra is not
    installed. Without a name, all may come whose extra is, but no Daily room to a run that stays on this machine: what
    is imported in vain costs every session (5 % of a core with 200)."""
    wanted = settings.target.room
    if wanted == "auto":
        may_come = (kind for kind in PACKAGES if kind != "daily" or settings.target.live)
        for kind in filter(is_installed, may_come):
            # One that doesn't work here says so when it is opened, if it ever is.
            with contextlib.suppress(ImportError, OSError):
                await _prepare(kind, clips)
        return
    try:
        await _prepare(wanted, clips)
    except ImportError as error:
        raise ConfigError(missing(wanted)) from error


async def _prepare(kind: str, clips: Iterable[Clip]) -> None:
    if kind == "webrtc":
        import loadtest.rooms.webrtc
        from loadtest.rooms.opus import packets_of
        from loadtest.rooms.rehearsal import rehearse

        for clip in clips:
            packets_of(clip)
        await rehearse()
    elif kind == "daily":
        import loadtest.rooms.daily  # noqa: F401
