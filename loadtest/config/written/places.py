"""On which line of which file what is wrong was written, and the sentence that says so."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.config.written.sentences import Place, place, words
from loadtest.system import disk
from loadtest.text.mistyped import line_of, line_of_problem


class Written:
    """Where what was given was written: `scenario.toml:7: `, or nothing where an option or a variable says it."""

    def __init__(self, path: Path | None, elsewhere: Collection[str], *, mix: Sequence[Path]) -> None:
        self._path, self._elsewhere, self._mix = path, elsewhere, mix

    def sentences(self, item: Mapping[str, Any], table: Place = ()) -> list[str]:
        """One error of pydantic, its place first; `table`: what it was validated as, if not all of the file."""
        item = {**item, "loc": (*table, *item["loc"])}
        loc = item["loc"]
        tag = item["ctx"]["tag"] if item["type"] == "union_tag_invalid" else ""
        said = words(item)
        if not loc:
            return [self.at(line) for line in said]
        return [self._placed(loc, line, tag) for line in said]

    def _placed(self, loc: Place, line: str, word: str) -> str:
        if inner := re.match(r"(\w+)\[(\d+)\]: ", line):  # what is said of a table may name the place in it
            loc, line = (*loc, inner[1], int(inner[2]) - 1), line[inner.end() :]
        path, inside = self._file(loc)
        before = self._prefix(path, inside, word)
        if not before and path is not self._path and not self._is_elsewhere(place(loc)):
            inside, before = loc, self._prefix(self._path, loc, word)  # said of the mix, not in the file that it names
        return f"{before}{place(inside if before else loc)}: {line}"

    def at(self, problem: str) -> str:
        """The problem, with its place before it where its own words tell."""
        if self._path is None or self._is_elsewhere(re.split(r"\W", problem)[0]):
            return problem
        line = line_of_problem(_text(self._path), problem)
        return problem if line is None else f"{self._path}:{line}: {problem}"

    def _file(self, loc: Place) -> tuple[Path | None, Place]:
        """The file that says it, and the place in there."""
        if len(loc) > 2 and loc[0] == "mix" and isinstance(loc[1], int):
            return self._mix[loc[1]], loc[2:]
        return (None if self._is_elsewhere(".".join(map(str, loc))) else self._path), loc

    @staticmethod
    def _prefix(path: Path | None, loc: Place, word: str) -> str:
        line = None if path is None else line_of(_text(path), loc, word)
        return "" if line is None else f"{path}:{line}: "

    def _is_elsewhere(self, setting: str) -> bool:
        return any(name == setting or name.startswith(f"{setting}.") for name in self._elsewhere)


def _text(path: Path) -> str:
    try:
        return disk.read_named(path).decode("utf-8-sig", "replace")
    except OSError:  # a pipe says what it says once
        return ""
