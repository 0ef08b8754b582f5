"""OpenAI's limits per minute: leaky buckets that are told in headers and events, and enforced.

Source: docs/contract.md#openais-errors, #latency-and-faults.
"""

from loadtest.twin.timers import Timers

_MINUTE_S = 60


class Bucket:
    """A limit per minute that refills steadily, on the services' clock. With `enforced` false it never runs dry."""

    def __init__(self, name: str, per_minute: int, *, enforced: bool, timers: Timers) -> None:
        self.name = name
        self.per_minute = per_minute
        self._enforced = enforced
        self._timers = timers
        self._left = float(per_minute)
        self._at_s = timers.now_s()

    def wait_s(self, amount: float = 1) -> float:
        """Seconds until so much is left; 0 if it is. Takes nothing."""
        if not self._enforced:
            return 0.0
        self._refill()
        return max(0.0, amount - self._left) / self.per_minute * _MINUTE_S

    def take(self, amount: float = 1) -> float:
        """Take this much; returns 0, or the seconds to wait because there isn't enough (then nothing is taken)."""
        wait_s = self.wait_s(amount)
        if not wait_s:
            self.use(amount)
        return wait_s

    def use(self, amount: float) -> None:
        """Take what was used up already, be there so much or not: what is missing is owed, and refilled first."""
        if self._enforced:
            self._refill()
            self._left -= amount

    @property
    def remaining(self) -> int:
        """What is left now; a debt is told as nothing."""
        self._refill()
        return max(0, int(self._left))

    @property
    def reset_s(self) -> float:
        """Seconds until it is full again: with a debt, more than a minute."""
        self._refill()
        return (self.per_minute - self._left) / self.per_minute * _MINUTE_S

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`x-ratelimit-…`, as on every answer."""
        name = self.name.encode()
        return [
            (b"x-ratelimit-limit-" + name, b"%d" % self.per_minute),
            (b"x-ratelimit-remaining-" + name, b"%d" % self.remaining),
            (b"x-ratelimit-reset-" + name, _spelled(self.reset_s)),
        ]

    def described(self) -> dict[str, object]:
        """Its part of `rate_limits.updated`."""
        return {
            "name": self.name,
            "limit": self.per_minute,
            "remaining": self.remaining,
            "reset_seconds": round(self.reset_s, 3),
        }

    def _refill(self) -> None:
        now_s = self._timers.now_s()
        self._left = min(self.per_minute, self._left + (now_s - self._at_s) / _MINUTE_S * self.per_minute)
        self._at_s = now_s


class RateLimits:
    """The limits of the one organisation that the twin knows. Without a knob they are told, but not enforced."""

    _fixed: list[tuple[bytes, bytes]] | None = None
    _USUAL_REQUESTS = 400
    _USUAL_TOKENS = 200_000

    def __init__(self, *, requests_per_minute: int | None, tokens_per_minute: int | None, timers: Timers) -> None:
        self.requests = Bucket(
            "requests",
            requests_per_minute or self._USUAL_REQUESTS,
            enforced=requests_per_minute is not None,
            timers=timers,
        )
        self.tokens = Bucket(
            "tokens", tokens_per_minute or self._USUAL_TOKENS, enforced=tokens_per_minute is not None, timers=timers
        )

        self._fixed = None if requests_per_minute or tokens_per_minute else self.headers()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of both limits."""
        return self._fixed or self.requests.headers() + self.tokens.headers()

    def described(self, *, requests: bool) -> list[dict[str, object]]:
        """The list in `rate_limits.updated`: of tokens, or of `requests` as well."""
        return [self.requests.described()] * requests + [self.tokens.described()]


def _spelled(seconds: float) -> bytes:
    """A duration as in OpenAI's headers: 150ms, 1s, 6m0s."""
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    minutes, rest = divmod(round(seconds), 60)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest
