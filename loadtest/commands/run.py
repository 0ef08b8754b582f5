"""`avaload run [SCENARIO.toml]`: a load run. It prints the verdict, exits with its code."""

import argparse
from typing import Final

from loadtest.commands import options, worker
from loadtest.commands.printing import show
from loadtest.commands.work import dry_option
from loadtest.commands.work.warned_run import loaded, tell_price, warn
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit

EXAMPLE: Final = "avaload run --users 50 --duration 2m"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of a run, of its master, and of a worker."""
    options.add_scenario(parser)
    groups = options.add_settings(parser, (*options.OF_RUNS, *options.OF_MASTERS))
    hosts = groups["distribution"]
    role = hosts.add_mutually_exclusive_group()
    options.add_switch(role, "--master", "distribution.master")
    role.add_argument("--worker", action="store_true", help="be a worker: scenario and settings come from the master")
    hosts.add_argument("--expect-workers", metavar="N", help="with --master: load processes of all workers together")
    worker.add_options(hosts)
    dry_option.add_options(parser)


def main(arguments: argparse.Namespace) -> Exit:
    """A load run, or a worker's part of one."""
    if arguments.worker:
        return worker.main(arguments)
    worker.check_unused(arguments)
    settings = settings_of(arguments)  # before the slow import: bad input is said at once
    _check_used(arguments, settings)
    if arguments.dry_run:
        from loadtest.commands.work.dry_run import of_run

        return of_run(settings, arguments)
    warn(settings)
    tell_price(settings)
    run_dir, report, code = loaded(settings, quiet=arguments.quiet)
    if report is not None:
        show(report, run_dir, as_json=arguments.json, quiet=arguments.quiet)
    return code


def settings_of(arguments: argparse.Namespace) -> Settings:
    """All input of a run, checked. Raises ConfigError."""
    besides = {}
    if arguments.expect_workers is not None:
        if "load.processes" in options.given(arguments):
            raise ConfigError("--expect-workers: says how many load processes all workers have; without --processes")
        besides["load.processes"] = arguments.expect_workers
    return options.without_search(options.settings_of(arguments, scenario=arguments.scenario, besides=besides))


def _check_used(arguments: argparse.Namespace, settings: Settings) -> None:
    """An option that a run has no use for is a misunderstanding. Raises ConfigError."""
    dry_option.check_used(arguments)
    given, useless = options.given(arguments), []
    if not settings.distribution.master:
        useless += ["--expect-workers: only for --master"] if arguments.expect_workers is not None else []
        names = tuple(f"distribution.{name}" for name in ("bind_host", "bind_port", "token_file", "worker_disk_mib"))
        useless += [f"{name}: only for --master" for name in names if name in given]
    if useless:
        raise ConfigError(useless)
