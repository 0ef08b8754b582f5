"""How times are spread: bars from zero, in round widths, p50 and p95 marked.

A few that took far longer are told in words and do not press the others together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount
from loadtest.events.kinds import STEPS, Outcome
from reports.data.frames import Run
from reports.data.measures import quantile, seconds
from reports.formats.charts import svg
from reports.formats.charts.chart import Chart, chart_of
from reports.sections.steps import durations_s

_BARS: Final = 30
_FAR: Final = 3.0
"""What lies beyond so many times p99 is told and not drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Bars of a distribution: `heights` between `edges_s`; `beyond` values lie above the last edge."""

    heights: Any
    edges_s: Any
    p50_s: float
    p95_s: float
    beyond: int
    max_s: float

    @property
    def beyond_words(self) -> str:
        """A sentence, empty where everything is drawn."""
        if not self.beyond:
            return ""
        last, most = amount(self.edges_s[-1], SECONDS), amount(self.max_s, SECONDS)
        return f" Not drawn: {self.beyond:,} beyond {last}, at most {most}."

    def rows(self) -> list[Sequence[str]]:
        """From, to, count; without empty bars."""
        found: list[Sequence[str]] = [
            (amount(low, SECONDS), amount(high, SECONDS), f"{count:,}")
            for low, high, count in zip(self.edges_s[:-1], self.edges_s[1:], self.heights, strict=True)
            if count
        ]
        if self.beyond:
            found.append((amount(self.edges_s[-1], SECONDS), amount(self.max_s, SECONDS), f"{self.beyond:,}"))
        return found


def reach_of(values: Any) -> float:
    """How far a scale must go: to the highest value, or to where all but a few far ones are."""
    highest, p99 = float(np.max(values)), quantile(values, 0.99) or 0.0
    return highest if highest <= _FAR * p99 else _FAR * p99


def spread_of(values_s: Any) -> Spread:
    """Of at least one value. From zero and in round widths: a spread of a millisecond must not look like one of a
    second."""
    values = np.asarray(values_s, dtype=float)
    max_s, reach_s = float(values.max()), max(reach_of(values), 0.001)
    exponent = np.floor(np.log10(reach_s / _BARS))
    width_s = next(w for w in (1, 2, 5, 10) if reach_s <= w * 10**exponent * _BARS) * 10**exponent
    heights, edges_s = np.histogram(values, bins=np.arange(0, reach_s + 2 * width_s, width_s))
    return Spread(
        heights=heights,
        edges_s=edges_s,
        p50_s=quantile(values, 0.5) or 0.0,
        p95_s=quantile(values, 0.95) or 0.0,
        beyond=int((values > edges_s[-1]).sum()),
        max_s=max_s,
    )


def draw_spread(panel: Any, spread: Spread, *, ticks: int) -> None:
    """Its bars, and lines at p50 and p95."""
    width_s = spread.edges_s[1] - spread.edges_s[0]
    panel.bar(spread.edges_s[:-1], spread.heights, width=width_s * 0.92, align="edge", color=svg.FIRST, alpha=0.75)
    for name, at_s, side in (("p50", spread.p50_s, "right"), ("p95", spread.p95_s, "left")):
        panel.axvline(at_s, color=svg.SECOND, linewidth=1.5, linestyle=(0, (5, 3)))
        text = f"{name} {amount(at_s, SECONDS)}"
        panel.text(at_s, 1.02, text, transform=panel.get_xaxis_transform(), ha=side, color=svg.INK)
    panel.set_xlim(0, max(spread.edges_s[-1], 1.25 * spread.p95_s))  # room for the words beside p95
    panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    panel.xaxis.set_major_locator(MaxNLocator(nbins=ticks))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, SECONDS)))


def steps(run: Run) -> Chart | None:
    """How are the times of each step and of answers spread? A panel for each, of what succeeded; None where nothing
    did."""
    found: dict[str, Spread] = {}
    for step in STEPS:
        values_s = durations_s(run.steps[(run.steps["step"] == step) & (run.steps["attempt"] == 1)])
        if len(values_s):
            found[step.value] = spread_of(values_s)
    turns = run.turns
    heard = {"first audio": turns[turns["outcome"] == Outcome.OK]["first_audio_ns"], "barge-in": turns["barge_in_ns"]}
    for name, column in heard.items():
        if len(values_s := seconds(column)):
            found[name] = spread_of(values_s)
    return _chart(found)


def _chart(found: Mapping[str, Spread]) -> Chart | None:
    if not found:
        return None

    def draw(width_px: int) -> Any:
        columns = 1 if width_px < 500 else 2
        figure, axes = svg.grid(width_px, len(found), 78, columns=columns)
        for panel, (name, spread) in zip(axes, found.items(), strict=True):
            width_s = spread.edges_s[1] - spread.edges_s[0]
            panel.set_title(f"{name}: p50 {amount(spread.p50_s, SECONDS)}, p95 {amount(spread.p95_s, SECONDS)}")
            panel.bar(
                spread.edges_s[:-1], spread.heights, width=width_s * 0.92, align="edge", color=svg.FIRST, alpha=0.75
            )
            for at_s in (spread.p50_s, spread.p95_s):
                panel.axvline(at_s, color=svg.SECOND, linewidth=1.5, linestyle=(0, (5, 3)))
            panel.set_xlim(0, spread.edges_s[-1])
            panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
            panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, SECONDS)))
        return figure

    beyond = "".join(f" {name}:{spread.beyond_words}" for name, spread in found.items() if spread.beyond)
    return chart_of(
        "spread",
        "How are the times spread?",
        f"Calls by how long they took, of what succeeded; dashed: p50 and p95. Each panel has its own scale.{beyond}",
        draw,
        ("step", "from", "to", "count"),
        [(name, *row) for name, spread in found.items() for row in spread.rows()],
    )
