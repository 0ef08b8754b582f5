"""Events as JSON lines: the truth of a run, written so that it survives the SIGKILL of any process.

One unbuffered `write(2)` per event (0.9 µs; never fsync on the audio loop). A full disk leaves no half line. A file is
`flock`ed while its writer lives, so a reader can wait for engines that are still deleting; a file without `RunFinished`
is truncated.
"""

import fcntl
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from loadtest.language import clock, disk
from loadtest.language.events import SCHEMA, Event, Remains, RemainsChanged, RemainsReason, RunFinished, RunStarted
from loadtest.language.journal_lines import JournalError as JournalError
from loadtest.language.journal_lines import Lines
from loadtest.language.journal_lines import PassedOver as PassedOver
from loadtest.language.journal_lines import check_schema as check_schema
from loadtest.language.journal_lines import decode as decode
from loadtest.language.journal_lines import encode as encode

_SWEEP: Final = "sweep"
_NAME: Final = re.compile(
    r"(?P<host>.+?)-(?P<role>engine|load|worker|master|sweep)(?:-(?P<process>\d+))?(?:-(?P<again>\d+))?\.jsonl"
)


class Journal:
    """The writing end of one file. Use as a context manager; the lock goes with the file or with the process."""

    def __init__(self, path: Path, *, spare_bytes: int = 0) -> None:
        """`spare_bytes`: kept free for what is still to be said once the disk is full."""
        disk.make_folder(path.parent)
        self.path = path
        self.on_full: Callable[[OSError], None] | None = None
        """Called once, when no more can be written but what the spare room takes; the caller must stop the run."""
        self.lost = 0
        """Lines for which there was no room at all."""
        self._is_full = False
        self._fd = disk.open_append(path)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._spare = disk.Spare(path.parent, spare_bytes) if spare_bytes else None

    def write(self, line: bytes) -> None:
        """Append one encoded event, whole or not at all. Raises OSError (a full disk) where there is no `on_full`."""
        try:
            disk.append(self._fd, line)
        except OSError as error:
            if self.on_full is None:
                raise
            self._make_room(line)
            if not self._is_full:
                self._is_full = True
                self.on_full(error)

    def _make_room(self, line: bytes) -> None:
        if self._spare is not None:
            self._spare.give()
        try:
            disk.append(self._fd, line)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        if self._spare is not None:
            self._spare.give()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def first_line(*, role: str, run_id: str, scenario: str, process: int, incarnation: int = 0) -> RunStarted:
    """What every file begins with: who writes it, on which host, and both clocks now."""
    return RunStarted(
        t_ns=clock.now_ns(),
        wall_ns=clock.wall_ns(),
        run_id=run_id,
        scenario=scenario,
        role=role,
        host=socket.gethostname(),
        process=process,
        incarnation=incarnation,
        pid=os.getpid(),
        boot_id=clock.boot_id(),
        schema=SCHEMA,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFile:
    """What one file holds. `truncated`: its writer died before its last word."""

    path: Path
    started: RunStarted
    events: list[Event]
    truncated: bool


def paths(run_dir: Path) -> list[Path]:
    """The journal files of a run as they are there, none if it has none."""
    return disk.files_in(run_dir / "journal", "*.jsonl")


def run_of(given: Path | str) -> Path:
    """The run's directory, given by itself or by a file in it, such as its report.html."""
    path = Path(given)
    is_inside = path.name == "journal" or not path.is_dir()
    return path.parent if is_inside and (path.parent / "journal").is_dir() else path


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
        raise JournalError(passed.first[0] if passed.first else f"{run_dir}: holds no journal; is it a run directory?")
    return sorted(sound)


def _begins_with(path: Path, other: Path) -> bool:
    with disk.open_read(path) as long, disk.open_read(other) as short:
        return all(long.read(len(chunk)) == chunk for chunk in iter(lambda: short.read(1 << 20), b""))


def _files(run_dir: Path, passed: PassedOver) -> list[Path]:
    files: list[Path] = []
    folder = run_dir / "journal"
    if folder.is_symlink():
        passed.add(folder.name, "a link: nothing is read through it")
        return files
    for path in sorted(folder.glob("*.jsonl*")):
        if path.suffix != ".jsonl":
            passed.add(path.name, "not read: a journal's name ends in .jsonl")
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
    name = _NAME.fullmatch(path.name)
    for other in paths(path.parent.parent) if name is not None else ():
        with disk.open_read(other) as file:
            lines = Lines(file, other.name, PassedOver())
            next(iter(lines), None)
        started = lines.started
        if name is not None and started is not None and started.host == name["host"]:
            return msgspec.structs.replace(
                started,
                t_ns=first.t_ns,
                wall_ns=started.wall_ns + first.t_ns - started.t_ns,
                role=name["role"],
                process=int(name["process"] or 0),
                incarnation=int(name["again"] or 0),
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


def words_of(paths: Iterable[Path], passed: PassedOver | None = None) -> Iterator[Event]:
    """Every event that can be read in any of these files, whoever wrote it, in the order of their stamps: what may be
    left of a session is worth more than to know which file is sound."""
    passed = PassedOver() if passed is None else passed
    events: list[Event] = []
    for path in paths:
        try:
            with disk.open_read(path) as file:
                for batch in Lines(file, path.name, passed, of_any=True):
                    events += batch
        except OSError as error:
            passed.add(path.name, str(error.strerror))
    events.sort(key=lambda event: event.t_ns)
    return iter(events)


def words(run_dir: Path, passed: PassedOver | None = None) -> Iterator[Event]:
    """`words_of` all files of a run."""
    passed = PassedOver() if passed is None else passed
    return words_of(_files(run_dir, passed), passed)


def merged(files: Iterable[JournalFile]) -> Iterator[Event]:
    """Events of all files in the order of their stamps (one host: one clock)."""
    events = [event for file in files for event in file.events]
    events.sort(key=lambda event: event.t_ns)
    return iter(events)


def wait_until_closed(run_dir: Path, *, timeout_s: float) -> bool:
    """Wait until no writer holds a file of the run: engines may still be deleting. False if one still does."""
    deadline = time.monotonic() + timeout_s
    for path in paths(run_dir):
        try:
            file = disk.open_read(path)
        except OSError:  # not to be read: nothing of ours writes it
            continue
        with file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        return False
                    time.sleep(0.05)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What a run may have left: by session, the last word of its journals that isn't `nothing`."""

    leaked: dict[str, str]  # session -> target_session_id: can be deleted
    doubtful: dict[str, int]  # session -> t_ns of the unanswered create: can only be waited for


def leftovers(events: Iterable[Event]) -> Leftovers:
    """Fold over events in order of time. The id may come with an earlier line than the last one."""
    last: dict[str, RemainsChanged] = {}
    ids: dict[str, str] = {}
    for event in events:
        if isinstance(event, RemainsChanged):
            if event.session not in last or last[event.session].reason != RemainsReason.SWEPT:
                last[event.session] = event  # a sweep's word is the last, whatever its host's clock says
            if event.target_session_id is not None:
                ids[event.session] = event.target_session_id
    return Leftovers(
        leaked={s: ids[s] for s, e in last.items() if e.remains is Remains.LEAKED and s in ids},
        # Without its id, which a damaged line may have held, a leaked one can only be waited for as well.
        doubtful={
            s: e.t_ns
            for s, e in last.items()
            if e.remains is Remains.DOUBTFUL or (e.remains is Remains.LEAKED and s not in ids)
        },
    )
