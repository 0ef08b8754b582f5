"""A second pass over large journals in a process of its own, while this one makes its frames: there are two cores."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

from loadtest import journal

_T = TypeVar("_T")

LARGE: Final = 64 * 2**20
"""Bytes of journals. With less, the other process would take longer to start than it saves."""


@contextmanager
def beside(run_dir: Path, function: Callable[..., _T], *args: Any) -> Iterator[Callable[[], _T]]:
    """Begin `function(*args)`; what is yielded waits for its answer, or raises what it raised.

    A new interpreter, not a fork: the caller may have threads. `function` must be importable by name and its answer
    small: it comes through a pipe.
    """
    if sum(path.stat().st_size for path in journal.paths(run_dir)) < LARGE:
        yield lambda: function(*args)
        return
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(function, *args).result
