"""matplotlib figures → SVG that lives inside a page: its text stays text, its colours are the page's own.

Figures are drawn in stand-in colours, each replaced by a CSS variable, so that one drawing reads in light and in dark.
"""

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

INK: Final = "#010101"
MUTED: Final = "#020202"
GRID: Final = "#030303"
FIRST: Final = "#040404"
SECOND: Final = "#050505"
BAD: Final = "#060606"
_CSS: Final = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--rule)",
    FIRST: "var(--series-1)",
    SECOND: "var(--series-2)",
    BAD: "var(--bad)",
}

WIDTHS_PX: Final = {"wide": 580, "narrow": 350}
"""One drawing per size of screen: a wide one that is scaled down has text that nobody can read."""
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX, _BETWEEN_PX = 56, 14, 24, 34, 30
_GRID_LEFT_PX: Final = 40
_DOTS_ALPHA: Final = 0.65
"""Many dots on one place are darker than one; a single one keeps a contrast of 3 to 1."""

_STYLE: Final[dict[str, Any]] = {
    # What a matplotlibrc says, of the folder one is in or one's own, is for somebody's own charts.
    **{name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"},
    "svg.fonttype": "none",
    "svg.id": None,
    "text.parse_math": False,  # names are names
    "font.size": 11.5,
    "path.simplify": False,  # it drops most of what `dots` draws
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # said, it isn't worked out from every label: a tenth of the drawing
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def style() -> Any:
    """The context in which figures must be made and drawn."""
    return mpl.rc_context(_STYLE)


def panels(width_px: int, heights_px: Sequence[int]) -> tuple[Figure, list[Any]]:
    """A figure of panels below each other over one x axis, sized in CSS pixels."""
    height_px = _TOP_PX + _BOTTOM_PX + sum(heights_px) + _BETWEEN_PX * (len(heights_px) - 1)
    figure = Figure(figsize=(width_px / 72, height_px / 72))
    axes: list[Any] = []
    top_px = float(height_px - _TOP_PX)
    for panel_px in heights_px:
        box = (_LEFT_PX / width_px, (top_px - panel_px) / height_px,
               (width_px - _LEFT_PX - _RIGHT_PX) / width_px, panel_px / height_px)  # fmt: skip
        axes.append(figure.add_axes(box, sharex=axes[0] if axes else None))
        top_px -= panel_px + _BETWEEN_PX
    for panel in axes[:-1]:
        panel.tick_params(labelbottom=False)
    return figure, axes


def grid(width_px: int, count: int, height_px: int, *, columns: int) -> tuple[Figure, list[Any]]:
    """A figure of panels side by side, row after row, each with an x axis of its own."""
    rows = -(-count // columns)
    row_px = height_px + _TOP_PX + _BOTTOM_PX
    cell_px = (width_px - _RIGHT_PX) / columns
    figure = Figure(figsize=(width_px / 72, rows * row_px / 72))
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        left_px, foot_px = column * cell_px + _GRID_LEFT_PX, (rows - row - 1) * row_px + _BOTTOM_PX
        box = (left_px / width_px, foot_px / (rows * row_px),
               (cell_px - _GRID_LEFT_PX - _RIGHT_PX) / width_px, height_px / (rows * row_px))  # fmt: skip
        axes.append(figure.add_axes(box))
    return figure, axes


def dots(panel: Any, x: Sequence[float], y: Sequence[float], *, color: str, size: float = 4.6) -> None:
    """Points as one path of round, empty strokes: a tenth of the bytes of a marker for each."""
    vertices = [point for pair in zip(x, y, strict=True) for point in (pair, pair)]
    if vertices:
        path = Path(vertices, [Path.MOVETO, Path.LINETO] * (len(vertices) // 2))
        panel.add_patch(
            PathPatch(path, fill=False, edgecolor=color, linewidth=size, capstyle="round", alpha=_DOTS_ALPHA)
        )


def crosses(panel: Any, x: Sequence[float], *, color: str) -> None:
    """A row of × at the foot of a panel: what happened then has no height."""
    panel.plot(
        x,
        [0.04] * len(x),
        "x",
        color=color,
        markersize=5,
        mew=1.6,
        transform=panel.get_xaxis_transform(),
        clip_on=False,
    )


def peaks(panel: Any, x: Sequence[float], *, color: str) -> None:
    """A row of ▲ at the top of a panel: what lies beyond it."""
    panel.plot(x, [0.96] * len(x), "^", color=color, markersize=5, transform=panel.get_xaxis_transform(), clip_on=False)


_NUMBER: Final = re.compile(r"-?\d+\.\d{2,}")


def _short(number: re.Match[str]) -> str:
    """A hundredth of a pixel is fine enough."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def inline(figure: Figure, *, name: str, label: str) -> str:
    """The figure as an `<svg>` element: no address in it, ids that begin with `name`, read out as `label`."""
    buffer = io.StringIO()
    mpl.rcParams["svg.hashsalt"] = name  # equal runs give equal pages
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None, "matplotlib writes a viewBox"
    body = text[text.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)  # inside a page it would style the page
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font: \1px var(--font)", body)
    body = re.sub(r'="[^"]*"', lambda attribute: _NUMBER.sub(_short, attribute[0]), body)  # of words, none
    for stand_in, css in _CSS.items():
        body = body.replace(stand_in, css)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return f'<svg class="chart" viewBox="{box[1]}" role="img" aria-label="{label}">{body}'
