"""report dict → a short Markdown text that fits into a pull request."""

from typing import Any, Final

from loadtest.judging.slo import SECONDS
from loadtest.judging.words import amount, plural
from loadtest.language.outlets import code, markdown
from reports.pages import compare_pages
from reports.sections import hosts
from reports.verdict import objective_words, rules

_BADGES: Final = {"pass": "✅ pass", "fail": "❌ fail", "invalid": "⚠️ invalid"}


def render(report: dict[str, Any]) -> str:
    """Verdict and reasons, objectives, what changed since the baseline; steps and sessions folded away. Under 100 lines
    whatever the run."""
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
        *(f"- {markdown(reason)}" for reason in verdict["reasons"][:15]),
        "",
    ]
    if report["slos"]:
        lines += [f"| {' | '.join(objective_words.COLUMNS)} |", "|---|---|---|---|---|"]
        for slo in report["slos"][:20]:
            cells = objective_words.cells(slo)
            lines.append(f"| {' | '.join(markdown(cells[name]) for name in objective_words.COLUMNS)} |")
        lines.append("")
    if report["baseline"] is not None:
        base = report["baseline"]["base"][0]
        lines += [
            f"### Since the baseline {code(str(base['run_id']))}",
            "",
            *compare_pages.table(report["baseline"]),
            "",
        ]
    lines += rules.markdown(report["rules"])
    lines += ["<details><summary>Steps and sessions</summary>", "", *_steps(report), "", "</details>", ""]
    lines += ["The whole report is `report.html` beside this file.", ""]
    return "\n".join(lines)


def _steps(report: dict[str, Any]) -> list[str]:
    sessions, teardown, turns = report["sessions"], report["teardown"], report["turns"]
    lines = ["| step | count | failed | p50 | p95 | p99 | max |", "|---|--:|--:|--:|--:|--:|--:|"]
    for step, row in report["steps"].items():
        lines.append(f"| {markdown(step)} | {row['count']:,} | {row['failed']:,} | {_quantiles(row)} |")
    first_audio = _quantiles(turns["time_to_first_audio"])
    return [
        *lines,
        f"| turn: time to first audio | {turns['count']:,} | {turns['failed']:,} | {first_audio} |",
        "",
        f"{plural(sessions['started'])} started, {sessions['completed']:,} completed, {sessions['failed']:,} failed, "
        f"at most {sessions['peak_active']:,} at once; {teardown['deleted']:,} deleted, "
        f"{teardown['confirmed_gone']:,} proved gone, {sessions['leaked']:,} left behind. "
        f"Generator: {report['generator']['outcome']}. Quantiles are of what succeeded.",
        *(["", f"Assumed of the service: {markdown('; '.join(report['assumed']))}."] if report["assumed"] else []),
        "",
        f"{code(str(report['run_id']))} · {markdown(str(report['started_at']))} "
        f"· {amount(report['duration_s'], SECONDS)} · exit {report['verdict']['exit_code']}",
        *hosts.markdown(report["hosts"]),
    ]


def _quantiles(row: dict[str, Any]) -> str:
    return " | ".join(amount(row[name], "s") if row[name] is not None else "–" for name in _SHOWN)


_SHOWN: Final = ("p50_s", "p95_s", "p99_s", "max_s")
