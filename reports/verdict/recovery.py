"""How long it takes until the objectives hold again after a peak of the load."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from loadtest.criteria.slo import COUNT, DEFAULT_SLOS, Slo
from reports.data.frames import Run
from reports.sections.arrivals import plan
from reports.verdict.gates import Window, windows
from reports.verdict.samples import Samples, samples

WINDOW_S: Final = 5.0
"""Of an objective without a window of its own."""


def section(run: Run, slos: Sequence[Slo]) -> list[dict[str, Any]]:
    """`recovery` of report.json: for each peak of the plan, a stage with more load than before it and than the steady
    stage after it, and for each objective that is a quantile or a rate. `run` is the load sessions alone. A way down
    between the two counts as after the peak.

    windows: how many windows of window_s there were that say something, each a 20th of its length after the one
    before; broken: how many of them missed the bound, `during` the stage and `after` it. recovered_s: from the stage's
    end to the begin of the first window from which on all hold; 0 where none was missed; null where the last one was,
    or where no window says anything.
    """
    told = plan(run)
    begins_ns = [*told["t_ns"].astype("int64"), run.end_ns]
    load = told["rate"].where(told["rate"].notna(), told["users"]).tolist()
    names = told["stage"].astype("str").tolist()
    steady = [at for at, held in enumerate(told["steady"]) if held]
    peaks = [
        (at, after)
        for at in range(1, len(told) - 1)
        if load[at] > load[at - 1]
        for after in [next((each for each in steady if each > at), None)]
        if after is not None and load[at] > load[after]
    ]
    return [
        {"stage": names[at], "ended_at_s": round((begins_ns[at + 1] - run.start_ns) / 1e9, 3)}
        | _of(run, slo, (begins_ns[at], begins_ns[at + 1], begins_ns[after + 1]))
        for at, after in peaks
        for slo in slos or DEFAULT_SLOS
        if slo.unit != COUNT
    ]


def _of(run: Run, slo: Slo, borders_ns: Sequence[int]) -> dict[str, Any]:
    """`borders_ns`: where the peak begins, where it ends, and where the stage after it does."""
    wide = slo if slo.window_s is not None else replace(slo, window_s=WINDOW_S)
    found = samples(run, slo.measure, scenario=slo.scenario)
    begin_ns, end_ns, until_ns = borders_ns
    during = _telling(wide, found, begin_ns, end_ns)
    after = _telling(wide, found, end_ns, until_ns)
    return {
        "name": slo.name,
        "indicator": slo.indicator,
        "scenario": slo.scenario,
        "window_s": wide.window_s,
        "during": _counted(during),
        "after": _counted(after),
        "recovered_s": _recovered_s(after, end_ns),
    }


def _telling(slo: Slo, found: Samples, from_ns: int, to_ns: int) -> list[Window]:
    """The windows between two times that have enough samples to say something."""
    between = windows(slo, found, [(from_ns, to_ns)], to_ns)
    return [window for window in between if window.broken or window.count >= slo.enough]


def _counted(found: Sequence[Window]) -> dict[str, int]:
    return {"windows": len(found), "broken": sum(window.broken for window in found)}


def _recovered_s(after: Sequence[Window], end_ns: int) -> float | None:
    if not after or after[-1].broken:
        return None
    first = next((number for number in range(len(after), 0, -1) if after[number - 1].broken), 0)
    return round(max(0, after[first].from_ns - end_ns) / 1e9, 3) if first else 0.0
