"""Who is at fault, as exception types and as closed sets of words; `own_limit` tells our own limits from
the target's faults.

HarnessError
├── ConfigError        the operator's: exit 2, every problem at once
├── GeneratorError     ours: the run is invalid, exit 4
└── StepError          the target's: it becomes data (`events.Failure`), never a crash

Anything else that is raised is a bug (exit 1).
"""

import errno
import re
import socket
from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Final


class Exit(IntEnum):
    """Exit codes of every command; the worst of a run wins in the order 5, 130, 4, 3."""

    PASS = 0
    BUG = 1
    BAD_INPUT = 2
    FAIL = 3
    INVALID = 4
    LEFT_BEHIND = 5
    INTERRUPTED = 130


class Kind(StrEnum):
    """What sort of failure it was. Closed: it is a metric label."""

    TIMEOUT = "timeout"  # no answer in the step's time
    REJECTED = "rejected"  # the target refused it
    TRANSPORT = "transport"  # no connection, or it broke
    PROTOCOL = "protocol"  # an answer that no service should give
    NO_RESPONSE = "no_response"  # the avatar did not answer
    ANSWERED_EARLY = "answered_early"  # it answered before the user had finished
    ENGINE_DIED = "engine_died"  # ours: the session's engine died
    OWN_LIMIT = "own_limit"  # ours: this machine ran out of something
    CANCELLED = "cancelled"  # ours: cut short by the end of the run
    BUG = "bug"  # ours: a mistake of avaload


OURS: Final = (Kind.ENGINE_DIED, Kind.OWN_LIMIT, Kind.BUG, Kind.CANCELLED)
"""Failures that are not the target's. They are counted and shown, and no service level is charged with them."""

GATEWAY_STATUS: Final = frozenset({502, 503, 504})
"""HTTP statuses of what stands in front of a service; one of them now and then is no word of the service's."""
NOBODYS_WORD: Final = GATEWAY_STATUS | {429}
"""Of a gateway or a limit: they say nothing about the session that was asked for."""


class Code(StrEnum):
    """Which failure exactly. Closed: it is a metric label; free text goes to the journal only."""

    TIMEOUT = "timeout"
    HTTP_3XX = "http_3xx"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    INVALID_API_KEY = "invalid_api_key"
    VERSION_MISMATCH = "version_mismatch"
    LIMITS_EXCEEDED = "limits_exceeded"
    INTERNAL_ERROR = "internal_error"
    OTHER = "other"
    CONNECT_FAILED = "connect_failed"
    CONNECTION_LOST = "connection_lost"
    WS_REFUSED = "ws_refused"
    WS_CLOSED = "ws_closed"
    ICE_FAILED = "ice_failed"
    DTLS_FAILED = "dtls_failed"
    RTC_CLOSED = "rtc_closed"
    DAILY_EJECTED = "daily_ejected"
    DAILY_NBF_ROOM = "daily_nbf_room"
    DAILY_NBF_TOKEN = "daily_nbf_token"
    DAILY_EXP_ROOM = "daily_exp_room"
    DAILY_EXP_TOKEN = "daily_exp_token"
    DAILY_NO_ROOM = "daily_no_room"
    DAILY_MEETING_FULL = "daily_meeting_full"
    DAILY_END_OF_LIFE = "daily_end_of_life"
    DAILY_NOT_ALLOWED = "daily_not_allowed"
    DAILY_CONNECTION_ERROR = "daily_connection_error"
    EXTRA_MISSING = "extra_missing"
    BAD_JSON = "bad_json"
    BAD_SHAPE = "bad_shape"
    MEDIA_STALLED = "media_stalled"
    NO_ANSWER = "no_answer"
    ANSWERED_EARLY = "answered_early"
    NOT_SILENCED = "not_silenced"
    STOPPED_BY_NOISE = "stopped_by_noise"
    STOPPED_BY_BACKCHANNEL = "stopped_by_backchannel"
    SPOKE_UNASKED = "spoke_unasked"
    ANSWER_CUT = "answer_cut"
    SELF_INTERRUPTED = "self_interrupted"
    ANSWERED_TWICE = "answered_twice"
    VOICE_SILENT = "voice_silent"
    VOICE_CLIPPED = "voice_clipped"
    STILL_ALIVE = "still_alive"
    ENGINE_DIED = "engine_died"
    OPEN_FILES = "open_files"
    LOCAL_PORTS = "local_ports"
    MEMORY = "memory"
    PROCESSES = "processes"
    NAME_RESOLUTION = "name_resolution"
    NETWORK_BUFFERS = "network_buffers"
    DISK_FULL = "disk_full"
    CANCELLED = "cancelled"
    BUG = "bug"


SAYS_QUOTA: Final = (Code.LIMITS_EXCEEDED, Code.QUOTA)
"""A target's own word for a quota. `rate_limited` is as often a number of calls per time."""
FOR_THEIR_NUMBER: Final = (*SAYS_QUOTA, Code.RATE_LIMITED)
"""Refused for how many they are, at once or per time."""

LIMITS: Final = {
    Code.OPEN_FILES: "open files",
    Code.LOCAL_PORTS: "local ports",
    Code.MEMORY: "memory",
    Code.PROCESSES: "processes or threads",
    Code.NAME_RESOLUTION: "name resolution",
    Code.NETWORK_BUFFERS: "network buffers",
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
    own. An attempt that left this machine shows that ports were there: an address that lacks one is of a family that
    this machine lacks."""
    numbers = [int(number) for number in _ERRNO.findall(text)]
    ours = [_LIMIT_OF_ERRNO[number] for number in numbers if number in _LIMIT_OF_ERRNO]
    if not _ANSWERED.isdisjoint(numbers):
        ours = [limit for limit in ours if limit is not Code.LOCAL_PORTS]
    return ours[0] if ours else None


class HarnessError(Exception):
    """Root of everything that avaload raises on purpose."""


class ConfigError(HarnessError):
    """The operator's input can't be used. `problems` holds one sentence per problem, all of them."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))


class GeneratorError(HarnessError):
    """The generator itself failed: what it measured says nothing about the target."""


class StepError(HarnessError):
    """The target failed a step.

    `sent` is False only where it is certain that the request never left this machine: it decides whether an
    unanswered create may have left a session behind. `http_status` is None where no answer came. `field`: of a good
    answer that was read, the one that is missing or not what it must be. `retry_after_s`: when a refusal says to come
    again.
    """

    def __init__(
        self,
        kind: Kind,
        code: Code,
        detail: str = "",
        *,
        http_status: int | None = None,
        sent: bool = True,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.kind, self.code, self.detail = kind, code, detail
        self.http_status, self.sent, self.field = http_status, sent, field
        self.retry_after_s = retry_after_s
        super().__init__(f"{kind}/{code}: {detail}" if detail else f"{kind}/{code}")


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
