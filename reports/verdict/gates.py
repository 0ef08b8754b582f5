"""Service levels judged from the journals: over the steady part of the run, or over each window that slides through it.

`loadtest.criteria.objectives` judges those with `abort` while the run goes on, by counts; `Slo.broken` serves both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.criteria.bounds import lower_bound, upper_bound
from loadtest.criteria.objectives import slot_ns
from loadtest.criteria.samples import WEIGHTS
from loadtest.criteria.slo import (
    COUNT,
    DEFAULT_SLOS,
    EXPOSED,
    PER_MINUTE,
    RANKS,
    SHARE,
    SLOTS_OF_A_WINDOW,
    Slo,
    SloOutcome,
)
from loadtest.criteria.words import counted
from reports.data.frames import Run
from reports.data.measures import at_rank
from reports.verdict.samples import Samples, after_warm_up_ns, samples, steady_ns, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of a run: when, in ns of the run's clock, how many samples it had, and what they come to."""

    from_ns: int
    to_ns: int
    count: int
    beyond: int
    observed: float
    broken: bool


def judge(run: Run, slos: Sequence[Slo], *, planned_s: float | None = None) -> list[dict[str, Any]]:
    """`slos` of report.json. `run` is the load sessions alone; `planned_s`: length of the plan, where it is known.

    An objective that has fewer samples than it needs is neither met nor missed: a gate must not open because nothing
    was measured. Of the default ones, those without data are left out instead: nobody `asked` for them.

    judged_over: `run` (counts, and rates of which the steady part says too little), `steady`, or `window`; then
    `observed` is of the worst window, `worst` says when it was (seconds after the run's start), and `windows` how many
    were judged, broken, and too thin to say anything. count: its samples (of a count of what went wrong: of how many),
    `beyond` of them beyond the bound, or bad; needed: how many it takes. upper_bound, lower_bound: of a rate or such a
    count, the share that can't be excluded with 95 % confidence, on the side of the bound.
    """
    rows = [_row(run, slo, planned_s, asked=bool(slos)) for slo in slos or DEFAULT_SLOS]
    return [row for row in rows if slos or row["observed"] is not None]


def aborted(run: Run) -> dict[str, Any] | None:
    """`aborted` of report.json: the objective that ended the run early, and when, in seconds after its start."""
    if not len(run.aborts):
        return None
    first = run.aborts.sort_values("t_ns").iloc[0]
    return {
        "slo": str(first["slo"]),
        "indicator": str(first["indicator"]),
        "at_s": round((int(first["t_ns"]) - run.start_ns) / 1e9, 3),
        "count": int(first["count"]),
        "beyond": int(first["beyond"]),
        "window_s": None if np.isnan(first["window_s"]) else float(first["window_s"]),
    }


def observed(slo: Slo, found: Samples) -> float | None:
    """What the samples come to: a quantile, a ratio or a number; None where there are none to be a quantile or ratio
    of."""
    values = found.values
    if slo.unit == COUNT:
        return float(np.sum(values))
    if not found.count:
        return None
    if slo.is_ratio:
        return round(slo.ratio(found.count, float(np.sum(values))), 9)
    return at_rank(np.sort(values), RANKS[slo.indicator.rpartition(".")[2]])


def _row(run: Run, slo: Slo, planned_s: float | None, *, asked: bool) -> dict[str, Any]:
    found = samples(run, slo.measure, scenario=slo.scenario)
    stretches = steady_ns(run)
    judged, over, note = _judged(run, slo, found, stretches)
    value = observed(slo, judged)
    exposed = samples(run, EXPOSED[slo.measure], scenario=slo.scenario) if slo.measure in EXPOSED else None
    count, beyond = judged.count if exposed is None else len(exposed), _beyond(slo, judged.values)
    outcome = slo.judge(count, beyond, value)
    row: dict[str, Any] = {
        "name": slo.name,
        "indicator": slo.indicator,
        "scenario": slo.scenario,
        "asked": asked,
        "outcome": outcome,
        "bound": "min" if slo.max is None else "max",
        "objective": slo.objective,
        "observed": value,
        "unit": slo.unit,
        "judged_over": over,
        "count": count,
        "beyond": beyond,
        "needed": max(slo.enough, 0 if exposed is None else 1),
        "window_s": slo.window_s,
        "abort": slo.abort,
        "aborted": bool((run.aborts["slo"] == slo.name).any()),
        "worst": None,
        "windows": None,
        "note": note,
    }
    if slo.window_s is not None:
        full = windows(slo, found, stretches, _until_ns(run, planned_s))
        telling = [window for window in full if window.broken or window.count >= slo.enough]
        row["windows"] = {
            "judged": len(telling),
            "broken": sum(window.broken for window in telling),
            "too_few": len(full) - len(telling),
        }
        # A rate of which the steady part says too little must hold over the whole run, too.
        if telling and not (over == "run" and outcome is SloOutcome.FAIL and slo.is_ratio):
            row |= _worst(run, slo, telling)
            row["note"] = None
        row["note"] = row["note"] or _note(slo, full, telling)
    if exposed is not None and not len(exposed) and row["outcome"] is SloOutcome.PASS:
        row["outcome"] = SloOutcome.NOT_ENOUGH  # nothing went wrong because there was nothing
    if row["aborted"]:
        row["outcome"] = SloOutcome.FAIL
    row["outcome"] = str(row["outcome"])
    independent = slo.measure not in WEIGHTS
    share = (slo.unit == SHARE and independent) or (exposed is not None and row["judged_over"] == "run")
    bad = row["beyond"]
    row["upper_bound"] = round(upper_bound(bad, row["count"]), 6) if share and slo.min is None else None
    row["lower_bound"] = round(lower_bound(bad, row["count"]), 6) if share and slo.max is None else None
    return row


def _judged(run: Run, slo: Slo, found: Samples, stretches: list[tuple[int, int]]) -> tuple[Samples, str, str | None]:
    """The samples that an objective is judged by, whatever its window: of which part they are, and a word on it."""
    if slo.unit == COUNT:
        return found, "run", None
    steady = found.where(within(found.t_ns, stretches))
    if not slo.is_ratio or steady.count >= slo.stands_alone:
        return steady, "steady", None
    everything = found.where(within(found.t_ns, after_warm_up_ns(run)))
    if len(everything) == len(steady) or slo.broken(steady.count, _beyond(slo, steady.values)):
        return steady, "steady", None
    had, lacked = counted(steady.count, slo.unit), counted(slo.stands_alone, slo.unit)
    few = f"{had} of the {lacked}{'' if slo.unit == PER_MINUTE else ' samples'} with which it would speak for the run"
    return everything, "run", f"the steady part had {few}; judged over all of it"


def _beyond(slo: Slo, values: Any) -> int:
    """How many samples are beyond the bound; of a ratio or COUNT, how many are bad."""
    if slo.unit == COUNT or slo.is_ratio:
        return int(np.sum(values))
    return int(np.sum(values < slo.objective if slo.max is None else values > slo.objective))


def _worst(run: Run, slo: Slo, telling: Sequence[Window]) -> dict[str, Any]:
    """What a row says of the worst of its windows."""
    key = [(window.broken, window.observed if slo.min is None else -window.observed) for window in telling]
    worst = telling[max(range(len(key)), key=key.__getitem__)]
    return {
        "outcome": SloOutcome.FAIL if worst.broken else SloOutcome.PASS,
        "judged_over": "window",
        "observed": worst.observed,
        "count": worst.count,
        "beyond": worst.beyond,
        "worst": {
            "from_s": round((worst.from_ns - run.start_ns) / 1e9, 3),
            "to_s": round((worst.to_ns - run.start_ns) / 1e9, 3),
            "count": worst.count,
        },
    }


def _until_ns(run: Run, planned_s: float | None) -> int:
    """Windows end with the plan, or where an objective ended the run: afterwards the load falls, and what is counted
    with it."""
    if len(run.aborts):
        return int(run.aborts["t_ns"].min())
    started = run.sessions["started_ns"].dropna()
    ends = [int(started.max())] if len(started) else []
    if planned_s is not None and len(run.stages):
        ends.append(min(run.end_ns, int(run.stages["t_ns"].min()) + round(planned_s * 1e9)))
    return max(ends, default=run.end_ns)


def windows(slo: Slo, found: Samples, stretches: Sequence[tuple[int, int]], until_ns: int) -> list[Window]:
    """Every full window of the steady part; one that no sample fell into has nothing to say, unless it counts."""
    if not stretches:
        return []
    width_ns = slot_ns(slo)
    origin_ns = stretches[0][0] or (int(found.t_ns[0]) if len(found) else 0)
    seen: list[Window] = []
    for from_ns, to_ns in stretches:
        first = -(-(max(from_ns, origin_ns) - origin_ns) // width_ns)
        last = (min(to_ns, until_ns) - origin_ns) // width_ns
        for end in range(first + SLOTS_OF_A_WINDOW, last + 1):
            begin_ns, end_ns = origin_ns + (end - SLOTS_OF_A_WINDOW) * width_ns, origin_ns + end * width_ns
            low, high = np.searchsorted(found.t_ns, (begin_ns, end_ns))
            inside = found.where(slice(low, high))
            value, beyond = observed(slo, inside), _beyond(slo, inside.values)
            if value is None:
                continue
            seen.append(
                Window(
                    from_ns=begin_ns,
                    to_ns=end_ns,
                    count=inside.count,
                    beyond=beyond,
                    observed=value,
                    broken=slo.judge(inside.count, beyond, value) is SloOutcome.FAIL,
                )
            )
    return seen


def _note(slo: Slo, full: list[Window], telling: list[Window]) -> str | None:
    window = f"{slo.window_s:g} s"
    if not full:
        return f"no window of {window} in the steady part had a sample; judged over all of it"
    if not telling:
        return (
            f"no window of {window} had the {slo.enough} samples that it takes to say something (at most "
            f"{max(each.count for each in full)}); judged over the whole steady part"
        )
    if len(telling) < len(full):
        return f"{len(full) - len(telling)} of {len(full)} windows had fewer than {slo.enough} samples: not judged"
    return None
