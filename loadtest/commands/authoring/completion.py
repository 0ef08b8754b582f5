"""`avaload completion SHELL`: prints a script by which a shell completes commands, options, values and paths."""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from loadtest.commands.printing import say
from loadtest.errors.exit_codes import Exit

EXAMPLE: Final = 'eval "$(avaload completion bash)"'
SHELLS: Final = ("bash", "zsh", "fish")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" | ".join(SHELLS))


def main(arguments: argparse.Namespace) -> Exit:
    """Prints the script. `arguments.whole` makes the parser of all commands."""
    import shtab

    parser = arguments.whole()
    for action in _actions(parser):
        _say_values(action, file=shtab.FILE, directory=shtab.DIRECTORY)
    say(shtab.complete(parser, arguments.shell))
    return Exit.PASS


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of the parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def _say_values(action: argparse.Action, *, file: Any, directory: Any) -> None:
    """By its placeholder: a path, or one of several words."""
    placeholder = action.metavar if isinstance(action.metavar, str) else ""
    if placeholder.endswith("DIR"):
        action.complete = directory  # type: ignore[attr-defined]
    elif placeholder.endswith(("FILE", ".toml")):
        action.complete = file  # type: ignore[attr-defined]
    elif "|" in placeholder and action.choices is None:
        action.choices = [word for word in placeholder.split("|") if word.islower()]
