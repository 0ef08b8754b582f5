"""Both services on their sockets, wired together."""

import asyncio
import contextlib
import socket

from loadtest.twin.answering import measured
from loadtest.twin.avaturn_side import api
from loadtest.twin.avaturn_side.session import Surroundings
from loadtest.twin.avaturn_side.sessions import Sessions
from loadtest.twin.keys import Keys
from loadtest.twin.listening import listen
from loadtest.twin.openai_side import mint, realtime_socket
from loadtest.twin.openai_side.client_secrets import ClientSecrets
from loadtest.twin.profiles import Chance, Profile
from loadtest.twin.ticker import Ticker
from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth

_CLOSE_DEADLINE_S = 1.0


class Twin:
    """One running twin. Make it inside a running loop; `stop` it in the end."""

    def __init__(
        self, *, profile: Profile, seed: int, clock_scale: float, openai: socket.socket, avaturn: socket.socket
    ) -> None:
        self.keys = Keys()
        self.truth = Truth()
        self.openai_origin = "{}:{}".format(*_host_and_port(openai))
        self.avaturn_origin = "{}:{}".format(*_host_and_port(avaturn))
        self._sockets = {"openai": openai, "avaturn": avaturn}
        self._servers: list[asyncio.Server] = []
        self._profile = profile
        self._chance = Chance(profile, seed=seed)
        self._ticker = Ticker()
        timers = Timers(scale=clock_scale)
        self._secrets = ClientSecrets(timers=timers, truth=self.truth)
        self._realtime = realtime_socket.Realtime(
            keys=self.keys,
            client_secrets=self._secrets,
            timers=timers,
            chance=self._chance,
            truth=self.truth,
            answer_s=profile.answer_s,
        )
        surroundings = Surroundings(
            timers=timers,
            chance=self._chance,
            ticker=self._ticker,
            truth=self.truth,
            realtime_url=f"ws://{self.openai_origin}{realtime_socket.PATH}",
        )
        self._sessions = Sessions(keys=self.keys, surroundings=surroundings)

    @property
    def state_url(self) -> str:
        """Where the ground truth is."""
        return f"http://{self.avaturn_origin}{api.STATE_PATH}"

    async def start(self) -> None:
        """Accept connections."""
        minting = mint.Mint(keys=self.keys, chance=self._chance, client_secrets=self._secrets)
        openai_app = measured(minting, truth=self.truth, point_of=mint.point_of, extra=mint.common_headers)
        avaturn_app = api.build(
            keys=self.keys,
            profile=self._profile,
            chance=self._chance,
            sessions=self._sessions,
            client_secrets=self._secrets,
            truth=self.truth,
            ticker=self._ticker,
            room_origin=f"ws://{self.avaturn_origin}",
        )
        avaturn_app = measured(avaturn_app, truth=self.truth, point_of=api.point_of)
        self._servers = [
            await listen(self._sockets["openai"], app=openai_app, upgrade=self._realtime.upgrade),
            await listen(self._sockets["avaturn"], app=avaturn_app, upgrade=self._sessions.upgrade),
        ]

    async def stop(self) -> None:
        """End all sessions and close all sockets; takes at most about a second."""
        for server in self._servers:
            server.close()
        self._sessions.stop()
        for connection in list(self._realtime.open):
            connection.close(1001, "twin stopped")
        self._ticker.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._realtime.idle.wait(), _CLOSE_DEADLINE_S)


def _host_and_port(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return (f"[{host}]" if ":" in host else host), port
