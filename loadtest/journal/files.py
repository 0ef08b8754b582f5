"""The files of a run's journal: where they lie, how they are called, and whether somebody still writes one.

A writer holds the lock of its file for as long as it lives. So a free lock says that no more comes, whatever killed it.
"""

import fcntl
import os
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import RunFinished
from loadtest.journal.lines import JournalError, decode
from loadtest.system import disk

ENDING: Final = ".jsonl"
_POLL_S: Final = 0.05
_LAST_BYTES: Final = 4096
"""Of the end of a file: more than a last word takes."""
_NAME: Final = re.compile(
    r"(?P<host>.+?)-(?P<role>engine|load|worker|master|sweep)(?:-(?P<number>\d+))?(?:-(?P<again>\d+))?\.jsonl"
)


class Writer(NamedTuple):
    """Who writes a file, as its name says it. `number`: of the process in the run, or of the sweep; `again`: how often
    an engine was started before."""

    role: str
    host: str
    number: int | None = None
    again: int | None = None


def folder(run_dir: Path) -> Path:
    """Where the files lie."""
    return run_dir / disk.JOURNAL


def run_of(given: Path | str) -> Path:
    """The run's directory, given by itself or by a file in it, such as its report.html."""
    path = Path(given)
    if folder(path).is_dir():  # of whatever name: a run may be called journal
        return path
    if (path.name == disk.JOURNAL or not path.is_dir()) and folder(path.parent).is_dir():
        return path.parent
    if path.is_file():
        raise ConfigError(not_a_run(path))
    return path


def not_a_run(run_dir: Path) -> str:
    """What is said of a directory without a journal, whoever asked for it."""
    runs = [path for path in run_dir.iterdir() if folder(path).is_dir()] if run_dir.is_dir() else []
    newest = max(runs, key=lambda path: path.stat().st_mtime, default=None)
    within = "" if newest is None else f" (the newest in it: {newest})"
    return f"{run_dir}: holds no journal; is it a run directory?{within}"


def path_of(run_dir: Path, role: str, number: int | None = None, again: int | None = None) -> Path:
    """The file that a process of this host writes: HOST-ROLE[-NUMBER[-AGAIN]].jsonl."""
    counted = "".join(f"-{count}" for count in (number, again) if count is not None)
    return folder(run_dir) / f"{socket.gethostname()}-{role}{counted}{ENDING}"


def writer_of(name: str) -> Writer | None:
    """By a file's name; None where it isn't one of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    number, again = (None if text is None else int(text) for text in found.group("number", "again"))
    return Writer(found["role"], found["host"], number, again)


def paths(run_dir: Path, role: str | None = None, number: int | None = None) -> list[Path]:
    """The files as they are there, none if there are none; of a role and a number alone, if they are given."""
    found = disk.files_in(folder(run_dir), f"*{ENDING}")
    if role is None:
        return found
    writers = ((path, writer_of(path.name)) for path in found)
    return [path for path, who in writers if who and who.role == role and number in (None, who.number)]


def is_free(path: Path) -> bool:
    """Whether the file's writer is gone. Ask before its size is trusted. Raises OSError where it can't be opened."""
    with disk.open_read(path) as file:
        return is_unlocked(file.fileno())


def is_unlocked(fd: int) -> bool:
    """The same of an open file. Our own lock is gone again at once: a writer waits for it at most µs."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return True


def hold(path: Path) -> int:
    """A descriptor to append with, which holds the lock until it is closed. Waits where another holds it. Raises
    OSError."""
    fd = disk.open_append(path)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def can_lock(where: Path) -> bool:
    """Whether files in that folder can be locked: some file systems of networks and of user space have no locks. Raises
    OSError where none can be made."""
    with tempfile.TemporaryFile(dir=where) as file:
        try:
            return is_unlocked(file.fileno())
        except OSError:
            return False


def has_last_word(path: Path) -> bool:
    """Whether the writer said that it was done: its last line is RunFinished. Raises OSError."""
    with disk.open_read(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
        whole, _, rest = file.read().rpartition(b"\n")
    if rest:
        return False
    try:
        return isinstance(decode(whole.rpartition(b"\n")[2]), RunFinished)
    except JournalError:
        return False


def wait_until_closed(run_dir: Path, *, timeout_s: float) -> bool:
    """Wait until no writer holds a file of the run: engines may still be deleting. False if one still does."""
    deadline_s = time.monotonic() + timeout_s
    for path in paths(run_dir):
        try:
            while not is_free(path):
                if time.monotonic() > deadline_s:
                    return False
                time.sleep(_POLL_S)
        except OSError:  # not to be read: nothing of ours writes it
            continue
    return True
