"""Events as JSON lines: the truth of a run, written so that it survives the SIGKILL of any process.

One unbuffered `write(2)` per event (0.9 µs; never fsync on the audio loop). A file is `flock`ed while its writer lives,
so a reader can wait for engines that are still deleting; a file without `RunFinished` is truncated.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_type_hints

from loadtest import clock
from loadtest.errors import HarnessError
from loadtest.events import SCHEMA, Event, Failure, Remains, RemainsChanged, RunFinished, RunStarted

_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class JournalError(HarnessError):
    """A journal can't be read: not there, of another schema, or not JSON before its last line."""


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    """How a JSON value becomes the field's type; None where it is already that."""
    for option in get_args(hint) if isinstance(hint, UnionType) else (hint,):
        if isinstance(option, type) and issubclass(option, StrEnum):
            return option
        if option is Failure:
            return lambda value: Failure(**{k: _FAILURE[k](v) if k in _FAILURE else v for k, v in value.items()})
    return None


def _name(cls: type) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


_CLASSES: dict[str, type] = {_name(cls): cls for cls in get_args(Event)}
_FAILURE = {k: c for k, h in get_type_hints(Failure).items() if (c := _converter(h))}
_CONVERTERS = {
    name: {k: c for k, h in get_type_hints(cls).items() if (c := _converter(h))} for name, cls in _CLASSES.items()
}
_WRITTEN: dict[type, tuple[str, tuple[tuple[str, Any], ...]]] = {
    cls: (name, tuple((f.name, f.default) for f in fields(cls))) for name, cls in _CLASSES.items()
}


def encode(event: Event) -> bytes:
    """One JSON line with its newline; fields that hold their default are left out (one without a default never is)."""
    name, written = _WRITTEN[type(event)]
    row: dict[str, Any] = {"event": name}
    for key, default in written:
        if (value := getattr(event, key)) != default:
            row[key] = value if type(value) is not Failure else {f: getattr(value, f) for f in Failure.__slots__}
    return _dumps(row).encode() + b"\n"


def decode(line: bytes | str) -> Event:
    """The event of one line. Raises JournalError where the line is not one of ours."""
    try:
        row = json.loads(line)
        name = row.pop("event")
        for key, convert in _CONVERTERS[name].items():
            if key in row:
                row[key] = convert(row[key])
        event: Event = _CLASSES[name](**row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(f"not an event line: {error!r}") from error
    return event


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


def read(path: Path) -> JournalFile:
    """A whole file. A last line without its newline was cut by a kill and is left out; any other bad line is an
    error."""
    lines = path.read_bytes().split(b"\n")
    events = [decode(line) for line in lines[:-1] if line]
    if not events or not isinstance(events[0], RunStarted):
        raise JournalError(f"{path.name}: does not begin with run_started")
    if events[0].schema != SCHEMA:
        raise JournalError(f"{path.name}: schema {events[0].schema}, this version reads {SCHEMA}")
    return JournalFile(path=path, started=events[0], events=events, truncated=not isinstance(events[-1], RunFinished))


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
            last[event.session] = event
            if event.avaturn_session_id is not None:
                ids[event.session] = event.avaturn_session_id
    return Leftovers(
        leaked={s: ids[s] for s, e in last.items() if e.remains is Remains.LEAKED},
        doubtful={s: e.t_ns for s, e in last.items() if e.remains is Remains.DOUBTFUL},
    )
