"""Options that are settings: how a command takes them, and what it is told with them.

A command adds what it needs to its parser; `settings_of` makes settings of what was given.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from loadtest.config.resolve import read_slo_tables, resolve
from loadtest.config.settings import Settings
from loadtest.language.errors import ConfigError

Option = tuple[str, str, str, str]
"""Option, setting, placeholder, help."""

OF_RUNS: Final[tuple[Option, ...]] = (
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
OF_MASTERS: Final[tuple[Option, ...]] = (
    ("--master-bind-host", "distribution.bind_host", "ADDRESS", "where workers find the master (default 127.0.0.1)"),
    ("--master-bind-port", "distribution.bind_port", "N", "(default 5557)"),
    ("--token-file", "distribution.token_file", "FILE", "the cluster token, if not in $AVALOAD_CLUSTER_TOKEN"),
    ("--worker-disk-mib", "distribution.worker_disk_mib", "N", "of a worker's files at the master (default 10240)"),
)
OF_SEARCHES: Final[tuple[Option, ...]] = (
    ("--by", "capacity.by", "WHAT", "users | arrivals (default users)"),
    ("--start", "capacity.start", "N", "first level: users, or arrivals per second (default 5)"),
    ("--most", "capacity.most", "N", "no level above it is tried (default 1000)"),
    ("--stage", "capacity.stage", "T", "how long each level is judged (default 10s)"),
    ("--settle", "capacity.settle", "T", "held before that, unjudged (default 2 s more than a conversation)"),
    ("--sustain", "capacity.sustain", "T", "how long the best level is held in the end (default 30s)"),
    ("--precision", "capacity.precision", "SHARE", "last that passes to first that fails (default 0.05)"),
    ("--give-up", "capacity.give_up", "T", "the search takes no longer (default 1h)"),
)


def add_scenario(parser: argparse.ArgumentParser) -> None:
    """What sessions do, and what is expected of them."""
    parser.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO.toml", help="what sessions do")
    add_slo(parser)


def add_slo(parser: argparse.ArgumentParser) -> None:
    """Objectives of their own."""
    parser.add_argument("--slo", type=Path, metavar="FILE", help="thresholds (TOML) instead of the scenario's")


def add_settings(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """These, and what every sort of run can be told."""
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


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as options, by their dotted names."""
    return {name: value for name, value in vars(arguments).items() if "." in name}


def settings_of(
    arguments: argparse.Namespace, *, scenario: Path | None = None, besides: Mapping[str, Any] | None = None
) -> Settings:
    """All input of a run, checked; options win over the environment, that over the scenario. `besides`: settings that
    the command itself decides, by their dotted names. Raises ConfigError."""
    options = given(arguments)
    for tag in getattr(arguments, "tag", ()):
        key, separator, value = tag.partition("=")
        if not separator or not key:
            raise ConfigError(f"--tag {tag}: KEY=VALUE is needed")
        options[f"tags.{key}"] = value
    if getattr(arguments, "slo", None) is not None:
        options["slo"] = read_slo_tables(arguments.slo)
    return resolve(scenario, options | dict(besides or {}))


def without_search(settings: Settings) -> Settings:
    """What a scenario says about the search for the limit is for the search alone."""
    return settings.model_copy(update={"capacity": None})


def as_option(problem: str, given: Mapping[str, Any]) -> str:
    """The problem of a setting, said of the option with which the operator gave it."""
    setting, _, what = problem.partition(": ")
    if setting == "load.processes" and given.get("expect_workers") is not None:
        return f"--expect-workers: {what}"
    if setting in given:
        options = (*OF_RUNS, *OF_MASTERS, *OF_SEARCHES)
        return next((f"{option}: {what}" for option, name, _, _ in options if name == setting), problem)
    return problem
