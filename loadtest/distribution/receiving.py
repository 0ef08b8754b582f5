"""Files of other hosts, written into the run directory as they come: the master's end of `shipping`.

A file is locked here while its writer over there lives, so that who reads a run directory need not know the difference.

A chunk says where it belongs. What is already there is acknowledged again, what would leave a hole is not taken: so
chunks may be lost, repeated or come late, and the file is always a true beginning of the one over there.
"""

import os
import re
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest import journal
from loadtest.distribution.channel import CorruptError, unpack
from loadtest.system import disk

NAME: Final = re.compile(rf"({disk.JOURNAL}/\w[\w.-]{{0,199}}\.jsonl|audio/\w[\w.-]{{0,199}}\.wav)", re.ASCII)
"""Nothing else is ever written, and nothing outside the run directory."""
MAX_FILES: Final = 10_000


class QuotaError(Exception):
    """A worker ships more than it may."""


@dataclass(slots=True)
class _Incoming:
    owner: str
    fd: int
    size: int
    is_given_up: bool = False
    """The lock is free although its writer may live."""


class Receiver:
    """Holds the lock of each file until it is closed, as its writer over there does. Use `close`. `quota`: bytes that
    one owner's files may have together."""

    def __init__(self, run_dir: Path, *, quota: int = sys.maxsize) -> None:
        self._run_dir, self._quota = run_dir, quota
        self._files: dict[str, _Incoming] = {}
        self._taken: Counter[str] = Counter()  # bytes, by owner

    def take(self, owner: str, name: str, *, offset: int, packed: bytes, crc: int) -> int:
        """Write a chunk; how many bytes of the file are here now. Raises CorruptError for what can't be right,
        QuotaError where the owner has no room left, OSError (a full disk), and then nothing of it is here."""
        if offset < 0:
            raise CorruptError(f"{name}: no place in a file")
        piece = unpack(packed)
        if zlib.crc32(piece) != crc:
            raise CorruptError(f"{name}: wrong checksum")
        file = self._files.get(name) or self._open(owner, name)
        if file.owner != owner:
            raise CorruptError(f"{name}: belongs to another worker")
        if file.fd < 0:
            file.fd, file.is_given_up = self._locked(name), False  # it was thought lost and is back
        if offset <= file.size < offset + len(piece):
            new = piece[file.size - offset :]
            if self._taken[owner] + len(new) > self._quota:
                raise QuotaError(f"{name}: its worker has shipped {self._taken[owner]} bytes already")
            disk.append(file.fd, new)
            file.size += len(new)
            self._taken[owner] += len(new)
        return file.size

    def finish(self, owner: str, name: str, *, size: int) -> bool:
        """Its writer is gone. Whether all `size` bytes are here; then the lock is free."""
        file = self._files.get(name)
        if file is None:
            return size == 0
        if file.owner == owner and file.size == size:
            file.is_given_up = False
            _free(file)
        return file.size == size

    def size(self, name: str) -> int:
        return self._files[name].size if name in self._files else 0

    def close(self, owner: str | None = None) -> None:
        """No more comes from this owner (None: from anybody)."""
        for file in self._files.values():
            if owner in (None, file.owner):
                _free(file)

    def give_up(self, owner: str) -> None:
        """No more may come from this owner."""
        for file in self._files.values():
            if file.owner == owner and file.fd >= 0:
                file.is_given_up = True
                _free(file)

    def has_given_up(self, owner: str) -> bool:
        """Whether a file of this owner may go on over there."""
        return any(file.is_given_up for file in self._files.values() if file.owner == owner)

    def _open(self, owner: str, name: str) -> _Incoming:
        if not NAME.fullmatch(name) or len(self._files) >= MAX_FILES:
            raise CorruptError(f"{name[:80]!r} is no file of a run")
        path = self._run_dir / name
        if path.exists() or path.is_symlink():
            raise CorruptError(f"{name}: is here already")
        disk.make_folder(path.parent)
        file = self._files[name] = _Incoming(owner=owner, fd=self._locked(name), size=0)
        return file

    def _locked(self, name: str) -> int:
        return journal.hold(self._run_dir / name)


def _free(file: _Incoming) -> None:
    if file.fd >= 0:
        os.close(file.fd)
        file.fd = -1
