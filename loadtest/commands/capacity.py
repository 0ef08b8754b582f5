"""`avaload capacity [SCENARIO.toml]`: a search for the limit. It prints the limit, and the verdict."""

import argparse
from pathlib import Path
from typing import Final

from loadtest.capacity.steering import HELD_ALL, at_most, prepared
from loadtest.commands import options, plan
from loadtest.commands.printing import complain, say_lines, show
from loadtest.commands.work import dry_option
from loadtest.commands.work.warned_run import loaded, tell_price, warn
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.journal import JournalError

EXAMPLE: Final = "avaload capacity scenario.toml --by arrivals --start 5 --most 200"
_DECIDED: Final = ("--users", "--rate", "--ramp", "--duration", "--trace", "--warm-up", "--probes", "--baseline")
"""By the search; and it has no use for a baseline, which is of one level."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of the search, and of the runs that it consists of."""
    options.add_scenario(parser)
    of_runs = (each for each in options.OF_RUNS if each[0] not in _DECIDED)
    options.add_settings(parser, (*options.OF_SEARCHES, *of_runs), quietly="the limit and the verdict")
    parser.add_argument("--plan", type=int, metavar="USERS", help="then say what so many users would need")
    plan.add_assumptions(parser)
    dry_option.add_options(parser)


def main(arguments: argparse.Namespace) -> Exit:
    """Searches; then, if asked, says what so many users would need."""
    wanted = None
    if arguments.plan is not None:
        if arguments.dry_run:
            raise ConfigError("--plan: not with --dry-run: there is no plan without what a search has measured")
        if arguments.json:
            raise ConfigError("--plan: it is told in sentences, not with --json; `avaload plan RUN_DIR --json` has it")
        wanted = plan.Wanted(arguments.plan, arguments, option="--plan")
    elif arguments.think is not None:
        raise ConfigError("--think is for --plan")
    dry_option.check_used(arguments)
    settings = options.settings_of(arguments, scenario=arguments.scenario)
    by_arrivals = settings.capacity is not None and settings.capacity.by == "arrivals"
    if by_arrivals and "load.pacing" in options.given(arguments):  # a scenario's own is for its runs
        raise ConfigError("--pacing: only for users; in a search by arrivals sessions come at the rate of their level")
    if settings.probes.share:
        raise ConfigError("probes.share: a search for the limit runs no active checks")
    if arguments.dry_run:
        from loadtest.commands.work.dry_run import of_search

        return of_search(settings, arguments)
    warn(settings)
    tell_price(at_most(settings), provided=f", {HELD_ALL}")
    run_dir, report, code = loaded(prepared(settings), quiet=arguments.quiet)
    if report is not None:
        if not arguments.json and report["capacity"] is not None:
            say_lines([report["capacity"]["sentence"]])
        show(report, run_dir, as_json=arguments.json, quiet=arguments.quiet)
        if wanted is not None:
            _tell(wanted, run_dir)
    return code


def _tell(wanted: plan.Wanted, run_dir: Path) -> None:
    """The plan, or why there is none: the search has its verdict all the same."""
    try:
        say_lines(wanted.sentences(run_dir))
    except (ConfigError, JournalError) as error:
        complain(f"no plan: {error}")
