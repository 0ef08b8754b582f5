"""What a recording keeps of the traffic: names and shapes, never the values that belong to somebody.

A recording is JSON lines in the order of time: `{"contract": 1}`, then for each HTTP exchange a line with its request
and one with its answer (the same `exchange`), for each WebSocket a line as it opens, one per message, and one as it
ends (the same `socket`). In a shape, `<string>`, `<number>`, `<boolean>`, `<object>`, `<empty>` and `<not JSON>` stand
for values, `<secret 3>` for one that exchange 3 has issued, `<member>` for a name that a user has given; every other
value is literal, from the lists below.
"""

import re
from typing import Any, Final

from loadtest.twin import json_text

Line = dict[str, Any]

EMPTY, NOT_JSON = "<empty>", "<not JSON>"
STRING, NUMBER, BOOLEAN, OBJECT = "<string>", "<number>", "<boolean>", "<object>"
MEMBER = "<member>"
"""A name that a user has given."""
AUDIO = "audio"
"""The type of a binary message."""
VERSION = 1
REQUEST_HEADERS: Final = (
    *("content-type", "openai-beta", "origin"),
    *("access-control-request-method", "access-control-request-headers"),
)
PROTOCOLS: Final = ("realtime", "openai-beta.realtime-v1")
"""Sub-protocols that decide how a socket is answered; the others are somebody's."""
CREDENTIALS: Final = frozenset({"authorization", "x-session-token", "protocol"})
DEEPEST: Final = 60

# Closed enums of the two services, and configuration that decides what they answer. A value is kept only if it looks
# like a word, too: "type" and "code" may be anything in the mouth of a service that nobody here has seen.
_LITERAL = re.compile(
    "type|code|object|status|role|param|anchor|model|voice|background|render_model|engine|"
    "eagerness|effort|tool_choice|truncation|tracing|language|delay|output_modalities|include|loc|"
    "max_output_tokens|modalities|input_audio_format|output_audio_format|seconds|user_absent_timeout|"
    "max_duration|threshold|prefix_padding_ms|silence_duration_ms|idle_timeout_ms|speed|rate|sample_rate|"
    "retention_ratio|create_response|interrupt_response|parallel_tool_calls"
)
# The same for names that are used for other things as well: nothing else under them is kept.
_CLOSED = {
    "name": {"requests", "tokens"},
    "conversation": {"auto", "none"},
    "detail": {"auto", "low", "high"},
    "require_approval": {"always", "never"},
    "allowed_callers": {"direct", "programmatic"},
    "intent": {"transcription"},
    "previous_item_id": {"root"},
    "reason": {"turn_detected", "client_cancelled", "max_output_tokens", "content_filter"},
}
_WORD = re.compile(r"(?:audio/)?[A-Za-z][A-Za-z0-9_.\-\[\]]{0,63}")
_KEY_LIKE = re.compile(r"(?:sk|ek|pk|sess)[-_]|eyJ|.*\d{9}|.*[0-9a-f]{16}")
# Their members are named by whoever uses the service.
_OPAQUE = frozenset({"parameters", "input_schema", "annotations", "metadata", "variables", "headers", "data"})
# Their `token` is a word of what was said, and nothing that is issued: "user" said in one would be a secret everywhere.
_SAID = frozenset({"logprobs"})
# Values that a later request needs, and the kind of name they get.
_ISSUED = {
    "value": "secret",
    "session_id": "session",
    "token": "token",
    "limited_access_token": "room-token",
    "task_id": "task",
    "item_id": "item",
    "response_id": "response",
    "call_id": "call",
}
# Objects whose `id` is such a value, and named after them.
_OBJECTS = frozenset({"item", "response"})
_SEGMENTS = re.compile(
    "v1|v0|api|_sdk|realtime|client_secrets|sessions|tasks|start_stream|cancel_all_speech_tasks|config|rooms|"
    r"whip|openapi\.json|assistants|models|transcription_sessions|calls"
)


class Names:
    """Names for secrets, ids and keys, kept in memory only: equal values get equal names, and nothing tells a value."""

    def __init__(self) -> None:
        self._name_of: dict[str, str] = {}
        self._value_of: dict[str, str] = {}

    def name(self, value: str) -> str | None:
        """The name of a value that was learnt."""
        return self._name_of.get(value)

    def value(self, name: str) -> str | None:
        """The value behind a name."""
        return self._value_of.get(name)

    def credential(self, value: str) -> str:
        """The name of a credential: that of what issued it, or else of a key."""
        if value not in self._name_of:
            self._learn(value, f"<key {sum(name.startswith('<key ') for name in self._value_of) + 1}>")
        return self._name_of[value]

    def learn(self, content: Any, *, source: str) -> None:
        """Name what an answer or an event issues; `source` is the number of the exchange or socket."""
        if isinstance(content, list):
            for each in content:
                self.learn(each, source=source)
        elif isinstance(content, dict):
            for key, value in content.items():
                if key in _ISSUED and isinstance(value, str):
                    self._issue(_ISSUED[key], value, source)
                elif key not in _OPAQUE | _SAID:
                    own_id = value.get("id") if key in _OBJECTS and isinstance(value, dict) else None
                    if isinstance(own_id, str):
                        self._issue(key, own_id, source)
                    self.learn(value, source=source)

    def learn_call(self, event: Any, *, source: str) -> None:
        """Name the call that a client puts into a conversation itself: its result may follow before the service
        has told that it is there."""
        item = event.get("item") if isinstance(event, dict) else None
        if isinstance(item, dict) and item.get("type") == "function_call":
            self.learn({"call_id": item.get("call_id")}, source=source)

    def _issue(self, what: str, value: str, source: str) -> None:
        if value and value not in self._name_of:
            self._learn(value, self._free(f"{what} {source}"))

    def _free(self, name: str) -> str:
        free, more = f"<{name}>", 1
        while free in self._value_of:
            more += 1
            free = f"<{name}.{more}>"
        return free

    def _learn(self, value: str, name: str) -> None:
        self._name_of[value] = name
        self._value_of[name] = value


def shape_of_body(body: bytes, names: Names) -> Any:
    """The shape of an HTTP body or a text message."""
    if not body:
        return EMPTY
    content = parsed(body)
    return NOT_JSON if content is NOT_JSON else shape(content, names)


def parsed(body: bytes | str) -> Any:
    """The JSON value of `body`, or NOT_JSON. What is nested without an end is none."""
    try:
        content = json_text.parsed(body)
    except ValueError:
        return NOT_JSON
    return NOT_JSON if json_text.is_deep(content, DEEPEST) else content


def shape(value: Any, names: Names, *, key: str = "") -> Any:
    """The shape of a JSON value that is the member `key` of its object; items of a list count as the list does. Where
    bad JSON ends is no part of it, nor what was sent."""
    if isinstance(value, dict):
        if key in _OPAQUE:
            return OBJECT
        echo: Line = {"input": OBJECT} if "loc" in value and isinstance(value.get("input"), dict | list) else {}
        if value.get("type") == "json_invalid" and isinstance(loc := value.get("loc"), list):
            echo["loc"] = [NUMBER if isinstance(each, int) else shape(each, names, key="loc") for each in loc]
        is_use = key == "usage"  # its `seconds` are of somebody's speech, not of a configuration
        return {
            _member(name, names): shape(each, names, key=name if not is_use or name == "type" else "")
            for name, each in value.items()
        } | echo
    if isinstance(value, list):
        public = _public(value) if key == "loc" else value
        shapes = [shape(each, names, key=key) for each in public] + [MEMBER] * (len(public) < len(value))
        return [each for index, each in enumerate(shapes) if each not in shapes[:index]]
    if isinstance(value, str):
        return _shape_of_text(value, names, key)
    if value is None or _LITERAL.fullmatch(key):
        return value
    return BOOLEAN if isinstance(value, bool) else NUMBER


def path_shape(path: str, names: Names) -> str:
    """A path with `{id}`, or the name of the id, for every part that is not known to belong to the API."""
    parts = path.split("/")
    return "/".join(part if not part or _SEGMENTS.fullmatch(part) else names.name(part) or "{id}" for part in parts)


def without_source(text: str) -> str:
    """`<session 2>` as `{id}`: for comparing and for printing."""
    return re.sub(r"<[a-z\-]+ [0-9]+s?(\.[0-9]+)?>", "{id}", text)


def _member(name: str, names: Names) -> str:
    return name if _is_word(name, names) or re.fullmatch(r"_[a-z_]{1,40}", name) else MEMBER


def _shape_of_text(value: str, names: Names, key: str) -> str:
    known = names.name(value)
    if known is not None:
        return known
    is_kept = bool(_LITERAL.fullmatch(key)) or value in _CLOSED.get(key, ())
    way = value.split(".")
    public = _public(way) if key == "param" else way
    head = ".".join(public)
    if not is_kept or not _is_word(head, names):
        return STRING
    return f"{head}.{MEMBER}" if len(public) < len(way) else value


def _public(way: list[Any]) -> list[Any]:
    """A way to a member, up to where somebody else has named what follows."""
    ends = (at for at, part in enumerate(way, 1) if str(part).partition("[")[0] in _OPAQUE)
    return way[: next(ends, None)]


def _is_word(value: str, names: Names) -> bool:
    return names.name(value) is None and bool(_WORD.fullmatch(value)) and not _KEY_LIKE.match(value)
