"""The result of a search for the limit, worked out again from the journals: `capacity` of report.json and its chart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loadtest import journal
from loadtest.capacity.facts import BROKE_OFF, Facts, as_row
from loadtest.capacity.limit import Limit, LimitKind, limit, verdicts, was_cut_short
from loadtest.capacity.search import Found, Search
from loadtest.capacity.stages import Stages
from loadtest.config.settings import Settings
from loadtest.criteria.bounds import lower_bound, upper_bound
from loadtest.criteria.samples import WEIGHTS
from loadtest.criteria.slo import SHARE, Slo
from loadtest.criteria.words import load_words
from reports.sections import usl

Report = dict[str, Any]


def section(
    run_dir: Path, settings: Settings | None, slos: Sequence[Slo], *, cores: int | None
) -> dict[str, Any] | None:
    """`capacity` of report.json; None for a run that was no search, or in which no stage was finished.

    by, unit: what levels are. sentence: the answer for people. max_passing, first_failing: rows of `stages`.
    kind: of `loadtest.capacity.limit.LimitKind`. quota: {what, number, exact}.
    confidence: {low, high, level, method}.
    usl: `reports.sections.usl.fit`. stages: `loadtest.capacity.facts.as_row` plus `found`, in order of time.
    """
    if settings is None or settings.capacity is None:
        return None
    asked, load = settings.capacity, settings.load
    fold = Stages(slos, poisson=load.arrivals == "poisson")
    for path in journal.journals(run_dir):
        if "-sweep-" not in path.name:
            for events in journal.batches(path):
                for event in events:
                    fold.add(event)
    stages = fold.facts()
    if not stages:
        return None
    answer = limit(
        stages,
        bounds_latency=fold.bounds_latency,
        processes=load.processes,
        unit=asked.unit,
        cores=cores,
        seed=load.seed,
        time_up=fold.is_completed and was_cut_short(stages, Search.of(asked), bounds_latency=fold.bounds_latency),
    )
    found = verdicts(stages, bounds_latency=fold.bounds_latency)
    return {
        "by": asked.by,
        "unit": asked.unit,
        "sentence": answer.sentence,
        "kind": answer.kind.value,
        "max_passing": None if answer.passing is None else _short(answer.passing),
        "first_failing": None if answer.failing is None else _short(answer.failing),
        "sustained": answer.sustained,
        "broke_first": answer.broke_first,
        "monotonic": answer.monotonic,
        "quota": answer.quota,
        "confidence": answer.confidence,
        "generator": answer.generator,
        "usl": usl.fit(_points(stages, found, answer), seed=load.seed),
        "stages": [as_row(facts) | {"found": one.value} for facts, one in zip(stages, found, strict=True)],
    }


def apply(report: Report, capacity: dict[str, Any]) -> None:
    """A search is judged by whether it found what it looked for: that levels past the limit failed is its result, not
    a missed objective, and a generator that was at its end there is told with the limit. What broke of the generator
    stands against all of it. Its objectives are those of the highest level that held them; where none did, of the
    lowest that didn't, unless a quota below it is the answer."""
    report["capacity"] = capacity
    lowest = None if names_quota(capacity) else capacity["first_failing"]
    level: Any = capacity["max_passing"] or lowest
    stage = next((row for row in capacity["stages"] if level is not None and row["number"] == level["number"]), None)
    asked = {slo["name"] for slo in report["slos"] if slo["asked"]}
    report["slos"] = [
        {
            "name": f"{slo['name']} at {load_words(level['level'], capacity['unit'])}",
            "indicator": slo["indicator"],
            "asked": slo["name"] in asked,
            "outcome": slo["outcome"],
            "bound": slo["bound"],
            "objective": slo["objective"],
            "observed": slo["observed"],
            "unit": slo["unit"],
            "judged_over": "stage",
            "scenario": slo["scenario"],
            "count": slo["count"],
            "beyond": slo["beyond"],
            "needed": slo["needed"],
            "upper_bound": _open(slo, "max", upper_bound),
            "lower_bound": _open(slo, "min", lower_bound),
            "window_s": None,
            "abort": False,
            "aborted": False,
            "worst": None,
            "windows": None,
            "note": None,
        }
        for slo in (stage["slos"] if stage is not None else ())
        if slo["observed"] is not None or slo["name"] in asked
    ]
    generator = report["generator"]
    because = generator["invalid_because"]
    if not because and capacity["generator"] is not None:
        because += [why for why in capacity["generator"]["because"] if why != BROKE_OFF]
        if not because and not report["interrupted"]:
            because.append(BROKE_OFF)
    generator["suspect_because"] = [] if stage is None else [w for w in stage["generator"]["because"] if not because]
    generator["outcome"] = "invalid" if because else "suspect" if generator["suspect_because"] else "valid"


def names_quota(capacity: dict[str, Any]) -> bool:
    """Whether its answer is a quota of which the number is known; a level that holds is then no further one."""
    return capacity["kind"] == LimitKind.QUOTA and capacity["quota"]["exact"] is True


def _open(slo: dict[str, Any], side: str, bound: Callable[[int, int], float]) -> float | None:
    independent = slo["unit"] == SHARE and slo["indicator"] not in WEIGHTS
    return round(bound(slo["beyond"], slo["count"]), 6) if independent and slo["bound"] == side else None


def _short(facts: Facts) -> dict[str, Any]:
    return {
        "number": facts.number,
        "level": facts.level,
        "goodput_per_min": round(60 * facts.goodput_per_s, 1),
        "in_progress_mean": facts.in_progress_mean,
        "setup_p95_s": facts.setup_p95_s,
        "duration_s": facts.duration_s,
        "generator": facts.health.outcome,
    }


def _points(stages: Sequence[Facts], found: Sequence[Found], answer: Limit) -> list[tuple[float, float]]:
    """What the law is fitted to: stages that the target served without refusing, up to the first failing one."""
    top = answer.failing.level if answer.failing is not None else float("inf")
    return [
        (facts.in_progress_mean, facts.completed_per_s)
        for facts, one in zip(stages, found, strict=True)
        if one is not Found.INVALID and not facts.refused and facts.level <= top
    ]
