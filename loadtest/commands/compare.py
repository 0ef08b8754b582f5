"""`avaload compare BASE_DIR… --to NEW_DIR…`: what changed between two sets of runs. It prints what did, exits 3 on a
regression."""

import argparse
from pathlib import Path
from typing import Final

from loadtest.commands.printing import say_json, say_lines, tell_github
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.journal import run_of

EXAMPLE: Final = "avaload compare runs/base-1 runs/base-2 --to runs/new-1 runs/new-2"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which runs, and what counts as a change."""
    parser.add_argument("base", nargs="+", type=run_of, metavar="BASE_DIR", help="runs to compare with")
    parser.add_argument("--to", nargs="+", type=run_of, metavar="NEW_DIR", required=True, help="runs to judge")
    parser.add_argument("--margin", type=_share, metavar="SHARE", help="smallest change that matters (default 0.015)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for compare.json, .md and .html (default NEW_DIR)")
    parser.add_argument("--json", action="store_true", help="print compare.json on stdout")


def main(arguments: argparse.Namespace) -> Exit:
    """Compares."""
    from reports.comparing import compare as comparing
    from reports.formats import compare_pages, github

    out: Path = arguments.out or arguments.to[0]
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is no directory")
    margin = comparing.MARGIN if arguments.margin is None else arguments.margin
    comparison = comparing.compare(arguments.base, arguments.to, margin=margin)
    page = compare_pages.write(comparison, out)
    if arguments.json:
        say_json(comparison)
    else:
        say_lines([*compare_pages.sentences(comparison), *([f"report:  {page}"] if page is not None else [])])
    lines = github.comparison(comparison)
    tell_github(lines, compare_pages.markdown(comparison), as_json=arguments.json)
    return Exit(comparison["exit_code"])


def _share(text: str) -> float:
    """A share that is no more than 1, for argparse."""
    share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: a share between 0 and 1 is needed, such as 0.03 or 3%")
    return share


_share.__name__ = "share"  # argparse calls what isn't a number "invalid share value"
