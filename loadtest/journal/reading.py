"""Reading the journal of a run: which of its files count, and their events."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from loadtest.events.kinds import Event, RunFinished, RunStarted
from loadtest.journal.files import ENDING, folder, not_a_run, paths, writer_of
from loadtest.journal.lines import JournalError, Lines, PassedOver, check_schema
from loadtest.system import disk

_SWEEP: Final = "sweep"
_E = TypeVar("_E")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFile:
    """What one file holds. `truncated`: its writer died before its last word."""

    path: Path
    started: RunStarted
    events: list[Event]
    truncated: bool


def journals(run_dir: Path, passed: PassedOver | None = None) -> list[Path]:
    """The files to read of a run, without those in which nothing was written. Left out, and told to `passed`: what is
    no file, can't be opened, is of another schema or another run, or a copy.

    Raises JournalError where nothing is left, with the reason if there is one.
    """
    passed = PassedOver() if passed is None else passed
    begun: dict[Path, RunStarted] = {}
    for path in _files(run_dir, passed):
        try:
            if (started := beginning(path)) is not None:
                begun[path] = started
        except JournalError as error:
            where, _, why = str(error).partition(": ")
            passed.add(where, why)
    runs = Counter(started.run_id for started in begun.values() if started.role != _SWEEP)
    run_id = runs.most_common(1)[0][0] if runs else None
    found: list[Path] = []
    for path, started in begun.items():
        # A sweep of a copied directory may call the run by the directory's new name.
        if started.role != _SWEEP and started.run_id != run_id:
            passed.add(path.name, f"belongs to run {started.run_id}, not to {run_id}")
        else:
            found.append(path)
    # Of a file and its copies the longest counts.
    found.sort(key=lambda path: path.stat().st_size, reverse=True)
    sound: list[Path] = []
    for path in found:
        longer = next((each for each in sound if begun[each] == begun[path] and _begins_with(each, path)), None)
        if longer is None:
            sound.append(path)
        else:
            passed.add(path.name, f"a copy of {longer.name}")
    if not sound:
        raise JournalError(passed.first[0] if passed.first else not_a_run(run_dir))
    return sorted(sound)


def _begins_with(path: Path, other: Path) -> bool:
    with disk.open_read(path) as long, disk.open_read(other) as short:
        return all(long.read(len(chunk)) == chunk for chunk in iter(lambda: short.read(1 << 20), b""))


def _files(run_dir: Path, passed: PassedOver) -> list[Path]:
    files: list[Path] = []
    where = folder(run_dir)
    if where.is_symlink():
        passed.add(where.name, "a link: nothing is read through it")
        return files
    for path in sorted(where.glob(f"*{ENDING}*")):
        if path.suffix != ENDING:
            passed.add(path.name, f"not read: a journal's name ends in {ENDING}")
        elif not disk.is_plain(path):
            passed.add(path.name, "a link to a file: not read" if path.is_file() else "not a file")
        else:
            files.append(path)
    return files


def beginning(path: Path) -> RunStarted | None:
    """Who wrote the file, where and when; None where nothing was written. Raises JournalError as `batches` does."""
    first = next(batches(path), None)
    if first is None:
        return None
    assert isinstance(first[0], RunStarted)
    return first[0]


def batches(path: Path, passed: PassedOver | None = None) -> Iterator[list[Event]]:
    """The events of a file as they were written, some hundred at a time: the way to read files of any size.

    The first one is a RunStarted. Left out, and told to `passed`: lines that are no events; where a file begins twice,
    those that are there again; from another host's on, all. Raises JournalError for a file that can't be opened, of
    which nobody knows who wrote it, or of another schema.
    """
    passed = PassedOver() if passed is None else passed
    before = passed.count
    started: RunStarted | None = None
    try:
        with disk.open_read(path) as file:
            lines = Lines(file, path.name, passed)
            for events in lines:
                if started is None:
                    started = lines.started or _guessed(path, events[0], passed)
                    check_schema(started, path.name)
                    yield [started, *(event for event in events if event is not started)]
                else:
                    yield events
        if started is None and passed.count > before:
            raise JournalError(f"{path.name}: does not begin with run_started")
    except OSError as error:
        if started is None:
            raise JournalError(f"{path.name}: {error.strerror}") from error
        passed.add(path.name, f"not read to its end: {error.strerror}")


def _guessed(path: Path, first: Event, passed: PassedOver) -> RunStarted:
    """Who wrote a file that lacks its first line: its name says who, another file of the same host which clock."""
    passed.add(f"{path.name}:1", "does not begin with run_started")
    writer = writer_of(path.name)
    for other in paths(path.parent.parent) if writer is not None else ():
        with disk.open_read(other) as file:
            lines = Lines(file, other.name, PassedOver())
            next(iter(lines), None)
        started = lines.started
        if writer is not None and started is not None and started.host == writer.host:
            return msgspec.structs.replace(
                started,
                t_ns=first.t_ns,
                wall_ns=started.wall_ns + first.t_ns - started.t_ns,
                role=writer.role,
                process=writer.number or 0,
                incarnation=writer.again or 0,
            )
    raise JournalError(f"{path.name}: does not begin with run_started")


def read(path: Path) -> JournalFile:
    """A whole file in memory. Raises JournalError like `batches`, and where nothing was written."""
    events = [event for batch in batches(path) for event in batch]
    if not events:
        raise JournalError(f"{path.name}: does not begin with run_started")
    started = events[0]
    assert isinstance(started, RunStarted)
    return JournalFile(path=path, started=started, events=events, truncated=not isinstance(events[-1], RunFinished))


def read_run(run_dir: Path) -> list[JournalFile]:
    """All files of a run. Raises JournalError like `journals`."""
    return [read(path) for path in journals(run_dir)]


def words_of(paths: Iterable[Path], kind: type[_E], passed: PassedOver | None = None) -> Iterator[_E]:
    """Every event of that kind that can be read in any of these files, whoever wrote it, file by file: what may be left
    of a session is worth more than to know which file is sound. Nothing is kept: a run may have millions."""
    passed = PassedOver() if passed is None else passed
    for path in paths:
        try:
            with disk.open_read(path) as file:
                for batch in Lines(file, path.name, passed, of_any=True):
                    yield from (event for event in batch if isinstance(event, kind))
        except OSError as error:
            passed.add(path.name, str(error.strerror))


def words(run_dir: Path, kind: type[_E], passed: PassedOver | None = None) -> Iterator[_E]:
    """`words_of` all files of a run."""
    passed = PassedOver() if passed is None else passed
    return words_of(_files(run_dir, passed), kind, passed)


def merged(files: Iterable[JournalFile]) -> Iterator[Event]:
    """Events of all files in the order of their stamps (one host: one clock)."""
    events = [event for file in files for event in file.events]
    events.sort(key=lambda event: event.t_ns)
    return iter(events)
