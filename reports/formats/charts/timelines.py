"""The page's charts: one question each, with the numbers behind it as a table.

However long the run, a chart has a bounded number of marks: points up to DOTS, then quantiles per bucket of time.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount, plural
from loadtest.events.kinds import STEPS, Outcome, Step
from reports.data.frames import Run
from reports.data.measures import seconds
from reports.formats.charts import spread_charts, svg
from reports.formats.charts.chart import Chart, chart_of
from reports.sections.generator import SUSPECT_ENGINE_LAG_S
from reports.sections.sessions import active

DOTS: Final = 300
"""More points than this in a panel become quantiles per bucket."""
BUCKETS: Final = 90
TICKS: Final = 7
_WIDTHS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_PANELS: Final = 5
_OTHERS: Final = "other failures"


def concurrency(run: Run, *, probed: bool = False) -> Chart | None:
    """How many sessions ran at once? None where none did."""
    line = active(run)
    if not len(line):
        return None
    at_s = run.since_start_s(line["t_ns"])
    width_s = bucket_s(run)
    edges_s = np.arange(0.0, max(float(at_s.max()), width_s) + width_s, width_s)
    # The level at each edge, and the highest within each bucket: a line of the highest hides no peak.
    level = np.concatenate([[0], line["active"].to_numpy()])
    at_edge = level[np.searchsorted(at_s, edges_s, side="right")]
    highest = line.groupby(np.searchsorted(edges_s, at_s, side="right") - 1)["active"].max()
    highest = highest.reindex(range(len(edges_s) - 1), fill_value=0)
    peak = np.maximum(highest.to_numpy(), at_edge[:-1])
    plan = _plan(run, float(edges_s[-1]))
    exact = len(line) <= 2 * DOTS

    def draw(width_px: int) -> Any:
        figure, (panel,) = svg.panels(width_px, [140])
        if exact:
            x, y = at_s.to_numpy(), line["active"].to_numpy()
        else:
            x, y = edges_s[:-1], peak
        panel.fill_between(x, y, step="post", color=svg.FIRST, alpha=0.18, linewidth=0)
        panel.step(x, y, where="post", color=svg.FIRST, linewidth=1.6)
        if plan:
            panel.plot(*zip(*plan, strict=True), color=svg.SECOND, linewidth=1.4, linestyle=(0, (5, 3)))
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        _time_axis(panel, run)
        return figure

    planned = "; dashed: virtual users planned" + (", those that run probes included" if probed else "") if plan else ""
    drawn = "Filled: sessions running" if exact else f"Filled: the most sessions running in each {_span(width_s)}"
    return chart_of(
        "concurrency",
        "How many sessions ran at once?",
        f"{drawn}{planned}. Highest: {int(line['active'].max()):,}.",
        draw,
        ("from", "at its start", "at most"),
        [(clock(t), f"{a:,}", f"{p:,}") for t, a, p in zip(edges_s[:-1], at_edge[:-1], peak, strict=True)],
    )


def latency(run: Run) -> Chart | None:
    """Did the steps get slower? A panel for each but converse, which lasts as long as the scenario says."""
    series: dict[str, tuple[pd.DataFrame, pd.Series[float]]] = {}
    for step in STEPS:
        if step is Step.CONVERSE:
            continue
        first = (run.steps["step"] == step) & (run.steps["attempt"] == 1)
        rows = run.steps.loc[first, ["t_ns", "started_ns", "outcome"]]  # all columns of a large run are gigabytes
        series[step.value] = (rows, (rows["t_ns"] - rows["started_ns"]) / 1e9)
    turns = run.steps.loc[run.steps["step"] == Step.TURN, ["t_ns", "outcome", "first_audio_ns"]]
    series["time to first audio"] = (turns, turns["first_audio_ns"].astype("Float64") / 1e9)
    series = {name: (rows, values) for name, (rows, values) in series.items() if len(rows)}
    if not series:
        return None
    width_s = bucket_s(run)
    table: list[Sequence[str]] = []
    points: dict[str, pd.DataFrame] = {}
    failed_s: dict[str, np.ndarray[Any, Any]] = {}
    for name, (rows, values) in series.items():
        good = (rows["outcome"] == Outcome.OK) & values.notna()
        points[name] = pd.DataFrame(
            {"at_s": run.since_start_s(rows["t_ns"][good]), "value_s": values[good].astype("float64")}
        )
        failed = run.since_start_s(rows["t_ns"][rows["outcome"] == Outcome.FAILED]).to_numpy()
        failed_s[name] = np.unique(np.floor(failed / width_s) * width_s) if len(failed) > DOTS else failed
        table += [
            (name, clock(at_s), f"{count:,.0f}", amount(p50_s, SECONDS), amount(p95_s, SECONDS))
            for at_s, count, p50_s, p95_s in _buckets(points[name], width_s).to_numpy().tolist()
        ]

    def draw(width_px: int) -> Any:
        figure, axes = svg.panels(width_px, [68] * len(points))
        for panel, (name, rows) in zip(axes, points.items(), strict=True):
            panel.set_title(name)
            highest_s = _draw_points(panel, rows, width_s)
            panel.set_ylim(0, highest_s * 1.12 or 1)
            svg.crosses(panel, failed_s[name].tolist(), color=svg.BAD)
            panel.yaxis.set_major_locator(MaxNLocator(nbins=3))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, SECONDS)))
        _time_axis(axes[-1], run)
        return figure

    dense = any(len(rows) > DOTS for rows in points.values())
    band = f" Line and band: median and up to p95 of each {_span(width_s)}." if dense else ""
    dotted = " A dot is one call or turn." if any(0 < len(rows) <= DOTS for rows in points.values()) else ""
    peaked = " ▲: beyond its panel." if any(_has_peaks(rows, width_s) for rows in points.values()) else ""
    crossed = " ×: failed, one or more." if any(len(at_s) for at_s in failed_s.values()) else ""
    return chart_of(
        "latency",
        "Did the steps get slower?",
        f"By the time of their end; each panel has its own scale.{dotted}{band}{peaked}{crossed}",
        draw,
        ("step", "from", "count", "p50", "p95"),
        table,
    )


def first_audio(run: Run) -> Chart | None:
    """How long does a user wait for an answer? None where no turn was answered."""
    turns = run.turns
    values_s = seconds(turns[turns["outcome"] == Outcome.OK]["first_audio_ns"]).to_numpy()
    if not len(values_s):
        return None
    spread = spread_charts.spread_of(values_s)

    def draw(width_px: int) -> Any:
        figure, (panel,) = svg.panels(width_px, [140])
        spread_charts.draw_spread(panel, spread, ticks=5 if width_px < 500 else 8)
        return figure

    return chart_of(
        "first-audio",
        "How long does a user wait for an answer?",
        f"{plural(len(values_s), 'answered turn')}, by the time from the end of the user's speech to the first audible"
        f" sample.{spread.beyond_words}",
        draw,
        ("from", "to", "turns"),
        spread.rows(),
    )


def failures(run: Run) -> Chart | None:
    """When did sessions fail, and how? A panel for each of the most frequent failures. None where none failed."""
    failed = run.sessions[run.sessions["kind"].notna() & run.sessions["end_ns"].notna()]
    if not len(failed):
        return None
    width_s = bucket_s(run)
    what = ["failed_step", "kind", "code"]
    at_s = np.floor(run.since_start_s(failed["end_ns"].astype("int64")) / width_s) * width_s
    counted = failed[what].assign(at_s=at_s).groupby([*what, "at_s"], observed=True).size().reset_index(name="count")
    counted["what"] = counted[what].astype("str").agg("/".join, axis=1)
    totals = counted.groupby("what")["count"].sum().sort_values(ascending=False, kind="stable")
    counted["what"] = counted["what"].where(counted["what"].isin(totals.index[:_PANELS]), _OTHERS)
    by_time = counted.groupby(["what", "at_s"])["count"].sum()
    shown = [*totals.index[:_PANELS], *([_OTHERS] if len(totals) > _PANELS else [])]
    series = {name: by_time[name] for name in shown}

    def draw(width_px: int) -> Any:
        figure, axes = svg.panels(width_px, [52] * len(series))
        for panel, (what, counts) in zip(axes, series.items(), strict=True):
            panel.set_title(f"{what} ({counts.sum():,})")
            panel.bar(counts.index, counts, width=width_s * 0.92, align="edge", color=svg.BAD, alpha=0.8)
            panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=2))
        _time_axis(axes[-1], run)
        return figure

    return chart_of(
        "failures",
        "When did sessions fail?",
        f"Sessions by their end, in each {_span(width_s)}: step, kind and code of the first failure; each panel has "
        "its own scale.",
        draw,
        ("failure", "from", "sessions"),
        [(what, clock(at_s), f"{count:,}") for what, counts in series.items() for at_s, count in counts.items()],
    )


def generator_health(run: Run) -> Chart | None:
    """Was the instrument itself in the way? Highest of all processes in each bucket; None without samples."""
    if not len(run.health):
        return None
    width_s = bucket_s(run)
    bucket = np.floor(run.since_start_s(run.health["t_ns"]) / width_s) * width_s
    groups = run.health.assign(bucket_s=bucket).groupby(["bucket_s", "source"], observed=True)
    worst = groups[["lag_p99_ns", "cpu_percent"]].max().reset_index()
    sources = {str(source): rows for source, rows in worst.groupby("source", observed=True)}
    looks = {"engine": (svg.FIRST, "-"), "hub": (svg.SECOND, (0, (5, 3)))}

    def draw(width_px: int) -> Any:
        figure, (lag, cpu) = svg.panels(width_px, [100, 80])
        lag.set_title("loop lag, p99 of a second")
        cpu.set_title("CPU of a process, % of a core")
        for source, rows in sources.items():
            color, dash = looks.get(source, (svg.MUTED, "-"))
            lag.plot(rows["bucket_s"], rows["lag_p99_ns"] / 1e9, color=color, linestyle=dash, linewidth=1.5)
            cpu.plot(rows["bucket_s"], rows["cpu_percent"], color=color, linestyle=dash, linewidth=1.5)
        highest_s = float(worst["lag_p99_ns"].max()) / 1e9
        if highest_s > SUSPECT_ENGINE_LAG_S / 3:  # far above everything it would only flatten the lines
            lag.axhline(SUSPECT_ENGINE_LAG_S, color=svg.BAD, linewidth=1)
        lag.set_ylim(0, max(highest_s * 1.15, 0.001))
        cpu.set_ylim(0, max(100.0, float(worst["cpu_percent"].max())))
        for panel in (lag, cpu):
            panel.yaxis.set_major_locator(MaxNLocator(nbins=3))
        lag.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, SECONDS)))
        _time_axis(cpu, run)
        return figure

    return chart_of(
        "generator",
        "Was the instrument itself in the way?",
        f"The worst process in each {_span(width_s)}. Solid: engine (it measures); dashed: hub (it conducts). "
        f"An engine that is often above {amount(SUSPECT_ENGINE_LAG_S, SECONDS)} makes its numbers suspect.",
        draw,
        ("from", "process", "lag p99", "CPU"),
        [
            (clock(at_s), source, amount(lag_ns / 1e9, SECONDS), f"{cpu:.0f} %")
            for at_s, source, lag_ns, cpu in worst.to_numpy(dtype=object).tolist()
        ],
    )


def _plan(run: Run, until_s: float) -> list[tuple[float, int]]:
    """Corners of the planned number of users: a ramp rises to the next stage, a steady stage stays as it is."""
    stages = run.stages.drop_duplicates(["t_ns", "stage"])
    at_s, users = run.since_start_s(stages["t_ns"]).tolist(), stages["users"].tolist()
    corners: list[tuple[float, int]] = []
    for number, (begin_s, count, steady) in enumerate(zip(at_s, users, stages["steady"], strict=True)):
        corners.append((begin_s, count))
        if steady:
            corners.append((at_s[number + 1] if number + 1 < len(at_s) else until_s, count))
    return corners


def bucket_s(run: Run) -> float:
    """A round length of time that cuts the run into at most BUCKETS."""
    return _round_s(run, BUCKETS)


def _round_s(run: Run, pieces: int) -> float:
    length_s = (run.end_ns - run.start_ns) / 1e9
    days = math.ceil(length_s / pieces / _WIDTHS_S[-1])
    return float(next((width for width in _WIDTHS_S if length_s / width <= pieces), days * _WIDTHS_S[-1]))


def clock(at_s: float) -> str:
    """A time after the start of the run: 0:07, 12:30, 1:02:30."""
    minutes, whole_s = divmod(round(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole_s:02d}" if hours else f"{minutes}:{whole_s:02d}"


def _span(width_s: float) -> str:
    return f"{width_s:g} s" if width_s < 60 else f"{width_s / 60:g} min" if width_s < 3600 else f"{width_s / 3600:g} h"


def _buckets(points: pd.DataFrame, width_s: float) -> pd.DataFrame:
    """at_s (start of the bucket), count, p50_s, p95_s of `value_s`; buckets without points are left out."""
    groups = points.groupby(np.floor(points["at_s"] / width_s) * width_s)["value_s"]
    found = pd.DataFrame({"count": groups.size(), "p50_s": groups.quantile(0.5), "p95_s": groups.quantile(0.95)})
    return found.rename_axis("at_s").reset_index()


def _draw_points(panel: Any, rows: pd.DataFrame, width_s: float) -> float:
    """Dots, or median and band where there are too many; what is far above all others as a mark at the top. Returns the
    height that is needed."""
    if not len(rows):
        return 0.0
    if len(rows) <= DOTS:
        reach_s = spread_charts.reach_of(rows["value_s"])
        near = rows["value_s"] <= reach_s
        svg.dots(panel, rows["at_s"][near].tolist(), rows["value_s"][near].tolist(), color=svg.FIRST)
        svg.peaks(panel, rows["at_s"][~near].tolist(), color=svg.FIRST)
        return reach_s
    found = _buckets(rows, width_s)
    middle_s = found["at_s"] + width_s / 2
    reach_s = spread_charts.reach_of(found["p95_s"])
    panel.fill_between(middle_s, found["p50_s"], found["p95_s"], color=svg.FIRST, alpha=0.25, linewidth=0)
    panel.plot(middle_s, found["p50_s"], color=svg.FIRST, linewidth=1.6)
    svg.peaks(panel, middle_s[found["p95_s"] > reach_s].tolist(), color=svg.FIRST)
    return reach_s


def _has_peaks(rows: pd.DataFrame, width_s: float) -> bool:
    heights = rows["value_s"] if len(rows) <= DOTS else _buckets(rows, width_s)["p95_s"]
    return len(heights) > 0 and bool((heights > spread_charts.reach_of(heights)).any())


def _time_axis(panel: Any, run: Run) -> None:
    length_s = (run.end_ns - run.start_ns) / 1e9
    panel.set_xlim(0, max(length_s, 1.0))
    panel.xaxis.set_major_locator(MultipleLocator(_round_s(run, TICKS)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
