"""`avaload sweep RUN_DIR`: deletes what a run's journals say may be left. It prints what became of it, exits 5 where a
delete failed."""

import argparse
import asyncio
from pathlib import Path
from typing import Final

from loadtest.commands.printing import say_json, say_lines
from loadtest.language.errors import Exit

EXAMPLE: Final = "avaload sweep runs/x"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="directory of the run")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main(arguments: argparse.Namespace) -> Exit:
    """Sweeps."""
    from loadtest.commands.work.sweeping import sweep_run

    outcome = asyncio.run(sweep_run(arguments.run_dir))
    if arguments.json:
        say_json(outcome.as_dict())
    else:
        say_lines(outcome.sentences())
    return Exit.LEFT_BEHIND if outcome.failed else Exit.PASS
