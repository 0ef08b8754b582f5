"""`avaload examples [NAME]`: lists the scenarios that come with avaload, or prints one."""

import argparse
import tomllib
from pathlib import Path
from typing import Final

from loadtest.commands.printing import complain, say, say_lines
from loadtest.config.written.schema import FILE
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.text.mistyped import did_you_mean

EXAMPLE: Final = "avaload examples smoke > smoke.toml"
FOLDER: Final = Path(__file__).with_name("scenarios")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this one (default: list all)")


def main(arguments: argparse.Namespace) -> Exit:
    """Lists or prints."""
    known = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
    if arguments.name is None:
        width = max(map(len, known))
        say_lines(f"{name:<{width}}  {_title(path)}" for name, path in known.items())
        say_lines(["", "`avaload examples NAME > NAME.toml` writes one down.", _FOR_EDITORS])
        return Exit.PASS
    name = arguments.name.removesuffix(".toml")
    if name not in known:
        raise ConfigError(f"{arguments.name}: no such example{did_you_mean(name, known)} (see avaload examples)")
    text = known[name].read_text(encoding="utf-8")
    say(text.rstrip("\n"))
    for other in tomllib.loads(text).get("mix", ()):
        complain(f"beside it: avaload examples {Path(other['scenario']).stem} > {other['scenario']}")
    return Exit.PASS


_FOR_EDITORS: Final = f"`avaload schema > {FILE}` beside it lets an editor complete and check it."


def _title(path: Path) -> str:
    """What it says of itself: its first comment."""
    return path.read_text(encoding="utf-8").splitlines()[1].removeprefix("# ")
