"""What a run may still begin: sessions (`--max-sessions`) and money (`--budget`), one file for all its processes,
respawns included.

A place is reserved before a session starts and never given back, so that N is never exceeded on any path. Of the money
the worst that the session can cost is reserved; what it did not cost is given back when it has ended for certain.
Whoever is killed gives nothing back. Once the money was too little for a session none begins any more, whatever is
given back later: a run would else go on with fewer users than it was to have, and nobody would know.
"""

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from loadtest.events.vocabulary import DropReason
from loadtest.prices.micro import MICRO, to_pay, to_spend
from loadtest.system import disk

_BYTES: Final = 8
_TAKEN, _SPENT, _OVER = 0, _BYTES, 2 * _BYTES
"""Where the file has them: sessions, money, and whether a session was refused for want of it."""


class Budget:
    """`sessions`, `usd` None: no bound. Use as a context manager."""

    def __init__(self, path: Path, *, sessions: int | None = None, usd: float | None = None) -> None:
        self._sessions = sessions
        self._micro = None if usd is None else to_spend(usd)
        bounded = sessions is not None or usd is not None
        self._fd = disk.open_fd(path, os.O_RDWR | os.O_CREAT) if bounded else -1
        if self._fd >= 0:
            os.posix_fallocate(self._fd, 0, 3 * _BYTES)  # a disk that fills up later must not stand in the way

    def reserve(self, usd: float = 0.0) -> DropReason | None:
        """None: one more session may be created, and is counted. Safe between processes."""
        if self._fd < 0:
            return None
        micro = to_pay(usd)
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            taken, spent = self._read(_TAKEN), self._read(_SPENT)
            if self._sessions is not None and taken >= self._sessions:
                return DropReason.MAX_SESSIONS
            if self._micro is not None and (self._read(_OVER) or spent + micro > self._micro):
                self._write(_OVER, 1)
                return DropReason.BUDGET
            self._write(_TAKEN, taken + 1)
            self._write(_SPENT, spent + micro)
            return None
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def settle(self, *, reserved: float, spent: float) -> None:
        """A session has ended for certain: what it did not cost of what was reserved for it may be used again, and what
        it cost above that may not."""
        back = to_pay(reserved) - to_pay(max(0.0, spent))
        if self._micro is None or not back:
            return
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            self._write(_SPENT, max(0, self._read(_SPENT) - back))
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _read(self, at: int) -> int:
        return int.from_bytes(os.pread(self._fd, _BYTES, at), "little")

    def _write(self, at: int, value: int) -> None:
        os.pwrite(self._fd, value.to_bytes(_BYTES, "little"), at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def spent_usd(path: Path) -> float | None:
    """Of a run's file: reserved and not given back, or spent. None: it counts no money, or isn't there."""
    try:
        written = path.read_bytes()
    except OSError:
        return None
    return int.from_bytes(written[_SPENT:_OVER], "little") / MICRO if len(written) >= _OVER else None
