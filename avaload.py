"""How the command starts: the same program from any directory, with any environment, and a net under all of it.

Of the standard library alone, since it works before anything else can be imported. What a command does is in
loadtest/cli.py.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable

_ROOT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # before pathlib is loaded
_FAILED, _UNSAID, _INTERRUPTED = 1, 2, 130


def entry() -> int:
    """The console script."""
    settle()

    def command() -> int:
        from loadtest.cli import entry as command

        return command()

    return guarded(command)


def settle() -> None:
    """Make this process independent of where it was started: modules are found where avaload's own are, streams are
    there, and a terminal that goes away ends nothing."""
    names = sys.getfilesystemencoding()
    if names != "utf-8" and os.environ.get("PYTHONUTF8") != "1":  # names of files have any sign, and are so to children
        os.environ["PYTHONUTF8"] = "1"
        if names != "ascii" and sys.stdout is not None:  # the terminal stays what it is; of one in C nothing is known
            os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    given = [os.path.abspath(path) for path in os.environ.pop("PYTHONPATH", "").split(os.pathsep) if path]  # noqa: PTH100
    if sys.path[:1] in ([""], [_directory()]) and sys.path[0] != _ROOT:
        del sys.path[0]
    sys.path.sort(key=lambda path: path in given and path != _ROOT)  # what others put there comes last
    if _ROOT in given:
        os.environ["PYTHONPATH"] = _ROOT  # installed there, with all it needs
    os.environ["PYTHONSAFEPATH"] = "1"
    sys.warnoptions.clear()
    _open_streams()
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: None)


def guarded(command: Callable[[], int]) -> int:
    """The command's exit code. Whatever it raises is one line on stderr, and in whole in a file that the line names."""
    try:
        code = int(command())
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BaseException as error:  # the last net: nothing is above it
        _tell(error)
        code = _FAILED
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            print(f"avaload: stdout: {error.strerror}; what was to be printed is lost", file=sys.stderr)
            code = code or _UNSAID
    return code


class _Unfailing(io.FileIO):
    """A stream whose reader may leave, or whose disk may be full: what can't be told is lost, and nothing else."""

    def write(self, data: "io.BufferedWriter | bytes") -> int:  # type: ignore[override]
        with contextlib.suppress(OSError):
            super().write(data)  # type: ignore[arg-type]
        return len(data)  # type: ignore[arg-type]


def _open_streams() -> None:
    """All three are there, if only to be silent: else the next file to be opened would get a stream's number. What an
    encoding has no sign for is told by its number; what a terminal would obey is shown, not obeyed."""
    from loadtest.text.outlets import Outlet

    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    raw = io.BufferedWriter(_Unfailing(2, "w", closefd=False))  # type: ignore[type-var]
    sys.stderr = Outlet(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    out = getattr(sys.stdout, "buffer", None) or open(1, "wb", closefd=False)  # noqa: SIM115
    sys.stdout = Outlet(out, encoding=encoding, errors="backslashreplace", line_buffering=os.isatty(1))


def _tell(error: BaseException) -> None:
    what = "".join(f": {line}" for line in _redacted(str(error)).splitlines()[:1])
    where = "its details could not be written"
    with contextlib.suppress(Exception):
        where = f"details: {_written(error)}"
    print(f"avaload: a mistake of avaload's own, {type(error).__name__}{what}; {where}", file=sys.stderr)


def _written(error: BaseException) -> str:
    """The path of a file with the error's traceback, without secrets. Raises OSError."""
    import tempfile
    import traceback

    lines = "".join(traceback.format_exception(error)).splitlines()
    fd, path = tempfile.mkstemp(prefix="avaload-", suffix=".log")
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(_redacted("\n".join(lines)) + "\n")
    return path


def _redacted(text: str) -> str:
    try:
        from loadtest.secrecy.redact import redact_lines

        return redact_lines(text)
    except Exception:  # what is broken may be that
        return "[not shown: it may hold a secret]"


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:  # it was deleted
        return ""


if __name__ == "__main__":
    sys.exit(entry())
