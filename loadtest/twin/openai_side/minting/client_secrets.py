"""The store of ephemeral `ek_` secrets: each carries a whole session object until it expires.

Source: docs/contract.md#what-a-mint-answers, #rules-of-expiry.
"""

import secrets
from collections import deque
from dataclasses import dataclass

from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """One minted secret. May open any number of sessions until it expires."""

    session: str
    """The session object, as JSON."""
    expires_s: float
    trace_id: str | None
    uses: int


class ClientSecrets:
    """All secrets that have not expired; the others are forgotten as new ones come, so memory follows rate x TTL.

    They are kept as texts and numbers alone, which the garbage collector doesn't visit: as objects, 200,000 of them
    made each of its full passes stop the sound for 90 ms.
    """

    def __init__(self, *, timers: Timers, truth: Truth) -> None:
        self._timers = timers
        self._truth = truth
        self._expires_s: dict[str, float] = {}
        self._session: dict[str, str] = {}
        self._trace_id: dict[str, str] = {}
        self._uses: dict[str, int] = {}
        # Secrets of equal TTL expire in the order of their mint: no heap is needed.
        self._by_ttl: dict[int, deque[str]] = {}

    def mint(self, session: str, *, ttl_s: int, trace_id: str | None) -> str:
        """A new secret's value. Callers share the JSON text of the session between equal secrets."""
        now_s = self._timers.now_s()
        self._purge(now_s)
        value = f"ek_{secrets.token_hex(16)}"
        self._expires_s[value] = now_s + ttl_s
        self._session[value] = session
        if trace_id is not None:
            self._trace_id[value] = trace_id
        self._by_ttl.setdefault(ttl_s, deque()).append(value)
        self._truth.minted += 1
        self._truth.secrets_alive = len(self._expires_s)
        return value

    def find(self, value: str) -> ClientSecret | None:
        """The secret, if it was minted here and has not expired."""
        expires_s = self._expires_s.get(value)
        return None if expires_s is None or expires_s <= self._timers.now_s() else self.kept(value)

    def used(self, value: str) -> None:
        """It has opened one more session."""
        self._uses[value] = self._uses.get(value, 0) + 1

    def kept(self, value: str) -> ClientSecret:
        """What is known of a secret. Raises KeyError if it is not kept."""
        return ClientSecret(
            session=self._session[value],
            expires_s=self._expires_s[value],
            trace_id=self._trace_id.get(value),
            uses=self._uses.get(value, 0),
        )

    def _purge(self, now_s: float) -> None:
        for queue in self._by_ttl.values():
            while queue and self._expires_s[queue[0]] <= now_s:
                value = queue.popleft()
                del self._expires_s[value], self._session[value]
                self._trace_id.pop(value, None)
                self._uses.pop(value, None)
