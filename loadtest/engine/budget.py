"""How many sessions a run may still create: one counter file for all its processes, respawns included.

A place is reserved before a session starts and never given back, so that N is never exceeded on any path
(`--max-sessions`).
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from loadtest.language import disk


class Budget:
    """`limit` None: no bound. Use as a context manager."""

    def __init__(self, path: Path, limit: int | None) -> None:
        self._limit = limit
        self._fd = disk.open_fd(path, os.O_RDWR | os.O_CREAT) if limit is not None else -1
        if self._fd >= 0:
            os.posix_fallocate(self._fd, 0, 8)  # a disk that fills up later must not stand in the way

    def reserve(self) -> bool:
        """Whether one more session may be created; if so, it is counted. Safe between processes."""
        if self._limit is None:
            return True
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            taken = int.from_bytes(os.pread(self._fd, 8, 0), "little")
            if taken >= self._limit:
                return False
            os.pwrite(self._fd, (taken + 1).to_bytes(8, "little"), 0)
            return True
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
