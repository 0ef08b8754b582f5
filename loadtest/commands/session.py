"""`avaload session RUN_DIR ID`: one session's timeline, printed."""

import argparse
from typing import Final

from loadtest.commands.printing import say
from loadtest.errors.exit_codes import Exit
from loadtest.journal import run_of

EXAMPLE: Final = "avaload session runs/x 1f3a"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which session of which run."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    parser.add_argument("session", metavar="ID", help="our id (= trace id), the beginning of it, or Avaturn's id")


def main(arguments: argparse.Namespace) -> Exit:
    """Tells what happened in it."""
    from reports.sections.timeline import timeline

    say(timeline(arguments.run_dir, arguments.session))
    return Exit.PASS
