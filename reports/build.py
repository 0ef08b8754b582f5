"""The entry to the reports: a run directory in, report.json, report.md, report.html and junit.xml out."""

import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from exporters.traces import trace_counts
from loadtest.config.run_dir import Written, below_here
from loadtest.config.settings import Settings
from loadtest.criteria import slo
from loadtest.criteria.slo import Slo
from loadtest.errors.exceptions import ConfigError, HarnessError
from loadtest.system import disk
from loadtest.text.outlets import json_text
from reports.comparing import compare, compare_runs
from reports.data import frames, run_settings
from reports.data.beside import beside
from reports.formats import gitlab, junit, render_html, render_md
from reports.formats.publishing import publish
from reports.sections import arrivals, capacity, expiry, generator, hosts, sessions, stages, steps, teardown
from reports.sections.costs import spending
from reports.sections.heard import age, media
from reports.verdict import gates, recovery, rules, verdict

SCHEMA = 1


def build(
    run_dir: Path,
    *,
    slos: Sequence[Slo] | None = None,
    baseline: Path | None = None,
    judged_by: str | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Judge the run and write its reports; returns what is in report.json.

    `out`: where they are written (None: into the run's directory). `judged_by`: name of the file that `slos` are from.
    Other arguments and errors as of `assess`; where one is raised, nothing was written.
    """
    with _uncollected():
        return _build(run_dir, slos, baseline, judged_by, run_dir if out is None else out)


def _build(
    run_dir: Path, slos: Sequence[Slo] | None, baseline: Path | None, judged_by: str | None, out: Path
) -> dict[str, Any]:
    report, run, written = assess(run_dir, slos=slos, baseline=baseline)
    report["judged_by"] = judged_by
    text = json_text(report, indent=1) + "\n"
    pages = {
        "report.json": text,
        "report.md": render_md.render(report, run_name=_shown(run_dir)),
        "report.html": render_html.render(
            report, run.load_only(), run_name=_shown(run_dir), written=written, up=_up(out, run_dir)
        ),
        "junit.xml": junit.render(report, run_name=_shown(run_dir)),
        "metrics.txt": gitlab.render(report),
    }
    publish(out, pages)
    return report


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for circles of garbage: a fifth of a report's time, to find the charts that are drawn."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def assess(
    run_dir: Path, *, slos: Sequence[Slo] | None = None, baseline: Path | None = None
) -> tuple[dict[str, Any], frames.Run, Written]:
    """What is in report.json, the run's frames and its settings; nothing is written.

    `slos`: instead of the scenario's own (None), e.g. to judge an old run again. `baseline`: directory of the run that
    it is held against (None: the one of its settings). Works for a run whose processes were all killed, and for one
    without settings.json. Raises JournalError or ConfigError, one line per problem.
    """
    written = run_settings.read(run_dir)
    resolved = written.settings
    if slos is None:
        slos = _slos(resolved)
    with beside(run_dir, rules.section, run_dir, written) as rule_rows:
        run = frames.load(run_dir)
        judged_rules = rule_rows()
    report = judge(
        run,
        written,
        slos,
        judged_rules,
        hosts.section(run_dir),
        capacity.section(run_dir, resolved, slos, cores=written.cores),
        _baseline(run_dir, resolved, baseline),
    )
    report["traces"] = trace_counts.read(run_dir)
    report["audio"] = [f"audio/{path.name}" for path in disk.files_in(run_dir / "audio", "*.wav")]
    return report, run, written


def judge(
    run: frames.Run,
    written: Written,
    slos: Sequence[Slo],
    rule_rows: Sequence[dict[str, Any]] = (),
    host_rows: dict[str, Any] | None = None,
    searched: dict[str, Any] | None = None,
    base: compare_runs.Measured | compare_runs.Unread | None = None,
) -> dict[str, Any]:
    """The report.json dict of a run. A pure function: nothing is read or written. `rule_rows`: of `rules.section`,
    `host_rows`: of `hosts.section`, `searched`: of `capacity.section`; `base`: the run to hold it against."""
    host_rows = host_rows or {"workers": [], "clocks": []}
    resolved = written.settings
    asked = None if resolved is None else resolved.load
    planned_s = None if asked is None else asked.duration
    journals = hosts.files(run, host_rows, processes=run_settings.processes(resolved))
    load = run.load_only()
    left = sessions.left_behind(load)
    interrupted = bool((run.files["finish"] == "interrupted").any())
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": written.run_id or run.run_id,
        "scenario": written.name or run.scenario,
        "tags": written.tags,
        "assumed": run_settings.assumed(resolved),
        "http": None if resolved is None else resolved.target.http,
        "started_at": written.started_at or _rfc3339(run.wall_start_ns),
        "duration_s": round((run.end_ns - run.start_ns) / 1e9, 3),
        "interrupted": interrupted,
        "being_written": run.being_written,
        "judged_by": None,
        "verdict": None,
        "probes": len(run.sessions) - len(load.sessions),
        "probes_leaked": int(
            sessions.left_behind(run).isin(sessions.CERTAIN).sum() - left.isin(sessions.CERTAIN).sum()
        ),
        "sessions": sessions.section(load, left) | arrivals.latencies(load),
        "steps": steps.section(load),
        "turns": steps.turns(load),
        "age": age.section(load),
        "media": media.section(load),
        "by_scenario": _by_scenario(load, left),
        "secrets": expiry.section(load, run),
        "cost": spending.section(run, resolved),
        "teardown": teardown.section(load, run, resolved, tags=written.tags),
        "rules": list(rule_rows),
        "slos": gates.judge(load, slos, planned_s=planned_s),
        "aborted": gates.aborted(load),
        "baseline": None,
        "generator": generator.section(
            load,
            missing=journals["missing"],
            probed=len(run.sessions) > len(load.sessions),
            searched=searched is not None,
        ),
        "files": journals,
        "passed_over": asdict(run.passed_over),
        "hosts": host_rows | {"start_spread_s": hosts.start_spread_s(load)},
        "arrivals": arrivals.section(load, planned_s=planned_s),
        "stages": stages.section(load),
        "recovery": recovery.section(load, slos) if searched is None else [],
        "capacity": None,
        "failures": sessions.failures(load),
        "evidence": sessions.evidence(load, left),
    }
    if base is not None:
        name = str(report["run_id"])
        new = compare_runs.measured(load, written, name=name, health=report["generator"], rules=report["rules"])
        if isinstance(base, compare_runs.Unread):
            report["baseline"] = compare.without(base, new)
        else:
            report["baseline"] = compare.contrast([base], [new])
    if searched is not None:
        capacity.apply(report, searched)
    absences_s = run_settings.absences_s(load, resolved)[left.index[left == sessions.Left.CREATE_UNANSWERED]].dropna()
    report["verdict"] = verdict.verdict(report, interrupted=interrupted, absences_s=absences_s.unique().tolist())
    return report


def _by_scenario(run: frames.Run, left: "pd.Series[Any]") -> dict[str, dict[str, Any]]:
    """`by_scenario` of report.json: of each scenario of a mix what is told of all of them; empty where there is one."""
    names = run.sessions["scenario"].dropna().astype("str").unique().tolist()
    found = {}
    for name in names if len(names) > 1 else ():
        part = run.of_scenario(name)
        found[name] = {
            "sessions": sessions.section(part, left[left.index.isin(part.sessions.index)]),
            "steps": steps.section(part),
            "turns": steps.turns(part),
            "age": age.section(part),
            "media": media.section(part),
            "failures": sessions.failures(part),
        }
    return found


def _baseline(
    run_dir: Path, settings: Settings | None, given: Path | None
) -> compare_runs.Measured | compare_runs.Unread | None:
    """The run to compare with. One that the settings name may be gone by now, or not to be read: the load has run, and
    has its report all the same, which says so. One that is asked for must be there."""
    directory = given or (None if settings is None else settings.output.baseline)
    if directory is None:
        return None
    try:
        if given is None and not directory.exists():
            raise ConfigError(f"{directory}: is not there")
        if directory.resolve() == run_dir.resolve():
            raise ConfigError(f"--baseline {directory}: is the run itself")
        compare_runs.check_baseline(directory, plan=settings)
        return compare_runs.load(directory)
    except HarnessError as error:
        if given is not None:
            raise
        return compare_runs.unread(directory, error)


def _slos(settings: Settings | None) -> list[Slo]:
    return [] if settings is None else slo.parse_slos(settings.slo, where="settings.json: settings.slo")


def _shown(run_dir: Path) -> str:
    """The directory as commands name it; one elsewhere by its last part: a page tells nobody where a home is."""
    return below_here(run_dir) or run_dir.resolve().name


def _up(out: Path, run_dir: Path) -> str | None:
    """How a page in `out` refers to the run's directory: "", "../" …; None where it is elsewhere, for a page tells
    nobody of a way through a machine's directories."""
    page, run = out.resolve(), run_dir.resolve()
    return "../" * len(page.relative_to(run).parts) if page.is_relative_to(run) else None


def _rfc3339(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
