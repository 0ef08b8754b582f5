"""Creates that make something else than was asked for, or for another time."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from tests.judging.broken_backends.breakage import (
    CREATE,
    GONE,
    Backend,
    Breakage,
    id_of,
    is_create,
    is_delete,
    is_look,
    token_of,
)
from tests.judging.broken_backends.expiry_over_http import ends_later
from tests.judging.broken_backends.proxy import Answer, CutError, Forward, HttpHook, Request


def create_asked(change: Callable[[dict[str, Any]], None]) -> Callable[[Backend], HttpHook]:
    """Every create's request, changed."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            if is_create(request) and (fields := request.fields):
                change(fields)
                request.fields = fields
            return await forward(request)

        return hook

    return make


def _drop(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(fields: dict[str, Any]) -> None:
        for name in names:
            fields.pop(name, None)

    return change


def _swap(name: str, was: Any, now: Any) -> Callable[[dict[str, Any]], None]:
    def change(fields: dict[str, Any]) -> None:
        if fields.get(name) == was:
            if now is None:
                fields.pop(name, None)
            else:
                fields[name] = now

    return change


def _longer(fields: dict[str, Any]) -> None:
    absence_s = fields.get("user_absent_timeout")
    if isinstance(absence_s, int) and absence_s >= 10:
        fields["user_absent_timeout"] = 2 * absence_s


def _field_refused(name: str, value: Any) -> Callable[[Backend], HttpHook]:
    """A create with this legal value is refused."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            if is_create(request) and request.fields.get(name) == value:
                item = {"loc": ["body", name], "msg": "no", "type": "value_error", "input": value}
                return Answer.of(422, {"detail": [item]})
            return await forward(request)

        return hook

    return make


def ended_after(seconds_of: Callable[[dict[str, Any]], float | None]) -> Callable[[Backend], HttpHook]:
    """A session ends so many seconds of service time after its create, whoever is in it."""

    def make(backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            after_s = seconds_of(request.fields) if is_create(request) and answer.status == 200 else None
            if isinstance(after_s, int | float):
                ends_later(backend, forward, answer.fields["session_id"], backend.real_s(after_s))
            return answer

        return hook

    return make


def made_when_needed(backend: Backend) -> HttpHook:
    """A create is only noted down, for ever; the session is made when its stream is wanted."""
    noted: dict[str, Request] = {}
    made: dict[str, tuple[str, str]] = {}
    count = [0]

    async def hook(request: Request, forward: Forward) -> Answer:
        if is_create(request):
            answer = await forward(request)
            if answer.status != 200:
                return answer
            await backend.delete(forward, answer.fields["session_id"])
            count[0] += 1
            noted[f"later-{count[0]}"] = request
            return Answer.of(200, {"session_id": f"later-{count[0]}", "token": f"later-{count[0]}"})
        name = token_of(request) or (id_of(request) if request.path.startswith(f"{CREATE}/") else "")
        if name in noted and is_delete(request) and name not in made:
            del noted[name]
            return Answer.of(200)
        if name in noted:
            if name not in made:
                fields = (await forward(noted[name])).fields
                made[name] = (fields["session_id"], fields["token"])
            session_id, token = made[name]
            request.path = request.path.replace(name, session_id)
            if token_of(request):
                request.headers["X-Session-Token"] = token
        return await forward(request)

    return hook


def another_id(_backend: Backend) -> HttpHook:
    """Of two creates each gets the other one's id and its own token."""
    waiting: list[tuple[Answer, asyncio.Future[str]]] = []

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        if not is_create(request) or answer.status != 200:
            return answer
        own = answer.fields["session_id"]
        if waiting:
            other, told = waiting.pop()
            answer.fields = {**answer.fields, "session_id": other.fields["session_id"]}
            told.set_result(own)
            return answer
        told = asyncio.get_running_loop().create_future()
        waiting.append((answer, told))
        try:
            async with asyncio.timeout(2):
                answer.fields = {**answer.fields, "session_id": await told}
        except TimeoutError:
            waiting.remove((answer, told))
        return answer

    return hook


def made_twice(backend: Backend) -> HttpHook:
    """Each create makes a second session that nobody is told of."""

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        if is_create(request) and answer.status == 200:
            await backend.create(forward, request.fields)
        return answer

    return hook


def room_of_another(_backend: Backend) -> HttpHook:
    """Every second SDK session gets the room of the one before."""
    rooms: dict[str, bytes] = {}

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        if is_look(request) and answer.status == 200:
            if token_of(request) not in rooms and len(rooms) % 2:
                rooms[token_of(request)] = next(reversed(rooms.values()))
            answer.body = rooms.setdefault(token_of(request), json.dumps(answer.fields).encode())
        return answer

    return hook


def cut_after(every: int, what: Callable[[Request], bool]) -> Callable[[Backend], HttpHook]:
    """The answer of each `every`-th such call is lost."""

    def make(_backend: Backend) -> HttpHook:
        seen = [0]

        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            seen[0] += what(request)
            if what(request) and seen[0] % every == 0:
                raise CutError
            return answer

        return hook

    return make


def token_for_once(_backend: Backend) -> HttpHook:
    """A token gets its room once."""
    used: set[str] = set()

    async def hook(request: Request, forward: Forward) -> Answer:
        if is_look(request):
            if token_of(request) in used:
                return Answer.of(404, GONE)
            used.add(token_of(request))
        return await forward(request)

    return hook


BREAKAGES: Final = (
    Breakage(
        name="a token is good for one look",
        breaks=("TD-2",),
        follows=("TD-3", "TD-3b", "TD-4", "TD-11", "SEC-3", "LIM-1"),
        http=token_for_once,
    ),
    Breakage(
        name="user_absent_timeout is ignored",
        breaks=("TD-3",),
        follows=("TD-3b", "TD-7", "TD-9", "TD-3c", "VAL-1"),
        http=create_asked(_drop("user_absent_timeout")),
    ),
    Breakage(
        name="user_absent_timeout counts twice",
        breaks=("TD-3",),
        follows=("TD-3b", "TD-7", "TD-9"),
        http=create_asked(_longer),
    ),
    Breakage(
        name="user_absent_timeout is 10 s by default",
        breaks=("TD-3",),
        http=create_asked(lambda fields: fields.setdefault("user_absent_timeout", 10)),
    ),
    Breakage(
        name="the user's coming stops no timer",
        breaks=("TD-3b",),
        follows=("TD-3", "TD-2"),
        http=ended_after(lambda fields: fields.get("user_absent_timeout")),
    ),
    Breakage(
        name="the user's coming stops no timer, run",
        breaks=("TD-3b",),
        http=ended_after(lambda fields: fields.get("user_absent_timeout")),
        by="run",
    ),
    Breakage(
        name="user_absent_timeout 9 is taken for 10",
        breaks=("TD-3c",),
        follows=("VAL-1",),
        http=create_asked(_swap("user_absent_timeout", 9, 10)),
    ),
    Breakage(
        name="user_absent_timeout 10 is refused",
        breaks=("TD-3c",),
        follows=("VAL-1", "VAL-2", "TD-4b"),
        http=_field_refused("user_absent_timeout", 10),
    ),
    Breakage(name="max_duration is ignored", breaks=("TD-4",), http=create_asked(_swap("max_duration", 60, None))),
    Breakage(name="max_duration counts twice", breaks=("TD-4",), http=create_asked(_swap("max_duration", 60, 120))),
    Breakage(
        name="max_duration is over after half of it",
        breaks=("TD-4",),
        http=ended_after(lambda fields: 30 if fields.get("max_duration") == 60 else None),
    ),
    Breakage(
        name="max_duration 86401 is taken for 86400",
        breaks=("TD-4b",),
        follows=("VAL-1",),
        http=create_asked(_swap("max_duration", 86401, 86400)),
    ),
    Breakage(
        name="max_duration 60 is refused", breaks=("TD-4b",), follows=("TD-4",), http=_field_refused("max_duration", 60)
    ),
    Breakage(
        name="a session that never starts lives for ever", breaks=("TD-7",), follows=("TD-9",), http=made_when_needed
    ),
    Breakage(
        name="two creates get each other's id, run",
        follows=("TD-1",),
        http=another_id,
        by="run",
        invisible="each ends when the other one is deleted: sessions that end unexpectedly, of which no rule speaks",
    ),
    Breakage(
        name="each create makes a second session",
        http=made_twice,
        invisible="nobody is told of the second one; only the bill or a quota knows",
    ),
    Breakage(
        name="every second page gets another one's room, run",
        breaks=("TR-7",),
        follows=("TR-1", "TR-2", "INT-3", "TD-2", "TD-1", "SDK-2"),
        http=room_of_another,
        by="run",
    ),
)
