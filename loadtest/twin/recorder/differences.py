"""In what the twin differs from a recording of the real services, one line each."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.twin.recorder.contract import Line, without_source
from loadtest.twin.recorder.orders import shifted

_LIKE_OTHERS: Final = re.compile(r"null|true|false|-?[0-9.]+")
"""Texts that look like values of another kind: told in quotes."""


@dataclass
class _Seen:
    """All shapes of one thing, laid over each other."""

    values: set[str] = field(default_factory=set)
    objects: int = 0
    members: dict[str, "_Seen"] = field(default_factory=dict)
    items: "_Seen | None" = None
    times: int = 0

    def add(self, shape: Any) -> None:
        self.times += 1
        if isinstance(shape, dict):
            self.objects += 1
            for name, each in shape.items():
                self.members.setdefault(name, _Seen()).add(each)
        elif isinstance(shape, list):
            self.items = self.items or _Seen()
            for each in shape:
                self.items.add(each)
        else:
            self.values.add(_value(shape))

    @property
    def kinds(self) -> set[str]:
        objects = {"an object"} if self.objects else set()
        return self.values | objects | ({"a list"} if self.items else set())


def differences(recorded: Sequence[Line], twin: Sequence[Line]) -> list[str]:
    """Compare exchange by exchange and socket by socket; what was never answered tells nothing."""
    found: list[str] = []
    for number in _numbers(recorded, "exchange"):
        found += _of_exchange(_of(recorded, "exchange", number), _of(twin, "exchange", number))
    for number in _numbers(recorded, "socket"):
        found += _of_socket(_of(recorded, "socket", number), _of(twin, "socket", number))
    return list(dict.fromkeys(without_source(each) for each in found))


def answered(recorded: Sequence[Line]) -> tuple[int, int]:
    """Of how many requests of a recording there is an answer, and how many there are."""
    kinds = ("exchange", "socket")
    asked = {(kind, line[kind]) for line in recorded for kind in kinds if kind in line and "path" in line}
    told = {(kind, line[kind]) for line in recorded for kind in kinds if kind in line and _is_answer(line)}
    return len(asked & told), len(asked)


def _of_exchange(recorded: list[Line], twin: list[Line]) -> Iterator[str]:
    asked = recorded[0]
    what = f"{asked['method']} {asked['path']}"
    theirs, ours = _answer(recorded), _answer(twin)
    if theirs is None:
        return
    if ours is None:
        yield f"{what}: the twin gave no answer, recorded {theirs['status']}"
        return
    if theirs["status"] != ours["status"]:
        yield f"{what}: status {ours['status']}, recorded {theirs['status']}"
        return
    what = f"{what} {theirs['status']}"
    yield from _of_headers(what, theirs["headers"], ours["headers"])
    yield from _of_shapes(f"{what}: response", _over([theirs.get("response")]), _over([ours.get("response")]))


def _of_headers(what: str, recorded: Iterable[str], twin: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(recorded) - set(twin)):
        yield f"{what}: lacks the header {name}"
    more = sorted(set(twin) - set(recorded))
    if more:
        yield f"{what}: has headers that were not recorded: {', '.join(more)}"


def _of_socket(recorded: list[Line], twin: list[Line]) -> Iterator[str]:
    what = "realtime" if recorded[0]["service"] == "openai" else "room"
    theirs, ours = _answer(recorded), _answer(twin)
    if theirs is None:
        return
    if ours is None or theirs["status"] != ours["status"]:
        yield f"{what}: opening {_status(ours)}, recorded answered {theirs['status']}"
        return
    if "headers" in theirs:
        yield from _of_headers(f"{what}: opening {theirs['status']}", theirs["headers"], ours.get("headers", ()))
    events, twin_events = _events(recorded), _events(twin)
    while_recorded = _events(_while_recorded(twin, recorded))
    for kind in [each for each in events if each not in twin_events]:
        yield f"{what}: lacks the event {kind}"
    for kind in [each for each in while_recorded if each not in events]:
        yield f"{what}: has the event {kind}, which was not recorded"
    for kind in [each for each in events if each in twin_events]:
        found = list(_of_shapes(f"{what}: {kind}", _over(events[kind]), _over(twin_events[kind])))
        told = while_recorded.get(kind, twin_events[kind])
        if any(_of_shapes(kind, _over(events[kind]), _over(told))):
            yield from found
    for first, second in shifted(recorded, twin):
        yield f"{what}: {first} came before {second}, recorded the other way round"
    end, twin_end = _first(recorded, "ended_by"), _first(twin, "ended_by")
    if end is not None and end["ended_by"] == "service" and twin_end is not None:
        if twin_end["ended_by"] == "client":
            yield f"{what}: the twin did not close it, recorded a close with {end['code']}"
        elif twin_end["code"] != end["code"]:
            yield f"{what}: closed with {twin_end['code']}, recorded {end['code']}"
    elif end is not None and twin_end is not None and twin_end["ended_by"] == "service":
        yield f"{what}: closed by the twin with {twin_end['code']}, recorded a close by the client"


def _while_recorded(twin: list[Line], recorded: list[Line]) -> list[Line]:
    """What the twin said up to the last event that was recorded: a client that leaves misses what would have come."""
    if any(line.get("ended_by") == "service" for line in recorded):
        return twin
    kinds = [line["type"] for line in recorded if line.get("from") == "service"]
    if not kinds or kinds[-1].endswith(".delta"):
        return twin
    left = kinds.count(kinds[-1])
    for index, line in enumerate(twin):
        if line.get("from") == "service" and line["type"] == kinds[-1]:
            left -= 1
            if left == 0:
                return twin[: index + 1]
    return twin


def _of_shapes(what: str, recorded: _Seen, twin: _Seen) -> Iterator[str]:
    if recorded.kinds != twin.kinds:
        yield f"{what} is {_listed(twin.kinds)}, recorded {_listed(recorded.kinds)}"
    for name, seen in recorded.members.items():
        if name in twin.members:
            # What is there only sometimes is compared where both have it.
            yield from _of_shapes(f"{what}.{name}", seen, twin.members[name])
        elif twin.objects:
            yield f"{what} lacks {name}"
    for name in twin.members:
        if recorded.objects and name not in recorded.members:
            yield f"{what} has {name}, which was not recorded"
    if recorded.items and twin.items and recorded.items.times and twin.items.times:
        yield from _of_shapes(f"{what}[]", recorded.items, twin.items)


def _events(lines: list[Line]) -> dict[str, list[Any]]:
    """The shapes of what the service sent by type, in the order of first occurrence."""
    found: dict[str, list[Any]] = {}
    for line in lines:
        if line.get("from") == "service":
            found.setdefault(line["type"], []).append(line.get("shape", {}))
    return found


def _over(shapes: Iterable[Any]) -> _Seen:
    seen = _Seen()
    for each in shapes:
        seen.add(each)
    return seen


def _value(shape: Any) -> str:
    if isinstance(shape, str):
        # An id that something has issued is a string like any other.
        text = "<string>" if without_source(shape) == "{id}" else shape
        return f'"{text}"' if _LIKE_OTHERS.fullmatch(text) else text
    if isinstance(shape, float) and shape.is_integer():
        shape = int(shape)  # JSON has one kind of number
    return json.dumps(shape)


def _listed(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds)) or "empty"


def _status(line: Line | None) -> str:
    return "not answered" if line is None else f"answered {line['status']}"


def _is_answer(line: Line) -> bool:
    return line.get("status") is not None


def _answer(lines: list[Line]) -> Line | None:
    return next(filter(_is_answer, lines), None)


def _first(lines: list[Line], key: str) -> Line | None:
    return next((line for line in lines if key in line), None)


def _of(lines: Sequence[Line], kind: str, number: int) -> list[Line]:
    return [line for line in lines if line.get(kind) == number]


def _numbers(lines: Sequence[Line], kind: str) -> list[int]:
    return list(dict.fromkeys(line[kind] for line in lines if kind in line))
