"""report dict and frames → one self-contained page: it opens offline and asks nothing of anybody."""

import base64
import hashlib
import shlex
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest.config.run_dir import Written
from loadtest.criteria import stage_health
from loadtest.criteria.slo import SECONDS, SHARE, TAKING
from loadtest.criteria.words import amount, asked, cut, load_words, more, plural
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import EndedBy
from loadtest.prices.talk import usd_words
from loadtest.text.outlets import html
from reports.comparing.compare import percent
from reports.data.frames import Run
from reports.data.run_settings import HTTP
from reports.data.taking import WORDS
from reports.formats import compare_pages, settings_rows
from reports.formats.charts import age_chart, capacity_chart, secret_charts, spread_charts, timelines
from reports.formats.charts.chart import Chart
from reports.formats.explore import chosen, stories
from reports.formats.explore.links import Links
from reports.sections import generator, hosts
from reports.sections.sessions import LEFT_WORDS, left_behind
from reports.verdict import objective_words, rules

_EXITS: Final = {
    Exit.PASS: "nothing is broken, and what was asked for was met",
    Exit.FAIL: "an objective was missed, a rule broken, or something got worse",
    Exit.INVALID: "the generator was not healthy: nothing below says anything sure about the target",
    Exit.LEFT_BEHIND: "sessions were left behind at the target",
    Exit.INTERRUPTED: "the run was stopped before its end",
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
_MOST_SCENARIOS: Final = 12
"""Of a mix of more, the others are in "all" and in report.json, and the page says so."""
_LONGEST: Final = 4000
_SCRIPT: Final = " ".join(
    line.strip()
    for line in (Path(__file__).parent / "page.js").read_text(encoding="utf-8").splitlines()
    if not line.lstrip().startswith("//")
)
"""In one line: the HTML checker hashes line by line, and would call the policy broken."""
_SCRIPT_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
"""The page's policy lets this one script run, and no other."""


def render(report: dict[str, Any], run: Run, *, run_name: str, written: Written, up: str | None = "") -> str:
    """The text of report.html. `run` is the load sessions alone; `run_name` is how commands name its directory, `up`
    how links do (None: they can't)."""
    drawn: tuple[Chart | None, ...] = (
        timelines.concurrency(run, probed=report["probes"] > 0),
        timelines.latency(run),
        spread_charts.steps(run),
        timelines.failures(run),
        timelines.first_audio(run),
        age_chart.answers_by_age(report["age"]),
        secret_charts.secret_ages(report["secrets"]["histograms"]),
        secret_charts.secret_margins(report["secrets"]["histograms"]),
        timelines.generator_health(run),
    )
    if report["capacity"] is not None:
        drawn = (capacity_chart.chart(report["capacity"]), *drawn)
    picked = chosen.chosen(run, left_behind(run))
    parts = _parts(report)
    links = _links(report, run, written)
    page = _environment().get_template("page.html.j2")
    return page.render(
        report=report,
        typed=lambda command, *words: shlex.join(("avaload", command, run_name, *words)),
        exit_words=_exit_words(report),
        charts={chart.name: chart for chart in drawn if chart is not None},
        health=_health(report["generator"]),
        host_rows=hosts.rows(report["hosts"]),
        parts=parts,
        numbers={part["name"]: number for number, part in enumerate(parts)},
        stories=stories.stories(run, picked, links, report.get("audio", []) if up is not None else []),
        left_out=picked.left_out,
        trace_share=None if links.trace is None or links.trace_share == 1 else links.trace_share,
        board=links.of_run(run.start_ns, run.end_ns),
        audio=report.get("audio", []),
        up=up,
        script=_SCRIPT,
        script_hash=_SCRIPT_HASH,
        rule_groups=rules.grouped(report["rules"]),
        endings=_ENDINGS,
        causes=LEFT_WORDS,
        caps=_CAPS,
        http_words=HTTP,
        contents=_contents(report),
        also=_also(report["sessions"]),
        probed=report["probes"] > 0,
        settings=settings_rows.rows(written),
    )


def _parts(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What the scenario's choice on the page shows: all of them, then each of a mix."""
    of_each = list(report["by_scenario"].items())[:_MOST_SCENARIOS]
    return [{"name": None, **report}, *({"name": name, **part} for name, part in of_each)]


def _links(report: dict[str, Any], run: Run, written: Written) -> Links:
    told = written.settings
    return Links(
        trace=None if told is None else told.output.trace_url,
        trace_share=1.0 if told is None else told.output.trace_share,
        grafana=None if told is None else told.output.grafana_url,
        run_id=str(report["run_id"]),
        offset_ns=run.wall_start_ns - run.start_ns,
    )


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
        ("sessions", "Sessions"),
    ]
    ends, rule = [("secrets", "Secrets"), ("teardown", "Tear-down")], [("rules", "Rules")]
    return [
        *([*of_load, *ends, *rule] if report["sessions"]["started"] else [*rule, *ends]),
        ("generator", "Generator"),
        *([("audio", "Audio")] if report.get("audio") else []),
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


def _text(value: Any) -> Any:
    """What is shown of a value. A text of a run has no bound of its own, and the page has one."""
    shown = html(value)
    return f"{shown[:_LONGEST]}…" if type(shown) is str and len(shown) > _LONGEST else shown


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = lambda value: "–" if value is None else amount(value, SECONDS)
    environment.filters["share"] = lambda value: "–" if value is None else amount(value, SHARE)
    environment.filters["count"] = lambda value: "–" if value is None else f"{value:,}"
    environment.filters |= {"cut": cut, "more": more, "worst_first": objective_words.worst_first}
    environment.filters["objective"] = objective_words.cells
    environment.filters["seen"] = rules.seen
    environment.filters["plural"] = plural
    environment.filters["clock"] = timelines.clock
    environment.filters["clock_seconds"] = lambda value: "–" if value is None else f"{value:z.1f} s".replace("-", "−")
    environment.filters["level"] = lambda value: f"{value:,.1f}".removesuffix(".0")
    environment.filters["load"] = lambda value, unit: load_words(round(value, 1), unit)
    environment.filters |= {"percent": percent, "verdict": compare_pages.verdict, "is_slower": compare_pages.is_slower}
    environment.filters["usd"] = usd_words
    environment.filters["amount"] = amount
    environment.globals |= {"TAKING": TAKING, "TAKING_WORDS": WORDS}
    return environment


def _health(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What, observed, suspect above, invalid above."""

    def lag(name: str, words: str, suspect_s: float | None, invalid_s: float | None) -> tuple[str, str, str, str]:
        bounds = [bound_s for bound_s in (suspect_s, invalid_s) if bound_s is not None]
        suspect, invalid = ("–" if bound_s is None else asked(bound_s, SECONDS) for bound_s in (suspect_s, invalid_s))
        return (words, amount(figures[name], SECONDS, *bounds), suspect, invalid)

    cpu, rss, steal = figures["cpu_percent_p95"], figures["rss_bytes_max"], figures["steal_percent_p95"]
    files, limit = figures["open_files_max"], figures["open_files_limit"]
    late_s = (generator.SUSPECT_ENGINE_LAG_S, generator.INVALID_ENGINE_LAG_S)
    pool_s = (generator.SUSPECT_POOL_WAIT_S, generator.INVALID_POOL_WAIT_S)
    return [
        lag("engine_lag_p99_s", "Engine's loop lag, p99 of a second, in 95 % of the seconds", *late_s),
        lag("engine_lag_max_s", "Engine's loop lag, longest", generator.SUSPECT_STOP_S, None),
        lag("stamp_lag_p99_s", "Steps' ends stamped late, p99", *late_s),
        lag("pool_wait_p99_s", "Waiting for a connection of our own, p99 of the calls", *pool_s),
        lag("pacing_error_p99_s", "Audio frames sent late, p99 of a second", generator.SUSPECT_PACING_S, None),
        lag("hub_lag_p99_s", "Hub's loop lag, p99 of a second", None, None),
        lag("hub_lag_max_s", "Hub's loop lag, longest", generator.SUSPECT_STOP_S, None),
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
