"""`avaload export RUN_DIR --otlp-endpoint URL`: a run's spans, from its journals. It prints how many got out, exits 4
where spans of a finished run did not."""

import argparse
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from loadtest.commands.options import add_permission, as_checked, is_live
from loadtest.judging.words import plural
from loadtest.language import disk, journal
from loadtest.language.errors import ConfigError, Exit
from loadtest.language.journal import run_of

EXAMPLE: Final = "avaload export runs/x --otlp-endpoint http://127.0.0.1:4318"

_ENDED: Final = b'"event":"session_finished"'


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run, and where its spans go."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    parser.add_argument("--otlp-endpoint", required=True, metavar="URL", help="collector (OTLP/HTTP)")
    add_permission(parser)
    parser.add_argument("--trace-share", type=float, default=1.0, metavar="SHARE", help="of good sessions (default 1)")
    parser.add_argument("--follow", action="store_true", help="while the run goes on")


def main(arguments: argparse.Namespace) -> Exit:
    """Exports."""
    from exporters.traces.process import run
    from loadtest.config.access.permission import Permission

    permission = Permission(live=is_live(arguments), hosts=frozenset(arguments.allow_host))
    endpoint = as_checked("--otlp-endpoint", "output.otlp_endpoint", arguments.otlp_endpoint)
    url = urlsplit(endpoint)
    if not permission.may_contact(endpoint):
        raise ConfigError(
            f"--otlp-endpoint: {endpoint}: not on this machine; spans go there only with --live"
            f" --allow-host {url.hostname}"
        )
    if not arguments.follow:
        sessions = sum(map(_ended, journal.paths(arguments.run_dir)))
        if sessions:
            print(f"export: the spans of {plural(sessions, 'session')} to {url.netloc}", file=sys.stderr, flush=True)
    return run(
        arguments.run_dir,
        otlp_endpoint=endpoint,
        share=arguments.trace_share,
        follow=arguments.follow,
    )


def _ended(path: Path) -> int:
    """How many sessions ended, by that journal. Lines are searched, not decoded. Raises OSError."""
    with disk.open_read(path) as file:
        return sum(_ENDED in line for line in journal.raw_lines(file))
