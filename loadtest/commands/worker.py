"""`avaload run --worker`: a host's part of a run. Its master says what is loaded, and has the verdict."""

import argparse
from collections.abc import Iterable
from typing import Final

from loadtest.commands import options
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit

_OWN_SETTINGS: Final = {
    *("load.processes", "output.run_dir", "distribution.max_wait", "distribution.token_file", "target.max_sessions")
}
"""What a worker is told by its own command line."""
_MASTERS: Final = ("scenario", "slo", "tag", "json", "expect_workers", "prices")
"""What it has from its master, besides settings."""
_OF_PLANS: Final = ("dry_run", "answer")
"""What is asked of a plan, which a worker doesn't know before it works."""


def add_options(group: argparse._ArgumentGroup) -> None:
    """Those that no other role has."""
    port = options.field_of("distribution.bind_port").default
    group.add_argument("--master-host", metavar="HOST", help="where a worker's master is")
    group.add_argument("--master-port", metavar="N", help=f"port of a worker's master (default {port})")
    group.add_argument(
        "--allow-host",
        type=options.allowed_host,
        action="append",
        default=[],
        metavar="HOST",
        help="a host, besides loopback, that a worker's master may have it load; repeatable",
    )
    group.add_argument(
        "--allow-env",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable of a worker's environment that its master's scenario may read; repeatable",
    )


def check_unused(arguments: argparse.Namespace) -> None:
    """Raises ConfigError where a run that is no worker was given one of them."""
    for option in ("--master-host", "--master-port", "--allow-host", "--allow-env"):
        if getattr(arguments, option.removeprefix("--").replace("-", "_")):
            raise ConfigError(f"{option}: only for --worker")


def _of_these(words: Iterable[str], arguments: argparse.Namespace) -> list[str]:
    """The options that were given."""
    return [f"--{word.replace('_', '-')}" for word in words if getattr(arguments, word)]


def main(arguments: argparse.Namespace) -> Exit:
    """Works until the run is over."""
    given = options.given(arguments)
    foreign = sorted([*(given.keys() - _OWN_SETTINGS), *_of_these(_MASTERS, arguments)])
    problems = [f"{name}: a worker has it from its master" for name in foreign]
    problems += [f"{name}: not for --worker: its master knows the plan" for name in _of_these(_OF_PLANS, arguments)]
    if problems:
        raise ConfigError(problems)
    from loadtest.distribution.worker import place, work

    allowed, variables = arguments.allow_host, arguments.allow_env
    return work(place(arguments.master_host, arguments.master_port, allowed, given, variables=variables))
