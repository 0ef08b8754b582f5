"""The failures of OpenAI that a profile can inject, by the name that its knobs give them.

Source: docs/contract.md#openais-errors, #errors-and-closes, #latency-and-faults.
"""

from dataclasses import dataclass

from loadtest.twin.openai_side.errors import RefusedError

_SERVER_ERROR = "The server had an error while processing your request."


@dataclass(frozen=True, slots=True)
class _Refusal:
    """One row: how the real service dresses a refusal."""

    status: int
    kind: str
    message: str
    is_fatal: bool = True
    """As an event on an open socket: whether the socket closes after it."""


_BY_CODE = {
    "rate_limit_exceeded": _Refusal(429, "requests", "Rate limit reached.", is_fatal=False),
    "insufficient_quota": _Refusal(429, "insufficient_quota", "You exceeded your current quota."),
    "billing_hard_limit_reached": _Refusal(400, "invalid_request_error", "Billing hard limit has been reached."),
    "invalid_api_key": _Refusal(401, "invalid_request_error", "Incorrect API key provided."),
    "account_deactivated": _Refusal(401, "invalid_request_error", "The account of this API key was deactivated."),
    "unsupported_country_region_territory": _Refusal(
        403, "request_forbidden", "Country, region, or territory not supported."
    ),
    "beta_api_shape_disabled": _Refusal(
        400,
        "invalid_request_error",
        "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
    ),
    "model_not_found": _Refusal(404, "invalid_request_error", "The model does not exist or you have no access to it."),
}
_ON_A_SOCKET = {
    "conversation_already_has_active_response": _Refusal(
        400, "invalid_request_error", "Conversation already has an active response in progress.", is_fatal=False
    ),
    "response_cancel_not_active": _Refusal(
        400, "invalid_request_error", "Cancellation failed: no active response found", is_fatal=False
    ),
    "input_audio_buffer_commit_empty": _Refusal(
        400, "invalid_request_error", "Error committing input audio buffer: buffer too small.", is_fatal=False
    ),
    "invalid_event": _Refusal(400, "invalid_request_error", "The event could not be understood.", is_fatal=False),
    "server_error": _Refusal(500, "server_error", _SERVER_ERROR, is_fatal=False),
    "session_expired": _Refusal(400, "invalid_request_error", "Your session hit the maximum duration of 60 minutes."),
}

REFUSALS = tuple(_BY_CODE)
"""Codes that a mint can be refused with, and a socket from its first moment on."""

SOCKET_ERRORS = tuple(code for code in (*_BY_CODE, *_ON_A_SOCKET))
"""Codes of `error` events in the middle of a conversation."""

RESPONSE_FAILURES = ("server_error", "inference_rate_limit_exceeded", "rate_limit_exceeded", "insufficient_quota")
"""Ends of a response with the status `failed`."""

RESPONSE_CUTS = ("max_output_tokens", "content_filter")
"""Ends of a response with the status `incomplete`."""


def refusal(name: str) -> RefusedError:
    """The error for a code of this module or a bare HTTP status from 400 to 599."""
    if not name.isdecimal():
        row = _BY_CODE.get(name) or _ON_A_SOCKET[name]
        # The real service leaves the code of its own faults empty.
        code = None if row.kind == "server_error" else name
        return RefusedError(row.message, code=code, kind=row.kind, status=row.status)
    status = int(name)
    if status >= 500:
        return RefusedError(_SERVER_ERROR, code=None, kind="server_error", status=status)
    for code, row in _BY_CODE.items():
        if row.status == status:
            return RefusedError(row.message, code=code, kind=row.kind, status=status)
    return RefusedError("The request was refused.", code=None, status=status)


def is_fatal(code: str) -> bool:
    """Whether a socket closes after an `error` event with this code."""
    return (_BY_CODE.get(code) or _ON_A_SOCKET[code]).is_fatal


def of_response(name: str) -> dict[str, str | None]:
    """`status_details.error` of a failed response. As elsewhere, the real service names no code of its own faults."""
    match name:
        case "inference_rate_limit_exceeded":
            kind, message = "invalid_request_error", "Rate limit reached for the model of this session."
        case "rate_limit_exceeded":
            kind, message = "tokens", "Rate limit reached for the tokens of this organization."
        case "insufficient_quota":
            kind, message = name, "The quota of this organization is used up."
        case _:
            return {"type": "server_error", "code": None, "message": _SERVER_ERROR}
    return {"type": kind, "code": name, "message": message}


def of_transcription(item_id: str) -> dict[str, str | None]:
    """`error` of a turn whose words weren't understood."""
    message = f"Input transcription failed for item '{item_id}'."
    return {"type": "server_error", "code": None, "message": message, "param": None}
