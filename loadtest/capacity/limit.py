"""What all stages of a search say together: where the limit is, of which kind, and what breaks first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low
from typing import Any, Final

from loadtest.capacity.confidence import confidence
from loadtest.capacity.facts import CLEARLY, NONE_DUE, OWN_LATENESS, OWN_POOL, Facts, ended_early
from loadtest.capacity.quota import quota_of
from loadtest.capacity.search import Found, Purpose, Search
from loadtest.criteria.words import amount, asked, load_words, plural
from loadtest.errors.kinds import FOR_THEIR_NUMBER

SAME_LATENCY: Final = 1.5
SAME_LATENCY_S: Final = 0.05
"""A cliff: set-up at the first failing level takes at most so many times, or so much longer than at the last passing
one."""
SLOWER_S: Final = 0.2
"""So much longer than at the lowest level is slower for whoever waits, and not only for a clock."""
TIME_UP: Final = "time was up (--give-up)"
BLIND: Final = "too few arrivals to see whether it keeps up: a longer --stage"
AT_ONCE: Final = "sessions at once"
"""What a quota bounds whose number is known."""
_FAILED: Final = (Found.FAILED, Found.NARROWLY, Found.SLOW, Found.REFUSED)


class LimitKind(StrEnum):
    """Why no more was held."""

    KNEE = "knee"  # it gets slower
    QUOTA = "quota"  # it refuses sessions, or calls, for their number
    CLIFF = "cliff"  # it refuses what is too much in other words, and serves the rest as before
    GENERATOR = "generator"  # avaload was at its end first
    NONE = "none"  # no level failed, or none passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`passing`: the highest level that held, sustained if any was; `failing`: the lowest above it that did not."""

    passing: Facts | None
    failing: Facts | None
    sustained: bool
    monotonic: bool
    kind: LimitKind
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


def was_cut_short(stages: Sequence[Facts], search: Search, *, bounds_latency: bool) -> bool:
    """Whether the search, which is told here again what it was told then, would have gone on."""
    for place, facts in enumerate(stages, 1):
        probe = search.next()
        if probe is None or probe.level != facts.level:
            return False  # a stage is judged otherwise in the light of those after it: nothing is known
        search.tell(verdicts(stages[:place], bounds_latency=bounds_latency)[-1])
    # What ended early, by its budget or by the loss of a part of the generator, did not end for want of time.
    return search.next() is not None and not (stages and stages[-1].is_last)


def limit(
    stages: Sequence[Facts],
    *,
    bounds_latency: bool,
    processes: int,
    unit: str,
    cores: int | None = None,
    seed: int = 1,
    time_up: bool = False,
) -> Limit:
    """The whole answer. `unit`: of the levels, for sentences; `cores` of a load host, where they are known. `time_up`:
    the search would have gone on."""
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
    ours = _stopped_by_us(stages, invalid, passing, failing)
    alone = _refusals_alone(passing, failing, stages, found)
    quota = _quota(stages, passing, failing, alone=alone)
    kind = _kind(passing, failing, quota, stopped_by_us=ours is not None, alone=alone)
    broke = _broke_first(failing, stages, found)
    sure = confidence(stages, found, seed=seed) if failing is not None else None
    generator = None if ours is None else _needed(ours, stages, processes, cores)
    sentence = _sentence(stages, passing, failing, kind, quota, broke, generator, unit)
    if kind in (LimitKind.KNEE, LimitKind.NONE) and passing is not None and passing.is_blind:
        sentence += f"; {BLIND}"
    if time_up and kind is not LimitKind.GENERATOR:
        sentence += f"; {TIME_UP}"
    return Limit(
        passing=passing,
        failing=failing,
        sustained=passing is not None and passing.purpose is Purpose.SUSTAIN,
        monotonic=monotonic,
        kind=kind,
        quota=quota,
        broke_first=broke,
        sentence=sentence,
        confidence=sure,
        generator=generator,
    )


def _stopped_by_us(
    stages: Sequence[Facts], invalid: Sequence[Facts], passing: Facts | None, failing: Facts | None
) -> Facts | None:
    """The level above which nothing was tried, for we could not load it. Whose fault it was may have shown only when a
    lower one had passed."""
    if invalid and invalid[-1] is stages[-1]:
        return stages[-1] if failing is None or stages[-1].is_last else None
    if failing is not None:
        return None
    least = -math.inf if passing is None else passing.level
    above = [each for each in invalid if each.level > least and {OWN_POOL, OWN_LATENESS} & set(each.health.because)]
    return min(above, key=lambda facts: facts.level, default=None)


def _kind(
    passing: Facts | None, failing: Facts | None, quota: dict[str, Any] | None, *, stopped_by_us: bool, alone: bool
) -> LimitKind:
    if failing is not None and (failing.refused or failing.met_quota) and (quota is not None or alone):
        if quota is not None and quota["what"] == AT_ONCE:
            return LimitKind.QUOTA
        if passing is not None:  # else it may refuse everything
            return LimitKind.QUOTA if quota is not None and _in_its_word(quota["refusals"]) else LimitKind.CLIFF
    if stopped_by_us:
        return LimitKind.GENERATOR
    return LimitKind.NONE if failing is None or passing is None else LimitKind.KNEE


def _in_its_word(refusals: Mapping[str, int]) -> bool:
    """Whether most of them, by step and code, were refused for how many there are, by the target's own word."""
    told = sum(count for why, count in refusals.items() if why.split()[1] in FOR_THEIR_NUMBER)
    return 2 * told > sum(refusals.values())


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
            "what": AT_ONCE,
            "number": at_once.least,
            "exact": True,
            "freed_after_s": at_once.freed_after_s,
            "refusals": refusals,
        }
    if failing is not first or (passing is not None and not alone and not failing.met_quota):
        return None
    if at_once is not None:
        return {
            "what": AT_ONCE,
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
        refused = len(failing.evidence.refusals)
        return f"{plural(refused)} {'was' if refused == 1 else 'were'} refused for their number"
    if failing.broken:
        slo = failing.broken[0]
        seen = "nothing" if slo.observed is None else amount(slo.observed, slo.unit, slo.objective)
        bound = "most" if slo.bound == "max" else "least"
        whose = f" of {slo.scenario}" if slo.scenario else ""
        return f"{slo.name} ({slo.indicator}{whose}): {seen}, wanted at {bound} {asked(slo.objective, slo.unit)}"
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


def _needed(facts: Facts, stages: Sequence[Facts], processes: int, cores: int | None) -> dict[str, Any]:
    """How many load processes a run at that level would need: by the CPU that the highest valid level took. Where the
    pool was too small, nobody needs more of them."""
    valid = [each for each in stages if each.health.outcome == "valid"]
    best = max(valid, key=lambda each: each.level, default=None)
    cpu = best.health.cpu_percent if best is not None else None
    per_process = None
    if best is not None and best.level:
        per_process = best.level / processes * (70.0 / cpu if cpu and cpu > 10 else 1.0)
    needed = per_process and max(processes + 1, math.ceil(facts.level / per_process))
    if OWN_POOL in facts.health.because:
        needed = None
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
    kind: LimitKind,
    quota: dict[str, Any] | None,
    broke: str | None,
    generator: dict[str, Any] | None,
    unit: str,
) -> str:
    held = "no level was held" if passing is None else f"{load_words(passing.level, unit, ('was', 'were'))} held"
    early = None if generator is None else ended_early(generator["because"])
    if kind is LimitKind.GENERATOR and early is not None:
        return f"{early} before the limit was found; {held}"
    if kind is LimitKind.GENERATOR and generator is not None and NONE_DUE in generator["because"]:
        return f"at {load_words(generator['level'], unit)} no session began within the stage: a longer --stage; {held}"
    if kind is LimitKind.GENERATOR and generator is not None and OWN_POOL in generator["because"]:
        return f"at {load_words(generator['level'], unit)} {OWN_POOL}; {held}"
    if kind is LimitKind.GENERATOR and generator is not None:
        need = generator["processes_needed"]
        count = generator["hosts_needed"]
        hosts = "" if count is None else f", {plural(count, 'host')} like this one,"
        more = f"; about {plural(need, 'load process')}{hosts} would be needed for it" if need else ""
        level = load_words(generator["level"], unit)
        return f"avaload was at its end before the target: at {level} its figures are no good{more}"
    if failing is None:
        return "no level passed" if passing is None else f"no limit was found up to {load_words(passing.level, unit)}"
    bounded = "" if quota is None else _bound(quota)
    if kind is LimitKind.QUOTA:
        above = f"above it sessions are refused{_meanwhile(stages)}"
        return f"{bounded or _calls(quota)}; {above} ({_levels(passing, failing, unit)})"
    if passing is None:
        return f"no level passed: already at {load_words(failing.level, unit)} {broke}"
    if kind is LimitKind.CLIFF:
        return f"a cliff between {passing.level:g} and {failing.level:g} {unit}: refusals while latency does not move"
    more = f"; and {bounded}" if bounded else ""
    return f"a knee between {passing.level:g} and {failing.level:g} {unit}: {broke}{more}"


def _levels(passing: Facts | None, failing: Facts, unit: str) -> str:
    """Which level passes and which fails."""
    if passing is None:
        return load_words(failing.level, unit, ("fails", "fail"))
    return f"{load_words(passing.level, unit, ('passes', 'pass'))}, {failing.level:,g} fail"


def _calls(quota: dict[str, Any] | None) -> str:
    """A bound on calls, of which no number is known for sure."""
    return "a quota" if quota is None else f"a quota of {quota['what']}"


def _bound(quota: dict[str, Any]) -> str:
    """What is known of a number of sessions at once; empty: nothing."""
    if quota["exact"]:
        late = quota["freed_after_s"]
        when = f", a place of which is free again only about {late:.2g} s after a delete" if late else ""
        return f"a quota of exactly {plural(quota['number'])} at once{when}"
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
