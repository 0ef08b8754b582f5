"""Both services on their sockets, wired together."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from loadtest.twin import mutants
from loadtest.twin.avaturn_side.http_api import api
from loadtest.twin.avaturn_side.sessions.store import ROOM_PATH, Sessions
from loadtest.twin.avaturn_side.surroundings import Surroundings
from loadtest.twin.dialing import inline, over_socket
from loadtest.twin.keys import Keys
from loadtest.twin.knobs.profiles import Chance, Profile
from loadtest.twin.openai_side import realtime_socket
from loadtest.twin.openai_side.minting import mint
from loadtest.twin.openai_side.minting.client_secrets import ClientSecrets
from loadtest.twin.openai_side.rate_limits import RateLimits
from loadtest.twin.openai_side.surroundings import Around, Decision
from loadtest.twin.sockets.answering import measured, queued
from loadtest.twin.sockets.certificates import Certificates
from loadtest.twin.sockets.listening import listen
from loadtest.twin.ticker import Ticker
from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth

if TYPE_CHECKING:
    from loadtest.twin.avaturn_side.http_api.webrtc import Whip

_CLOSE_DEADLINE_S = 1.0


class Twin:
    """One running twin. Make it inside a running loop; `stop` it in the end."""

    def __init__(
        self,
        *,
        profile: Profile,
        seed: int,
        clock_scale: float,
        openai: socket.socket,
        avaturn: socket.socket,
        scripts: Mapping[str, Sequence[Decision]] = MappingProxyType({}),
        certificates: Certificates | None = None,
    ) -> None:
        self.keys = Keys()
        self.truth = Truth()
        self.openai_origin = "{}:{}".format(*_host_and_port(openai))
        self.avaturn_origin = "{}:{}".format(*_host_and_port(avaturn))
        self._tls = None if certificates is None else certificates.server
        self._secure = "" if certificates is None else "s"
        self._sockets = {"openai": openai, "avaturn": avaturn}
        self._servers: list[asyncio.Server] = []
        self._profile = profile
        self._make = make = mutants.maker(profile.mutants)
        self._chance = make(Chance)(profile, seed=seed)
        self._ticker = Ticker()
        self._clock_scale = clock_scale
        timers = Timers(scale=clock_scale)
        self._limits = RateLimits(
            requests_per_minute=profile.requests_per_minute,
            tokens_per_minute=profile.tokens_per_minute,
            timers=timers,
        )
        self._secrets = make(ClientSecrets)(timers=timers, truth=self.truth)
        self._realtime = make(realtime_socket.Realtime)(
            keys=self.keys,
            client_secrets=self._secrets,
            truth=self.truth,
            around=Around(
                profile=profile,
                chance=self._chance,
                timers=timers,
                limits=self._limits,
                scripts={name: iter(script) for name, script in scripts.items()},
            ),
        )
        surroundings = Surroundings(
            timers=timers,
            chance=self._chance,
            ticker=self._ticker,
            truth=self.truth,
            dial=inline(self._realtime)
            if profile.upstream == "inline"
            else over_socket(self.openai_origin, tls=None if certificates is None else certificates.client),
            knobs=profile,
            make=make,
        )
        self._sessions = make(Sessions)(keys=self.keys, surroundings=surroundings, most=profile.max_sessions)

        self._whip = _whip(self._sessions) if profile.room == "webrtc" else None

    @property
    def openai_base_url(self) -> str:
        """Of the OpenAI side, as its clients want it."""
        return f"http{self._secure}://{self.openai_origin}/v1"

    @property
    def avaturn_base_url(self) -> str:
        """Of the Avaturn side."""
        return f"http{self._secure}://{self.avaturn_origin}"

    @property
    def state_url(self) -> str:
        """Where the ground truth is."""
        return f"http{self._secure}://{self.avaturn_origin}{api.STATE_PATH}"

    async def start(self) -> None:
        """Accept connections."""
        minting = self._make(mint.Mint)(
            keys=self.keys,
            profile=self._profile,
            chance=self._chance,
            client_secrets=self._secrets,
            limits=self._limits,
        )
        openai_app = measured(minting, truth=self.truth, point_of=mint.point_of, extra=minting.common_headers)
        avaturn_app = api.build(
            keys=self.keys,
            profile=self._profile,
            chance=self._chance,
            sessions=self._sessions,
            client_secrets=self._secrets,
            truth=self.truth,
            ticker=self._ticker,
            room_url=self._room_url,
            rooms=self._whip.router() if self._whip is not None else None,
            make=self._make,
        )
        if self._profile.slots is not None:
            avaturn_app = queued(avaturn_app, slots=self._profile.slots, passes=lambda path: path == api.STATE_PATH)
        avaturn_app = measured(avaturn_app, truth=self.truth, point_of=api.point_of, extra=self._clock_header)
        self._servers = [
            await listen(self._sockets["openai"], app=openai_app, upgrade=self._realtime.upgrade, tls=self._tls),
            await listen(self._sockets["avaturn"], app=avaturn_app, upgrade=self._sessions.upgrade, tls=self._tls),
        ]

    async def stop(self) -> None:
        """End all sessions and close all sockets; takes at most about a second."""
        for server in self._servers:
            server.close()
        self._sessions.stop()
        if self._whip is not None:
            await self._whip.stop()
        for connection in list(self._realtime.open):
            connection.close(1001, "twin stopped")
        self._ticker.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._realtime.idle.wait(), _CLOSE_DEADLINE_S)

    def _clock_header(self) -> list[tuple[bytes, bytes]]:
        """Whoever measures the timers has to know that they run faster; in real time there is nothing to tell."""
        return [] if self._clock_scale == 1 else [(b"x-twin-clock-scale", b"%g" % self._clock_scale)]

    def _room_url(self, session_id: str) -> str:
        if self._whip is None:
            return f"ws{self._secure}://{self.avaturn_origin}{ROOM_PATH}{session_id}"
        return f"http{self._secure}://{self.avaturn_origin}{ROOM_PATH}{session_id}/whip"


def _whip(sessions: Sessions) -> "Whip":
    from loadtest.twin.avaturn_side.http_api import webrtc  # brings aiortc, which only an extra installs

    webrtc.warm_up()
    return webrtc.Whip(sessions)


def _host_and_port(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return (f"[{host}]" if ":" in host else host), port
