"""A chart of the page: a drawing for each size of screen, and the numbers behind it as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from reports.formats.charts import svg


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing for each size of screen, and the table behind it: `rows` are as wide as `columns`."""

    name: str
    title: str
    caption: str
    drawings: dict[str, str]
    columns: Sequence[str]
    rows: list[Sequence[str]]


Draw = Callable[[int], Any]
"""Width in px → figure."""


def chart_of(
    name: str, title: str, caption: str, draw: Draw, columns: Sequence[str], rows: list[Sequence[str]]
) -> Chart:
    """Draw it in every size."""
    drawings = {}
    with svg.style():
        for size, width_px in svg.WIDTHS_PX.items():
            label = escape(f"{title} {caption}", quote=True)
            drawings[size] = svg.inline(draw(width_px), name=f"{name}-{size}", label=label)
    return Chart(name=name, title=title, caption=caption, drawings=drawings, columns=columns, rows=rows)
