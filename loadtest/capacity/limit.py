"""What all stages of a search say together: where the limit is, what breaks first, a knee or a cliff, and how sure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Final

import numpy as np

from loadtest.capacity.facts import BUDGET_USED, CLEARLY, NONE_DUE, Facts
from loadtest.capacity.quota import quota_of
from loadtest.capacity.search import Found, Purpose
from loadtest.judging.words import amount, plural

SAMPLES: Final = 400
SAME_LATENCY: Final = 1.5
SAME_LATENCY_S: Final = 0.05
"""A cliff: set-up at the first failing level takes at most so many times, or so much longer than at the last passing
one."""
SLOWER_S: Final = 0.2
"""So much longer than at the lowest level is slower for whoever waits, and not only for a clock."""
_FAILED: Final = (Found.FAILED, Found.NARROWLY, Found.SLOW, Found.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`passing`: the highest level that held, sustained if any was; `failing`: the lowest above it that did not.
    `kind`: knee, cliff, generator (the generator was at its end first) or none (no level failed, or none passed)."""

    passing: Facts | None
    failing: Facts | None
    sustained: bool
    monotonic: bool
    kind: str
    quota: dict[str, Any] | None
    broke_first: str | None
    sentence: str
    confidence: dict[str, Any] | None
    generator: dict[str, Any] | None


def verdicts(stages: Sequence[Facts], *, bounds_latency: bool) -> list[Found]:
    """How each stage went, in their order. Where the target refuses for their number, that is its limit: how much more
    users get done is not asked then."""
    found: list[Found] = []
    best = 0.0
    asks_how_much = not bounds_latency and not any(facts.met_quota for facts in stages)
    for facts in stages:
        one = facts.found(best_per_user=best if asks_how_much and best else None)
        if one is Found.PASSED and facts.level:
            best = max(best, facts.goodput_per_s / facts.level)
        found.append(one)
    return found


def limit(
    stages: Sequence[Facts], *, bounds_latency: bool, processes: int, unit: str, cores: int | None = None, seed: int = 1
) -> Limit:
    """The whole answer. `unit`: of the levels, for sentences; `cores` of a load host, where they are known."""
    found = verdicts(stages, bounds_latency=bounds_latency)
    last = _last_word(stages, found)
    failed = sorted(level for level, (_, one) in last.items() if one in _FAILED)
    passed = sorted(level for level, (_, one) in last.items() if one is Found.PASSED)
    lowest_failed = failed[0] if failed else math.inf
    below = [level for level in passed if level < lowest_failed]
    passing = last[below[-1]][0] if below else None
    failing = last[failed[0]][0] if failed else None
    monotonic = not any(level > lowest_failed for level in passed)
    invalid = [facts for facts, one in zip(stages, found, strict=True) if one is Found.INVALID]
    stopped_by_us = bool(invalid) and invalid[-1] is stages[-1] and (not failed or invalid[-1].budget_used)
    alone = _refusals_alone(passing, failing, stages, found)
    quota = _quota(stages, passing, failing, alone=alone)
    kind = "generator" if stopped_by_us else "none" if failing is None or passing is None else "knee"
    if failing is not None and (failing.refused or failing.met_quota) and (quota is not None or alone):
        kind = "cliff"
    broke = _broke_first(failing, stages, found)
    confidence = _confidence(stages, found, seed=seed) if failing is not None else None
    generator = _needed(invalid[-1], stages, processes, cores) if stopped_by_us else None
    return Limit(
        passing=passing,
        failing=failing,
        sustained=passing is not None and passing.purpose is Purpose.SUSTAIN,
        monotonic=monotonic,
        kind=kind,
        quota=quota,
        broke_first=broke,
        sentence=_sentence(stages, passing, failing, kind, quota, broke, generator, unit),
        confidence=confidence,
        generator=generator,
    )


def _last_word(stages: Sequence[Facts], found: Sequence[Found]) -> dict[float, tuple[Facts, Found]]:
    """By level; a stage that was repeated, or held for longer, replaces what was thought before. What was not fit to
    judge says nothing."""
    last: dict[float, tuple[Facts, Found]] = {}
    for facts, one in zip(stages, found, strict=True):
        if one is not Found.INVALID:
            last[facts.level] = (facts, one)
    return last


def _refusals_alone(
    passing: Facts | None, failing: Facts | None, stages: Sequence[Facts], found: Sequence[Found]
) -> bool:
    """Whether the target refuses what is too much and serves the rest as before, at most of the levels that failed: one
    alone may have been slow for another reason."""
    if passing is None or failing is None:
        return False
    bad = failing.offered - failing.completed
    if not bad or failing.refused < 0.5 * bad:
        return False
    refusing = (f for f, one in zip(stages, found, strict=True) if f.refused and one in _FAILED)
    before, after = passing.setup_p95_s, sorted(f.setup_p95_s for f in refusing if f.setup_p95_s is not None)
    if before is None or not after:
        return True
    return median_low(after) <= max(SAME_LATENCY * before, before + SAME_LATENCY_S)


def _quota(
    stages: Sequence[Facts], passing: Facts | None, failing: Facts | None, *, alone: bool
) -> dict[str, Any] | None:
    """A bound on sessions at once, with its number, or on calls per time, without one."""
    refusing = [facts for facts in stages if facts.refused or facts.evidence.refusals]
    if failing is None or not refusing:
        return None
    first = failing if failing in refusing else min(refusing, key=lambda facts: facts.level)
    refusals = first.refusals or first.evidence.how
    at_once = quota_of([facts.evidence for facts in stages])
    if at_once is not None and at_once.exact:
        return {
            "what": "sessions at once",
            "number": at_once.least,
            "exact": True,
            "freed_after_s": at_once.freed_after_s,
            "refusals": refusals,
        }
    if failing is not first or (passing is not None and not alone and not failing.met_quota):
        return None
    if at_once is not None:
        return {
            "what": "sessions at once",
            "number": at_once.least,
            "at_most": at_once.most,
            "exact": False,
            "refusals": refusals,
        }
    accepted = max(facts.completed_per_s for facts in refusing)
    return {
        "what": f"{min(refusals).split()[0]} calls per time",
        "number": round(accepted * 60, 1),
        "exact": False,
        "refusals": refusals,
    }


def _broke_first(failing: Facts | None, stages: Sequence[Facts], found: Sequence[Found]) -> str | None:
    if failing is None:
        return None
    if failing.met_quota:
        return f"{len(failing.evidence.refusals)} sessions were refused for their number"
    if failing.broken:
        slo = failing.broken[0]
        seen = "nothing" if slo.observed is None else amount(slo.observed, slo.unit)
        bound = "most" if slo.bound == "max" else "least"
        return f"{slo.name} ({slo.indicator}): {seen}, wanted at {bound} {amount(slo.objective, slo.unit)}"
    if not failing.keeps_up:
        return (
            f"the target no longer keeps up: sessions in progress grew by {failing.growth} in {failing.duration_s:g} s"
            f" ({failing.allowed_growth:g} is put down to chance)"
        )
    per_user = failing.goodput_per_s / failing.level
    best = max(
        (f.goodput_per_s / f.level for f, one in zip(stages, found, strict=True) if one is Found.PASSED), default=0
    )
    return f"more users get no more done: {per_user:.3g} good sessions/s for each, {best:.3g} before"


def _confidence(stages: Sequence[Facts], found: Sequence[Found], *, seed: int) -> dict[str, Any] | None:
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
        lows = [low * (1 - stage.allowed_growth / stage.offered) for low in lows]
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


def _needed(facts: Facts, stages: Sequence[Facts], processes: int, cores: int | None) -> dict[str, Any]:
    """How many load processes a run at that level would need: by the CPU that the highest valid level took."""
    valid = [each for each in stages if each.health.outcome == "valid"]
    best = max(valid, key=lambda each: each.level, default=None)
    cpu = best.health.cpu_percent if best is not None else None
    per_process = None
    if best is not None and best.level:
        per_process = best.level / processes * (70.0 / cpu if cpu and cpu > 10 else 1.0)
    needed = per_process and max(processes + 1, math.ceil(facts.level / per_process))
    return {
        "hosts_needed": math.ceil(needed / cores) if needed and cores else None,
        "level": facts.level,
        "because": list(facts.health.because),
        "valid_up_to": best.level if best is not None else None,
        "level_per_process": per_process and round(per_process, 3),
        "processes_needed": needed,
    }


def _sentence(
    stages: Sequence[Facts],
    passing: Facts | None,
    failing: Facts | None,
    kind: str,
    quota: dict[str, Any] | None,
    broke: str | None,
    generator: dict[str, Any] | None,
    unit: str,
) -> str:
    held = "no level was held" if passing is None else f"{passing.level:g} {unit} were held"
    if kind == "generator" and generator is not None and BUDGET_USED in generator["because"]:
        return f"{BUDGET_USED} before the limit was found; {held}"
    if kind == "generator" and generator is not None and NONE_DUE in generator["because"]:
        return f"at {generator['level']:g} {unit} no session began within the stage: a longer --stage; {held}"
    if kind == "generator" and generator is not None:
        need = generator["processes_needed"]
        count = generator["hosts_needed"]
        hosts = "" if count is None else f", {plural(count, 'host')} like this one,"
        more = f"; about {plural(need, 'load process')}{hosts} would be needed for it" if need else ""
        return (
            f"avaload was at its end before the target: at {generator['level']:g} {unit} its figures are no good{more}"
        )
    if failing is None:
        return "no level passed" if passing is None else f"no limit was found up to {passing.level:g} {unit}"
    bounded = "" if quota is None else _bound(quota)
    levels = f"{passing.level:g} {unit} pass, {failing.level:g} fail" if passing else f"{failing.level:g} {unit} fail"
    if kind == "cliff" and bounded:
        slower = _meanwhile(stages)
        return f"a cliff: {bounded}; above it sessions are refused{slower} ({levels})"
    if passing is None:
        return f"no level passed: already at {failing.level:g} {unit} {broke}"
    if kind == "cliff":
        return f"a cliff between {passing.level:g} and {failing.level:g} {unit}: refusals while latency does not move"
    more = f"; and {bounded}" if bounded else ""
    return f"a knee between {passing.level:g} and {failing.level:g} {unit}: {broke}{more}"


def _bound(quota: dict[str, Any]) -> str:
    """What is known of a number of sessions at once; empty: nothing."""
    if quota["exact"]:
        late = quota["freed_after_s"]
        when = f", a place of which is free again only about {late:.2g} s after a delete" if late else ""
        return f"a quota of exactly {quota['number']} {quota['what']}{when}"
    if "at_most" in quota:
        return f"a quota of {quota['number']} to {quota['at_most']} {quota['what']}"
    return ""


def _meanwhile(stages: Sequence[Facts]) -> str:
    """What becomes of the sessions that are not refused, at the highest level against the lowest."""
    seen = [(facts.level, facts.setup_p95_s) for facts in stages if facts.setup_p95_s is not None]
    if not seen:
        return ""
    (_, before), (_, after) = min(seen), max(seen)
    return ", and the others get slower" if after > max(CLEARLY * before, before + SLOWER_S) else ""
