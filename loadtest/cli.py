"""`avaload COMMAND …`: finds the command, parses its options, says what went wrong, returns the exit code. What a
command takes and does is in loadtest/commands, a module per command.
"""

import argparse
import importlib
import itertools
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, cast

from avaload import guarded, settle
from loadtest.commands import printing
from loadtest.config.environment import PREFIX, forget_steering
from loadtest.errors.causes import LIMITS, own_limit
from loadtest.errors.exceptions import ConfigError, GeneratorError, HarnessError
from loadtest.errors.exit_codes import Exit
from loadtest.system import disk
from loadtest.system.version import __version__
from loadtest.text.mistyped import did_you_mean

COMMANDS: Final = {
    "run": "a load run; without endpoints: the embedded twin",
    "probe": "active checks of the contract, each a session or more that provokes something; without endpoints: the"
    " embedded twin",
    "capacity": "search for the limit: how many users, or arrivals, hold all objectives",
    "plan": "what so many users would need: sessions, secrets, load processes, hosts, money",
    "twin": "serve the twin of both services",
    "report": "rebuild the reports from the journals, judge again",
    "prices": "the price table in force, with days and sources",
    "compare": "what changed between two sets of runs; exit 3 on a regression",
    "session": "one session's timeline",
    "export": "spans of a run to a collector, or its tables as Parquet, CSV or JSON Lines",
    "sweep": "delete what the journals say may be left; idempotent",
    "doctor": "check this machine, keys and endpoints",
    "init": "write a first scenario of your own, and its pipeline",
    "examples": "list the scenarios that come with avaload, or print one",
    "schema": "print the JSON schema of a scenario, by which editors complete and check it",
    "completion": "a script by which bash, zsh or fish completes all this",
}
"""Name, which is that of its module in loadtest/commands, and what it does. The twin has a parser of its own."""
_AUTHORING: Final = ("init", "examples", "schema", "completion")
"""Those whose module is in loadtest/commands/authoring."""


_OF_ARGPARSE: Final = {
    r"argument (?P<name>\S+): expected (?:one|at least one) argument": "{name}: needs a value",
    r"argument (?P<name>\S+): invalid choice: (['\"])(?P<given>.*?)\2(?:, maybe you meant '.*'\?)?"
    r" \(choose from (?P<choices>.*)\)":
        "{name}: must be one of {choices}; got '{given}'",
    r"argument (?P<name>\S+): invalid int value: (?P<given>'.*')": "{name}: must be a whole number; got {given}",
    r"argument (?P<name>\S+): invalid float value: (?P<given>'.*')": "{name}: must be a number; got {given}",
    r"the following arguments are required: (?P<name>[^ ,]+)": "{name} is missing",
    r"the following arguments are required: (?P<name>.+)": "{name} are missing",
}  # fmt: skip
_OF_ALL: Final = ("-h", "--help", "--version", "--")
_ELSEWHERE: Final = {
    **dict.fromkeys(("check", "lint", "validate"), "run --dry-run"),
    **dict.fromkeys(("start", "test"), "run"),
    "master": "run --master",
    "worker": "run --worker",
    "help": "--help",
    "version": "--version",
}
"""What other programs call a command, and how it is said here."""


class Command(Protocol):
    """A module of loadtest/commands."""

    EXAMPLE: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Everything it takes."""

    def main(self, arguments: argparse.Namespace) -> Exit:
        """Does it. Raises HarnessError."""


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line on stderr."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{_in_our_words(message)} (see {self.prog} --help)")


class _OfCommand(_Parser):
    """It says of an option that it doesn't know which one may have been meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        for word in itertools.takewhile(lambda word: word != "--", args):
            option = word.partition("=")[0]
            if re.match("--|-[A-Za-z]", option) and option not in self._option_string_actions:
                meant = _option_meant(option, self._option_string_actions)
                self.error(f"{option}: no such option{meant}")
        found, more = super().parse_known_args(args, namespace)
        if more:
            self.error(f"{more[0]}: one word too many")
        return found, more


def _option_meant(word: str, known: Iterable[str], *, nearness: float = 0.51) -> str:
    """Of a single letter the one option that begins so, else the nearest."""
    if not re.fullmatch("-[A-Za-z].*", word):
        return did_you_mean(word, [option for option in known if option.startswith("--")], nearness=nearness)
    long = [option for option in known if option.startswith(f"-{word[:2].lower()}")]
    return f" (did you mean {long[0]}?)" if len(long) == 1 else ""


def _in_our_words(message: str) -> str:
    """argparse's sentence, where ours says it as it is said of settings."""
    for pattern, words in _OF_ARGPARSE.items():
        if found := re.fullmatch(pattern, message):
            listed = found.groupdict().get("choices", "")
            choices = [each.strip("'") for each in listed.split(", ")] if listed else []  # newer Pythons quote none
            said = words.format(**found.groupdict() | {"choices": ", ".join(choices)})
            return said + (did_you_mean(found["given"], choices) if choices else "")
    return message


def entry() -> int:
    """A command of `avaload`. `avaload twin` goes straight to the twin, which has an option parser of its own."""
    notes = forget_steering()
    disk.keep_private()
    if sys.argv[1:2] in (["run"], ["capacity"], ["probe"], ["export"]):
        for note in notes:
            printing.complain(f"note: {note}")
    if sys.argv[1:2] == ["twin"]:
        from loadtest.twin import main as twin

        return twin(sys.argv[2:])
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. Nothing escapes but bugs."""
    given: Mapping[str, Any] = {}
    try:
        words = sys.argv[1:] if argv is None else argv
        _check_texts(words)
        _check_command(words)
        arguments = parser(words).parse_args(words)
        given = vars(arguments)
        if (directory := given.get("run_dir") or given.get("out") or (given.get("to") or [None])[0]) is not None:
            disk.follow(Path(directory))
        printing.unsaid.clear()
        code = command(arguments.command).main(arguments)
        if printing.unsaid:
            printing.complain(printing.unsaid[0])
            return code or Exit.BAD_INPUT
        return int(code)
    except ConfigError as error:
        for problem in error.problems:
            printing.complain(_as_given(problem, given))
        return Exit.BAD_INPUT
    except GeneratorError as error:
        printing.complain(str(error))
        return Exit.INVALID
    except HarnessError as error:
        printing.complain(str(error))
        return Exit.BAD_INPUT
    except (OSError, RuntimeError, MemoryError) as error:
        if (limit := own_limit(error)) is not None:
            said = f": {error}" if str(error) else ""
            printing.complain(f"a limit of this machine: {LIMITS[limit]}{said}")
            return Exit.INVALID
        if isinstance(error, FileNotFoundError) and _is_nowhere():
            printing.complain("the working directory is no longer there: change to another one")
            return Exit.BAD_INPUT
        if not isinstance(error, OSError) or error.filename is None:
            raise
        printing.complain(f"{os.fsdecode(error.filename)}: {error.strerror}")
        return Exit.BAD_INPUT
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _is_nowhere() -> bool:
    """Somebody has deleted the directory that we were started in."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def command(name: str) -> Command:
    """Its module. Only the one that is asked for is imported, so that the others' needs cost it no time."""
    folder = "loadtest.commands.authoring" if name in _AUTHORING else "loadtest.commands"
    return cast("Command", importlib.import_module(f"{folder}.{name}"))


def parser(words: Iterable[str]) -> argparse.ArgumentParser:
    """Knows all commands, and the options of those that are named in `words`."""
    made = _Parser(prog="avaload", description="Load-tests whole real-time avatar sessions and proves that they end.")
    made.add_argument("--version", action="version", version=f"avaload {__version__}")
    made.set_defaults(whole=lambda: parser(COMMANDS), flaws_of_knobs=_flaws_of_knobs)
    commands = made.add_subparsers(metavar="COMMAND", dest="command", required=True, parser_class=_OfCommand)
    for name, text in COMMANDS.items():
        if name == "twin":
            of_twin: list[Any] = [_twin_options()] if name in words else []
            commands.add_parser(name, help=text, add_help=False, parents=of_twin)
            continue
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name in words:
            named = command(name)
            sub.epilog = f"example: {named.EXAMPLE}"
            named.add_options(sub)
    return made


def _twin_options() -> argparse.ArgumentParser:
    from loadtest.twin.command_line.options import parser

    return parser()


def _flaws_of_knobs(knobs: Sequence[str]) -> list[str]:
    """Why the embedded twin can't be set so, a sentence each. Commands ask here: they don't know the twin."""
    if not knobs:
        return []
    from loadtest.twin.command_line.loading import ProfileError, load

    try:
        load(name="instant", settings=knobs)
    except ProfileError as error:
        return error.problems
    return []


def _check_command(words: Sequence[str]) -> None:
    """Raises ConfigError where the first word is no command."""
    if not words:
        raise ConfigError("no COMMAND: `avaload run` begins, against the embedded twin; `avaload --help` names all")
    if words[0].startswith("-") and words[0] not in _OF_ALL:
        meant = _option_meant(words[0], _OF_ALL, nearness=0.7) or ": a command comes first, such as `avaload run`"
        raise ConfigError(f"{words[0]}: no such option{meant} (see avaload --help)")
    first = next((word for word in words if not word.startswith("-")), None)
    if first is not None and first not in COMMANDS:
        if first in _ELSEWHERE:
            raise ConfigError(f"{first}: no such command (did you mean avaload {_ELSEWHERE[first]}?)")
        raise ConfigError(f"{first}: no such command{did_you_mean(first, COMMANDS)} (see avaload --help)")
    if first == "twin":
        raise ConfigError("twin: has to be the first word (see avaload twin --help)")


def _check_texts(words: Sequence[str]) -> None:
    """What isn't text can't be written down. Raises ConfigError."""
    for before, word in zip(("avaload", *words), words, strict=False):
        if word == "" or re.fullmatch("--[a-z-]+=", word):
            name = word.rstrip("=") or before
            raise ConfigError(f"{name}: an empty word follows; is a variable of the shell not set?")
    given = [*words, *(value for name, value in os.environ.items() if name.startswith(PREFIX))]
    if bad := [word for word in given if not word.isprintable() and _has_odd_bytes(word)]:
        raise ConfigError([f"{word!r}: not in UTF-8" for word in bad])


def _has_odd_bytes(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return True
    return False


def _as_given(problem: str, given: Mapping[str, Any]) -> str:
    """The problem of a setting, said of the option or variable with which the operator gave it."""
    from loadtest.commands.options import as_option

    said = as_option(problem, given)
    setting, colon, _ = problem.partition(": ")
    if said != problem or not colon:
        return said
    variable = f"{PREFIX}{setting.replace('.', '__')}".upper()
    whole = sorted(name for name in os.environ if name == variable or name.startswith(f"{variable}__"))
    return f"{whole[0]}{problem[len(setting) :]}" if whole and (variable in whole or "." not in setting) else said


if __name__ == "__main__":
    settle()
    sys.exit(guarded(entry))
