"""Reading the journals of a run while they grow, and knowing when the run is over."""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from loadtest.language import disk
from loadtest.language.errors import HarnessError
from loadtest.language.events import Event, HealthSampled, RunFinished, RunStarted
from loadtest.language.journal import check_schema, decode, paths

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Source:
    """One journal file as far as it was read."""

    path: Path
    fd: int
    started: RunStarted | None = None
    offset_ns: int = 0
    """Wall clock minus monotonic clock, from the last pair of both that the file holds."""
    finished: bool = False
    unlocked: bool = False
    """Its writer is gone."""
    closed: bool = False
    """Its writer is gone and everything that it wrote was read."""
    read: int = 0
    """Bytes."""
    rest: bytes = b""
    """A last line without its end: more may come."""


class Follower:
    """Reads new lines of all files of `run_dir/journal`, also of files that appear later. Use as a context manager."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._sources: dict[Path, Source] = {}
        self.bad_lines = 0
        """Whole lines that are not events of this version; they are skipped."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for source in self._sources.values():
            os.close(source.fd)

    @property
    def unread(self) -> int:
        """Bytes that are there and were not read yet."""
        sizes = (os.fstat(source.fd).st_size - source.read for source in self._sources.values())
        return sum(max(0, size) for size in sizes)

    @property
    def empty(self) -> bool:
        """No file has said anything yet."""
        return all(source.started is None for source in self._sources.values())

    @property
    def over(self) -> bool:
        """Every writer is gone and every line was read. True of nothing as well as of all: see `empty`."""
        # A file whose writer died before its first word is as good as closed.
        return all(s.closed or (s.unlocked and s.started is None) for s in self._sources.values())

    def read(self) -> Iterator[tuple[Source, Event]]:
        """What was written since the last call. Raises JournalError where a file is of another schema."""
        for path in paths(self._run_dir):
            if path not in self._sources:
                self._sources[path] = Source(path, disk.open_fd(path, os.O_RDONLY))
        for source in self._sources.values():
            if not source.closed:
                yield from self._read(source)

    def _read(self, source: Source) -> Iterator[tuple[Source, Event]]:
        # Look at the lock before reading: what a writer wrote before it went is then in what is read.
        source.unlocked = _unlocked(source.fd)
        new = left = os.fstat(source.fd).st_size - source.read  # no more than that: a writer may be as fast as we
        while left > 0 and (chunk := os.read(source.fd, min(left, _CHUNK))):
            left -= len(chunk)
            source.read += len(chunk)
            *lines, source.rest = (source.rest + chunk).split(b"\n")
            for line in lines:
                if (event := self._event(source, line)) is not None:
                    yield source, event
        # An unlocked file that is empty may be one that its writer is about to lock.
        source.closed = source.finished or (source.unlocked and not new and source.started is not None)

    def _event(self, source: Source, line: bytes) -> Event | None:
        try:
            event = decode(line)
        except HarnessError:
            self.bad_lines += bool(line)
            return None
        if isinstance(event, RunStarted):
            check_schema(event, source.path.name)
            source.started = event
        elif source.started is None:  # not the beginning of a journal: nothing to date its events by
            self.bad_lines += 1
            return None
        if isinstance(event, RunStarted | HealthSampled):
            source.offset_ns = event.wall_ns - event.t_ns
        source.finished = isinstance(event, RunFinished)
        return event


def _unlocked(fd: int) -> bool:
    """Whether no writer holds the file. Our own lock is gone again at once: a writer waits for it at most µs."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return True
