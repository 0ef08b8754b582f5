"""What a failure is called: closed sets of words, for they are metric labels."""

from enum import StrEnum
from typing import Final


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
    NETWORK = "network"
    DISK_FULL = "disk_full"
    CANCELLED = "cancelled"
    BUG = "bug"


SAYS_QUOTA: Final = (Code.LIMITS_EXCEEDED, Code.QUOTA)
"""A target's own word for a quota. `rate_limited` is as often a number of calls per time."""
FOR_THEIR_NUMBER: Final = (*SAYS_QUOTA, Code.RATE_LIMITED)
"""Refused for how many they are, at once or per time."""
