"""`avaload …`: what the command line accepts (INTERFACE.md), and the exit code. What a command does: commands.py."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from avaload import guarded, settle
from loadtest.commands import all as commands
from loadtest.config.environment import forget_steering
from loadtest.language.errors import LIMITS, ConfigError, Exit, GeneratorError, HarnessError, own_limit

Option = tuple[str, str, str, str]
"""Option, setting, placeholder, help."""

_OPTIONS: tuple[Option, ...] = (
    ("--users", "load.users", "N", "closed population (default 20)"),
    ("--rate", "load.rate", "R", "open arrivals per second instead of a closed population"),
    ("--arrivals", "load.arrivals", "KIND", "constant | poisson | ramp | steps | spike (default constant)"),
    ("--trace", "load.trace", "FILE", "open arrivals at the start times of a CSV file"),
    ("--max-lateness", "load.max_lateness", "T", "open arrivals: later than this is dropped (default 1s)"),
    ("--max-users", "load.max_users", "N", "open arrivals: sessions at once, at most"),
    ("--warm-up", "load.warm_up", "T", "what ends in this first part of the run is in no verdict (default 0s)"),
    ("--duration", "load.duration", "T", "no new session after it: 60s, 10m, 1h30m (default 60s)"),
    ("--ramp", "load.ramp", "T", "time to reach all users; not in the steady part (default 5s)"),
    ("--graceful-stop", "load.graceful_stop", "T", "time for sessions in flight (default nominal length + 30 s)"),
    ("--pacing", "load.pacing", "T", "start to start of a user's sessions, at a random phase"),
    ("--processes", "load.processes", "N", "load processes on this host (default 1)"),
    ("--max-wait", "distribution.max_wait", "T", "for all load processes, or a worker's master (default 5m)"),
    ("--probes", "probes.share", "SHARE", "of the users run active checks of the contract (0 to 1, default 0)"),
    ("--seed", "load.seed", "N", "of everything random (default 1)"),
    ("--openai-base-url", "target.openai_base_url", "URL", "with /v1"),
    ("--avaturn-base-url", "target.avaturn_base_url", "URL", "origin"),
    ("--backend-url", "target.backend.url", "URL", "the integrator's own endpoint that mints and creates"),
    ("--clock-scale", "target.clock_scale", "X", "the target's timers run X times faster (default: as a twin tells)"),
    ("--room", "target.room", "KIND", "auto | websocket | webrtc | daily | none (no room, no conversation)"),
    ("--max-sessions", "target.max_sessions", "N", "sessions created in total, reserved before each create"),
    ("--max-active", "target.max_active", "N", "refuse a plan with more sessions than this at a time"),
    ("--proxy", "target.proxy", "URL", "for all HTTP calls"),
    ("--ca-file", "target.ca_file", "FILE", "certificates to trust instead of the system's"),
    ("--run-dir", "output.run_dir", "DIR", "default runs/<utc time>-<name>"),
    ("--metrics-port", "output.metrics_port", "N|off", "Prometheus exposition on loopback (default 9646)"),
    ("--metrics-host", "output.metrics_host", "ADDRESS", "(default 127.0.0.1)"),
    ("--metrics-linger", "output.metrics_linger", "T", "keep serving metrics after the run"),
    ("--metrics-cert", "output.metrics_cert", "FILE", "certificate (PEM): /metrics speaks TLS"),
    ("--metrics-key", "output.metrics_key", "FILE", "the certificate's key (PEM)"),
    ("--metrics-user", "output.metrics_user", "NAME", "has to log in, with $AVALOAD_METRICS_PASSWORD"),
    ("--otlp-endpoint", "output.otlp_endpoint", "URL", "export traces (OTLP/HTTP)"),
    ("--trace-share", "output.trace_share", "SHARE", "of good sessions; failed ones are always kept"),
    ("--keep-audio", "output.keep_audio", "failed|none", "both tracks of failed turns as WAV files (default none)"),
    ("--baseline", "output.baseline", "RUN_DIR", "say what changed since that run; a regression is exit 3"),
    ("--web-port", "output.web_port", "N", "Locust's live UI with the Sessions tab"),
)

_MASTER_OPTIONS: tuple[Option, ...] = (
    ("--master-bind-host", "distribution.bind_host", "ADDRESS", "where workers find the master (default 127.0.0.1)"),
    ("--master-bind-port", "distribution.bind_port", "N", "(default 5557)"),
)
_CAPACITY_OPTIONS: tuple[Option, ...] = (
    ("--by", "capacity.by", "WHAT", "users | arrivals (default users)"),
    ("--start", "capacity.start", "N", "first level: users, or arrivals per second (default 5)"),
    ("--most", "capacity.most", "N", "no level above it is tried (default 1000)"),
    ("--stage", "capacity.stage", "T", "how long each level is judged (default 10s)"),
    ("--settle", "capacity.settle", "T", "held before that, unjudged (default 2 s more than a conversation)"),
    ("--sustain", "capacity.sustain", "T", "how long the best level is held in the end (default 30s)"),
    ("--precision", "capacity.precision", "SHARE", "last that passes to first that fails (default 0.05)"),
    ("--give-up", "capacity.give_up", "T", "the search takes no longer (default 1h)"),
)
_NOT_FOR_CAPACITY = ("--users", "--rate", "--ramp", "--duration", "--trace", "--warm-up", "--probes")
_FOR_PROBE = ("load.seed", "target.", "output.")
"""Settings, or sections of them."""


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line on stderr."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. Nothing escapes but bugs."""
    given: Mapping[str, Any] = {}
    try:
        _check_texts(sys.argv[1:] if argv is None else argv)
        arguments = _parser().parse_args(argv)
        given = vars(arguments)
        command: Callable[[argparse.Namespace], Exit] = arguments.command
        commands.unsaid.clear()
        code = command(arguments)
        if commands.unsaid:
            print(f"avaload: {commands.unsaid[0]}", file=sys.stderr)
            return code or Exit.BAD_INPUT
        return int(code)
    except ConfigError as error:
        for problem in error.problems:
            print(f"avaload: {_as_given(problem, given)}", file=sys.stderr)
        return Exit.BAD_INPUT
    except GeneratorError as error:
        print(f"avaload: {error}", file=sys.stderr)
        return Exit.INVALID
    except HarnessError as error:
        print(f"avaload: {error}", file=sys.stderr)
        return Exit.BAD_INPUT
    except (OSError, RuntimeError, MemoryError) as error:
        if (limit := own_limit(error)) is not None:
            print(f"avaload: a limit of this machine: {LIMITS[limit]}: {error}", file=sys.stderr)
            return Exit.INVALID
        if not isinstance(error, OSError) or error.filename is None:
            raise
        print(f"avaload: {os.fsdecode(error.filename)}: {error.strerror}", file=sys.stderr)
        return Exit.BAD_INPUT
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _check_texts(words: Sequence[str]) -> None:
    """What isn't text can't be written down. Raises ConfigError."""
    given = [*words, *(value for name, value in os.environ.items() if name.startswith("AVALOAD_"))]
    if bad := [word for word in given if not word.isprintable() and _has_odd_bytes(word)]:
        raise ConfigError([f"{word!r}: not in UTF-8" for word in bad])


def _has_odd_bytes(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return True
    return False


def _as_given(problem: str, given: Mapping[str, Any]) -> str:
    """The problem of a setting, said of the option or variable with which the operator gave it."""
    setting, colon, what = problem.partition(": ")
    if setting == "load.processes" and given.get("expect_workers") is not None:
        return f"--expect-workers: {what}"
    if setting in given:
        options = (*_OPTIONS, *_MASTER_OPTIONS, *_CAPACITY_OPTIONS)
        return next((f"{option}: {what}" for option, name, _, _ in options if name == setting), problem)
    variable = f"AVALOAD_{setting.replace('.', '__')}".upper()
    return f"{variable}: {what}" if colon and variable in os.environ else problem


def _parser() -> _Parser:
    parser = _Parser(prog="avaload", description="Load-tests whole real-time avatar sessions and proves that they end.")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def add(
        name: str, command: Callable[[argparse.Namespace], Exit], text: str, example: str
    ) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=text, description=text, epilog=f"example: {example}", allow_abbrev=False)
        sub.set_defaults(command=command)
        return sub

    run = add(
        "run", commands.run, "a load run; without endpoints: the embedded twin", "avaload run --users 50 --duration 2m"
    )
    _add_scenario(run)
    _add_settings(run, (*_OPTIONS, *_MASTER_OPTIONS))
    role = run.add_mutually_exclusive_group()
    role.add_argument(
        "--master",
        dest="distribution.master",
        action="store_const",
        const=True,
        default=argparse.SUPPRESS,
        help="conduct workers on other hosts instead of load processes here",
    )
    role.add_argument("--worker", action="store_true", help="be a worker: scenario and settings come from the master")
    run.add_argument("--expect-workers", metavar="N", help="with --master: load processes of all workers together")
    run.add_argument("--master-host", metavar="HOST", help="of a worker's master")
    run.add_argument("--master-port", metavar="N", help="(default 5557)")
    run.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a host, besides loopback, that a worker's master may have it load; repeatable",
    )

    probe = add(
        "probe",
        commands.probe,
        "active checks of the contract, each a session or more that provokes something; without endpoints: the"
        " embedded twin",
        "avaload probe EXP-1 TD-3",
    )
    probe.add_argument("rules", nargs="*", metavar="RULE", help="rules of PROTOCOL.md section 4 (default: all)")
    _add_settings(probe, (each for each in _OPTIONS if each[1].startswith(_FOR_PROBE)))
    probe.add_argument(
        "--slow", action="store_true", help="also what takes more than a minute, or costs money in production"
    )

    capacity = add(
        "capacity",
        commands.capacity,
        "search for the limit: how many users, or arrivals, hold all objectives",
        "avaload capacity scenario.toml --by arrivals --start 5 --most 200",
    )
    _add_scenario(capacity)
    _add_settings(capacity, (*_CAPACITY_OPTIONS, *(each for each in _OPTIONS if each[0] not in _NOT_FOR_CAPACITY)))
    capacity.add_argument("--plan", type=int, metavar="USERS", help="then say what so many users would need")
    _add_plan_options(capacity)

    plan = add(
        "plan",
        commands.plan,
        "what so many users would need: sessions, secrets, load processes, hosts, money",
        "avaload plan runs/x --users 10000 --think 30s",
    )
    plan.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    plan.add_argument("--users", type=int, required=True, metavar="N", help="people who use the service")
    _add_plan_options(plan)
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")

    twin = subparsers.add_parser("twin", help="serve the twin of both services", add_help=False)
    twin.set_defaults(command=_twin)

    report = add(
        "report",
        commands.report,
        "rebuild the reports from the journals, judge again",
        "avaload report runs/x --slo slo.toml",
    )
    report.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    _add_slo(report)
    report.add_argument("--json", action="store_true", help="print report.json on stdout")
    report.add_argument("--baseline", type=Path, metavar="RUN_DIR", help="say what changed since that run")

    compared = add(
        "compare",
        commands.compare,
        "what changed between two sets of runs; exit 3 on a regression",
        "avaload compare runs/base-1 runs/base-2 --to runs/new-1 runs/new-2",
    )
    compared.add_argument("base", nargs="+", type=Path, metavar="BASE_DIR")
    compared.add_argument("--to", nargs="+", type=Path, metavar="NEW_DIR", required=True)
    compared.add_argument("--margin", type=_share, metavar="SHARE", help="smallest change that matters (default 0.015)")
    compared.add_argument("--out", type=Path, metavar="DIR", help="for compare.json, .md and .html (default NEW_DIR)")
    compared.add_argument("--json", action="store_true", help="print compare.json on stdout")

    session = add("session", commands.session, "one session's timeline", "avaload session runs/x 1f3a")
    session.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    session.add_argument("session", metavar="ID", help="our id (= trace id), the beginning of it, or Avaturn's id")

    export = add(
        "export",
        commands.export,
        "spans of a run from its journals",
        "avaload export runs/x --otlp-endpoint http://127.0.0.1:4318",
    )
    export.add_argument("run_dir", metavar="RUN_DIR")
    export.add_argument("--otlp-endpoint", required=True, metavar="URL")
    export.add_argument("--trace-share", type=float, default=1.0, metavar="SHARE")
    export.add_argument("--follow", action="store_true", help="while the run goes on")

    swept = add("sweep", commands.sweep, "delete what the journals say may be left; idempotent", "avaload sweep runs/x")
    swept.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    swept.add_argument("--json", action="store_true", help="print the result as JSON")

    doctor = add("doctor", commands.doctor, "check this machine, keys and endpoints", "avaload doctor")
    doctor.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO.toml")
    doctor.add_argument(
        "--calibrate", action="store_true", help="measure our own error against the twin: half a minute"
    )
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    return parser


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO.toml")
    _add_slo(parser)


def _add_slo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--slo", type=Path, metavar="FILE", help="thresholds (TOML) instead of the scenario's")


def _add_settings(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """What every sort of run can be told, besides the options of its own sort."""
    for option, setting, placeholder, text in options:
        parser.add_argument(option, dest=setting, metavar=placeholder, help=text, default=argparse.SUPPRESS)
    parser.add_argument(
        "--live",
        dest="target.live",
        action="store_const",
        const=True,
        default=argparse.SUPPRESS,
        help="allow endpoints that are not on this machine; needs --max-sessions",
    )
    parser.add_argument(
        "--tag", action="append", default=[], metavar="KEY=VALUE", help="build, environment …; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print report.json on stdout")


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--think", metavar="T", help="from a user's session to his next (default 30s)")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="price table (TOML) instead of ours")


def _share(text: str) -> float:
    """A share that is no more than 1, for argparse."""
    share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: a share between 0 and 1 is needed, such as 0.03 or 3%")
    return share


_share.__name__ = "share"  # argparse calls what isn't a number "invalid share value"


def _twin(_arguments: argparse.Namespace) -> Exit:
    raise AssertionError("handled before parsing: the twin parses its own options")


def entry() -> int:
    """A command of `avaload`. `avaload twin` goes straight to the twin, which has an option parser of its own."""
    forget_steering()
    if sys.argv[1:2] == ["twin"]:
        from loadtest.twin import main as twin

        return twin(sys.argv[2:])
    return main()


if __name__ == "__main__":
    settle()
    sys.exit(guarded(entry))
