"""`--dry-run` as an option; what it does is in dry_run.py, for those who give it."""

import argparse

from loadtest.errors.exceptions import ConfigError


def add_options(parser: argparse.ArgumentParser, *, talks: bool = True) -> None:
    """For each command that makes load. `talks`: what its sessions say is planned."""
    group = parser.add_argument_group("before a run")
    group.add_argument(
        "--dry-run", action="store_true", help="say what would happen and what it would cost; contact nobody"
    )
    if talks:
        group.add_argument(
            "--answer",
            metavar="T",
            help="with --dry-run: how long the avatar's answers are (default 4s; of the twin 2s)",
        )


def check_used(arguments: argparse.Namespace) -> None:
    """Raises ConfigError for an option that the real thing has no use for."""
    if arguments.answer is not None and not arguments.dry_run:
        raise ConfigError("--answer: only with --dry-run; a run hears how long answers are")
