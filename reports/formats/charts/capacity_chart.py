"""The chart of a search for the limit: goodput and set-up time against load."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from loadtest.criteria.words import amount, load_words
from reports.formats.charts import svg
from reports.formats.charts.chart import Chart, chart_of

_MARKS: Final = {
    ("passed",): ("o", svg.FIRST, "a dot passed"),
    ("failed", "narrowly", "slow", "refused"): ("x", svg.BAD, "a × failed"),
    ("invalid",): ("o", svg.MUTED, "a ring does not count, the generator was not fit"),
}
"""Results of stages → their mark, its colour and its words. Told apart without colours too."""


_FAR: Final = 8.0
"""A scale whose highest value is so many times its median is logarithmic: one stage must not flatten the others."""


def chart(capacity: dict[str, Any]) -> Chart:
    """Goodput and latency against load, the limit marked."""
    rows = sorted(capacity["stages"], key=lambda row: (row["level"], row["number"]))
    limit_level = None if capacity["max_passing"] is None else capacity["max_passing"]["level"]

    levels = sorted({row["level"] for row in rows})
    stretched = {
        key
        for key, values in (
            ("level", levels),
            *((key, [row[key] for row in rows]) for key in ("goodput_per_s", "setup_p95_s")),
        )
        if _far_apart(values)
    }

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
                    markerfacecolor="none" if shape == "o" and color == svg.MUTED else color, clip_on=False,
                )  # fmt: skip
            if limit_level is not None:
                panel.axvline(limit_level, color=svg.SECOND, linewidth=1.4, linestyle=(0, (5, 3)))
            if key in stretched:
                _logarithmic(panel.yaxis, [row[key] for row in seen])
            else:
                panel.set_ylim(bottom=0)
            panel.set_title(f"{title} (logarithmic)" if key in stretched else title)
        if "level" in stretched:
            _logarithmic(upper.xaxis, levels)
        else:
            upper.set_xlim(left=0)
        lower.set_xlabel(f"{capacity['unit']} (logarithmic)" if "level" in stretched else capacity["unit"])
        return figure

    marked = (
        "" if limit_level is None else f"; dashed: the highest that held, {load_words(limit_level, capacity['unit'])}"
    )
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


def _far_apart(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None and value > 0]
    return len(known) > 2 and max(known) > _FAR * statistics.median(known)


def _logarithmic(axis: Any, values: Sequence[float]) -> None:
    """From the lowest to the highest, with marks that read as numbers; nothing at all stays at the foot."""
    known = [value for value in values if value > 0]
    low, high = min(known), max(known)
    empty = min(values) <= 0
    scale: dict[str, Any] = {"value": "symlog", "linthresh": low, "linscale": 0.3} if empty else {"value": "log"}
    panel, name = axis.axes, axis.axis_name
    getattr(panel, f"set_{name}scale")(**scale)
    getattr(panel, f"set_{name}lim")(0 if empty else low * 0.8, high * 1.25)
    axis.set_major_locator(FixedLocator([0.0] * empty + _marks(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _marks(low: float, high: float) -> list[float]:
    """Round numbers between the two, 1, 2 and 5 of each power of ten; of many powers the 1 alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    return [step * 10.0**power for power in powers for step in steps if low * 0.8 <= step * 10.0**power <= high * 1.25]


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
