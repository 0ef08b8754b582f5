"""Who is at fault, as exception types and as closed sets of words (DESIGN.md 5).

HarnessError
├── ConfigError        the operator's: exit 2, every problem at once
├── GeneratorError     ours: the run is invalid, exit 4
└── StepError          the target's: it becomes data (`events.Failure`), never a crash

Anything else that is raised is a bug (exit 1).
"""

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Final


class Exit(IntEnum):
    """Exit codes of every command; the worst of a run wins in the order 5, 130, 4, 3 (INTERFACE.md)."""

    PASS = 0
    BUG = 1
    BAD_INPUT = 2
    FAIL = 3
    INVALID = 4
    LEFT_BEHIND = 5
    INTERRUPTED = 130


class Kind(StrEnum):
    """What sort of failure it was. Closed: it is a metric label."""

    TIMEOUT = "timeout"
    REJECTED = "rejected"
    TRANSPORT = "transport"
    PROTOCOL = "protocol"
    NO_RESPONSE = "no_response"
    ANSWERED_EARLY = "answered_early"
    ENGINE_DIED = "engine_died"
    CANCELLED = "cancelled"
    BUG = "bug"


OURS: Final = (Kind.ENGINE_DIED, Kind.BUG, Kind.CANCELLED)
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
    SPOKE_UNASKED = "spoke_unasked"
    STILL_ALIVE = "still_alive"
    ENGINE_DIED = "engine_died"
    CANCELLED = "cancelled"
    BUG = "bug"


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
    unanswered create may have left a session behind. `http_status` is None where no answer came.
    """

    def __init__(
        self, kind: Kind, code: Code, detail: str = "", *, http_status: int | None = None, sent: bool = True
    ) -> None:
        self.kind, self.code, self.detail = kind, code, detail
        self.http_status, self.sent = http_status, sent
        super().__init__(f"{kind}/{code}: {detail}" if detail else f"{kind}/{code}")
