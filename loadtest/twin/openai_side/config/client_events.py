"""The shapes of the events a Realtime client may send (docs/contract.md#client-events)."""

from typing import Any

from loadtest.twin.openai_side.config.session_rules import RESPONSE_AUDIO, SESSION, SPEECH
from loadtest.twin.openai_side.config.validation import (
    Rule,
    anything,
    base64_of,
    boolean,
    identifier,
    integer,
    list_of,
    map_of,
    nullable,
    one_of,
    record,
    tagged,
    text,
)
from loadtest.twin.openai_side.errors import RefusedError

_SOUND = base64_of(15 * 1024 * 1024)
_TEXT = record({"type": text, "text": text}, required=("text",))
_SPOKEN: dict[str, Rule] = {"type": text, "audio": _SOUND, "transcript": nullable(text)}
_CONTENTS = {
    "system": tagged({"input_text": _TEXT}),
    "user": tagged({"input_text": _TEXT, "input_audio": record(_SPOKEN, required=("audio",)), "input_image": anything}),
    "assistant": tagged({"output_text": _TEXT, "output_audio": record(_SPOKEN)}),
}
"""What a message may hold, by who said it."""
_NAMED = {"type": text, "id": identifier, "object": text, "status": text}
_MESSAGE = record(
    {**_NAMED, "role": one_of("user", "assistant", "system"), "content": list_of(anything)},
    required=("role", "content"),
)
_WHOLE = integer(-(2**31), 2**31 - 1)
_MCP = {"type": text, "id": identifier}
_MCP_CALL = {**_MCP, "server_label": text, "name": text, "arguments": text}
_MCP_ERROR = tagged(
    {
        "protocol_error": record({"type": text, "code": _WHOLE, "message": text}, required=("code", "message")),
        "tool_execution_error": record({"type": text, "message": text}, required=("message",)),
        "http_error": record({"type": text, "code": _WHOLE, "message": text}, required=("code", "message")),
    }
)
_MCP_TOOL = record(
    {"name": text, "input_schema": anything, "description": nullable(text), "annotations": anything},
    required=("name", "input_schema"),
)


def _message(value: object, path: str) -> None:
    _MESSAGE(value, path)
    assert isinstance(value, dict)
    list_of(_CONTENTS[value["role"]])(value["content"], f"{path}.content")


_ITEMS: dict[str, Rule] = {
    "message": _message,
    "function_call": record(
        {**_NAMED, "call_id": identifier, "name": text, "arguments": text}, required=("name", "arguments")
    ),
    "function_call_output": record({**_NAMED, "call_id": identifier, "output": text}, required=("call_id", "output")),
    "mcp_list_tools": record(
        {**_MCP, "server_label": text, "tools": list_of(_MCP_TOOL)}, required=("server_label", "tools")
    ),
    "mcp_approval_request": record(_MCP_CALL, required=("server_label", "name", "arguments")),
    "mcp_approval_response": record(
        {**_MCP, "approval_request_id": text, "approve": boolean, "reason": nullable(text)},
        required=("approval_request_id", "approve"),
    ),
    "mcp_call": record(
        {
            **_MCP_CALL,
            "approval_request_id": nullable(text),
            "error": nullable(_MCP_ERROR),
            "output": nullable(text),
        },
        required=("server_label", "name", "arguments"),
    ),
}
_ITEM = tagged(_ITEMS)
_INPUT = tagged({**_ITEMS, "item_reference": record({"type": text, "id": text}, required=("id",))})
"""What a response reads instead of the conversation."""
_RESPONSE = record(
    {
        **SPEECH,
        "instructions": nullable(text),  # null: the session's. LiveKit's agents send it after each tool call
        "audio": RESPONSE_AUDIO,
        "conversation": one_of("auto", "none"),
        "input": list_of(_INPUT),
        "metadata": nullable(map_of(text)),
    }
)


def _event(fields: dict[str, Rule], *, required: tuple[str, ...] = ()) -> Rule:
    return record({"type": text, "event_id": text, **fields}, required=required)


_EVENTS: dict[str, Rule] = {
    "session.update": _event({"session": SESSION}, required=("session",)),
    "input_audio_buffer.append": _event({"audio": _SOUND}, required=("audio",)),
    "input_audio_buffer.commit": _event({}),
    "input_audio_buffer.clear": _event({}),
    "conversation.item.create": _event({"item": _ITEM, "previous_item_id": nullable(text)}, required=("item",)),
    "conversation.item.retrieve": _event({"item_id": text}, required=("item_id",)),
    "conversation.item.delete": _event({"item_id": text}, required=("item_id",)),
    "conversation.item.truncate": _event(
        {"item_id": text, "content_index": integer(0, 1000), "audio_end_ms": integer(0, 100_000_000)},
        required=("item_id", "content_index", "audio_end_ms"),
    ),
    "response.create": _event({"response": nullable(_RESPONSE)}),
    "response.cancel": _event({"response_id": text}),
}


def check(event: object) -> dict[str, Any]:
    """The event, if it is one that this side accepts on a WebSocket; else raises RefusedError."""
    if not isinstance(event, dict):
        raise RefusedError("The event must be a JSON object.", code="invalid_event")
    kind = event.get("type")
    if kind is None:
        raise RefusedError("Missing required parameter: 'type'.", code="missing_required_parameter", param="type")
    rule = _EVENTS.get(kind) if isinstance(kind, str) else None
    if rule is None:
        listed = ", ".join(repr(each) for each in _EVENTS)
        raise RefusedError(
            f"Invalid value: {kind!r}. Supported values are: {listed}.", code="invalid_value", param="type"
        )
    rule(event, "")
    return event
