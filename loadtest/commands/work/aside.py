"""What a command does on its way and then needs no more, done by a process of its own: a command that waits for hours
does not hold the memory of its libraries."""

import contextlib
import io
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from loadtest.errors.exceptions import GeneratorError


def aside(work: Callable[..., None], *given: Any) -> None:
    """`work(*given)`, in a copy of this process. What it writes to stderr is written here once it has ended, what it
    raises is raised here. Raises GeneratorError where the copy was killed.

    The copy ends with this process: nobody would hear of it.
    """
    ours, its = socket.socketpair()
    with ours:
        pid = os.fork()
        if not pid:
            ours.close()
            _do(work, given, its)
        try:
            its.close()
            with ours.makefile("rb") as told:
                content = told.read()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    if not content:
        raise GeneratorError("the checks before the run were killed; is there memory enough?")
    said, error = pickle.loads(content)  # noqa: S301  # of our own process
    sys.stderr.write(said)
    if error is not None:
        raise error


def _do(work: Callable[..., None], given: tuple[Any, ...], its: socket.socket) -> NoReturn:
    """The copy's whole life. It leaves without what ends a process: all of that is its parent's."""
    try:
        threading.Thread(target=_end_with_parent, args=(its,), daemon=True).start()
        error: BaseException | None = None
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                work(*given)
            except BaseException as raised:
                error = raised
        its.sendall(_packed(said.getvalue(), error))
    finally:
        os._exit(0)


def _packed(said: str, error: BaseException | None) -> bytes:
    """Where it was raised goes along as a note. An error that can't be sent is told by its text."""
    if error is None:
        return pickle.dumps((said, None))
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    try:
        content = pickle.dumps((said, error))
        pickle.loads(content)  # noqa: S301  # an error with a signature of its own may be refused only here
    except Exception:
        return pickle.dumps((said, RuntimeError("".join(traceback.format_exception(error)))))
    return content


def _end_with_parent(its: socket.socket) -> None:
    its.recv(1)
    os._exit(1)
