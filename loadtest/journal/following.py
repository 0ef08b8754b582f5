"""Journals read while they grow: what was written since the last look, and whether the run is over."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from loadtest.events.kinds import Event, HealthSampled, RunFinished, RunStarted
from loadtest.journal.files import is_unlocked, paths
from loadtest.journal.lines import LONGEST, JournalError, check_schema, decode, decode_all, pass_hole
from loadtest.system import disk

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Source:
    """One file as far as it was read."""

    path: Path
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
    """Reads new lines of all files of a run, also of files that appear later; `files`: of these alone, as `journals`
    finds them of a run that is over. No file stays open between two looks."""

    def __init__(self, run_dir: Path, files: Sequence[Path] | None = None) -> None:
        self._run_dir, self._files = run_dir, files
        self._sources: dict[Path, Source] = {}
        self.bad_lines = 0
        """Whole lines that are not events of this version, and files that can't be read; they are skipped."""

    @property
    def unread(self) -> int:
        """Bytes that are there and were not read yet."""
        return sum(max(0, _size(source.path) - source.read) for source in self._sources.values())

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
        """What was written since the last call."""
        for path in paths(self._run_dir) if self._files is None else self._files:
            self._sources.setdefault(path, Source(path))
        for source in self._sources.values():
            if source.closed:
                continue
            try:
                with disk.open_read(source.path) as file:
                    yield from self._read(source, file)
            except (OSError, JournalError):  # taken away, not ours to read, or of another schema: no more comes of it
                source.unlocked = source.closed = True
                source.read = _size(source.path)
                self.bad_lines += 1

    def _read(self, source: Source, file: IO[bytes]) -> Iterator[tuple[Source, Event]]:
        # Look at the lock before reading: what a writer wrote before it went is then in what is read.
        source.unlocked = is_unlocked(file.fileno())
        file.seek(source.read)
        new = left = os.fstat(file.fileno()).st_size - source.read  # no more: a writer may be as fast as we
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            source.read += len(chunk)
            whole, _, source.rest = (source.rest + chunk).rpartition(b"\n")
            events = decode_all(whole, source.started)
            for event in self._one_by_one(whole) if events is None else events:
                if self._is_dated(source, event):
                    yield source, event
            if len(source.rest) > LONGEST:  # its end will be a bad line
                source.rest = source.rest[:1]
                pass_hole(file)
                left -= file.tell() - source.read
                source.read = file.tell()
        # An unlocked file that is empty may be one that its writer is about to lock.
        source.closed = source.finished or (source.unlocked and not new and source.started is not None)

    def _one_by_one(self, lines: bytes) -> Iterator[Event]:
        for line in lines.split(b"\n"):
            try:
                yield decode(line)
            except JournalError:
                self.bad_lines += bool(line)

    def _is_dated(self, source: Source, event: Event) -> bool:
        """Whether the file has begun. Raises JournalError for one of another schema."""
        if isinstance(event, RunStarted):
            check_schema(event, source.path.name)
            source.started = event
        elif source.started is None:  # not the beginning of a journal: nothing to date its events by
            self.bad_lines += 1
            return False
        if isinstance(event, RunStarted | HealthSampled):
            source.offset_ns = event.wall_ns - event.t_ns
        source.finished = isinstance(event, RunFinished)
        return True


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
