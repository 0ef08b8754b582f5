"""Who is connected to the master's port, and who of them has not said a word that counts.

libzmq takes every connection, gives each 10 s for its handshake, and room for the message that it claims to send. So
that nobody can keep all of this process's files and memory, only so many are let wait. A worker speaks at once, and
comes again where a crowd kept it out.
"""

import contextlib
import errno
import os
import socket
import stat
import time
from collections.abc import Callable
from typing import Final

MOST_SILENT: Final = 256
"""Load processes may begin at the same time, far away: so many handshakes at once. Who comes then is sent away."""
MOST_LINGERING: Final = 8
LINGERING_S: Final = 2.0
"""No handshake takes so long, unless packets were lost."""


class Callers:
    """By the numbers of their connections, as libzmq tells them. `port`: ours; `now`: in s."""

    def __init__(self, port: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._port, self._now = port, now
        self._addresses: dict[int, str] = {}
        self._silent: dict[int, float] = {}
        """Since when; in that order."""

    def came(self, number: int) -> None:
        """A connection was taken. It may have to go, or others."""
        self._addresses[number] = self._address(number)
        self._silent.pop(number, None)
        if len(self._silent) >= MOST_SILENT:
            self._cut(number)
            return
        self._silent[number] = self._now()
        while len(self._silent) > MOST_LINGERING:
            longest, since_s = next(iter(self._silent.items()))
            if self._now() - since_s < LINGERING_S:
                break
            del self._silent[longest]
            self._cut(longest)

    def spoke(self, number: int) -> None:
        """A message came through it: it is known to be a worker's."""
        self._silent.pop(number, None)

    def left(self, number: int) -> str:
        """It is closed. Its peer's address, where that was known."""
        self._silent.pop(number, None)
        return self._addresses.pop(number, "address unknown")

    def _address(self, number: int) -> str:
        with contextlib.suppress(OSError), self._copy(number) as connection:
            host, its_port = connection.getpeername()[:2]
            return f"{host}:{its_port}"
        return "address unknown"

    def _cut(self, number: int) -> None:
        """libzmq finds it ended, and closes it."""
        with contextlib.suppress(OSError), self._copy(number) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def _copy(self, number: int) -> socket.socket:
        """Of the connection's descriptor. Raises OSError where it is closed, and the number perhaps another file's."""
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            copy = socket.socket(fileno=os.dup(number))
            if copy.getsockname()[1] == self._port:
                return copy
            copy.close()
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
