"""The app-messages of a room, as JSON objects (docs/contract.md#app-messages; `room.…`: TWIN.md#rooms)."""

import json
from typing import Any

LONGEST = 4096
"""Characters of JSON that Daily takes as one app-message."""

INPUT, RESPONSE = "ce_events.realtime.input_transcript", "ce_events.realtime.response_transcript"
SEND, RECEIVED = "conversation_engine.external.message.send", "conversation_engine.external.message.received"


def participant(state: str, *, first_frame: bool) -> dict[str, Any]:
    """The avatar `joined` or `left`."""
    return {"type": "room.participant", "owner": True, "state": state, "first_frame": first_frame}


def lifecycle_error(code: str, message: str, *, session_id: str) -> dict[str, Any]:
    """The session is in trouble."""
    error = {"type": "session_lifecycle_error", "code": code, "message": message, "session_id": session_id}
    return {"type": "error", "error": error}


def transcript(kind: str, text: str, timestamp: object, *, too_long: str) -> dict[str, Any] | None:
    """A whole utterance; `too_long` is the knob `long_transcript`. None: not to be sent."""
    message = {"type": kind, "transcript": text, "timestamp": timestamp}
    if too_long == "send" or _length(message) <= LONGEST:
        return message
    if too_long == "drop":
        return None
    # An escaped character takes more than one place in JSON, so cutting by the excess alone could be too little.
    while _length(message) > LONGEST:
        text = text[: min(len(text) - 1, LONGEST - _length({**message, "transcript": ""}))]
        message["transcript"] = text
    return message


def _length(message: dict[str, Any]) -> int:
    return len(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
