"""The result of a search for the limit, worked out again from the journals: `capacity` of report.json and its chart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from loadtest.capacity.facts import Facts, as_row
from loadtest.capacity.limit import Limit, limit, verdicts
from loadtest.capacity.search import Found
from loadtest.capacity.stages import Stages
from loadtest.judging.bounds import lower_bound, upper_bound
from loadtest.judging.slo import SHARE, Slo
from loadtest.judging.words import amount
from loadtest.language import journal
from reports.pages import svg
from reports.pages.chart import Chart, chart_of
from reports.sections import usl

Report = dict[str, Any]

_MARKS: Final = {
    ("passed",): ("o", svg.FIRST, "a dot passed"),
    ("failed", "narrowly", "slow", "refused"): ("x", svg.BAD, "a × failed"),
    ("invalid",): ("o", svg.MUTED, "a ring does not count, the generator was not fit"),
}
"""Results of stages → their mark, its colour and its words. Told apart without colours too."""

_UNITS: Final = {"users": "users", "arrivals": "arrivals/s"}


def section(run_dir: Path, settings: dict[str, Any], slos: Sequence[Slo]) -> dict[str, Any] | None:
    """`capacity` of report.json; None for a run that was no search, or in which no stage was finished.

    by, unit: what levels are. sentence: the answer for people. max_passing, first_failing: rows of `stages`.
    kind: knee | cliff | generator | none. quota: {what, number, exact}.
    confidence: {low, high, level, method}.
    usl: `reports.sections.usl.fit`. stages: `loadtest.capacity.facts.as_row` plus `found`, in order of time.
    """
    scenario = settings.get("scenario")
    asked = scenario.get("capacity") if isinstance(scenario, dict) else None
    if not isinstance(scenario, dict) or not isinstance(asked, dict):
        return None
    load = scenario.get("load") or {}
    fold = Stages(slos, poisson=load.get("arrivals") == "poisson")
    for path in journal.journals(run_dir):
        if "-sweep-" not in path.name:
            for events in journal.batches(path):
                for event in events:
                    fold.add(event)
    stages = fold.facts()
    if not stages:
        return None
    unit = _UNITS[asked["by"]]
    processes, seed = int(load.get("processes", 1)), int(load.get("seed", 1))
    answer = limit(
        stages, bounds_latency=fold.bounds_latency, processes=processes, unit=unit, cores=_cores(settings), seed=seed
    )
    found = verdicts(stages, bounds_latency=fold.bounds_latency)
    return {
        "by": asked["by"],
        "unit": unit,
        "sentence": answer.sentence,
        "kind": answer.kind,
        "max_passing": None if answer.passing is None else _short(answer.passing),
        "first_failing": None if answer.failing is None else _short(answer.failing),
        "sustained": answer.sustained,
        "broke_first": answer.broke_first,
        "monotonic": answer.monotonic,
        "quota": answer.quota,
        "confidence": answer.confidence,
        "generator": answer.generator,
        "usl": usl.fit(_points(stages, found, answer), seed=seed),
        "stages": [as_row(facts) | {"found": one.value} for facts, one in zip(stages, found, strict=True)],
    }


def apply(report: Report, capacity: dict[str, Any]) -> None:
    """A search is judged by whether it found what it looked for: that levels past the limit failed is its result, not
    a missed objective, and a generator that was at its end there is told with the limit."""
    report["capacity"] = capacity
    best = capacity["max_passing"]
    stage = next((row for row in capacity["stages"] if best is not None and row["number"] == best["number"]), None)
    asked = {slo["name"] for slo in report["slos"] if slo["asked"]}
    report["slos"] = [
        {
            "name": f"{slo['name']} at {best['level']:g} {capacity['unit']}",
            "indicator": slo["indicator"],
            "asked": slo["name"] in asked,
            "outcome": slo["outcome"],
            "bound": slo["bound"],
            "objective": slo["objective"],
            "observed": slo["observed"],
            "unit": slo["unit"],
            "judged_over": "stage",
            "scenario": None,
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
    because = [] if capacity["generator"] is None else list(capacity["generator"]["because"])
    generator["invalid_because"] = because
    generator["suspect_because"] = [] if stage is None else [w for w in stage["generator"]["because"] if not because]
    generator["outcome"] = "invalid" if because else "suspect" if generator["suspect_because"] else "valid"


def _open(slo: dict[str, Any], side: str, bound: Callable[[int, int], float]) -> float | None:
    return round(bound(slo["beyond"], slo["count"]), 6) if slo["unit"] == SHARE and slo["bound"] == side else None


def _cores(settings: dict[str, Any]) -> int | None:
    host = settings.get("host")
    return host.get("cores") if isinstance(host, dict) else None


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


def _line(rows: Sequence[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    """A point for each level: the mean of its stages, of the fit ones where there are any."""
    points = []
    for level in sorted({row["level"] for row in rows}):
        at = [row for row in rows if row["level"] == level]
        values = [row[key] for row in at if row["found"] != "invalid"] or [row[key] for row in at]
        points.append((level, sum(values) / len(values)))
    return points


def _legend(rows: Sequence[dict[str, Any]]) -> str:
    found = {row["found"] for row in rows}
    return ", ".join(words for marks, (_, _, words) in _MARKS.items() if found & set(marks))


def chart(capacity: dict[str, Any]) -> Chart:
    """Goodput and latency against load, the limit marked."""
    rows = sorted(capacity["stages"], key=lambda row: (row["level"], row["number"]))
    limit_level = None if capacity["max_passing"] is None else capacity["max_passing"]["level"]

    def draw(width_px: int) -> Any:
        figure, (upper, lower) = svg.panels(width_px, [170, 120])
        for panel, key, title in ((upper, "goodput_per_s", "good sessions/s"), (lower, "setup_p95_s", "set-up p95, s")):
            seen = [row for row in rows if row[key] is not None]
            line = _line(seen, key)
            panel.plot([at for at, _ in line], [value for _, value in line], color=svg.FIRST, linewidth=1.4, alpha=0.5)
            for marks, (shape, color, _) in _MARKS.items():
                chosen = [row for row in seen if row["found"] in marks]
                panel.plot(
                    [r["level"] for r in chosen], [r[key] for r in chosen], shape, color=color, markersize=7, mew=1.8,
                    markerfacecolor="none" if shape == "o" and color == svg.MUTED else color,
                )  # fmt: skip
            if limit_level is not None:
                panel.axvline(limit_level, color=svg.SECOND, linewidth=1.4, linestyle=(0, (5, 3)))
            panel.set_ylim(bottom=0)
            panel.set_title(title)
        upper.set_xlim(left=0)
        lower.set_xlabel(capacity["unit"])
        return figure

    marked = "" if limit_level is None else f"; dashed: the highest that held, {limit_level:g} {capacity['unit']}"
    return chart_of(
        "capacity",
        "How much does it carry?",
        f"Each mark is a stage: {_legend(rows)}{marked}. The line goes through the mean of each load.",
        draw,
        ("stage", capacity["unit"], "result", "good/s", "set-up p95", "refused", "generator"),
        [
            (
                row["name"], f"{row['level']:g}", row["found"], f"{row['goodput_per_s']:g}",
                amount(row["setup_p95_s"], "s"), f"{row['refused']:,}", row["generator"]["outcome"],
            )
            for row in capacity["stages"]
        ],
    )  # fmt: skip
