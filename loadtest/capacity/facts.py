"""A stage of the search in figures, and what they say of the level: it was held, or missed, or can't be told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.capacity.quota import Evidence, quota_of
from loadtest.capacity.search import Found, Purpose
from loadtest.criteria import stage_health
from loadtest.criteria.slo import COUNT, DROPPED, EXPOSED, RANKED, RANKS, RATIOS, SloOutcome, Unit

PER_USER: Final = 0.93
"""Of the best goodput per user: where no service level bounds a latency, a target below it doesn't keep up."""
BUDGET_USED: Final = "--max-sessions or --budget allowed no session more"
BROKE_OFF: Final = "the run broke off"
"""By hand, or by a fault whose name stands beside it."""
NONE_DUE: Final = "no session began in it: a longer --stage"
OWN_POOL: Final = "our own pool of users was too small (--max-users)"
OWN_LATENESS: Final = "our own processes were too late"
CLEARLY: Final = 3.0
"""So many times beyond a bound no second try is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One objective over a stage. `beyond`: of `count` samples those on the wrong side of the bound; of a share or a
    count those that it counts. `times`: observed over objective, where both are above 0. `scenario`: of a mix, whose
    sessions (None: all)."""

    name: str
    indicator: str
    bound: str
    objective: float
    observed: float | None
    unit: Unit
    met: bool
    count: int
    beyond: int
    needed: int = 0
    scenario: str | None = None

    @property
    def outcome(self) -> SloOutcome:
        """Too few samples don't hold a search up: what nothing speaks against is met, and it is said."""
        if self.count < self.needed and self.met:
            return SloOutcome.NOT_ENOUGH
        return SloOutcome.PASS if self.met else SloOutcome.FAIL

    def breaks(self, beyond: int) -> bool:
        """Whether so many of its samples instead would break it."""
        if self.unit not in RANKED:
            ratio = beyond if self.unit == COUNT else beyond * RATIOS[self.unit] / self.count
            return ratio > self.objective if self.bound == "max" else ratio < self.objective
        below = (self.count - 1) * RANKS[self.indicator.rpartition(".")[2]]
        return beyond > (self.count - 1 - below if self.bound == "max" else below)

    @property
    def times(self) -> float:
        if self.met or self.observed is None:
            return 0.0 if self.met else math.inf
        return self.observed / self.objective if self.objective > 0 else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A stage in figures. `level` in users or arrivals per second. `good`: ended well, a clean delete included, and met
    every bound on a latency. `growth`: sessions in progress at its end less those at its start; `allowed_growth`: what
    is still put down to chance. `pool`: users that were there; `no_user`, `late`: arrivals that we dropped.
    `session_s`: how long sessions lasted, on average. `evidence`: of a quota, by all sessions since its settling began.
    `marks`: per session whether it was good, and its set-up in s."""

    number: int
    name: str
    purpose: Purpose
    level: float
    open: bool
    pool: int
    at_s: float
    duration_s: float
    offered: int
    started: int
    dropped: int
    no_user: int
    late: int
    completed: int
    failed: int
    good: int
    unfinished: int
    goodput_per_s: float
    completed_per_s: float
    in_progress_start: int
    in_progress_mean: float
    growth: int
    allowed_growth: float
    session_s: float | None
    setup_p50_s: float | None
    setup_p95_s: float | None
    setup_from_due_p95_s: float | None
    refused: int
    refusals: dict[str, int]
    failures: dict[str, int]
    evidence: Evidence
    slos: tuple[Judged, ...]
    health: stage_health.StageHealth
    marks: tuple[tuple[bool, float | None], ...]

    @property
    def is_last(self) -> bool:
        """Whether nothing can be told of a stage after it: no session may begin any more, or a part of the generator is
        gone."""
        return ended_early(self.health.because) is not None

    @property
    def keeps_up(self) -> bool:
        return not self.open or self.growth <= self.allowed_growth

    @property
    def is_blind(self) -> bool:
        """Whether so few arrivals were due that a target which serves none of them would seem to keep up."""
        return self.open and self.allowed_growth >= self.offered

    def spoilt_by_us(self, usual_s: float | None) -> str | None:
        """Why it fails for nothing but arrivals that we dropped, if so it is. `usual_s`: how long sessions last at the
        highest level that passed. Had they lasted for longer here, the target would be what kept the pool busy; so it
        is asked whether the pool, a little chance included, is too small for the usual ones."""
        own = self.no_user + self.late
        only_drops = all(EXPOSED.get(slo.indicator, slo.indicator) == DROPPED.indicator for slo in self.broken)
        fails = bool(self.broken) or not self.keeps_up
        if not self.open or not own or not fails or not only_drops or self.growth - own > self.allowed_growth:
            return None
        if self.late > self.no_user:
            return OWN_LATENESS
        busy = self.level * (usual_s or 0.0)
        return OWN_POOL if busy + 2 * math.sqrt(busy) > self.pool else None

    @property
    def met_quota(self) -> bool:
        """Whether the target refused sessions for their number: by its own word, or as the evidence has it."""
        quota = quota_of([self.evidence])
        return self.evidence.told > 0 or (quota is not None and quota.exact)

    @property
    def broken(self) -> list[Judged]:
        """Objectives that it missed, the one that is furthest beyond its bound first."""
        return sorted((slo for slo in self.slos if not slo.met), key=lambda slo: -slo.times)

    def found(self, *, best_per_user: float | None = None) -> Found:
        """`best_per_user`: goodput per s and user at lower levels of a closed population, where no latency is
        bounded. A refusal for their number is one however fit the generator was."""
        if self.is_last or not self.offered:
            return Found.INVALID
        if self.met_quota:
            return Found.REFUSED
        if self.health.outcome == "invalid":
            return Found.INVALID
        if not self.broken and self.keeps_up:
            return Found.SLOW if self.is_slow(best_per_user) else Found.PASSED
        clear = any(slo.times >= CLEARLY for slo in self.broken)
        clear |= self.growth > CLEARLY * self.allowed_growth and self.open
        return Found.FAILED if clear else Found.NARROWLY

    def is_slow(self, best_per_user: float | None) -> bool:
        """Of a closed population: more users get no more done. Each user's last session may end just after the stage,
        and a few sessions more or less are chance."""
        if self.open or best_per_user is None:
            return False
        wanted = PER_USER * best_per_user * self.level * self.duration_s
        return self.goodput_per_s * self.duration_s + 2 * math.sqrt(self.level) < wanted


def ended_early(because: Sequence[str]) -> str | None:
    """What ended the search in that stage, if anything did."""
    return next((why for why in (BUDGET_USED, BROKE_OFF) if why in because), None)


_ROW: Final = (
    "at_s",
    "duration_s",
    "offered",
    "started",
    "dropped",
    "completed",
    "failed",
    "good",
    "unfinished",
    "goodput_per_s",
    "completed_per_s",
    "in_progress_start",
    "in_progress_mean",
    "growth",
    "allowed_growth",
    "setup_p50_s",
    "setup_p95_s",
    "setup_from_due_p95_s",
    "refused",
    "refusals",
    "failures",
    "keeps_up",
)


def as_row(facts: Facts) -> dict[str, Any]:
    """For report.json."""
    return {
        "number": facts.number,
        "name": facts.name,
        "purpose": facts.purpose.value,
        "level": facts.level,
        **{
            name: getattr(facts, name)
            for name in _ROW
        },
        "alive_peak": facts.evidence.peak,
        "broken": [slo.indicator for slo in facts.broken],
        "slos": [
            {
                "name": slo.name, "indicator": slo.indicator, "bound": slo.bound, "objective": slo.objective,
                "observed": slo.observed, "unit": slo.unit, "met": slo.met, "count": slo.count,
                "beyond": slo.beyond, "needed": slo.needed, "outcome": slo.outcome.value, "scenario": slo.scenario,
            }
            for slo in facts.slos
        ],
        "generator": facts.health.as_dict(),
    }  # fmt: skip
