"""The writing end of a journal."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

from loadtest.events.kinds import SCHEMA, RunStarted
from loadtest.journal.files import hold
from loadtest.system import clock, disk


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
        self._fd = hold(path)
        self._spare = disk.Spare(path.parent, spare_bytes) if spare_bytes else None

    def write(self, line: bytes) -> None:
        """Append one encoded event, whole or not at all. Raises OSError (a full disk) where there is no `on_full`, and
        ValueError once it is closed: the disk has nothing to do with that."""
        if self._fd < 0:
            raise ValueError(f"{self.path.name} is closed")
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
