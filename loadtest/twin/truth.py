"""The ground truth that tests and reports compare with: counters over everything, and a record of each session.

Shape: TWIN.md#what-really-happened. Records of ended sessions are kept as JSON text, which the garbage collector
needn't visit, and only the last 10,000.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_KEPT_ENDED = 10_000


class Truth:
    """What really happened in the twin."""

    def __init__(self) -> None:
        self.minted = 0
        self.secrets_alive = 0
        self.sessions_created = 0
        self.sessions_ended: Counter[str] = Counter()
        """By end reason."""
        self.requests: dict[str, Counter[int]] = {}
        """Answers by point and HTTP status."""
        self.realtime_sockets_opened = 0
        self.realtime_sockets_open = 0
        self.upstreams_open: set[str] = set()
        """Ids of the sessions whose OpenAI socket is open, ended ones included."""
        self._ended: dict[str, str] = {}

    def count_request(self, point: str, status: int) -> None:
        """One HTTP answer."""
        self.requests.setdefault(point, Counter())[status] += 1

    def retire(self, session_id: str, record: Mapping[str, Any]) -> None:
        """Keep the record of a session that has just ended."""
        self.sessions_ended[record["end_reason"]] += 1
        if len(self._ended) >= _KEPT_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session_id] = json.dumps(record)

    def has_ended(self, session_id: str) -> bool:
        """Whether this was a session (false again once its record is no longer kept)."""
        return session_id in self._ended

    def render(
        self, alive: Mapping[str, Mapping[str, Any]], *, with_ended: bool, more_counters: Mapping[str, int]
    ) -> bytes:
        """The whole answer of `state_url` as JSON."""
        records: Iterable[tuple[str, str]] = ((key, json.dumps(record)) for key, record in alive.items())
        rendered = [self._with_upstream(key, text) for key, text in records]
        if with_ended:
            rendered[:0] = [self._with_upstream(key, text) for key, text in self._ended.items()]
        counters = {
            "alive": len(alive),
            "sessions_created": self.sessions_created,
            "sessions_ended": self.sessions_ended,
            "minted": self.minted,
            "secrets_alive": self.secrets_alive,
            "requests": self.requests,
            "realtime_sockets_opened": self.realtime_sockets_opened,
            "realtime_sockets_open": self.realtime_sockets_open,
            **more_counters,
        }
        return f'{{"sessions":[{",".join(rendered)}],"counters":{json.dumps(counters)}}}'.encode()

    def _with_upstream(self, session_id: str, record: str) -> str:
        # Whether the socket is open may still change after the end, so it is never part of the stored text.
        return f'{{"upstream_open":{"true" if session_id in self.upstreams_open else "false"},{record[1:]}'
