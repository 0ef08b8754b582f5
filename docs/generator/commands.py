"""docs/reference/commands.md: every command and option, from the parsers themselves."""

import argparse
from typing import Final

from docs.generator.markdown import code, table
from loadtest import cli
from loadtest.errors.exit_codes import Exit
from loadtest.twin.command_line import options as twin

_HEAD: Final = """\
# Commands

Generated from the commands' own parsers by `make generated`; do not edit.

Bad input is one line per problem and exit 2; nothing was started then. Keys come from the environment alone
([environment](environment.md))."""
_EXITS: Final = {
    Exit.PASS: "pass",
    Exit.BUG: "a bug of avaload",
    Exit.BAD_INPUT: "bad input, a host whose name doesn't resolve included; nothing was started",
    Exit.FAIL: "an objective was missed, a rule of the contract broken, or a regression against the baseline",
    Exit.INVALID: "invalid: the generator was not fit to judge, or the run shows too little to say that it holds",
    Exit.LEFT_BEHIND: "sessions left behind: a delete failed, or a deleted session was seen alive",
    Exit.INTERRUPTED: "interrupted",
}


def page(_before: str) -> str:
    """The whole page."""
    lines = [_HEAD, "", "## Exit codes", "", "The worst wins, in the order 5, 130, 4, 3.", ""]
    lines += table(("code", "means"), [(str(int(code_)), text) for code_, text in _EXITS.items()])
    for name, parser in parsers().items():
        lines += ["", f"## avaload {name}", "", *_described(parser)]
        rows = [_row(each) for each in parser._actions if each.help != argparse.SUPPRESS]
        lines += table(("option", "meaning"), rows)
    return "\n".join(lines) + "\n"


def parsers() -> dict[str, argparse.ArgumentParser]:
    """By name of the command."""
    known = cli.parser(list(cli.COMMANDS))
    (commands,) = (each for each in known._actions if isinstance(each, argparse._SubParsersAction))
    return {name: twin.parser() if name == "twin" else parser for name, parser in commands.choices.items()}


def _described(parser: argparse.ArgumentParser) -> list[str]:
    text = " ".join((parser.description or "").split()).removesuffix(".")
    lines = [f"{text[:1].upper()}{text[1:]}.", ""]
    epilog = (parser.epilog or "").strip()
    example = epilog.removeprefix("example:").strip().partition("\n")[0] if epilog.startswith("example:") else ""
    return [*lines, "```", example, "```", ""] if example else lines


def _row(action: argparse.Action) -> tuple[str, str]:
    given = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return code(given), action.help or ""
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return code(names), _help(action)
    return code(f"{names} {given}"), _help(action)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
