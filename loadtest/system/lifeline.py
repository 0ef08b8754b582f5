"""Pipes between processes: who waits at one end hears when nobody holds the other one any more."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """(read end, write end), closed at the end. No child has either of them unless it is given to him: so the reader
    knows whether anybody lives who holds the write end, whatever killed him."""
    read_fd, write_fd = os.pipe()
    try:
        yield read_fd, write_fd
    finally:
        os.close(read_fd)
        os.close(write_fd)
