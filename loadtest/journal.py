"""Events as JSON lines: the truth of a run, written so that it survives the SIGKILL of any process.

One unbuffered `write(2)` per event (0.9 µs; never fsync on the audio loop). A file is `flock`ed while its writer lives,
so a reader can wait for engines that are still deleting; a file without `RunFinished` is truncated.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from loadtest import clock
from loadtest.errors import HarnessError
from loadtest.events import SCHEMA, Event, Remains, RemainsChanged, RunFinished, RunStarted

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_CHUNK: Final = 1 << 16
"""So many bytes are read and decoded at once, about 400 events: they are used while they are still in the processor's
cache. A MiB at once takes half as long again."""


class JournalError(HarnessError):
    """A journal can't be read: not there, of another schema, or not JSON before its last line."""


def encode(event: Event) -> bytes:
    """One JSON line with its newline; fields that hold their default are left out (one without a default never is)."""
    return _encode(event) + b"\n"


def decode(line: bytes | str) -> Event:
    """The event of one line; fields that a later minor version added are ignored. Raises JournalError where the line is
    not one of ours."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError) as error:
        raise JournalError(f"not an event line: {error}") from error


class Journal:
    """The writing end of one file. Use as a context manager; the lock goes with the file or with the process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def write(self, line: bytes) -> None:
        """Append one encoded event. Raises OSError (a full disk): the caller must stop the run."""
        os.write(self._fd, line)

    def close(self) -> None:
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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFile:
    """What one file holds. `truncated`: its writer died before its last word."""

    path: Path
    started: RunStarted
    events: list[Event]
    truncated: bool


def paths(run_dir: Path) -> list[Path]:
    """The journal files of a run, none if it has none."""
    return sorted((run_dir / "journal").glob("*.jsonl"))


def batches(path: Path) -> Iterator[list[Event]]:
    """The events of a file as they were written, some thousand at a time: the way to read files of any size.

    The first one is a RunStarted. A last line without its newline was cut by a kill, or is being written, and is left
    out. Raises JournalError with file and line for any other line that is not an event, for a file that does not begin
    as journals do, and for one of another schema.
    """
    with path.open("rb") as file:
        first = file.readline()
        started = _decode_lines(first, path) if first.endswith(b"\n") else []
        if not started or not isinstance(started[0], RunStarted):
            raise JournalError(f"{path.name}: does not begin with run_started")
        if started[0].schema != SCHEMA:
            raise JournalError(f"{path.name}: schema {started[0].schema}, this version reads {SCHEMA}")
        yield started
        rest = b""
        while chunk := file.read(_CHUNK):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                yield _decode_lines(whole, path)


def _decode_lines(text: bytes, path: Path) -> list[Event]:
    """The events of whole lines of the file."""
    try:
        return _decoder.decode_lines(text)
    except (msgspec.MsgspecError, ValueError):
        _find_bad_line(path)
        raise


def _find_bad_line(path: Path) -> None:
    """Lines are counted only where one is bad: counting all takes as long as decoding them."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip():
                    decode(line)
            except JournalError as error:
                raise JournalError(f"{path.name}:{number}: {error}") from error


def read(path: Path) -> JournalFile:
    """A whole file in memory. Raises JournalError like `batches`."""
    events = [event for batch in batches(path) for event in batch]
    started = events[0]
    assert isinstance(started, RunStarted)
    return JournalFile(path=path, started=started, events=events, truncated=not isinstance(events[-1], RunFinished))


def read_run(run_dir: Path) -> list[JournalFile]:
    """All files of a run. Raises JournalError where there are none. A file in which nothing was written is skipped."""
    files = [read(path) for path in paths(run_dir) if path.stat().st_size]
    if not files:
        raise JournalError(f"{run_dir}: no journal files")
    return files


def merged(files: Iterable[JournalFile]) -> Iterator[Event]:
    """Events of all files in the order of their stamps (one host: one clock)."""
    events = [event for file in files for event in file.events]
    events.sort(key=lambda event: event.t_ns)
    return iter(events)


def wait_until_closed(run_dir: Path, *, timeout_s: float) -> bool:
    """Wait until no writer holds a file of the run: engines may still be deleting. False if one still does."""
    deadline = time.monotonic() + timeout_s
    for path in paths(run_dir):
        with path.open("rb") as file:
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

    leaked: dict[str, str]  # session -> avaturn_session_id: can be deleted
    doubtful: dict[str, int]  # session -> t_ns of the unanswered create: can only be waited for


def leftovers(events: Iterable[Event]) -> Leftovers:
    """Fold over events in order of time. The id may come with an earlier line than the last one."""
    last: dict[str, RemainsChanged] = {}
    ids: dict[str, str] = {}
    for event in events:
        if isinstance(event, RemainsChanged):
            if event.session not in last or last[event.session].reason != "swept":
                last[event.session] = event  # a sweep's word is the last, whatever its host's clock says
            if event.avaturn_session_id is not None:
                ids[event.session] = event.avaturn_session_id
    return Leftovers(
        leaked={s: ids[s] for s, e in last.items() if e.remains is Remains.LEAKED},
        doubtful={s: e.t_ns for s, e in last.items() if e.remains is Remains.DOUBTFUL},
    )
