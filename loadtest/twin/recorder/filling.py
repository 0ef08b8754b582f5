"""Values for the shapes of a recording, so that a client can send them again."""

import base64
import re
from collections.abc import Sequence
from typing import Any

from loadtest.twin.recorder.contract import OBJECT, STRING, Line, Names

_SILENCE = bytes(48 * 1_500)
_FILLERS = {
    "text": "Hello",
    "avatar_id": "jane_20240829",
    "client_secret": "ek_unknown",
    "url": "ws://127.0.0.1:9/",
    "voice.id": "voice_1",
    "connector_id": "connector_1",
    "language": "en",
    "max_duration": "60",
    "user_absent_timeout": "60",
    "audio": base64.b64encode(_SILENCE).decode(),
}
"""By the name of the member; an `id` is named with what it is the id of."""
_BEYOND_ALL_MS = 10_000_000
_REFUSED = {"string_above_max_length": "x" * 65, "empty_string": ""}
"""Ids that are refused with this code."""
_UNKNOWN = "none of these"
"""Nothing has this id, or may have it."""


def filled(shape: Any, names: Names, *, key: str = "") -> Any:
    """A value of this shape: what is named is the twin's own, the rest made up."""
    if isinstance(shape, dict):
        return {name: filled(each, names, key=f"{key}.id" if name == "id" else name) for name, each in shape.items()}
    if isinstance(shape, list):
        return [filled(each, names, key=key) for each in shape]
    if not isinstance(shape, str) or not shape.startswith("<"):
        return shape
    made_up: dict[str, Any] = {"<number>": 0, "<boolean>": True, OBJECT: {}, "<string>": _FILLERS.get(key, "text")}
    if shape == OBJECT and key == "parameters":
        return {"type": "object", "properties": {}}
    # Who names a call itself does so here: the same name, so that its result finds it.
    return made_up[shape] if shape in made_up else names.value(shape) or _FILLERS.get(key) or _spelled(shape)


def without_strange_ids(shape: dict[str, Any]) -> dict[str, Any]:
    """A client's event without ids that the service had not told by then: those that the client chose for its own
    items, and what refers to them. Without them the service takes the newest, and chooses itself."""
    left = {name: each for name, each in shape.items() if (name, each) != ("previous_item_id", STRING)}
    if isinstance(item := left.get("item"), dict):
        left["item"] = {name: each for name, each in item.items() if (name, each) != ("id", STRING)}
    return left


def with_lengths(lines: Sequence[Line]) -> list[Line]:
    """The lines of a recording; a truncation that was refused asks for more than there can be, as it did then. Those
    that were obeyed get a length like any other."""
    done: set[tuple[object, str]] = set()
    found = []
    for line in reversed(lines):
        shape = line.get("shape", {})
        item = (line.get("socket"), str(shape.get("item_id")))
        if line.get("type") == "conversation.item.truncated":
            done.add(item)
        elif line.get("type") == "conversation.item.truncate":
            if item not in done:
                line = {**line, "shape": {**shape, "audio_end_ms": _BEYOND_ALL_MS}}
            done.discard(item)
        found.append(line)
    return found[::-1]


def with_refused_ids(lines: Sequence[Line]) -> list[Line]:
    """The lines of a recording; an id of the client's that was refused is one that will be. A complaint is of the last
    event before it that has such an id."""
    complaints: dict[tuple[object, object], list[str]] = {}
    found = []
    for line in reversed(lines):
        shape = line.get("shape", {})
        error = shape.get("error")
        if line.get("type") == "error" and line.get("from") == "service" and isinstance(error, dict):
            complaints.setdefault((line["socket"], error.get("param")), []).append(str(error.get("code")))
        elif line.get("type") == "conversation.item.create":
            item = shape.get("item")
            own = item.get("id") if isinstance(item, dict) else None
            for param, value in (("previous_item_id", shape.get("previous_item_id")), ("item.id", own)):
                codes = complaints.get((line.get("socket"), param))
                if codes and value == STRING:
                    bad = _REFUSED.get(codes.pop(), _UNKNOWN)
                    shape = {**shape, **({"item": {**item, "id": bad}} if param == "item.id" else {param: bad})}
            line = {**line, "shape": shape}
        found.append(line)
    return found[::-1]


def _spelled(name: str) -> str:
    """A name that nothing has, as an id: `<call 1s.2>` as call_1s_2."""
    return "_".join(re.findall("[a-z0-9]+", name))
