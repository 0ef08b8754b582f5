"""report dict and frames → one self-contained page: it opens offline and asks nothing of anybody."""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest.config.run_dir import Written
from loadtest.judging import stage_health
from loadtest.judging.slo import SECONDS, SHARE
from loadtest.judging.words import amount, plural
from loadtest.language.errors import Exit
from loadtest.language.events import EndedBy
from loadtest.language.outlets import html
from reports.data.frames import Run
from reports.pages import capacity_chart, charts, secret_charts
from reports.pages.chart import Chart
from reports.sections import generator, hosts
from reports.sections.sessions import LEFT_WORDS, Left
from reports.verdict import objective_words, rules

_EXITS: Final = {
    Exit.PASS: "nothing is broken, and what was asked for was met",
    Exit.FAIL: "an objective was missed, a rule broken, or something got worse",
    Exit.INVALID: "the generator was not healthy: nothing below says anything sure about the target",
    Exit.LEFT_BEHIND: "sessions were left behind at the target",
    Exit.INTERRUPTED: "the run was stopped before its end",
}
_EVIDENCE: Final = {
    "leaked": "Left behind",
    "doubtful": f"Doubtful: {LEFT_WORDS[Left.CREATE_UNANSWERED]}",
    "failed": "Failed",
    "unconfirmed": "Deleted, not proved gone",
    "unfinished": "Without an end",
}
_ENDINGS: Final = {
    EndedBy.DELETE: "our delete",
    EndedBy.USER_ABSENT_TIMEOUT: "user_absent_timeout",
    EndedBy.MAX_DURATION: "max_duration",
    EndedBy.UNEXPECTED: "the target, unexpectedly",
}
_CAPS: Final = {
    "absence": "Life without its user (user_absent_timeout)",
    "duration": "Length of a session (max_duration)",
    "concurrency": "Sessions at once",
}
_SETTINGS: Final = ("settings", "tags", "embedded_twin", "versions", "git_revision", "seed", "host", "calibration")
"""What of settings.json is shown. Named one by one: a page is passed around more freely than a run directory."""
_OF_A_SCENARIO: Final = ("secret", "session", "realtime", "conversation")
_PRIVATE: Final = (".instructions", ".prompt", ".trace")
"""Of a prompt the page tells the length alone."""


def render(report: dict[str, Any], run: Run, *, run_name: str, written: Written) -> str:
    """The text of report.html. `run` is the load sessions alone; `run_name` is how commands name its directory."""
    drawn: tuple[Chart | None, ...] = (
        charts.concurrency(run, probed=report["probes"] > 0),
        charts.latency(run),
        charts.first_audio(run),
        secret_charts.secret_ages(report["secrets"]["histograms"]),
        secret_charts.secret_margins(report["secrets"]["histograms"]),
        charts.generator_health(run),
    )
    if report["capacity"] is not None:
        drawn = (capacity_chart.chart(report["capacity"]), *drawn)
    page = _environment().get_template("page.html.j2")
    return page.render(
        report=report,
        run_name=run_name,
        exit_words=_exit_words(report),
        charts={chart.name: chart for chart in drawn if chart is not None},
        health=_health(report["generator"]),
        host_rows=hosts.rows(report["hosts"]),
        evidence=[(why, words, _total(report, why), report["evidence"][why]) for why, words in _EVIDENCE.items()],
        audio=report.get("audio", []),
        rule_groups=rules.grouped(report["rules"]),
        endings=_ENDINGS,
        causes=LEFT_WORDS,
        caps=_CAPS,
        contents=_contents(report),
        also=_also(report["sessions"]),
        probed=report["probes"] > 0,
        settings=_flat(_shown(written)),
    )


def _shown(written: Written) -> dict[str, Any]:
    """Without the run's own sections where a mix has taken their place: no session was made of those."""
    told = written.as_dict()
    if written.settings is not None and written.settings.mix:
        told["settings"] = {key: value for key, value in told["settings"].items() if key not in _OF_A_SCENARIO}
    return {key: told[key] for key in _SETTINGS}


def _exit_words(report: dict[str, Any]) -> str:
    code = Exit(report["verdict"]["exit_code"])
    if code is Exit.INVALID and report["generator"]["outcome"] != "invalid":
        return "nothing is proved broken, and not enough was seen to say that it holds"
    return _EXITS[code]


def _contents(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Anchor and words of every section that this page has."""
    of_load = [
        ("key-figures", "Key figures"),
        *([("baseline", "Since the baseline")] if report["baseline"] else []),
        ("objectives", "Objectives"),
        *([("capacity", "Capacity")] if report["capacity"] else []),
        ("steps", "Steps"),
        ("load", "Load"),
        ("failures", "Failures"),
        ("conversation", "Conversation"),
    ]
    ends, rule = [("secrets", "Secrets"), ("teardown", "Tear-down")], [("rules", "Rules")]
    return [
        *([*of_load, *ends, *rule] if report["sessions"]["started"] else [*rule, *ends]),
        ("generator", "Generator"),
        ("evidence", "Evidence"),
        ("settings", "Settings"),
    ]


def _also(sessions: dict[str, Any]) -> list[str]:
    """What else became of sessions, without what is zero."""
    words = {
        "cancelled": "cancelled",
        "censored": "cut off by the end of the run",
        "unfinished": "without an end",
        "dropped": "due and never started",
    }
    return [f"{sessions[key]:,} {text}" for key, text in words.items() if sessions[key]]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = lambda value: "–" if value is None else amount(value, SECONDS)
    environment.filters["share"] = lambda value: "–" if value is None else amount(value, SHARE)
    environment.filters["count"] = lambda value: "–" if value is None else f"{value:,}"
    environment.filters["objective"] = objective_words.cells
    environment.filters["seen"] = rules.seen
    environment.filters["plural"] = plural
    environment.filters["clock_seconds"] = lambda value: "–" if value is None else f"{value:z.1f} s".replace("-", "−")
    environment.filters["level"] = lambda value: f"{value:,.1f}".removesuffix(".0")
    environment.filters["change"] = lambda value: f"{value * 100:+z.1f} %".replace("-", "−")
    environment.filters["amount"] = amount
    return environment


def _health(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What, observed, suspect above, invalid above."""

    def lag(name: str, words: str, suspect_s: float | None, invalid_s: float | None) -> tuple[str, str, str, str]:
        bounds = ["–" if bound_s is None else amount(bound_s, SECONDS) for bound_s in (suspect_s, invalid_s)]
        return (words, amount(figures[name], SECONDS), bounds[0], bounds[1])

    cpu, rss, steal = figures["cpu_percent_p95"], figures["rss_bytes_max"], figures["steal_percent_p95"]
    files, limit = figures["open_files_max"], figures["open_files_limit"]
    late_s = (generator.SUSPECT_ENGINE_LAG_S, generator.INVALID_ENGINE_LAG_S)
    pool_s = (generator.SUSPECT_POOL_WAIT_S, generator.INVALID_POOL_WAIT_S)
    return [
        lag("engine_lag_p99_s", "Engine's loop lag, p99 of a second, in 95 % of the seconds", *late_s),
        lag("engine_lag_max_s", "Engine's loop lag, longest", None, None),
        lag("stamp_lag_p99_s", "Steps' ends stamped late, p99", *late_s),
        lag("pool_wait_p99_s", "Waiting for a connection of our own, p99 of the calls", *pool_s),
        lag("pacing_error_p99_s", "Audio frames sent late, p99 of a second", generator.SUSPECT_PACING_S, None),
        lag("hub_lag_p99_s", "Hub's loop lag, p99 of a second", None, None),
        lag("start_lateness_p99_s", "Sessions started after they were due, p99", None, None),
        lag("gc_pause_max_s", "Garbage collection, longest pause", None, None),
        (
            "CPU of a process, in 95 % of the seconds",
            "not observed" if cpu is None else f"{cpu:.0f} % (at most {figures['cpu_percent_max']:.0f} %)",
            f"{stage_health.SUSPECT_CPU_PERCENT:.0f} %",
            "–",
        ),
        (
            "CPU time that went to other guests, in 95 % of the seconds",
            "not observed" if steal is None else f"{steal:.0f} %",
            f"{stage_health.SUSPECT_STEAL_PERCENT:.0f} %",
            "–",
        ),
        (
            "Open files of a process, most",
            "not observed" if files is None else f"{files:,}",
            "–" if limit is None else f"{stage_health.FILES_SHARE * limit:,.0f}",
            "–",
        ),
        ("Memory of a process, most", "not observed" if rss is None else f"{rss / 2**20:,.0f} MiB", "–", "–"),
        ("Events that live views lost", f"{figures['sink_errors']:,}", "0", "–"),
        ("Journals without a last word", f"{len(figures['truncated']):,}", "–", "0"),
    ]


def _total(report: dict[str, Any], why: str) -> int:
    return int(report["sessions"][why])


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names, what is empty left out."""
    if isinstance(tree, dict):
        return [row for key, value in tree.items() for row in _flat(value, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(tree, list) and any(isinstance(item, dict | list) for item in tree):
        return [row for number, item in enumerate(tree, 1) for row in _flat(item, f"{prefix}[{number}]")]
    if tree in (None, "", []):
        return []
    if prefix.endswith(_PRIVATE):
        return [(prefix, f"({len(str(tree)):,} characters)")]
    return [(prefix, ", ".join(map(_plain, tree)) if isinstance(tree, list) else _plain(tree))]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
