"""`avaload init [NAME]`: writes a commented scenario to begin with, the schema beside it, and a pipeline if asked."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtest.commands.authoring import schema
from loadtest.commands.printing import complain, say_lines
from loadtest.config.keys.scenario import NAME
from loadtest.config.written.schema import FILE
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.system import disk

EXAMPLE: Final = "avaload init support-call --ci github"
_HERE: Final = Path(__file__).parent
PIPELINES: Final = {"github": Path(".github/workflows/avaload.yml"), "gitlab": Path(".gitlab-ci.yml")}
"""Where each service looks for the pipeline of a repository."""
_PLACE: Final = "NAME.toml"
"""Of the scenario, in what is written."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What it is called, and where it will run."""
    parser.add_argument(
        "name", nargs="?", default="scenario", metavar="NAME", help="of the scenario, or its path (default scenario)"
    )
    parser.add_argument("--ci", choices=tuple(PIPELINES), help="also write a pipeline for it: github or gitlab")


def main(arguments: argparse.Namespace) -> Exit:
    """Writes all of it, or nothing."""
    path = Path(arguments.name.removesuffix(".toml") + ".toml")
    if re.fullmatch(NAME, path.stem) is None:
        raise ConfigError(f"{path.stem}: a name has letters, digits, dot, - and _, 64 at most, a letter or digit first")
    files = {path: _filled("template.toml", str(path), name=path.stem)}
    if arguments.ci is not None:
        named = json.dumps(_from_here(path), ensure_ascii=False)  # in quotes, which YAML reads as JSON does
        files[PIPELINES[arguments.ci]] = _filled(f"pipelines/{arguments.ci}.yml", named)
    if not (beside := path.with_name(FILE)).exists():
        files[beside] = schema.text() + "\n"
    problems = [f"{each}: is there already; nothing was written" for each in files if os.path.lexists(each)]
    if not path.parent.is_dir():
        problems.append(f"{path.parent}: no such directory; nothing was written")
    if problems:
        raise ConfigError(problems)
    disk.follow_umask()  # they are meant to be shared, unlike what a run writes
    _write(files)
    if arguments.ci is not None and (top := _top_above(Path.cwd())) is not None:
        complain(f"note: {PIPELINES[arguments.ci]} is looked for at the top of the repository, {top}, not here")
    say_lines([*(f"wrote {each}" for each in files), f"next: avaload run {path}", "more: avaload examples"])
    return Exit.PASS


def _from_here(path: Path) -> str:
    """As a pipeline names it, which begins in the working directory. Raises ConfigError."""
    try:
        return (path.parent.resolve() / path.name).relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise ConfigError(f"{path}: with --ci it has to be in this directory, or below; nothing was written") from None


def _top_above(here: Path) -> Path | None:
    """The repository that this directory is inside of; None for one of its own, or for none."""
    top = next((each for each in (here, *here.parents) if (each / ".git").exists()), here)
    return None if top == here else top


def _write(files: Mapping[Path, str]) -> None:
    """All of them, each anew; where one can't be, none. Raises ConfigError."""
    made: list[Path] = []
    try:
        for path, text in files.items():
            for folder in reversed([each for each in path.parents if not each.exists()]):
                folder.mkdir()
                made.append(folder)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        for each in reversed(made):
            (each.rmdir if each.is_dir() else each.unlink)()
        raise ConfigError(f"{error.filename or path}: {error.strerror}; nothing was written") from error


def _filled(template: str, place: str, *, name: str = "") -> str:
    """Comments stay where they stood, whatever is put in."""
    text = (_HERE / template).read_text(encoding="utf-8").replace(_PLACE, place)
    return text.replace('"NAME"', f'"{name}"')
