"""`avaload plan RUN_DIR --users N`: what so many users would need, by what a run measured. It prints sentences."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest.commands import options
from loadtest.commands.printing import say_json, say_lines
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.forecast import plan as plans
from loadtest.journal import run_of
from loadtest.prices import table
from loadtest.text.durations import parse_s

_THINK: Final = "30s"
EXAMPLE: Final = "avaload plan runs/x --users 10000 --think 30s"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run, how many users, and what is assumed of them."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    parser.add_argument("--users", type=int, required=True, metavar="N", help="people who use the service")
    add_assumptions(parser)
    options.add_prices(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def add_assumptions(parser: argparse.ArgumentParser) -> None:
    """What a plan takes for granted."""
    parser.add_argument("--think", metavar="T", help=f"from a user's session to his next (default {_THINK})")


def main(arguments: argparse.Namespace) -> Exit:
    """Plans."""
    wanted = Wanted(arguments.users, arguments, option="--users")
    if arguments.json:
        say_json(wanted.plan(arguments.run_dir))
    else:
        say_lines(wanted.sentences(arguments.run_dir))
    return Exit.PASS


class Wanted:
    """What a plan is asked for: all of it checked before a search, which may take an hour. Raises ConfigError."""

    def __init__(self, users: int, arguments: argparse.Namespace, *, option: str) -> None:
        if users < 1:
            raise ConfigError(f"{option}: at least 1 is needed")
        try:
            self._think_s = parse_s(_THINK if arguments.think is None else arguments.think)
        except ValueError as error:
            raise ConfigError(f"--think: {error}") from error
        self._users = users
        self._own = table.read(arguments.prices) if arguments.prices is not None else {}

    def plan(self, run_dir: Path) -> dict[str, Any]:
        """From what that run measured."""
        from reports.sections.costs.planning import measured, prices_of

        return plans.plan(
            measured(run_dir),
            users=self._users,
            think_s=self._think_s,
            prices=prices_of(run_dir, self._own),
            today=datetime.now(UTC).date(),
        )

    def sentences(self, run_dir: Path) -> list[str]:
        """For people."""
        return plans.sentences(self.plan(run_dir))
