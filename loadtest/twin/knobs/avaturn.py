"""What nobody outside knows about Avaturn, as knobs; most answer TWIN.md#what-only-production-can-tell."""

from dataclasses import dataclass
from typing import Any

from loadtest.twin.knobs.values import knob, one_of, yes_or_no

LIFECYCLE_CODES = ("openai-realtime-version-mismatch", "limits_exceeded", "internal_error")
"""Codes of a session_lifecycle_error (docs/contract.md#app-messages)."""

ANSWER_FAULTS = ("cut", "twice", "silent", "clipped", "hears_itself")
"""What can be wrong with the sound of an answer."""


def _choice(key: str, default: str, *others: str, text: str) -> Any:
    allowed = (default, *others)
    return knob(key, default, one_of(*allowed), "|".join(allowed), text)


def _status(key: str, default: int, *others: int, text: str) -> Any:
    allowed = [str(status) for status in (default, *others)]
    return knob(key, default, lambda text: int(one_of(*allowed)(text)), "|".join(allowed), text)


@dataclass(frozen=True, kw_only=True)
class AvaturnKnobs:
    """The defaults are the honest twin."""

    room: str = _choice(
        "room", "websocket", "webrtc", text="what rooms are made of; webrtc needs the extra of that name"
    )
    absence_from: str = _choice(
        "timers.absence_from", "create", "first_frame", text="zero point of user_absent_timeout before the first join"
    )
    max_duration_from: str = _choice(
        "timers.max_duration_from", "create", "first_frame", "first_join", text="zero point of max_duration"
    )
    upstream_open_at: str = _choice(
        "upstream.open_at", "start", "create", text="when the engine is connected: as the stream starts, or at create"
    )
    upstream_reconnects: bool = knob(
        "upstream.reconnects", False, yes_or_no, "yes|no", "yes: connect again, with the same secret, after a cut"
    )
    checks_secret: bool = knob(
        "secret.checked_at_create", False, yes_or_no, "yes|no", "yes: a create with a bad or expired secret answers 400"
    )
    starts_on: str = _choice(
        "stream.starts_on", "any", "start_stream", "sdk_session", "join", text="the call that starts the stream"
    )
    early_errors: str = _choice(
        "early_errors",
        "kept",
        "lost",
        text="an error that comes before anyone is in the room: told to the first to join",
    )
    phrase_id: str = _choice(
        "phrase_id", "item", "own", text="phrase_id is the id of the OpenAI item, or Avaturn's own"
    )
    long_transcript: str = _choice(
        "long_transcript", "cut", "drop", "send", text="a transcript too long for an app-message of 4096 characters"
    )
    tasks_on_realtime: str = _choice(
        "tasks.realtime", "answer", "refuse", text="a text task on openai-realtime: the model answers it, or 400"
    )
    preset_field: str = _choice(
        "preset_field", "both", "model", "render_model", text="the name of the render preset that is honoured"
    )
    unauthorized_status: int = _status("unauthorized_status", 401, 403, text="no credentials, or bad ones")
    quota_status: int = _status(
        *("quota_status", 429, 402, 403, 409, 200),
        text="a create above limit.sessions; 200: created, but it takes no place and never starts: see quota_room",
    )
    quota_room: str = _choice(
        "quota_room", "error", "close", text="its room says limits_exceeded, or closes with that: 4429, WHIP 429"
    )
    delete_again_status: int = _status(
        "delete_again_status", 404, 200, 409, 410, text="DELETE of an ended session; 404 follows gone_status"
    )
    gone_status: int = _status(
        "gone_status", 404, 401, 403, 409, 410, text="what the id and the token of an ended session answer"
    )
    session_get: int = _status("session_get", 405, 404, 200, text="GET /api/v1/sessions and /api/v1/sessions/ID")
