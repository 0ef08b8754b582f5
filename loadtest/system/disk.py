"""Files of a run: what is written is whole or not there, and a full disk still takes the last words.

A run directory may come from anybody. Nothing in it is read or written through a link, a pipe or a device, and nothing
is written into a file that has a second name elsewhere. What is made is the owner's alone, unless a run was told to
follow the umask.
"""

import errno
import json
import os
import secrets
import select
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from loadtest.system.nesting import is_deep

MOST_READ: Final = 64 << 20
"""Bytes of a file that is read whole. What is JSON takes up to twenty times as much in memory."""
_MOST_NESTED: Final = 100
"""Objects and lists within each other; ours are some ten."""
_PIPE_S: Final = 10.0
JOURNAL: Final = "journal"
"""The folder of journals in a run directory."""
_OTHERS: Final = 0o077
_given_umask: int | None = None


def keep_private() -> None:
    """From now on nobody else may read what this process and its children make. Idempotent."""
    global _given_umask  # the umask itself is one for the whole process
    if _given_umask is None:
        _given_umask = os.umask(_OTHERS)
    os.umask(_given_umask | _OTHERS)


def follow_umask() -> None:
    """From now on as the umask said when the process began."""
    if _given_umask is not None:
        os.umask(_given_umask)


def follow(run_dir: Path) -> None:
    """What is added to a run directory may be read by whom its journals may be."""
    with suppress(OSError):
        if (run_dir / JOURNAL).lstat().st_mode & _OTHERS:
            follow_umask()


def open_fd(path: Path, flags: int) -> int:
    """A descriptor of a plain file. Raises OSError for everything else, and waits for nobody."""
    more = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        fd = os.open(path, flags | more, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a pipe without a reader, or a socket
            raise _not_plain(path) from error
        raise
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise _not_plain(path)
    if flags & (os.O_WRONLY | os.O_RDWR) and found.st_nlink > 1:
        os.close(fd)
        raise OSError(errno.EMLINK, "has a second name elsewhere: not written", str(path))
    return fd


def open_read(path: Path) -> IO[bytes]:
    """A plain file to read from. Raises OSError."""
    return os.fdopen(open_fd(path, os.O_RDONLY), "rb")


def open_write(path: Path) -> IO[bytes]:
    """A plain file, empty, to write into. Raises OSError."""
    file = os.fdopen(open_fd(path, os.O_WRONLY | os.O_CREAT), "wb")
    file.truncate(0)
    return file


def open_append(path: Path) -> int:
    """A descriptor to add at the end with. Raises OSError."""
    return open_fd(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def read(path: Path) -> bytes:
    """A whole plain file of at most MOST_READ. Raises OSError."""
    with open_read(path) as file:
        data = file.read(MOST_READ + 1)
    if len(data) > MOST_READ:
        raise OSError(errno.EFBIG, f"larger than {MOST_READ >> 20} MiB", str(path))
    return data


def read_named(path: Path) -> bytes:
    """A file that somebody named for us to read: links are followed, and a pipe is read as the shell makes one of
    `<(command)`. At most MOST_READ, and no pipe is waited for longer than 10 s. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
        until_s = time.monotonic() + _PIPE_S
        found = bytearray()
        while len(found) <= MOST_READ:
            if is_pipe and not select.select([fd], [], [], max(0.0, until_s - time.monotonic()))[0]:
                raise OSError(errno.ETIMEDOUT, f"a pipe from which nothing came within {_PIPE_S:g} s", str(path))
            piece = file.read(1 << 20)
            if not piece:
                return bytes(found)
            found += piece
    raise OSError(errno.EFBIG, f"larger than {MOST_READ >> 20} MiB", str(path))


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, whoever wrote it; what is no number (NaN) is null. Raises OSError, and ValueError for anything
    else, and for what whoever goes through it would run out of stack with."""
    try:
        found = json.loads(read(path), parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("must hold an object")
    if is_deep(found, _MOST_NESTED):
        raise ValueError("nested too deeply")
    return found


def is_plain(path: Path) -> bool:
    """Whether it is a file itself, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def make_folder(path: Path) -> None:
    """Make it, where it isn't there. Raises OSError where something else is, or a link."""
    path.mkdir(parents=True, exist_ok=True)
    if not is_folder(path):
        raise OSError(errno.ELOOP, "is a link: nothing is written through it", str(path))


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Plain files of a folder by their names, sorted; none where the folder is a link."""
    return sorted(path for path in folder.glob(pattern) if is_plain(path)) if is_folder(folder) else []


def _not_plain(path: Path) -> OSError:
    return OSError(errno.EINVAL, "is a link, a pipe or a device, not a file", str(path))


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
    new = {path: path.with_name(f".{path.name}.{secrets.token_hex(8)}") for path in files}
    try:
        for path, data in files.items():
            fd = open_fd(new[path], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                append(fd, data)
            finally:
                os.close(fd)
        for path in files:
            new[path].replace(path)
    except OSError:
        for path in new.values():
            with suppress(OSError):
                path.unlink()
        raise


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it is put in the place of `path` when the block ends, and is gone if that fails. Raises
    OSError."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(open_fd(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            yield file
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def drop_half_line(path: Path, *, longest: int = 1 << 16) -> None:
    """A last line that was cut is taken away; one longer than `longest` stays. Raises OSError."""
    with os.fdopen(open_fd(path, os.O_RDWR), "r+b") as file:
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
