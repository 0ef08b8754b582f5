"""What an operator may have meant by a word that nobody knows, and the line of a file on which he wrote it."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str | int, ...]
"""Keys and places in lists, from the whole document to a value."""

_LONGEST: Final = 500
"""Lines of one statement. The line of what stands after a longer one is not known."""


def nearest_word(word: str, known: Iterable[str], *, nearness: float = 0.51) -> str | None:
    """The known word that was meant: the same in other case, or the one that has most in common, and at least that
    share; None: none of them."""
    words = list(known)
    same = [each for each in words if each.lower() == word.lower()]
    from difflib import get_close_matches  # for those who have mistyped something

    return next(iter(same or get_close_matches(word, words, n=1, cutoff=nearness)), None)


def did_you_mean(word: str, known: Iterable[str], *, nearness: float = 0.51) -> str:
    """` (did you mean X?)`, where one of the known words is the `nearest_word`; else nothing."""
    meant = nearest_word(word, known, nearness=nearness)
    return f" (did you mean {meant}?)" if meant else ""


def line_of(text: str, loc: Sequence[str | int], word: str = "") -> int | None:
    """The line, counted from 1, of the statement of a TOML document by which a value came to be at `loc`; where what is
    there has `word` on one line alone, that one. None where nothing says anything of it.

    `loc` may have parts that are in no file, such as the name of a union's member.
    """
    try:
        path = _real(tomllib.loads(text), loc)
        statements = list(_statements(text))
    except tomllib.TOMLDecodeError:
        return None
    inside = [each for each in statements if any(deep[: len(path)] == path for deep in each.paths)]
    if word and (line := _only_line(inside, word)) is not None:
        return line
    nearest = max(statements, key=lambda each: each.shared(path), default=None)
    if nearest is None or not nearest.shared(path):
        nearest = None if word else next(iter(inside), None)  # what only its sub-tables or a list's first one make
    if nearest is None or not path:
        return None
    keys = (part for part in reversed(path) if isinstance(part, str))
    return next((line for key in keys if (line := _only_line([nearest], key)) is not None), nearest.first)


def line_of_problem(text: str, problem: str) -> int | None:
    """The same for a sentence that begins with a table, such as `slo[2]: `, and may quote a word of it."""
    if not (found := re.match(r"(\w+)(?:\[(\d+)\])?: ", problem)):
        return None
    table, number = found.groups()
    word = next(iter(re.findall(r"'([^']+)'", problem)), "")
    return line_of(text, (table, *([int(number) - 1] if number else [])), word)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A table's header or a key with its value; `paths`: of all that it sets."""

    first: int
    lines: list[str]
    paths: list[Path]

    def shared(self, path: Path) -> int:
        """How many parts of the path it speaks of."""
        return max((len(each) for each in self.paths if path[: len(each)] == each), default=0)


def _only_line(statements: Iterable[_Statement], word: str) -> int | None:
    lines = [each.first + at for each in statements for at, line in enumerate(each.lines) if word in line]
    return lines[0] if len(lines) == 1 else None


def _statements(text: str) -> Iterator[_Statement]:
    """Each is the least number of lines that is TOML by itself. The document has to be TOML."""
    lines = text.replace("\r\n", "\n").split("\n")
    table: Path = ()
    tables: dict[Path, int] = {}
    at = 0
    while at < len(lines):
        for end in range(at + 1, min(len(lines), at + _LONGEST) + 1):
            try:
                tree = tomllib.loads("\n".join(lines[at:end]))
            except tomllib.TOMLDecodeError:
                continue
            break
        else:
            return
        if lines[at].lstrip().startswith("["):
            table = _header(tree, tables)
            yield _Statement(at + 1, lines[at:end], [table])
        elif tree:
            yield _Statement(at + 1, lines[at:end], [(*table, *path) for path in _paths(tree)])
        at = end


def _header(tree: Any, tables: dict[Path, int]) -> Path:
    """The path of the table that a header opens; `tables` counts those of each list of tables."""
    path: Path = ()
    while isinstance(tree, dict) and tree:
        ((key, tree),) = tree.items()
        path = (*path, key)
        if isinstance(tree, list):
            tables[path] = tables.get(path, 0) + 1
            return (*path, tables[path] - 1)
        if path in tables:
            path = (*path, tables[path] - 1)
    return path


def _paths(tree: Any) -> Iterator[Path]:
    """Of all that is in it, the inner ones after the outer."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (key,)
        yield from ((key, *path) for path in _paths(value))


def _real(tree: Any, loc: Sequence[str | int]) -> Path:
    """The parts of `loc` that are there."""
    path: Path = ()
    for part in loc:
        inside = tree if isinstance(tree, dict) else dict(enumerate(tree)) if isinstance(tree, list) else {}
        if part in inside:
            tree, path = inside[part], (*path, part)
    return path
