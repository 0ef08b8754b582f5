"""Files of a run: what is written is whole or not there, and a full disk still takes the last words."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def append(fd: int, data: bytes) -> None:
    """All of `data` at the end of a file that was opened to append to, or nothing of it. Raises OSError.

    Nobody else may write the file meanwhile.
    """
    written = os.write(fd, data)
    if written == len(data):
        return
    begin = os.lseek(fd, 0, os.SEEK_CUR) - written
    try:
        while written < len(data):
            written += os.write(fd, data[written:])
    except OSError:
        os.ftruncate(fd, begin)
        raise


def replace(path: Path, data: bytes) -> None:
    """The whole file, or the one that was there: somebody may be looking at it. Raises OSError."""
    replace_all({path: data})


def replace_all(files: Mapping[Path, bytes]) -> None:
    """All of these files whole, or those that were there. Raises OSError."""
    new = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in files}
    try:
        for path, data in files.items():
            new[path].write_bytes(data)
        for path in files:
            new[path].replace(path)
    except OSError:
        for path in new.values():
            with suppress(OSError):
                path.unlink()
        raise


def drop_half_line(path: Path, *, longest: int = 1 << 16) -> None:
    """A last line that was cut is taken away; one longer than `longest` stays. Raises OSError."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - longest))
        _, newline, rest = file.read().rpartition(b"\n")
        if rest and (newline or size <= longest):
            file.truncate(size - len(rest))


class Spare:
    """Room for what must be written when there is no more: a file without a name, which goes with its process.

    `size` in bytes; of a small disk it takes an eighth at most, and where there is nothing to take, nothing.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._file = None
        with suppress(OSError):
            disk = os.statvfs(directory)
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  # held until it is given away
            os.posix_fallocate(self._file.fileno(), 0, max(1, min(size, disk.f_bavail * disk.f_frsize // 8)))

    def give(self) -> None:
        """Make the room free. Idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None
