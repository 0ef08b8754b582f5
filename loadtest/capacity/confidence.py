"""How sure the limit of a search is: between which levels chance alone would have put it."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from loadtest.capacity.facts import CLEARLY, Facts
from loadtest.capacity.search import Found

SAMPLES: Final = 400


def confidence(stages: Sequence[Facts], found: Sequence[Found], *, seed: int) -> dict[str, Any] | None:
    """Between which levels the limit lies: the bracket of the search, widened by what other samples of a stage do to
    its verdict."""
    chance = np.random.default_rng(seed)
    judged = [(facts, one) for facts, one in zip(stages, found, strict=True) if one is not Found.INVALID]
    lows: list[float] = []
    highs: list[float] = []
    for _ in range(SAMPLES):
        last: dict[float, bool] = {}
        for facts, one in judged:
            last[facts.level] = _again(facts, one, chance)
        failed = [level for level, passed in last.items() if not passed]
        high = min(failed, default=math.inf)
        low = max((level for level, passed in last.items() if passed and level < high), default=0.0)
        lows.append(low)
        highs.append(high)
    stage = _passing(judged)
    if stage is not None and stage.open and stage.offered and not math.isinf(min(highs)):
        # What is put down to chance may as well have been the beginning of a backlog.
        lows = [low * max(0.0, 1 - stage.allowed_growth / stage.offered) for low in lows]
    lows.sort()
    highs.sort()
    high = highs[int(0.975 * SAMPLES)]
    return {
        "low": round(lows[int(0.025 * SAMPLES)], 3),
        "high": None if math.isinf(high) else high,
        "level": 0.95,
        "method": "bracket of the search; samples of each stage drawn again",
    }


def _passing(judged: Sequence[tuple[Facts, Found]]) -> Facts | None:
    last = {facts.level: (facts, one) for facts, one in judged}
    failed = min((level for level, (_, one) in last.items() if one is not Found.PASSED), default=math.inf)
    return max(
        (f for f, one in last.values() if one is Found.PASSED and f.level < failed), key=lambda f: f.level, default=None
    )


def _again(facts: Facts, one: Found, chance: np.random.Generator) -> bool:
    """Whether the stage would pass with samples drawn from its own, with replacement: of an objective only how many of
    them lie beyond its bound matters, and that is a binomial draw. How far sessions in progress grew is no sample of a
    stage; it is moved by what chance does to a number of independent sessions."""
    if not facts.offered or (not facts.keeps_up and facts.growth > CLEARLY * facts.allowed_growth):
        return one is Found.PASSED
    drawn = ((slo, int(chance.binomial(slo.count, slo.beyond / slo.count))) for slo in facts.slos if slo.count)
    if any(slo.breaks(beyond) for slo, beyond in drawn):
        return False
    if facts.open and chance.normal(facts.growth, math.sqrt(facts.in_progress_start + 1)) > facts.allowed_growth:
        return False
    # A level at which more users got no more done stays failed: nothing of that was drawn again.
    return one is Found.PASSED or bool(facts.broken) or not facts.keeps_up
