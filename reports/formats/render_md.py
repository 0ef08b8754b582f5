"""report dict → a short Markdown text that fits into a pull request."""

from collections.abc import Sized
from typing import Any, Final

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount, cut, more, plural
from loadtest.text.outlets import code, command, markdown
from reports.data.run_settings import HTTP
from reports.formats import compare_pages
from reports.sections import hosts
from reports.verdict import objective_words, rules, tables

_REASONS, _OBJECTIVES, _FAILURES, _CHANGES = 15, 20, 10, 10
"""So many of each, so that the text stays short."""
_MOST: Final = 60_000
_BADGES: Final = {"pass": "✅ pass", "fail": "❌ fail", "invalid": "⚠️ invalid"}


def render(report: dict[str, Any], *, run_name: str = tables.RUN_DIR) -> str:
    """Verdict and reasons, objectives, failures, what changed since the baseline; steps and sessions folded away. Under
    100 lines whatever the run. `run_name`: how commands name its directory."""
    verdict = report["verdict"]
    lines = [
        f"## {_BADGES[verdict['outcome']]}: {markdown(report['scenario'])}",
        "",
        *(
            [f"Judged by {code(report['judged_by'])}, not by what the run was asked for.", ""]
            if report["judged_by"]
            else []
        ),
        *([f"**Capacity: {markdown(report['capacity']['sentence'])}.**", ""] if report["capacity"] else []),
        *(f"- {markdown(reason)}" for reason in cut(verdict["reasons"], _REASONS)),
        "",
    ]
    if report["slos"]:
        lines += [f"| {' | '.join(objective_words.COLUMNS)} |", "|---|---|---|---|---|"]
        for slo in objective_words.worst_first(report["slos"])[:_OBJECTIVES]:
            cells = objective_words.cells(slo)
            lines.append(f"| {' | '.join(markdown(cells[name]) for name in objective_words.COLUMNS)} |")
        lines += ["", *_more(report["slos"], _OBJECTIVES)]
    lines += _failures(report, run_name)
    if report["baseline"] is not None:
        lines += _since(report["baseline"])
    lines += rules.markdown(report["rules"])
    lines += ["<details><summary>Steps and sessions</summary>", "", *_steps(report), "", "</details>", ""]
    lines += ["The whole report is `report.html` beside this file.", ""]
    return _within("\n".join(lines))


def _within(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST].rpartition(chr(10))[0]}\n\n(cut short)\n"


def _more(rows: Sized, most: int) -> list[str]:
    """The lines below a table that holds the first `most` of them."""
    return [line for words in more(rows, most) for line in (f"{words.capitalize()}.", "")]


def _since(compared: dict[str, Any]) -> list[str]:
    """What changed since the baseline, or why that can't be said, with the figures before and after."""
    failing, (base, *_) = compare_pages.failures_table(compared), compared["base"]
    return [
        f"### Since the baseline {code(base['run_id'] or base['name'])}: {compare_pages.BADGES[compared['outcome']]}",
        "",
        *(
            f"- {markdown(reason)}"
            for reason in cut(compare_pages.reasons(compared, where=compare_pages.REPORT), _CHANGES)
        ),
        "",
        *compare_pages.table(compared),
        "",
        *([*failing, ""] if failing else []),
    ]


def _steps(report: dict[str, Any]) -> list[str]:
    sessions, teardown = report["sessions"], report["teardown"]
    lines = [f"| {' | '.join(tables.STEP_COLUMNS)} |", "|---|--:|--:|--:|--:|--:|--:|"]
    lines += [f"| {' | '.join(map(markdown, cells))} |" for cells in tables.steps(report)]
    return [
        *lines,
        "",
        f"{plural(sessions['started'])} started, {sessions['completed']:,} completed, {sessions['failed']:,} failed, "
        f"at most {sessions['peak_active']:,} at once; {teardown['deleted']:,} deleted, "
        f"{teardown['confirmed_gone']:,} proved gone, {sessions['leaked']:,} left behind. "
        f"Generator: {report['generator']['outcome']}. Quantiles are of what succeeded.",
        *(["", f"The callers' line: {markdown(line)}."] if (line := tables.line_in_short(report)) else []),
        *(["", f"Assumed of the service: {markdown('; '.join(report['assumed']))}."] if report["assumed"] else []),
        "",
        f"{code(str(report['run_id']))} · {markdown(str(report['started_at']))} "
        f"· {amount(report['duration_s'], SECONDS)}{_http(report)} · exit {report['verdict']['exit_code']}",
        *hosts.markdown(report["hosts"]),
    ]


def _failures(report: dict[str, Any], run_name: str) -> list[str]:
    found = tables.failures(report, run_name=run_name)
    if not found:
        return []
    lines = [f"| {' | '.join(tables.FAILURE_COLUMNS)} |", "|---|---|---|--:|--:|---|"]
    for failure in found[:_FAILURES]:
        words = [markdown(each) for each in (failure.step, failure.kind, failure.code)]
        detail = f"{markdown(failure.detail)}: " if failure.detail else ""
        counts = [f"{failure.sessions:,}", f"{failure.steps:,}"]
        lines.append(f"| {' | '.join([*words, *counts, detail + command(failure.command)])} |")
    return ["### Failures", "", *lines, "", *_more(found, _FAILURES)]


def _http(report: dict[str, Any]) -> str:
    return f" · calls {HTTP[report['http']]}" if report["http"] else ""
