"""Client secrets that are not what they should be (docs/contract.md#rules-of-expiry)."""

import json
from collections.abc import Callable
from typing import Any

from uvicorn._types import HTTPScope

from loadtest.twin.avaturn_side.engines.engine import UNREACHABLE
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.openai_side.config import session_config
from loadtest.twin.openai_side.minting.client_secrets import ClientSecret, ClientSecrets
from loadtest.twin.openai_side.minting.mint import Mint, Understood

_SHORTEST_S, _LONGEST_S = 10, 7200


class NoExpiryCheck(ClientSecrets):
    """An expired secret opens sessions as if it were fresh."""

    def find(self, value: str) -> ClientSecret | None:
        return self.kept(value) if value in self._expires_s else None

    def _purge(self, now_s: float) -> None:
        """What never expires is never forgotten."""


class AcceptsThenSilence(Session):
    """A session whose secret is refused starts all the same; the avatar is there, but never answers."""

    def upstream_refused(self, code: str | None, *, reason: str = UNREACHABLE) -> None:
        self.upstream_ready()


class KilledAtExpiry(Session):
    """A session ends when its secret expires, although its socket is open."""

    def minted_with(self, secret: ClientSecret) -> None:
        super().minted_with(secret)
        timers = self._around.timers
        timers.after(secret.expires_s - timers.now_s(), lambda: self.end("engine_failed"))


class Default60(Mint):
    """A secret lives 60 s by default."""

    def understood(self, request: Any) -> Understood:
        return super().understood(_with_ttl(request, lambda ttl_s: 60 if ttl_s is None else ttl_s))


class Default7200(Mint):
    """A secret lives 7200 s by default."""

    def understood(self, request: Any) -> Understood:
        return super().understood(_with_ttl(request, lambda ttl_s: 7200 if ttl_s is None else ttl_s))


class Milliseconds(Mint):
    """`expires_at` is in milliseconds."""

    async def _answer(self, scope: HTTPScope, body: bytes) -> bytes:
        answer = json.loads(await super()._answer(scope, body))
        return json.dumps({**answer, "expires_at": answer["expires_at"] * 1000}).encode()


class Clamps(Mint):
    """A TTL out of bounds becomes the nearest bound, without a word."""

    def understood(self, request: Any) -> Understood:
        return super().understood(_with_ttl(request, _clamped))


class ExclusiveBounds(Mint):
    """TTLs of exactly 10 and 7200 s are refused."""

    def understood(self, request: Any) -> Understood:
        return super().understood(_with_ttl(request, _pushed_out))


class PooledSecrets(ClientSecrets):
    """Mints with the same TTL get the same secret, as long as it lives: a back end that keeps a pool."""

    def mint(self, session: str, *, ttl_s: int, trace_id: str | None) -> str:
        for value in self._by_ttl.get(ttl_s, ()):
            if self.find(value) is not None:
                return value
        return super().mint(session, ttl_s=ttl_s, trace_id=trace_id)


class SingleUse(ClientSecrets):
    """A secret opens one session and no second."""

    def find(self, value: str) -> ClientSecret | None:
        secret = super().find(value)
        return None if secret is None or secret.uses else secret


class SessionIgnored(ClientSecrets):
    """The session runs with the defaults, whatever the secret says."""

    def mint(self, session: str, *, ttl_s: int, trace_id: str | None) -> str:
        return super().mint(json.dumps(session_config.effective({"type": "realtime"})), ttl_s=ttl_s, trace_id=trace_id)


def _clamped(ttl_s: Any) -> Any:
    return min(max(ttl_s, _SHORTEST_S), _LONGEST_S) if type(ttl_s) is int else ttl_s


def _pushed_out(ttl_s: Any) -> Any:
    return {_SHORTEST_S: _SHORTEST_S - 1, _LONGEST_S: _LONGEST_S + 1}.get(ttl_s, ttl_s)


def _with_ttl(request: Any, change: Callable[[Any], Any]) -> Any:
    """The request with another `expires_after.seconds`; what has the wrong shape is left to the honest checks."""
    lasts = request.get("expires_after", {}) if isinstance(request, dict) else None
    if not isinstance(lasts, dict) or isinstance(lasts.get("seconds"), (list, dict)):
        return request
    ttl_s = change(lasts.get("seconds"))
    return request if ttl_s is None else {**request, "expires_after": {**lasts, "seconds": ttl_s}}


MUTANTS = {
    "EXP-1-no-expiry-check": NoExpiryCheck,
    "EXP-1b-accepts-then-silence": AcceptsThenSilence,
    "EXP-2-killed-at-expiry": KilledAtExpiry,
    "EXP-3-default-60": Default60,
    "EXP-3-default-7200": Default7200,
    "EXP-3-milliseconds": Milliseconds,
    "EXP-4-clamps": Clamps,
    "EXP-4-exclusive-bounds": ExclusiveBounds,
    "EXP-5-pooled-secrets": PooledSecrets,
    "EXP-6-single-use": SingleUse,
    "EXP-7-session-ignored": SessionIgnored,
}
