"""`avaload report RUN_DIR`: the reports once more, from the journals. It prints the verdict, exits with its code."""

import argparse
from typing import Final

from loadtest.commands import options
from loadtest.commands.printing import show
from loadtest.language.errors import Exit
from loadtest.language.journal import run_of

EXAMPLE: Final = "avaload report runs/x --slo slo.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run, and by what it is judged."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    options.add_slo(parser)
    parser.add_argument("--json", action="store_true", help="print report.json on stdout")
    parser.add_argument("--baseline", type=run_of, metavar="RUN_DIR", help="say what changed since that run")


def main(arguments: argparse.Namespace) -> Exit:
    """Judges again."""
    from loadtest.judging import slo
    from reports.build import build
    from reports.data.run_settings import scenario_names

    slos = None
    if arguments.slo is not None:
        slos = slo.load_slos(arguments.slo, scenarios=scenario_names(arguments.run_dir))
    report = build(arguments.run_dir, slos=slos, baseline=arguments.baseline)
    show(report, arguments.run_dir, as_json=arguments.json)
    return Exit(report["verdict"]["exit_code"])
