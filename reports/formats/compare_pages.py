"""A comparison as files: compare.json, compare.md for a pull request, and compare.html, which opens offline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount, cut, more, plural
from loadtest.text.outlets import code, json_text
from loadtest.text.outlets import html as html_text
from loadtest.text.outlets import markdown as as_markdown
from reports.comparing.compare import SHOWN, percent
from reports.formats.publishing import publish

BADGES: Final = {
    "regression": "❌ regression",
    "no_change": "✅ no change",
    "improvement": "✅ improvement",
    "not_comparable": "⚠️ not comparable",
}
_VERDICTS: Final = {
    "worse": "slower",
    "better": "faster",
    "no_change": "no change",
    "too_few": "too few, or too near in time",
    "not_worse": "not slower",
}
_MOST: Final = 20
COMPARISON, REPORT = "compare.json", "report.json"
"""Which file has all of a comparison: of `avaload compare`, and of a run's baseline."""


def write(comparison: Mapping[str, Any], directory: Path) -> Path | None:
    """Write the three files, there or, with a word, elsewhere. Returns the page's path; None where nothing takes it."""
    files = {
        "compare.json": json_text(comparison, indent=1) + "\n",
        "compare.md": markdown(comparison),
        "compare.html": html(comparison),
    }
    written = publish(directory, files, what="the comparison", hint="; --out names another directory")
    return None if written is None else written / "compare.html"


def sentences(comparison: Mapping[str, Any]) -> list[str]:
    """What a terminal shows: the outcome, why, and how small a change would have been seen."""
    lines = [f"compared: {comparison['outcome'].replace('_', ' ')}"]
    lines += [f"  - {reason}" for reason in reasons(comparison)]
    return lines


def reasons(comparison: Mapping[str, Any], *, where: str = COMPARISON) -> list[str]:
    """The worst first; then what one should know all the same. `where`: the file that has what is left out."""
    found = [*comparison["not_comparable_because"], *comparison["regressions"], *comparison["improvements"]]
    if comparison["outcome"] != "not_comparable":
        found += sensitivity(comparison)
    new = comparison["failures"]["new"]
    if new and comparison["outcome"] != "not_comparable":
        kinds = ", ".join(cut([f"{row['failure']} ({row['count']:,})" for row in new], 5, where))
        found.append(f"{plural(len(new), 'failure')} of a kind that the base had not: {kinds}")
    changed = [f"{row['id']} {row['base']} → {row['new']}" for row in comparison["rules"]]
    if changed:
        found.append(f"rules that changed: {', '.join(cut(changed, 10, where))}")
    return [*found, *comparison["notes"]]


def sensitivity(comparison: Mapping[str, Any]) -> list[str]:
    """The smallest changes that would have been seen, as a sentence; none where nothing was timed."""
    seen = [row for row in comparison["measures"] if row["verdict"] != "too_few"]
    parts = ", ".join(f"{row['measure']} {percent(row['smallest_seen'])}" for row in seen)
    return [f"smallest change that would have been seen (19 times of 20): {parts}"] if seen else []


def table(comparison: Mapping[str, Any]) -> list[str]:
    """What changed, as a Markdown table."""
    lines = [
        "| | base | new | change of the mean (95 %) | p95 | | visible from |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    for row in comparison["measures"]:
        if row["verdict"] == "too_few":
            counts = f"{row['base']['count']:,} and {row['new']['count']:,} samples"
            lines.append(f"| {row['measure']} | | | | | too few, or too near in time ({counts}) | |")
            continue
        p95, word = row["quantiles"]["p95"], f"**{verdict(row)}**" if is_slower(row) else verdict(row)
        lines.append(
            f"| {row['measure']} | {_s(row['base']['mean_s'])} | {_s(row['new']['mean_s'])} | {_interval(row)} "
            f"| {_interval(p95)} | {word} | {percent(row['smallest_seen'])} |"
        )
    return lines


def is_slower(row: Mapping[str, Any]) -> bool:
    """Whether a measure got worse: its mean, or a tail alone."""
    return row["verdict"] == "worse" or bool(_slower_tails(row))


def verdict(row: Mapping[str, Any]) -> str:
    """What became of a measure, in a word: the same on every page. One without a change may still have changed by less
    than its samples can show: the column beside tells how much that is."""
    tails = _slower_tails(row)
    if not tails or row["verdict"] == "worse":
        return _VERDICTS[row["verdict"]] + (" seen" if row["verdict"] == "no_change" else "")
    return ("faster, but " if row["verdict"] == "better" else "") + f"slower at {' and '.join(tails)}"


def _slower_tails(row: Mapping[str, Any]) -> list[str]:
    return [name for name, each in row.get("quantiles", {}).items() if each["verdict"] == "worse"]


def failures_table(comparison: Mapping[str, Any]) -> list[str]:
    """How often what failed, before and after, as a Markdown table; none where nothing did."""
    if not any(row["base"]["failed"] or row["new"]["failed"] for row in comparison["failing"]):
        return []
    return [
        "| fails | base | new | |",
        "|---|--:|--:|---|",
        *(
            f"| {as_markdown(row['what'])} | {row['base']['failed']:,} of {row['base']['judged']:,} "
            f"| {row['new']['failed']:,} of {row['new']['judged']:,} | {_VERDICTS[row['verdict']]} |".replace(
                "slower", "**more often**"
            )
            for row in comparison["failing"]
        ),
    ]


def markdown(comparison: Mapping[str, Any]) -> str:
    """compare.md: the verdict, why, and the table; the rest folded away."""
    lines = [f"## {BADGES[comparison['outcome']]}: {as_markdown(comparison['new'][0]['scenario'])}", ""]
    lines += [f"- {as_markdown(reason)}" for reason in cut(reasons(comparison), _MOST, COMPARISON)]
    lines += ["", *table(comparison), ""]
    details: list[str] = []
    if failing := failures_table(comparison):
        details += [*failing, ""]
    for title, rows in (("New failures", comparison["failures"]["new"]), ("Gone", comparison["failures"]["gone"])):
        if rows:
            listed = [f"{as_markdown(row['failure'])} ({row['count']:,})" for row in rows]
            details += [f"{title}: {', '.join(cut(listed, _MOST, COMPARISON))}", ""]
    if comparison["settings"]:
        details += ["| differs | base | new |", "|---|---|---|"]
        details += [
            f"| {as_markdown(row['key'])} | {as_markdown(row['base'])} | {as_markdown(row['new'])} |"
            for row in comparison["settings"][:_MOST]
        ]
        details.append("")
        details += [f"{words}\n" for words in more(comparison["settings"], _MOST, COMPARISON)]
    details += ["| | run | started | sessions | generator |", "|---|---|---|--:|---|"]
    for side in ("base", "new"):
        details += [
            f"| {side} | {code(run['run_id'])} | {as_markdown(str(run['started_at'] or '–'))} "
            f"| {run['sessions']:,} | {run['generator']} |"
            for run in comparison[side]
        ]
    lines += ["<details><summary>Failures, settings, runs</summary>", "", *details, "", "</details>", ""]
    lines += ["Means are geometric. Steady part, load sessions, successes only.", ""]
    return "\n".join(lines)


def html(comparison: Mapping[str, Any]) -> str:
    """The text of compare.html."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=html_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "seconds": _s,
        "percent": percent,
        "interval": _interval,
        "verdict": verdict,
        "is_slower": is_slower,
        "cut": cut,
        "more": more,
        "plural": plural,
    }
    page = environment.get_template("compare.html.j2")
    drawn = [row for row in comparison["measures"] if row["verdict"] != "too_few"]
    return page.render(
        compared=comparison,
        reasons=reasons(comparison),
        verdicts=_VERDICTS,
        shown=SHOWN,
        chart=_chart(drawn),
    )


def _chart(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where each interval lies on a scale from −reach to +reach, in per cent of its width, and the margin's band."""
    if not rows:
        return []
    reach: float = min(0.5, max(0.05, *(abs(row[key]) for row in rows for key in ("low", "high", "margin"))))

    def place(change: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, change / reach)), 2)

    return [
        {
            "row": row,
            "low": place(row["low"]),
            "high": place(row["high"]),
            "at": place(row["change"]),
            "band": (place(-row["margin"]), place(row["margin"])),
        }
        for row in rows
    ]


def _s(value: float | None) -> str:
    return "–" if value is None else amount(value, SECONDS)


def _interval(row: Mapping[str, Any]) -> str:
    return f"{percent(row['change'])} ({percent(row['low'])} … {percent(row['high'])})"
