"""One session as bars below each other: what it did, when, for how long, and where it failed.

Drawn in shares of its width: one drawing for every size of screen, whose text is never scaled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount
from loadtest.text.outlets import line

MOST_BARS: Final = 40
_TOP_PX, _ROW_PX, _TEXT_PX, _BAR_PX, _BAR_AT_PX = 22, 27, 11, 7, 15
_COLORS: Final = {
    "ok": "var(--series-1)",
    "whole": "var(--series-2)",
    "failed": "var(--bad)",
    "cancelled": "var(--muted)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What it is called, when it was (s after the session's start), what became of it (a key of _COLORS), and more."""

    name: str
    begin_s: float
    end_s: float
    became: str
    more: str = ""

    @property
    def label(self) -> str:
        """As it is read."""
        words = [self.name, amount(max(0.0, self.end_s - self.begin_s), SECONDS), self.more]
        return line(" · ".join(filter(None, words)))


def waterfall(bars: Sequence[Bar], *, label: str) -> str:
    """An `<svg>`, every text of it escaped, read out as `label` and its bars.

    Of more than MOST_BARS the failed ones and the first are drawn.
    """
    shown = _most(bars)
    length_s = max([bar.end_s for bar in bars] + [1e-3])
    height_px = _TOP_PX + _ROW_PX * len(shown) + (18 if len(shown) < len(bars) else 4)
    said = escape(line(f"{label}: {'; '.join(bar.label for bar in shown)}"), quote=True)
    parts = [f'<svg class="waterfall" height="{height_px}" role="img" aria-label="{said}">']
    for share, anchor in ((0, "start"), (25, "middle"), (50, "middle"), (75, "middle"), (100, "end")):
        parts.append(f'<line x1="{share}%" x2="{share}%" y1="16" y2="{height_px}"/>')
        text = "0 s" if share == 0 else amount(length_s * share / 100, SECONDS)
        parts.append(f'<text class="tick" x="{share}%" y="11" text-anchor="{anchor}">{text}</text>')
    for number, bar in enumerate(shown):
        top_px = _TOP_PX + number * _ROW_PX
        left, right = (100 * min(max(at_s / length_s, 0), 1) for at_s in (bar.begin_s, bar.end_s))
        # The words begin, end or stand in the middle of their bar, wherever there is room for them.
        at, anchor = (
            (left, "start") if left <= 30 else (right, "end") if right >= 70 else ((left + right) / 2, "middle")
        )
        parts.append(
            f'<text x="{at:.2f}%" y="{top_px + _TEXT_PX}" text-anchor="{anchor}">{escape(bar.label)}</text>'
            f'<rect x="{left:.2f}%" y="{top_px + _BAR_AT_PX}" width="{max(right - left, 0.4):.2f}%" height="{_BAR_PX}" '
            f'fill="{_COLORS[bar.became]}"/>'
        )
    if len(shown) < len(bars):
        parts.append(
            f'<text class="tick" x="0%" y="{height_px - 5}">and {len(bars) - len(shown):,} more, '
            "in avaload session</text>"
        )
    return "".join([*parts, "</svg>"])


def _most(bars: Sequence[Bar]) -> list[Bar]:
    if len(bars) <= MOST_BARS:
        return list(bars)
    # Bars are in order of time: those that say most are kept, and stay in order.
    order = sorted(range(len(bars)), key=lambda number: (bars[number].became == "ok", number))[:MOST_BARS]
    return [bars[number] for number in sorted(order)]
