"""What each command of `avaload` does: call, print, exit code.

Heavy modules are imported where they are used: bad input and small commands don't wait for them.
"""

import argparse
import asyncio
import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.capacity import plan as plans
from loadtest.config.lint import findings
from loadtest.config.resolve import read_slo_tables, resolve
from loadtest.config.scenario import Scenario, default_realtime
from loadtest.config.settings import Settings
from loadtest.judging.words import plural
from loadtest.language.durations import parse_s
from loadtest.language.errors import ConfigError, Exit

unsaid: list[str] = []
"""Why stdout took no more, where its reader had not left by himself. A verdict outlives that, a pass doesn't."""

WORKER_SETTINGS = {"load.processes", "output.run_dir", "distribution.max_wait"}
"""What a worker is told by its own command line."""


def settings_of(arguments: argparse.Namespace) -> Settings:
    """All input of a run, checked; options win over the environment, that over the scenario. Raises ConfigError."""
    options: dict[str, Any] = {name: value for name, value in vars(arguments).items() if "." in name or name == "name"}
    if getattr(arguments, "expect_workers", None) is not None:
        if "load.processes" in options:
            raise ConfigError("--expect-workers: says how many load processes all workers have; without --processes")
        options["load.processes"] = arguments.expect_workers
    for tag in getattr(arguments, "tag", []):
        key, separator, value = tag.partition("=")
        if not separator or not key:
            raise ConfigError(f"--tag {tag}: KEY=VALUE is needed")
        options[f"tags.{key}"] = value
    if getattr(arguments, "slo", None) is not None:
        options["slo"] = read_slo_tables(arguments.slo)
    settings = resolve(arguments.scenario, options)
    # What a scenario says about the search is for the search alone.
    return settings if arguments.command is capacity else settings.model_copy(update={"capacity": None})


def _check_used(arguments: argparse.Namespace, settings: Settings) -> None:
    """An option that a run has no use for is a misunderstanding. Raises ConfigError."""
    given, useless = vars(arguments), []
    if not settings.distribution.master:
        useless += ["--expect-workers: only for --master"] if arguments.expect_workers is not None else []
        names = ("distribution.bind_host", "distribution.bind_port")
        useless += [f"{name}: only for --master" for name in names if name in given]
    if not settings.load.open:
        names = ("load.max_users", "load.max_lateness")
        useless += [f"{name}: only for open arrivals, which have a rate" for name in names if name in given]
    if useless:
        raise ConfigError(useless)


def _warn(settings: Settings) -> None:
    """Of what can't work as meant. What our own default is warned of is no news while the target is the twin."""
    from loadtest.commands.planned import too_few

    today = datetime.now(UTC).date()
    old_news = findings(Scenario(name="default", realtime=default_realtime()), today=today)
    # What an endpoint of the user's own asks for is not what the scenario says.
    for scenario in settings.scenarios if settings.target.backend is None else ():
        for finding in findings(scenario, today=today):
            if not settings.embedded_twin or finding not in old_news:
                print(f"avaload: warning: {scenario.name}: {finding.text} ({finding.rule})", file=sys.stderr)
    for sentence in too_few(settings):
        print(f"avaload: warning: {sentence}", file=sys.stderr)


def _work(arguments: argparse.Namespace) -> Exit:
    given = {name: value for name, value in vars(arguments).items() if "." in name}
    words = ("scenario", "slo", "tag", "json", "expect_workers")
    own = {f"--{word.replace('_', '-')}": getattr(arguments, word) for word in words}
    foreign = sorted([*(given.keys() - WORKER_SETTINGS), *(option for option, value in own.items() if value)])
    if foreign:
        raise ConfigError([f"{name}: a worker has it from its master" for name in foreign])
    from loadtest.distribution.worker import place, work

    return work(place(arguments.master_host, arguments.master_port, arguments.allow_host, given))


def run(arguments: argparse.Namespace) -> Exit:
    """A load run, or a worker's part of one."""
    if arguments.worker:
        return _work(arguments)
    for option in ("--master-host", "--master-port", "--allow-host"):
        if getattr(arguments, option.removeprefix("--").replace("-", "_")):
            raise ConfigError(f"{option}: only for --worker")
    settings = settings_of(arguments)  # before the slow import: bad input is said at once
    _check_used(arguments, settings)
    _warn(settings)
    run_dir, report, code = _loaded(settings)
    if report is not None:
        _show(report, run_dir, as_json=arguments.json)
    return code


def _loaded(settings: Settings) -> tuple[Path, dict[str, Any] | None, Exit]:
    """What `loadtest.commands.run.run` gives, to its end; where there is no report, why not is said."""
    from loadtest.commands.run import run as run_load

    run_dir, report, code = run_load(settings)
    if report is None:
        print(f"interrupted twice: no reports; `avaload report {run_dir}` writes them", file=sys.stderr)
    return run_dir, report, code


def probe(arguments: argparse.Namespace) -> Exit:
    """Active checks of the contract, and what each of them found."""
    from loadtest.commands import probe as probing

    for name, value in probing.options(arguments.rules, slow=arguments.slow).items():
        setattr(arguments, name, value)
    arguments.scenario = None
    run_dir, report, code = _loaded(settings_of(arguments))
    if report is not None:
        if not arguments.json:
            _say("\n".join(probing.table(report, arguments.rules)))
        _show(report, run_dir, as_json=arguments.json)
    return code


def capacity(arguments: argparse.Namespace) -> Exit:
    """A search for the limit; then, if asked, what so many users would need."""
    wanted = None
    if arguments.plan is not None:
        wanted = _Wanted(arguments.plan, arguments, option="--plan")
    elif arguments.think is not None or arguments.prices is not None:
        raise ConfigError("--think and --prices are for --plan")
    settings = settings_of(arguments)
    if settings.probes.share:
        raise ConfigError("probes.share: a search for the limit runs no active checks")
    from loadtest.capacity.steering import prepared

    _warn(settings)
    run_dir, report, code = _loaded(prepared(settings))
    if report is not None:
        if not arguments.json and report["capacity"] is not None:
            _say(report["capacity"]["sentence"])
        _show(report, run_dir, as_json=arguments.json)
        if wanted is not None and not arguments.json:
            _say("\n".join(wanted.sentences(run_dir)))
    return code


def plan(arguments: argparse.Namespace) -> Exit:
    """What so many users would need, from what a run measured."""
    wanted = _Wanted(arguments.users, arguments, option="--users")
    if arguments.json:
        _say(json.dumps(wanted.plan(arguments.run_dir)))
    else:
        _say("\n".join(wanted.sentences(arguments.run_dir)))
    return Exit.PASS


class _Wanted:
    """What a plan is asked for: all of it checked before a search, which may take an hour. Raises ConfigError."""

    def __init__(self, users: int, arguments: argparse.Namespace, *, option: str) -> None:
        if users < 1:
            raise ConfigError(f"{option}: at least 1 is needed")
        try:
            self._think_s = parse_s("30s" if arguments.think is None else arguments.think)
        except ValueError as error:
            raise ConfigError(f"--think: {error}") from error
        self._users = users
        self._prices = plans.read_prices(arguments.prices or plans.PRICES)

    def plan(self, run_dir: Path) -> dict[str, Any]:
        """From what that run measured."""
        from reports.sections.planning import measured

        today = datetime.now(UTC).date()
        return plans.plan(measured(run_dir), users=self._users, think_s=self._think_s, prices=self._prices, today=today)

    def sentences(self, run_dir: Path) -> list[str]:
        """For people."""
        return plans.sentences(self.plan(run_dir))


def report(arguments: argparse.Namespace) -> Exit:
    """Reports of a run, judged again."""
    from loadtest.judging import slo
    from reports.build import build
    from reports.data.run_settings import scenario_names

    slos = None
    if arguments.slo is not None:
        slos = slo.load_slos(arguments.slo, scenarios=scenario_names(arguments.run_dir))
    report = build(arguments.run_dir, slos=slos, baseline=arguments.baseline)
    _show(report, arguments.run_dir, as_json=arguments.json)
    return Exit(report["verdict"]["exit_code"])


def compare(arguments: argparse.Namespace) -> Exit:
    """What changed between two sets of runs."""
    from reports.comparing import compare as comparing
    from reports.pages import compare_pages, github

    margin = comparing.MARGIN if arguments.margin is None else arguments.margin
    comparison = comparing.compare(arguments.base, arguments.to, margin=margin)
    directory = arguments.out or arguments.to[0]
    page = compare_pages.write(comparison, directory)
    if arguments.json:
        _say(json.dumps(comparison))
    else:
        _say("\n".join(compare_pages.sentences(comparison)))
        _say(f"report:  {page}")
    lines = github.comparison(comparison)
    _tell_github(lines, compare_pages.markdown(comparison), as_json=arguments.json)
    return Exit(comparison["exit_code"])


def _tell_github(lines: Sequence[str], summary: str, *, as_json: bool) -> None:
    """Annotations and the step's summary, where GitHub runs us. Beside JSON they go to stderr, which it reads, too."""
    from reports.pages import github

    if not github.runs_us(os.environ):
        return
    for line in lines:
        if as_json:
            print(line, file=sys.stderr)
        else:
            _say(line)
    if problem := github.add_to_summary(summary, os.environ):
        print(f"avaload: warning: {problem}", file=sys.stderr)


def session(arguments: argparse.Namespace) -> Exit:
    """One session's timeline."""
    from reports.sections.timeline import timeline

    _say(timeline(arguments.run_dir, arguments.session))
    return Exit.PASS


def export(arguments: argparse.Namespace) -> Exit:
    """A run's spans, from its journals."""
    from exporters.traces import process as traces

    follow = ["--follow"] if arguments.follow else []
    options = ["--otlp-endpoint", arguments.otlp_endpoint, "--trace-share", str(arguments.trace_share)]
    return Exit(traces.main([arguments.run_dir, *options, *follow]))


def sweep(arguments: argparse.Namespace) -> Exit:
    """Delete what a run's journals say may be left."""
    from loadtest.commands.sweep import sweep_run

    outcome = asyncio.run(sweep_run(arguments.run_dir))
    if arguments.json:
        _say(json.dumps(outcome.as_dict()))
    else:
        _say("\n".join(outcome.sentences()))
    return Exit.LEFT_BEHIND if outcome.failed else Exit.PASS


def doctor(arguments: argparse.Namespace) -> Exit:
    """Check this machine, keys and endpoints; or measure our own error."""
    from loadtest.commands.doctor import Check, examine

    if arguments.calibrate:
        if arguments.scenario is not None:
            raise ConfigError(f"{arguments.scenario}: --calibrate has a scenario of its own")
        return _calibrate(as_json=arguments.json)
    from loadtest.commands.run import check_start

    settings = settings_of(arguments)
    checks = asyncio.run(examine(settings))
    try:
        check_start(settings)
    except ConfigError as error:
        checks += [Check(name="start", state="bad", text=problem) for problem in error.problems]
    if arguments.json:
        _say(json.dumps([check.as_dict() for check in checks]))
    else:
        for check in checks:
            _say(f"{check.state:<5} {check.name}: {check.text}")
    return Exit.BAD_INPUT if any(check.state == "bad" for check in checks) else Exit.PASS


def _calibrate(*, as_json: bool) -> Exit:
    from loadtest.commands.calibration import FIT, calibrate
    from loadtest.config.run_dir import CALIBRATION

    result = calibrate()
    is_fit = result["generator"] in FIT
    if as_json:
        _say(json.dumps(result))
        return Exit.PASS if is_fit else Exit.INVALID
    kept = f"also in {CALIBRATION}" if is_fit else "not kept: this says nothing about a fit one"
    _say(
        f"error of what is reported, against the twin's own stamps, {plural(result['users'], 'user')}"
        f" (generator: {result['generator']}); {kept}"
    )
    _say(f"{'quantity':<22}{'count':>7}{'p50':>12}{'p99':>12}{'max':>12}")
    for quantity, error in result["errors"].items():
        sizes = "".join(f"{error[name]:>9.2f} ms" for name in ("p50_ms", "p99_ms", "max_ms"))
        _say(f"{quantity:<22}{error['count']:>7}{sizes}")
    if result["not_comparable"]:
        _say(f"not comparable: {result['not_comparable']} reported by turns for which the twin has no stamps")
    return Exit.PASS if is_fit else Exit.INVALID


def _show(report: Mapping[str, Any], run_dir: Path, *, as_json: bool) -> None:
    from reports.pages import github, render_md
    from reports.verdict import objective_words

    _tell_github(github.run(report), render_md.render(dict(report)), as_json=as_json)
    if as_json:
        _say(json.dumps(report))
        return
    verdict = report["verdict"]
    _say(f"verdict: {verdict['outcome']}")
    for reason in verdict["reasons"]:
        _say(f"  - {reason}")
    for line in objective_words.table(report["slos"]):
        _say(f"  {line}")
    if (page := run_dir / "report.html").exists():  # else it was said where it is
        _say(f"report:  {page}")


def _say(text: str) -> None:
    """On stdout. A reader that has left (`| head`) must not cost the command its exit code."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:  # EIO: the terminal is gone
            unsaid.append(f"stdout: {error.strerror}; what was to be printed is lost")
