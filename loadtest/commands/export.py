"""`avaload export RUN_DIR`: a run's spans to a collector, or its tables as files, from its journals.

With `--otlp-endpoint` it prints how many spans got out, and exits 4 where spans of a finished run did not. With
`--format` it prints each file and its rows.
"""

import argparse
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from loadtest import journal
from loadtest.commands.options import add_permission, as_checked, is_live
from loadtest.commands.printing import complain
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.journal import run_of
from loadtest.system import disk
from reports import TableFormat

EXAMPLE: Final = "avaload export runs/x --format parquet --out tables"

_ENDED: Final = b'"event":"session_finished"'


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run; where its spans go, or how its tables are written."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--otlp-endpoint", metavar="URL", help="its spans to this collector (OTLP/HTTP)")
    what.add_argument(
        "--format",
        choices=[each.value for each in TableFormat],
        help="its tables as files: docs/reference/tables.md has their columns",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for the tables (default RUN_DIR/tables)")
    add_permission(parser)
    parser.add_argument("--trace-share", type=float, metavar="SHARE", help="of good sessions (default 1)")
    parser.add_argument("--follow", action="store_true", help="while the run goes on")


def main(arguments: argparse.Namespace) -> Exit:
    """Exports."""
    _check_used(arguments)
    return _spans(arguments) if arguments.format is None else _tables(arguments)


def _check_used(arguments: argparse.Namespace) -> None:
    """An option that is of no use here is a misunderstanding. Raises ConfigError."""
    of_spans = {
        "--live": arguments.live,
        "--allow-host": arguments.allow_host,
        "--trace-share": arguments.trace_share is not None,
        "--follow": arguments.follow,
    }
    useless = [f"{option}: only with --otlp-endpoint" for option, given in of_spans.items() if given]
    if arguments.format is None:
        useless = [] if arguments.out is None else ["--out: only with --format"]
    if useless:
        raise ConfigError(useless)


def _tables(arguments: argparse.Namespace) -> Exit:
    from reports import table_files, tidy

    format_ = TableFormat(arguments.format)
    table_files.check(format_)
    frames = tidy.read(arguments.run_dir)
    for gap in frames.gaps:
        complain(f"warning: {gap}")
    folder = arguments.out or arguments.run_dir / "tables"
    for path, rows in table_files.write(frames, folder, format_).items():
        print(f"{path}: {plural(rows, 'row')}")
    return Exit.PASS


def _spans(arguments: argparse.Namespace) -> Exit:
    from exporters.traces.process import run
    from loadtest.config.access.guard import flaw_of_compression
    from loadtest.config.access.permission import Permission

    if flaw := flaw_of_compression("spans"):
        raise ConfigError(flaw)
    permission = Permission(live=is_live(arguments), hosts=frozenset(arguments.allow_host))
    endpoint = as_checked("--otlp-endpoint", "output.otlp_endpoint", arguments.otlp_endpoint)
    url = urlsplit(endpoint)
    if not permission.may_contact(endpoint):
        raise ConfigError(
            f"--otlp-endpoint: {endpoint}: not on this machine; spans go there only with --live"
            f" --allow-host {url.hostname}"
        )
    files = None
    if not arguments.follow:
        passed = journal.PassedOver()
        files = journal.journals(arguments.run_dir, passed)
        if unread := passed.line():
            complain(f"warning: {unread}")
        sessions = sum(map(_ended, files))
        if sessions:
            print(f"export: the spans of {plural(sessions, 'session')} to {url.netloc}", file=sys.stderr, flush=True)
    return run(
        arguments.run_dir,
        otlp_endpoint=endpoint,
        share=1.0 if arguments.trace_share is None else arguments.trace_share,
        follow=arguments.follow,
        files=files,
    )


def _ended(path: Path) -> int:
    """How many sessions ended, by that journal. Lines are searched, not decoded. Raises OSError."""
    with disk.open_read(path) as file:
        return sum(_ENDED in line for line in journal.raw_lines(file))
