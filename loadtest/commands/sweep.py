"""`avaload sweep RUN_DIR`: deletes what a run's journals say may be left. It prints what became of it, exits 5 where a
delete failed."""

import argparse
import asyncio
from pathlib import Path
from typing import Final

from loadtest.commands.options import add_permission, as_checked, is_live
from loadtest.commands.printing import say_json, say_lines
from loadtest.errors.exit_codes import Exit
from loadtest.journal import run_of

EXAMPLE: Final = "avaload sweep runs/x"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    add_permission(parser)
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="has the header values of [target.backend]")
    parser.add_argument("--proxy", metavar="URL", help="for the deletes")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust instead of the system's")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main(arguments: argparse.Namespace) -> Exit:
    """Sweeps."""
    from loadtest.config.access.permission import Permission
    from loadtest.config.resolve import backend_of
    from loadtest.leftovers.sweeping import sweep_run

    permission = Permission(
        live=is_live(arguments),
        hosts=frozenset(arguments.allow_host),
        proxy=as_checked("--proxy", "target.proxy", arguments.proxy),
        ca_file=arguments.ca_file,
        backend=None if arguments.scenario is None else backend_of(arguments.scenario),
    )
    outcome = asyncio.run(sweep_run(arguments.run_dir, permission))
    if arguments.json:
        say_json(outcome.as_dict())
    else:
        say_lines(outcome.sentences())
    return Exit.LEFT_BEHIND if outcome.failed else Exit.PASS
