"""docs/reference/journal.md: every event of a journal and its fields, from loadtest/events/kinds.py."""

import ast
import inspect
import re
from enum import StrEnum
from typing import Any, Final, get_args, get_type_hints

import msgspec

from docs.generator.markdown import code, paragraph, table
from loadtest.errors import kinds
from loadtest.events import kinds as events
from loadtest.events import vocabulary

_HEAD: Final = """\
# The journal

Generated from `loadtest/events/kinds.py` and its words by `make generated`; do not edit.

`journal/*.jsonl` of a run's directory has one file per process that wrote, and one JSON object per line.
A field that has its default is left out. A reader passes over fields that it doesn't know."""
_OF_ALL: Final = {
    "event": "which event it is",
    "t_ns": "when it happened, in ns of CLOCK_MONOTONIC: one base for all processes of a host",
    "wall_ns": "the same moment by the wall clock, in ns since 1970",
    "session": "our id of the session: 32 hex digits, and its trace id",
    "span_id": "of the span that stands for it in the session's trace",
    "parent_id": "of the span around it",
    "purpose": "`load`, or `probe:<rule id>` for a session that was made to provoke something",
    "process": "number of the load process",
    "host": "name of the host",
    "scenario": "name of the session's scenario",
    "turn": "its number in the conversation, from 0",
    "started_ns": "when it began",
    "due_ns": "when it was to begin",
    "outcome": "how it ended",
    "failure": "why it failed",
    "http_status": "of the answer",
    "lag_ns": "how late our event loop was when it was stamped",
    "detail": "text for people, without secrets",
    "target_session_id": "the target's own id of the session",
}
"""Fields of many events."""


def page(_before: str) -> str:
    """The whole page."""
    lines = [_HEAD, "", f"The lines' format is version {events.SCHEMA}.", "", "## Fields of many events", ""]
    lines += table(("field", "meaning"), ((code(name), text) for name, text in _OF_ALL.items()))
    for event in all_events():
        lines += ["", f"## {name_of(event)}", "", *_described(event), ""]
        rows = [_row(event, each) for each in msgspec.structs.fields(event)]
        lines += table(("field", "is", "default", "meaning"), rows)
    lines += ["", "## Failure", "", *_described(events.Failure), ""]
    rows = [_row(events.Failure, each) for each in msgspec.structs.fields(events.Failure)]
    lines += table(("field", "is", "default", "meaning"), rows)
    for words in word_sets():
        lines += ["", f"## {words.__name__}", "", *paragraph(words.__doc__ or ""), ""]
        if remarks := _remarks(words):
            lines += table(("word", "meaning"), ((code(each.value), remarks.get(each.name, "")) for each in words))
        else:
            lines += ["```", *paragraph(" ".join(each.value for each in words)), "```"]
    return "\n".join(lines) + "\n"


def all_events() -> tuple[type[msgspec.Struct], ...]:
    """In the order of the code."""
    return get_args(events.Event)


def name_of(event: type[msgspec.Struct]) -> str:
    """As its lines name it."""
    return str(event.__struct_config__.tag)


def word_sets() -> list[type[StrEnum]]:
    """The closed sets of words that fields are written in."""
    found = [each for module in (vocabulary, kinds) for each in vars(module).values()]
    return [each for each in found if isinstance(each, type) and issubclass(each, StrEnum) and each is not StrEnum]


def _described(event: type[msgspec.Struct]) -> list[str]:
    parts = inspect.cleandoc(event.__doc__ or "").split("\n\n")
    return [line for number, part in enumerate(parts) for line in ([""] if number else []) + paragraph(part)]


def _row(event: type[msgspec.Struct], field: Any) -> tuple[str, ...]:
    hint = get_type_hints(event)[field.name]  # without what bounds a number
    kind = re.sub(r"[\w.]+\.(\w+)", r"\1", getattr(hint, "__name__", "") or str(hint))
    if get_args(hint):
        told = re.sub(r"[\w.]*Optional\[(\w+)\]", r"\1 | None", str(hint))
        kind = re.sub(r"[\w.]+\.(\w+)", r"\1", told).replace("None", "null").replace(" | ", " or ")
    default = "" if field.default in (msgspec.NODEFAULT, None, ()) else code(str(field.default))
    needed = field.default is msgspec.NODEFAULT
    meaning = _remarks(event).get(field.name) or _said(event, field.name) or _OF_ALL.get(field.name, "")
    return code(field.name), kind, "always there" if needed else default, meaning


def _said(event: type[msgspec.Struct], field: str) -> str:
    """What the text of the event says of a field: from "`field`:" to the end of that."""
    found = re.search(rf"`{field}`: (.+?)(?:;|\.(?=\s|$)|$)", " ".join((event.__doc__ or "").split()))
    return found[1] if found else ""


def _remarks(kind: type) -> dict[str, str]:
    """What stands beside a name in the code, as a comment."""
    lines = inspect.getsource(kind).splitlines()
    (body,) = ast.parse("\n".join(lines)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and "  # " in lines[node.lineno - 1]:
            found[target.id] = lines[node.lineno - 1].partition("  # ")[2]
    return found
