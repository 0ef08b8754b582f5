"""A run at a glance: what whoever waits for it is told each second. All of it is read from the snapshot that /metrics
shows, and from the fold that judges objectives; nothing is counted here."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from exporters.metrics import catalogue as c
from exporters.metrics.labels import DOUBTFUL, GENERATOR_FAILED, LEAKED, OUTCOME
from exporters.metrics.reading import edges_of, histogram, labelled, quantile, total
from exporters.metrics.snapshot import FAILURES, SEPARATOR, Snapshot
from loadtest.criteria.objectives import Standing
from loadtest.criteria.stage_health import Fitness
from loadtest.criteria.statements import RULES
from loadtest.events.kinds import Outcome

WINDOW_S: Final = 10
MOST_FAILURES: Final = 8
MOST_OBJECTIVES: Final = 32
"""So that a line fits into one write to a pipe, which is then whole or not there at all."""


class Times(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Quantiles in s of what ended in the last seconds, as well as buckets tell them. None: above `last_s`, the last
    edge, or nothing ended; at `first_s`, the first edge: there or below."""

    count: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    first_s: float = 0.0
    last_s: float = 0.0


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """A line of progress. Counts are of the run so far; `rates` are per second in the last ten: started, ended.

    `generator_failed`: on our own side, no part of `failed`. `failures`: step, kind, code and how often, the most
    frequent first. `objectives`: in the order of `Settings.judged`, the first of them; `fitness`: of the generator.
    """

    elapsed_s: float
    waiting_for: str | None = None
    begun: bool = False
    over: bool = False
    fitness: Fitness = ("valid", "")
    active: int = 0
    target: int = 0
    open: int = 0
    unknown: int = 0
    started: int = 0
    ok: int = 0
    failed: int = 0
    generator_failed: int = 0
    cancelled: int = 0
    dropped: int = 0
    leaked: int = 0
    doubtful: int = 0
    rates: tuple[float, float] = (0.0, 0.0)
    setup: Times = Times()
    first_audio: Times = Times()
    failures: tuple[tuple[str, str, str, int], ...] = ()
    more_failures: int = 0
    objectives: tuple[Standing, ...] = ()
    rules_broken: tuple[str, ...] = ()


class Glances:
    """Makes a Glance of each second's snapshot; remembers ten seconds of what it has read."""

    def __init__(self) -> None:
        self._past: deque[_Past] = deque(maxlen=WINDOW_S + 1)

    def look(
        self,
        snapshot: Snapshot,
        *,
        elapsed_s: float,
        waiting_for: str | None,
        begun: bool,
        fitness: Fitness,
        objectives: Sequence[Standing],
    ) -> Glance:
        """Call it once a second."""
        outcomes = {outcome: int(total(snapshot, c.SESSIONS, outcome)) for outcome in OUTCOME.values or ()}
        started = int(total(snapshot, c.SESSIONS_STARTED))
        now = _Past(
            at_s=elapsed_s,
            started=started,
            ended=sum(outcomes.values()),
            histograms=(histogram(snapshot, c.SESSION_SETUP), histogram(snapshot, c.FIRST_AUDIO)),
        )
        self._past.append(now)
        then = self._past[0]
        over_s = now.at_s - then.at_s
        failures = _failures(snapshot)
        return Glance(
            elapsed_s=round(elapsed_s, 3),
            waiting_for=waiting_for,
            begun=begun,
            fitness=fitness,
            active=int(total(snapshot, c.SESSIONS_ACTIVE)),
            target=round(total(snapshot, c.SESSIONS_TARGET)),
            open=int(total(snapshot, c.SESSIONS_OPEN)),
            unknown=int(total(snapshot, c.SESSIONS_UNKNOWN)),
            started=started,
            ok=outcomes[Outcome.OK],
            failed=outcomes[Outcome.FAILED],
            generator_failed=outcomes[GENERATOR_FAILED],
            cancelled=outcomes[Outcome.CANCELLED],
            dropped=int(total(snapshot, c.ITERATIONS_DROPPED)),
            leaked=int(sum(total(snapshot, c.SESSIONS_LEFT, reason) for reason in LEAKED)),
            doubtful=int(total(snapshot, c.SESSIONS_LEFT, DOUBTFUL)),
            rates=(
                (round((now.started - then.started) / over_s, 3), round((now.ended - then.ended) / over_s, 3))
                if over_s > 0
                else (0.0, 0.0)
            ),
            setup=_times(snapshot, c.SESSION_SETUP, then.histograms[0], now.histograms[0]),
            first_audio=_times(snapshot, c.FIRST_AUDIO, then.histograms[1], now.histograms[1]),
            failures=tuple(failures[:MOST_FAILURES]),
            more_failures=max(0, len(failures) - MOST_FAILURES),
            objectives=tuple(objectives[:MOST_OBJECTIVES]),
            rules_broken=tuple(
                rule
                for (rule,), count in labelled(snapshot, c.RULE_VIOLATIONS)
                if count and rule in RULES and not RULES[rule].characterised
            ),
        )


class _Past(msgspec.Struct, frozen=True, kw_only=True):
    at_s: float
    started: int
    ended: int
    histograms: tuple[list[float], list[float]]


def _times(snapshot: Snapshot, metric: c.Metric, then: list[float], now: list[float]) -> Times:
    """Counters only grow, so what the last seconds brought is a difference."""
    before = then or [0.0] * len(now)
    counts = [max(0.0, b - a) for a, b in zip(before, now, strict=True)]
    edges = edges_of(snapshot, metric)
    p50_s, p95_s = (quantile(counts, edges, share) for share in (0.5, 0.95))
    return Times(
        count=int(sum(counts)),
        p50_s=None if p50_s is None else round(p50_s, 4),
        p95_s=None if p95_s is None else round(p95_s, 4),
        first_s=edges[0],
        last_s=edges[-1],
    )


def _failures(snapshot: Snapshot) -> list[tuple[str, str, str, int]]:
    rows = []
    for key, count in snapshot.get(FAILURES, {}).items():
        step, kind, code = key.split(SEPARATOR)
        rows.append((step, kind, code, 0 if isinstance(count, list) else int(count)))
    return sorted(rows, key=lambda row: (-row[3], row))
