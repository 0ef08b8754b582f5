"""`avaload export RUN_DIR --otlp-endpoint URL`: a run's spans, from its journals. It prints how many got out, exits 4
where spans of a finished run did not."""

import argparse
from pathlib import Path
from typing import Final

from loadtest.language.errors import Exit

EXAMPLE: Final = "avaload export runs/x --otlp-endpoint http://127.0.0.1:4318"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run, and where its spans go."""
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="directory of the run")
    parser.add_argument("--otlp-endpoint", required=True, metavar="URL", help="collector (OTLP/HTTP)")
    parser.add_argument("--trace-share", type=float, default=1.0, metavar="SHARE", help="of good sessions (default 1)")
    parser.add_argument("--follow", action="store_true", help="while the run goes on")


def main(arguments: argparse.Namespace) -> Exit:
    """Exports."""
    from exporters.traces.process import run

    return run(
        arguments.run_dir,
        otlp_endpoint=arguments.otlp_endpoint,
        share=arguments.trace_share,
        follow=arguments.follow,
    )
