"""The store of ephemeral `ek_` secrets: each carries a whole session object until it expires (PROTOCOL.md 1.2, 4.1)."""

import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any

from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth


class ClientSecret:
    """One minted secret. May open any number of sessions until it expires."""

    __slots__ = ("expires_s", "session", "trace_id", "uses")

    def __init__(self, *, session: Mapping[str, Any], expires_s: float, trace_id: str | None) -> None:
        self.session = session
        self.expires_s = expires_s
        self.trace_id = trace_id
        self.uses = 0


class ClientSecrets:
    """All secrets that have not expired; the others are forgotten as new ones come, so memory follows rate x TTL."""

    def __init__(self, *, timers: Timers, truth: Truth) -> None:
        self._timers = timers
        self._truth = truth
        self._by_value: dict[str, ClientSecret] = {}
        # Secrets of equal TTL expire in the order of their mint: no heap is needed.
        self._by_ttl: dict[int, deque[str]] = {}

    def mint(self, session: Mapping[str, Any], *, ttl_s: int, trace_id: str | None) -> str:
        """A new secret's value. Callers share the session object between equal secrets."""
        now_s = self._timers.now_s()
        self._purge(now_s)
        value = f"ek_{secrets.token_hex(16)}"
        self._by_value[value] = ClientSecret(session=session, expires_s=now_s + ttl_s, trace_id=trace_id)
        self._by_ttl.setdefault(ttl_s, deque()).append(value)
        self._truth.minted += 1
        self._truth.secrets_alive = len(self._by_value)
        return value

    def find(self, value: str) -> ClientSecret | None:
        """The secret, if it was minted here and has not expired."""
        secret = self._by_value.get(value)
        return None if secret is None or secret.expires_s <= self._timers.now_s() else secret

    def _purge(self, now_s: float) -> None:
        for queue in self._by_ttl.values():
            while queue and self._by_value[queue[0]].expires_s <= now_s:
                del self._by_value[queue.popleft()]
