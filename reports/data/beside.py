"""A second pass over large journals in a process of its own, while this one makes its frames: there are two cores."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from loadtest import journal

_T = TypeVar("_T")

LARGE: Final = 64 * 2**20
"""Bytes of journals. With less, the other process would take longer to start than it saves."""
_BESIDE: Final = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from reports.data.beside import answer
answer()
"""


@contextmanager
def beside(run_dir: Path, function: Callable[..., _T], *args: Any) -> Iterator[Callable[[], _T]]:
    """Begin `function(*args)`; what is yielded waits for its answer, or raises what it raises.

    An interpreter of its own, not a fork: the caller may have threads. It knows nothing of the caller's main module,
    which may be anybody's script: `multiprocessing` would run that once more, and with it the load. `function` must be
    importable by name and its answer small: it comes through a pipe.
    """
    if sum(path.stat().st_size for path in journal.paths(run_dir)) < LARGE:
        yield lambda: function(*args)
        return
    pipe = subprocess.PIPE
    command = [sys.executable, "-P", "-c", _BESIDE]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        out = process.stdout
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as asked:
                asked.write(pickle.dumps(sys.path) + pickle.dumps((function, args)))
            yield lambda: _heard(out, function, args)
        finally:
            process.kill()


def answer() -> None:
    """Do what standard input asks for. Of what went wrong nothing is told: it is done again, where that is heard."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(Exception), out:
        function, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the process that started this one
        pickle.dump(function(*args), out)


def _heard(out: IO[bytes], function: Callable[..., _T], args: tuple[Any, ...]) -> _T:
    try:
        found: _T = pickle.load(out)  # noqa: S301 - of a process of ours
    except (EOFError, pickle.UnpicklingError):
        return function(*args)
    return found
