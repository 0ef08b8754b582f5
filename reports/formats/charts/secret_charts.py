"""How old the secrets were at each use, and how much of their life was left: histograms of report.json, drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount
from reports.formats.charts import svg
from reports.formats.charts.chart import Chart, chart_of

Bars = list[dict[str, Any]]
"""As `reports.sections.expiry.histogram` makes them."""


def secret_ages(histograms: dict[str, Bars]) -> Chart | None:
    """How old were the secrets when they were used? None where none was."""
    return _bars(
        "secret-age",
        "How old were the secrets when they were used?",
        "By the time from the answer of the mint.",
        {
            "when create was sent": histograms["age_at_create"],
            "when the session was connected": histograms["age_at_connect"],
        },
    )


def secret_margins(histograms: dict[str, Bars]) -> Chart | None:
    """How much life was left in them?"""
    return _bars(
        "secret-margin",
        "How much of their life was left?",
        "A session that is connected at 0 s or below used a secret that had expired.",
        {
            "when create was sent": histograms["margin_at_create"],
            "when the session was connected": histograms["margin_at_connect"],
        },
    )


def _wide_enough(bars: Bars, least_s: float) -> Bars:
    """Bars that would be thinner than `least_s` are drawn as wide as that; those that fall onto one another as one."""
    shown: Bars = []
    for bar in bars:
        if shown and bar["from_s"] < shown[-1]["to_s"]:
            shown[-1] = shown[-1] | {"count": shown[-1]["count"] + bar["count"]}
        else:
            shown.append(bar | {"to_s": max(bar["to_s"], bar["from_s"] + least_s)})
    return shown


def _bars(name: str, title: str, caption: str, groups: dict[str, Bars]) -> Chart | None:
    groups = {words: bars for words, bars in groups.items() if bars}
    if not groups:
        return None
    # Widths differ from panel to panel: one that holds a millisecond would be a hair on the other's axis.
    edges_s = [(bar["from_s"], bar["to_s"]) for bars in groups.values() for bar in bars]
    low_s, high_s = min(low for low, _ in edges_s), max(high for _, high in edges_s)

    def draw(width_px: int) -> Any:
        figure, axes = svg.panels(width_px, [90] * len(groups))
        for panel, (words, bars) in zip(axes, groups.items(), strict=True):
            panel.set_title(f"{words}, sessions")
            shown = _wide_enough(bars, (high_s - low_s) / 150)
            panel.bar(
                [bar["from_s"] for bar in shown], [bar["count"] for bar in shown],
                width=[bar["to_s"] - bar["from_s"] for bar in shown], align="edge", color=svg.FIRST, alpha=0.75,
            )  # fmt: skip
            panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        pad_s = (high_s - low_s) * 0.02 or 0.001
        axes[-1].set_xlim(max(0.0, low_s - pad_s) if low_s >= 0 else low_s - pad_s, high_s + pad_s)
        axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=4 if width_px < 500 else 9))
        axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: _fine(value, high_s - low_s)))
        return figure

    rows: list[Sequence[str]] = [
        (words, _fine(bar["from_s"], high_s - low_s), _fine(bar["to_s"], high_s - low_s), f"{bar['count']:,}")
        for words, bars in groups.items()
        for bar in bars
    ]
    return chart_of(name, title, caption, draw, ("use", "from", "to", "sessions"), rows)


def _fine(value_s: float, span_s: float) -> str:
    """With as many digits as tell the ends of a span apart: 599.97 s and 599.98 s."""
    if abs(value_s) < 1:
        return amount(value_s, SECONDS)
    digits = max(0, min(6, 1 - int(np.floor(np.log10(max(span_s, 1e-6))))))
    return f"{value_s:,.{digits}f} s".replace("-", "−")
