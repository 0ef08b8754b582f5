"""Service levels judged from the journals: over the steady part of the run, or over each window that slides through it.

`loadtest.objectives` judges those with `abort` while the run goes on, by counts; `Slo.broken` is the same for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from loadtest.objectives import slot_ns
from loadtest.slo import COUNT, DEFAULT_SLOS, RANKS, SECONDS, SHARE, SLOTS_OF_A_WINDOW, Slo
from reports.frames import Run
from reports.samples import Samples, samples, steady_ns, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of a run: when, in ns of the run's clock, how many samples it had, and what they come to."""

    from_ns: int
    to_ns: int
    count: int
    observed: float
    broken: bool


def judge(run: Run, slos: Sequence[Slo], *, planned_s: float | None = None) -> list[dict[str, Any]]:
    """`slos` of report.json. `run` is the load sessions alone; `planned_s`: length of the plan, where it is known.

    An objective that saw no data is not met (observed: null): a gate must not open because nothing was measured. Of
    the default ones, those without data are left out instead: nobody asked for them.

    judged_over: `run` (counts), `steady`, or `window`; then `observed` is of the worst window, `worst` says when it was
    (seconds after the run's start), and `windows` how many were judged, broken, and too thin to say anything.
    """
    rows = [_row(run, slo, planned_s) for slo in slos or DEFAULT_SLOS]
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


def observed(slo: Slo, values: Any) -> float | None:
    """What the samples come to: a quantile, a share or a number; None where there are none to be a quantile or share
    of."""
    if slo.unit == COUNT:
        return float(len(values))
    if not len(values):
        return None
    if slo.unit == SHARE:
        return round(float(np.mean(values)), 9)
    place = (len(values) - 1) * RANKS[slo.indicator.rpartition(".")[2]]
    low, high = floor(place), ceil(place)
    ordered = np.sort(values)  # np.quantile does the same in ten times the time, which counts over 72,000 windows
    return round(float(ordered[low] + (ordered[high] - ordered[low]) * float(place - low)), 9)


def _row(run: Run, slo: Slo, planned_s: float | None) -> dict[str, Any]:
    found = samples(run, slo.measure, scenario=slo.scenario)
    stretches = steady_ns(run)
    steady = found if slo.unit == COUNT else found.where(within(found.t_ns, stretches))
    value, over = observed(slo, steady.values), "run" if slo.unit == COUNT else "steady"
    passed = value is not None and slo.met(value)
    row: dict[str, Any] = {
        "name": slo.name,
        "indicator": slo.indicator,
        "scenario": slo.scenario,
        "outcome": "",
        "bound": "min" if slo.max is None else "max",
        "objective": slo.objective,
        "observed": value,
        "unit": slo.unit,
        "judged_over": over,
        "count": len(steady),
        "window_s": slo.window_s,
        "abort": slo.abort,
        "aborted": bool((run.aborts["slo"] == slo.name).any()),
        "worst": None,
        "windows": None,
        "note": None,
    }
    if slo.window_s is not None:
        full = _windows(slo, found, stretches, _until_ns(run, planned_s))
        telling = [window for window in full if window.broken or window.count >= slo.enough]
        row["windows"] = {
            "judged": len(telling),
            "broken": sum(window.broken for window in telling),
            "too_few": len(full) - len(telling),
        }
        if telling:
            key = [(window.broken, window.observed if slo.min is None else -window.observed) for window in telling]
            worst = telling[max(range(len(key)), key=key.__getitem__)]
            passed = not any(window.broken for window in telling)
            row |= {
                "judged_over": "window",
                "observed": worst.observed,
                "count": worst.count,
                "worst": {
                    "from_s": round((worst.from_ns - run.start_ns) / 1e9, 3),
                    "to_s": round((worst.to_ns - run.start_ns) / 1e9, 3),
                    "count": worst.count,
                },
            }
        row["note"] = _note(slo, full, telling)
    row["outcome"] = "pass" if passed and not row["aborted"] else "fail"
    return row


def _until_ns(run: Run, planned_s: float | None) -> int:
    """Windows end with the plan: afterwards the load falls, and what is counted with it."""
    started = run.sessions["started_ns"].dropna()
    ends = [int(started.max())] if len(started) else []
    if planned_s is not None and len(run.stages):
        ends.append(min(run.end_ns, int(run.stages["t_ns"].min()) + round(planned_s * 1e9)))
    ends += [int(t_ns) for t_ns in run.aborts["t_ns"]]
    return max(ends, default=run.end_ns)


def _windows(slo: Slo, found: Samples, stretches: list[tuple[int, int]], until_ns: int) -> list[Window]:
    """Every full window of the steady part; one that no sample fell into has nothing to say, unless it counts."""
    if not stretches:
        return []
    width_ns = slot_ns(slo)
    origin_ns = stretches[0][0] or (int(found.t_ns[0]) if len(found) else 0)
    windows: list[Window] = []
    for from_ns, to_ns in stretches:
        first = -(-(max(from_ns, origin_ns) - origin_ns) // width_ns)
        last = (min(to_ns, until_ns) - origin_ns) // width_ns
        for end in range(first + SLOTS_OF_A_WINDOW, last + 1):
            begin_ns, end_ns = origin_ns + (end - SLOTS_OF_A_WINDOW) * width_ns, origin_ns + end * width_ns
            low, high = np.searchsorted(found.t_ns, (begin_ns, end_ns))
            value = observed(slo, found.values[low:high])
            if value is None:
                continue
            windows.append(
                Window(
                    from_ns=begin_ns,
                    to_ns=end_ns,
                    count=int(high - low),
                    observed=value,
                    broken=_broken(slo, found.values[low:high], value),
                )
            )
    return windows


def _broken(slo: Slo, values: Any, value: float) -> bool:
    if len(values) >= slo.enough:
        return not slo.met(value)
    beyond = values < slo.objective if slo.max is None else values > slo.objective
    return slo.broken(len(values), int(np.sum(beyond if slo.unit == SECONDS else values)))


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
