"""report dict → what a command prints at the end: the verdict and why, objectives, steps, the failures that come first
with the command that shows one, and where to read on."""

import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from loadtest.config.run_dir import below_here
from loadtest.criteria.slo import SloOutcome
from loadtest.criteria.words import plural
from loadtest.text.outlets import columns, line, terminal
from reports.data.run_settings import HTTP
from reports.sections.costs import spending
from reports.verdict import objective_words, tables

Report = dict[str, Any]

MOST_FAILURES: Final = 3
_UNBOUND: Final = 10_000
"""Columns of a file: no line of it is broken."""
_WORDS: Final = ("step", "found", "because")
_OUTCOMES: Final = {"pass": "bold green", "fail": "bold red", "invalid": "bold magenta"}
_MARKS: Final = {
    SloOutcome.PASS: ("✓", "green"),
    SloOutcome.FAIL: ("✗", "red"),
    SloOutcome.NOT_ENOUGH: ("·", "magenta"),
}


def render(
    report: Report, run_dir: Path, *, out: Path | None = None, quiet: bool = False, shown_on: Console | None = None
) -> str:
    """Lines as they are to be written. `shown_on`: whose width, colours and links it has (None: of a file, whose lines
    are as long as they need to be). `quiet`: the verdict and its reasons alone. `out`: where the
    reports are, if not with the run."""
    text = io.StringIO()
    if shown_on is None:
        console = Console(file=text, width=_UNBOUND, color_system=None, highlight=False, markup=False, emoji=False)
    else:
        wide = columns(shown_on.width)
        console = Console(file=text, width=wide, force_terminal=True, highlight=False, markup=False, emoji=False)
    for each in _parts(report, run_dir, out or run_dir, width=console.width, quiet=quiet):
        console.print(each)
    return "\n".join(each.rstrip() for each in text.getvalue().splitlines()) + "\n"


def failures(report: Report, run_name: str) -> Iterator[RenderableType]:
    """The most frequent, each with an example and the command that shows it."""
    found = tables.failures(report, run_name=run_name)
    if not found:
        return
    of = f" (the {MOST_FAILURES} most frequent of {len(found)})" if len(found) > MOST_FAILURES else ""
    yield _title(f"failures{of}")
    for failure in found[:MOST_FAILURES]:
        yield _indented(Text.assemble((_safe(failure.words), "red"), f": {failure.often}"))
        if failure.detail:
            yield Padding(_text(failure.detail), (0, 0, 0, 4))
        yield Padding(_text(failure.typed, style="bold"), (0, 0, 0, 4))


def _parts(report: Report, run_dir: Path, out: Path, *, width: int, quiet: bool) -> Iterator[RenderableType]:
    verdict, sessions = report["verdict"], report["sessions"]
    yield Text.assemble("verdict: ", (verdict["outcome"], _OUTCOMES[verdict["outcome"]]))
    for reason in verdict["reasons"]:
        yield _item(reason)
    if quiet:
        return
    run_name = named(run_dir)
    yield from _objectives(report, width)
    yield from _levels(report)
    if sessions["started"]:
        yield from _steps(report)
    yield from failures(report, run_name)
    yield Text()
    facts = [
        ("http", HTTP.get(report["http"])),
        ("line", tables.line_in_short(report)),
        ("rules", tables.rules_in_short(report)),
    ]
    if (cost := report["cost"]) is not None and (cost["charged"] or cost["budget_usd"] is not None):
        facts += [("cost", words) for words in spending.lines(cost, report["teardown"]["orphans"])]
    facts.append(("next", _sweep(report, run_name)))
    for name, words in facts:
        if words is not None:
            yield _pair(name, words)
    if report["judged_by"] is not None:
        yield _text(f"judged by {report['judged_by']}; the run's own verdict stays where it is")
    page = out / "report.html"
    if page.exists():  # else it was said where it is
        yield _linked("report:  ", page)


def _objectives(report: Report, width: int) -> Iterator[RenderableType]:
    if not report["slos"]:
        return
    table = _table()
    table.add_column("")
    rows = [objective_words.cells(slo) for slo in report["slos"]]
    widths = _widths(rows, width)
    for name in objective_words.COLUMNS:
        table.add_column(name, overflow="fold", width=widths[name])
    for slo, cells in zip(report["slos"], rows, strict=True):
        mark, style = _MARKS[SloOutcome(slo["outcome"])]
        words = [_text(cells[name]) for name in objective_words.COLUMNS]
        words[-1].stylize(style)
        table.add_row(Text(mark, style=style), *words)
    yield Text()
    yield table


def _widths(rows: Sequence[Mapping[str, str]], room: int) -> dict[str, int]:
    """Of the columns of objectives: where they need more than there is, these give way in turn, as far as their longest
    words let them."""
    texts = {name: [name, *(cells[name] for cells in rows)] for name in objective_words.COLUMNS}
    widths = {name: max(map(len, cells)) for name, cells in texts.items()}
    for name in ("objective", "outcome", "samples", "observed", "objective"):
        excess = 3 + sum(widths.values()) + 2 * len(widths) - room
        longest = max(len(word) for text in texts[name] for word in text.split())
        least = longest if widths[name] > longest else len(name)
        widths[name] = max(min(least, widths[name]), widths[name] - max(excess, 0))
    return widths


def _levels(report: Report) -> Iterator[RenderableType]:
    if not report["capacity"]:
        return
    table = _table()
    for name in tables.LEVEL_COLUMNS:
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=name not in _WORDS)
    for row in tables.levels(report):
        table.add_row(*map(_text, row))
    yield Text()
    yield table


def _steps(report: Report) -> Iterator[RenderableType]:
    table = _table()
    for name in tables.STEP_COLUMNS:
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
    for name, count, failed, *times in tables.steps(report):
        table.add_row(name, count, Text(failed, style="" if failed in ("0", "–") else "red"), *times)
    yield Text()
    yield table


def _sweep(report: Report, run_name: str) -> str | None:
    left = report["sessions"]["leaked"] + report["probes_leaked"]
    if not left:
        return None
    return f"{shlex.join(('avaload', 'sweep', run_name))} deletes what was left behind ({plural(left)})"


def named(run_dir: Path) -> str:
    """The directory as a command typed here finds it."""
    return below_here(run_dir) or str(run_dir.resolve())


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _item(reason: str) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row("  -", _text(reason))
    return grid


def _pair(name: str, words: str) -> Table:
    grid = Table.grid(padding=(0, 0, 0, 0))
    grid.add_column(min_width=9)
    grid.add_row(f"{name}:", _text(words))
    return grid


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _linked(name: str, path: Path) -> Text:
    return Text.assemble(name, (_safe(str(path)), Style(link=path.resolve().as_uri())), overflow="fold")


def _text(words: str, *, style: str = "") -> Text:
    return Text(_safe(words), style=style, overflow="fold")


def _safe(words: str) -> str:
    return terminal(line(words))
