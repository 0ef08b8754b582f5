"""Whether answers get slower as a session grows older: by the number of the turn, and by the age of the session."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtest.criteria.slo import DRIFT, SECONDS
from loadtest.criteria.words import amount, plural
from reports.formats.charts import svg
from reports.formats.charts.chart import Chart, chart_of

_PANELS: Final = (
    ("by_turn", "turn", "by the number of the turn"),
    ("by_minute", "minutes", "by the age of the session, in minutes"),
)
"""Key of `age`, what its rows are of, title."""


def answers_by_age(age: Mapping[str, Any]) -> Chart | None:
    """`age` of report.json as a chart; None where no session had a second turn."""
    if len(age["by_turn"]) < 2:
        return None
    panels = [(what, title, age[key]) for key, what, title in _PANELS if len(age[key]) > 1]

    def draw(width_px: int) -> Any:
        figure, axes = svg.panels(width_px, [100] * len(panels))
        for panel, (what, title, rows) in zip(axes, panels, strict=True):
            panel.set_title(title)
            places = range(len(rows))
            panel.plot(
                places, [row["p95_s"] for row in rows], color=svg.SECOND, marker="o", markersize=3, linewidth=1.2
            )
            panel.plot(places, [row["p50_s"] for row in rows], color=svg.FIRST, marker="o", markersize=3, linewidth=1.6)
            panel.set_ylim(bottom=0)
            panel.set_xticks(places, [_span(row, what) for row in rows])
            panel.yaxis.set_major_locator(MaxNLocator(nbins=3))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value, SECONDS)))
        return figure

    return chart_of(
        "age",
        "Do answers get slower as a session grows older?",
        f"Time to first audio: p50 (lower line) and p95. {drift_words(age['drift'])}",
        draw,
        ("turn or minutes", "turns", "p50", "p95"),
        [row for key, what, _ in _PANELS for row in _table(age[key], what)],
    )


def drift_words(drift: Mapping[str, Any]) -> str:
    """A sentence on how much a minute adds."""
    if not drift["sessions"]:
        return "No session had the three answers that a drift takes."
    per_minute = amount(drift["median_s_per_minute"], DRIFT)
    of = f"median of {plural(drift['sessions'])}"
    if drift["low_s_per_minute"] is None:
        return f"Drift within a session: {per_minute}, {of}; it takes six to say how sure that is."
    low, high = (amount(drift[f"{side}_s_per_minute"], DRIFT) for side in ("low", "high"))
    return f"Drift within a session: {per_minute}, {of}; with 95 % confidence between {low} and {high}."


def _table(rows: Sequence[Mapping[str, Any]], what: str) -> list[tuple[str, ...]]:
    return [
        (
            f"{what} {_span(row, what)}",
            f"{row['count']:,}",
            amount(row["p50_s"], SECONDS),
            amount(row["p95_s"], SECONDS),
        )
        for row in rows
    ]


def _span(row: Mapping[str, Any], what: str) -> str:
    """Where a row begins and ends: turns are counted, so that a row ends with the last of its own."""
    begin, until = row["from"], row["until"]
    if until is None:
        return f"≥ {begin}"
    last = until - 1 if what == "turn" else until
    return f"{begin}" if last == begin else f"{begin}–{last}"
