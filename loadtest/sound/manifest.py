"""What is said in the files of a folder: a table beside them, as people have it for their recordings.

A first line with the columns' names, then one line a file (CSV, TSV), or one JSON object a line (JSONL). Names of
columns are those that data sets of speech have; further columns are left aside.
"""

import csv
import io
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from loadtest.errors.exceptions import ConfigError
from loadtest.sound.languages import is_tag, nearest
from loadtest.system import disk
from loadtest.text.mistyped import did_you_mean, nearest_word

NAMES: Final = tuple(f"{stem}.{kind}" for stem in ("manifest", "metadata") for kind in ("csv", "tsv", "jsonl"))
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "file": ("file", "file_name", "filename", "path", "audio_filepath", "wav_filename"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "language": ("language", "lang", "locale"),
    "id": ("id",),
}
"""What is looked for, and by which names."""
_NEEDED: Final = ("file", "text")
_LARGEST: Final = 16 << 20
_LONGEST: Final = 2_000
"""Signs of a text or a name."""
_HINT: Final = "the columns are file, text and, if you like, language and id"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file with sound. `name`: what its clip is called; `text` and `language`: of what is said; None: not told."""

    path: Path
    name: str
    text: str | None = None
    language: str | None = None


class _Problems:
    """Of a table of thousands of lines the same may be wrong in each: the first of a kind is told, and how many."""

    def __init__(self) -> None:
        self._of_kind: dict[str, tuple[str, int]] = {}

    def add(self, kind: str, sentence: str) -> None:
        first, count = self._of_kind.get(kind, (sentence, 0))
        self._of_kind[kind] = first, count + 1

    def told(self) -> list[str]:
        return [
            first + (f" (and {count - 1:,} more lines like this)" if count > 1 else "")
            for first, count in self._of_kind.values()
        ]


def manifest_of(folder: Path) -> Path | None:
    """The table of a folder; None: it has none. Raises ConfigError where it has two."""
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise ConfigError(f"{folder}: {found[0].name} and {found[1].name}: which of them is meant? Keep one")
    return found[0] if found else None


def listed(path: Path) -> list[Recording]:
    """The files that a table names, by their names. Raises ConfigError with a sentence for each kind of mistake."""
    text = _text(path)
    rows = _of_json(path, text) if path.suffix == ".jsonl" else _of_table(path, text)
    folder, problems = path.parent, _Problems()
    found: dict[Path, tuple[int, Recording]] = {}
    for line, row in rows:
        where = f"{path}:{line}"
        named = row.get("file", "").strip()
        if not named:
            problems.add("unnamed", f"{where}: names no file")
            continue
        if (file := _inside(folder, named)) is None:
            problems.add("outside", f"{where}: {named[:200]}: lies outside of {folder}")
            continue
        if len(said := row.get("text", "").strip()) > _LONGEST:
            problems.add("long", f"{where}: a text of {len(said):,} signs; a clip is what somebody says in one go")
            continue
        if (language := row.get("language", "").strip()) and not is_tag(language):
            meant = nearest(language)
            problems.add(
                "language", f"{where}: {language[:40]!r} is no tag of a language{_meant(meant) or ', like de'}"
            )
            continue
        if file in found:
            problems.add("twice", f"{where}: {named[:200]}: named on line {found[file][0]:,} already")
            continue
        name = in_one_line(row.get("id", "")) or in_one_line(file.relative_to(folder).as_posix())
        found[file] = (
            line,
            Recording(path=file, name=name[:200], text=in_one_line(said) or None, language=language or None),
        )
    missing = [(line, file) for file, (line, _) in found.items() if not file.is_file()]
    for line, file in missing:
        beside = [each.name for each in file.parent.iterdir()] if not problems.told() and file.parent.is_dir() else []
        problems.add(
            "missing", f"{path}:{line}: {file.name}: no such file{did_you_mean(file.name, beside, nearness=0.75)}"
        )
    if not found and not problems.told():
        problems.add("empty", f"{path}: names no file")
    if told := problems.told():
        raise ConfigError(told)
    return _told_apart([found[file][1] for file in sorted(found)], folder)


def _told_apart(found: list[Recording], folder: Path) -> list[Recording]:
    """An id that several have is a speaker's: they go by their files' names, too."""
    times = Counter(each.name for each in found)
    return [
        replace(each, name=f"{each.name} ({in_one_line(each.path.relative_to(folder).as_posix())})")
        if times[each.name] > 1
        else each
        for each in found
    ]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: larger than {_LARGEST >> 20} MiB, too large for a list of clips")
        content = disk.read_named(path)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{path}: UTF-16; save it as UTF-8")
    try:
        found = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save it as UTF-8") from error
    if "\0" in found:
        raise ConfigError(f"{path}: holds a zero byte, so it is no text")
    if not found.strip():
        raise ConfigError(f"{path}: empty; {_HINT}")
    return found


def _of_table(path: Path, text: str) -> Iterator[tuple[int, _Row]]:
    """Lines with their numbers, by the names that are ours. Raises ConfigError."""
    head = text.lstrip("\r\n").split("\n", 1)[0]
    is_tsv = path.suffix == ".tsv"
    between = "\t" if is_tsv else max(",;\t|", key=head.count)
    lines = io.StringIO(text, newline="")
    if is_tsv:  # where tabs part the columns, a quote is a sign like any other
        reader = csv.reader(lines, delimiter=between, quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, delimiter=between, strict=True)
    columns: dict[str, int] | None = None
    width = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns, width = _columns(f"{path}:{reader.line_num}", cells), len(cells)
                continue
            if len(cells) > width and any(cell.strip() for cell in cells[width:]):
                said = "" if is_tsv else f"; a cell with {between!r} in it is put in quotes"
                raise ConfigError(f"{path}:{reader.line_num}: {len(cells)} cells, but {width} columns{said}")
            yield reader.line_num, {key: cells[at] for key, at in columns.items() if at < len(cells)}
    except csv.Error as error:
        raise ConfigError(f"{path}:{max(1, reader.line_num)}: can't be read as a table ({error})") from error


def _of_json(path: Path, text: str) -> Iterator[tuple[int, _Row]]:
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        where = f"{path}:{line}"
        try:
            tree: Any = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where}: not JSON; one object a line is needed") from error
        if not isinstance(tree, dict):
            raise ConfigError(f"{where}: not an object; one a line is needed")
        row = {}
        names = list(tree)
        for key, at in _columns(where, names).items():
            value = tree[names[at]]
            if value is not None and not isinstance(value, str) and key != "id":
                raise ConfigError(f"{where}: {names[at]}: not a text")
            row[key] = "" if value is None else str(value)
        yield line, row


def _columns(where: str, names: Sequence[str]) -> dict[str, int]:
    """Where each is. Raises ConfigError for one that is missing, there twice, or misspelt."""
    plain = [name.strip().lower() for name in names]
    found: dict[str, int] = {}
    for at, name in enumerate(plain):
        key = next((key for key, known in _COLUMNS.items() if name in known), None)
        if key is None:
            continue
        if key in found:
            raise ConfigError(f"{where}: {names[found[key]]} and {names[at]}: both would be the {key}; keep one")
        found[key] = at
    others = [name for at, name in enumerate(plain) if at not in found.values()]
    for key in _NEEDED:
        if key not in found:
            raise ConfigError(f"{where}: no column {key}{_misspelt(key, others)}; {_HINT}")
    if "language" not in found and (said := _misspelt("language", others)):
        raise ConfigError(f"{where}: no column language{said}")
    return found


def _misspelt(key: str, others: list[str]) -> str:
    """` (is it X?)`, where another column is near to it."""
    meant = nearest_word(key, others, nearness=0.7)
    return f" (is it {meant}?)" if meant else ""


def _inside(folder: Path, named: str) -> Path | None:
    """Where the file is, whether it exists or not; None: not within the folder."""
    top = os.path.normpath(folder.absolute())
    found = [
        Path(os.path.normpath(Path(top) / spelt))
        for spelt in (named, named.replace("\\", "/"))  # the second as a table of Windows has it
    ]
    file = next((each for each in found if each.is_file()), found[0])
    if not file.exists():  # letters with marks may be one sign or two, by who wrote the table
        for form in ("NFC", "NFD"):
            spelt_so = Path(unicodedata.normalize(form, str(file)))
            file = spelt_so if spelt_so.is_file() else file
    return folder / file.relative_to(top) if file.is_relative_to(top) else None


def in_one_line(text: str) -> str:
    """Without what a terminal would take for an order, and what is no character."""
    return _UNPRINTABLE.sub("", " ".join(text.split()))


def _meant(tag: str | None) -> str:
    return f" (did you mean {tag}?)" if tag else ""
