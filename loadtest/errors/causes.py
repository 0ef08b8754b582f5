"""Whose an exception from below is: `own_limit` tells our own limits from the target's faults."""

import errno
import re
import socket
from typing import Final

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind

LIMITS: Final = {
    Code.OPEN_FILES: "open files",
    Code.LOCAL_PORTS: "local ports",
    Code.MEMORY: "memory",
    Code.PROCESSES: "processes or threads",
    Code.NAME_RESOLUTION: "name resolution",
    Code.NETWORK_BUFFERS: "network buffers",
    Code.NETWORK: "no way to that network",
    Code.DISK_FULL: "disk full",
}
"""What a generator's own machine runs out of, or no longer does for it, in words."""

_LIMIT_OF_ERRNO: Final = {
    errno.EMFILE: Code.OPEN_FILES,
    errno.ENFILE: Code.OPEN_FILES,
    errno.EADDRNOTAVAIL: Code.LOCAL_PORTS,
    errno.ENOMEM: Code.MEMORY,
    errno.EAGAIN: Code.PROCESSES,  # of a fork or a thread: asyncio lets no other one out
    errno.ENOBUFS: Code.NETWORK_BUFFERS,
    errno.ENETUNREACH: Code.NETWORK,  # no route, or a router on the way has none: never the target's word
    errno.ENETDOWN: Code.NETWORK,
    errno.ENOSPC: Code.DISK_FULL,
    errno.EDQUOT: Code.DISK_FULL,
    errno.EFBIG: Code.DISK_FULL,
}
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""The answer that a name doesn't exist. Any other failure of a look-up is of whoever should have answered us."""
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
_ANSWERED: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH})
_DEPTH: Final = 8


def own_limit(error: BaseException | None) -> Code | None:
    """Which limit of our own machine is behind an exception, or behind what caused it; None: none that is known.

    The one place that tells them from the target's faults.
    """
    for _ in range(_DEPTH):
        if error is None:
            return None
        if (limit := _limit_of(error)) is not None:
            return limit
        inner = getattr(error, "os_error", None)  # aiohttp's
        error = inner if isinstance(inner, BaseException) else error.__cause__
    return None


def _limit_of(error: BaseException) -> Code | None:
    if isinstance(error, MemoryError):
        return Code.MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return Code.PROCESSES
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_MEMORY:
            return Code.MEMORY
        return None if error.errno in _NO_SUCH_NAME else Code.NAME_RESOLUTION
    if not isinstance(error, OSError):
        return None
    return _LIMIT_OF_ERRNO.get(error.errno) if error.errno is not None else _limit_of_several(str(error))


def _limit_of_several(text: str) -> Code | None:
    """Of attempts at several addresses of one name, which end in one error without a number: in its text each has its
    own. An attempt that left this machine shows that ports and a network were there: an address that lacks one is of a
    family that this machine lacks. So is one without a way, where another lacks something else."""
    numbers = [int(number) for number in _ERRNO.findall(text)]
    ours = [_LIMIT_OF_ERRNO[number] for number in numbers if number in _LIMIT_OF_ERRNO]
    if not _ANSWERED.isdisjoint(numbers):
        ours = [limit for limit in ours if limit not in (Code.LOCAL_PORTS, Code.NETWORK)]
    return min(ours, key=lambda limit: limit is Code.NETWORK, default=None)


def transport_failure(error: BaseException, code: Code, detail: str, *, sent: bool = True) -> StepError:
    """What an exception below HTTP means: the target's failure `code`, unless it was a limit of our own machine."""
    if (limit := own_limit(error)) is not None:
        return StepError(Kind.OWN_LIMIT, limit, f"{LIMITS[limit]}: {detail}", sent=sent)
    return StepError(Kind.TRANSPORT, code, detail, sent=sent)


def broken_by(error: Exception) -> StepError:
    """What ended a room whose listener raised: a StepError as it is; anything else is ours, and never told as the other
    side's close."""
    if isinstance(error, StepError):
        return error
    limit = own_limit(error)
    if limit is None:
        ours = StepError(Kind.BUG, Code.BUG, repr(error))
    else:
        ours = StepError(Kind.OWN_LIMIT, limit, f"{LIMITS[limit]}: {error!r}")
    ours.__cause__ = error
    return ours
