"""report dict → a short Markdown text that fits into a pull request."""

from typing import Any, Final

from reports import rules
from reports.words import amount, plural

_BADGES: Final = {"pass": "✅ pass", "fail": "❌ fail", "invalid": "⚠️ invalid"}


def render(report: dict[str, Any]) -> str:
    """Verdict, reasons, objectives, steps, and what became of the sessions. Under 100 lines whatever the run."""
    verdict, sessions, teardown = report["verdict"], report["sessions"], report["teardown"]
    lines = [
        f"## {_BADGES[verdict['outcome']]}: {_cell(report['scenario'])}",
        "",
        f"`{report['run_id']}` · {report['started_at']} · {report['duration_s']:.0f} s · exit {verdict['exit_code']}",
        "",
        *(f"- {_cell(reason)}" for reason in verdict["reasons"][:20]),
        "",
        f"{plural(sessions['started'])} started, {sessions['completed']:,} completed, {sessions['failed']:,} failed, "
        f"at most {sessions['peak_active']:,} at once; {teardown['deleted']:,} deleted, "
        f"{teardown['confirmed_gone']:,} proved gone, {sessions['leaked']:,} left behind. "
        f"Generator: {report['generator']['outcome']}.",
        "",
    ]
    if report["slos"]:
        lines += ["| objective | bound | observed | |", "|---|---|---|---|"]
        lines += [
            f"| {_cell(slo['name'])} | {'≤' if slo['bound'] == 'max' else '≥'} {amount(slo['objective'], slo['unit'])} "
            f"| {amount(slo['observed'], slo['unit'])} | {slo['outcome']} |"
            for slo in report["slos"][:30]
        ]
        lines.append("")
    lines += rules.markdown(report["rules"])
    lines += ["| step | count | failed | p50 | p95 | p99 | max |", "|---|--:|--:|--:|--:|--:|--:|"]
    for step, row in report["steps"].items():
        lines.append(f"| {step} | {row['count']:,} | {row['failed']:,} | {_quantiles(row)} |")
    turns = report["turns"]
    first_audio = _quantiles(turns["time_to_first_audio"])
    lines.append(f"| turn: time to first audio | {turns['count']:,} | {turns['failed']:,} | {first_audio} |")
    lines += ["", "Quantiles are of what succeeded. The whole report is `report.html` beside this file.", ""]
    return "\n".join(lines)


def _quantiles(row: dict[str, Any]) -> str:
    return " | ".join(amount(row[name], "s") if row[name] is not None else "–" for name in _SHOWN)


_SHOWN: Final = ("p50_s", "p95_s", "p99_s", "max_s")


def _cell(text: str) -> str:
    """Names are the operator's: they must not break the table or become markup."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
