"""Sessions that end too late, too early, not at all, or come back."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final

from tests.benchmarks.broken_backends.breakage import (
    CREATE,
    SDK,
    Backend,
    Breakage,
    id_of,
    is_create,
    is_delete,
    is_look,
    token_of,
)
from tests.benchmarks.broken_backends.expiry_over_http import ends_later
from tests.benchmarks.broken_backends.proxy import Answer, CutError, Forward, HttpHook, Request

_GONE: Final = {"detail": "Not Found"}


def swallowed(every: int) -> Callable[[Backend], HttpHook]:
    """Each `every`-th delete is confirmed and not done."""

    def make(backend: Backend) -> HttpHook:
        seen = [0]

        async def hook(request: Request, forward: Forward) -> Answer:
            if backend.deletes(request):
                seen[0] += 1
                if seen[0] % every == 0:
                    return Answer.of(200)
            return await forward(request)

        return hook

    return make


def deleted_later(seconds: float) -> Callable[[Backend], HttpHook]:
    """A delete is confirmed at once and done later."""

    def make(backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            if backend.deletes(request):
                ends_later(backend, forward, id_of(request), seconds)
                return Answer.of(202)
            return await forward(request)

        return hook

    return make


def delete_answered(status: int, *, done: bool, within_s: float = 0.0) -> Callable[[Backend], HttpHook]:
    """Every delete of a living session is answered so."""

    def make(backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            if not backend.deletes(request):
                return await forward(request)
            if not done:
                return Answer.of(status, {"detail": "no"})
            answer = await forward(request)
            await asyncio.sleep(within_s)
            return Answer.of(status, {"detail": "no"}) if answer.status == 200 else answer

        return hook

    return make


def token_dies_alone(backend: Backend) -> HttpHook:
    """A delete ends the token, and nothing else."""
    tokens: dict[str, str] = {}
    dead: set[str] = set()

    async def hook(request: Request, forward: Forward) -> Answer:
        if token_of(request) in dead:
            return Answer.of(404, _GONE)
        if backend.deletes(request) and id_of(request) in tokens:
            known = tokens[id_of(request)]
            status = 404 if known in dead else 200
            dead.add(known)
            return Answer.of(status)
        answer = await forward(request)
        if is_create(request) and answer.status == 200:
            tokens[answer.fields["session_id"]] = answer.fields["token"]
        return answer

    return hook


def token_for_once(_backend: Backend) -> HttpHook:
    """A token gets its room once."""
    used: set[str] = set()

    async def hook(request: Request, forward: Forward) -> Answer:
        if is_look(request):
            if token_of(request) in used:
                return Answer.of(404, _GONE)
            used.add(token_of(request))
        return await forward(request)

    return hook


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


def kept_in_cache(*, from_s: float) -> Callable[[Backend], HttpHook]:
    """The SDK session of an ended one is answered from a cache, from so long after its end on."""

    def make(_backend: Backend) -> HttpHook:
        cache: dict[str, Answer] = {}
        refused_s: dict[str, float] = {}

        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if not is_look(request):
                return answer
            token = token_of(request)
            if answer.status == 200:
                cache[token] = answer
            elif token in cache and time.monotonic() - refused_s.setdefault(token, time.monotonic()) >= from_s:
                return cache[token]
            return answer

        return hook

    return make


def accepted_after_the_end(path: str, fields: Any) -> Callable[[Backend], HttpHook]:
    """A call that an ended session ought to refuse."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            ours = request.method == "POST" and request.path.endswith(path) and request.path.startswith((SDK, CREATE))
            return Answer.of(200, fields) if ours and answer.status in (401, 404, 410) else answer

        return hook

    return make


def revived(backend: Backend) -> HttpHook:
    """A look at an ended session makes it anew."""
    bodies: dict[str, dict[str, Any]] = {}
    instead: dict[str, str] = {}

    async def hook(request: Request, forward: Forward) -> Answer:
        token = token_of(request)
        if token:
            request.headers["X-Session-Token"] = instead.get(token, token)
        answer = await forward(request)
        if is_create(request) and answer.status == 200:
            bodies[answer.fields["token"]] = request.fields
        if request.is_("POST", f"{SDK}/start_stream") and answer.status == 404 and token in bodies:
            made = await backend.create(forward, {**bodies[token], "user_absent_timeout": 30})
            instead[token] = made.fields["token"]
            return Answer.of(200)
        return answer

    return hook


def delete_of_nothing(status: int, *, known: bool) -> Callable[[Backend], HttpHook]:
    """A delete that finds nothing: of a session that has ended (`known`), or of an id that never was."""

    def make(_backend: Backend) -> HttpHook:
        made: set[str] = set()

        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if is_create(request) and answer.status == 200:
                made.add(answer.fields["session_id"])
            if is_delete(request) and answer.status == 404 and (id_of(request) in made) == known:
                return Answer.of(status, {"detail": "Internal Server Error"})
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


_BY_LOAD = {"by": "run"}
_UNHEARD = ("TD-5", "SDK-2")

BREAKAGES: Final = (
    Breakage(name="deletes are swallowed", breaks=("TD-1",), follows=("TD-1b", "TD-5", "SDK-2"), http=swallowed(1)),
    Breakage(name="deletes are swallowed, run", breaks=("TD-1",), http=swallowed(1), by="run"),
    Breakage(name="each third delete is swallowed, run", breaks=("TD-1",), http=swallowed(3), by="run"),
    Breakage(
        name="deletes are done 8 s later", breaks=("TD-1",), follows=("TD-1b", "TD-5", "SDK-2"), http=deleted_later(8)
    ),
    Breakage(name="deletes are done 8 s later, run", breaks=("TD-1",), http=deleted_later(8), by="run"),
    Breakage(name="deletes answer 500 and do nothing", breaks=("TD-1",), http=delete_answered(500, done=False)),
    Breakage(
        name="deletes answer 500 and do nothing, run",
        breaks=("TD-1",),
        http=delete_answered(500, done=False),
        by="run",
    ),
    Breakage(name="deletes answer 500 and are done", breaks=("TD-1",), http=delete_answered(500, done=True)),
    Breakage(
        name="deletes answer 500 and are done, run", breaks=("TD-1",), http=delete_answered(500, done=True), by="run"
    ),
    Breakage(name="the right key may not delete", breaks=("TD-1",), http=delete_answered(403, done=False)),
    Breakage(
        name="the right key may not delete, run", breaks=("TD-1",), http=delete_answered(403, done=False), by="run"
    ),
    Breakage(
        name="a delete ends the token alone", breaks=("TD-5", "TD-1b"), follows=("SDK-2", "TD-1"), http=token_dies_alone
    ),
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
        name="an ended session's room is in a cache", breaks=("TD-5",), follows=("TD-1",), http=kept_in_cache(from_s=0)
    ),
    Breakage(
        name="an ended session's room is in a cache, run",
        breaks=("TD-5", "TD-1"),
        http=kept_in_cache(from_s=0),
        by="run",
    ),
    Breakage(name="an ended session's token is good again after 2 s", breaks=("TD-5",), http=kept_in_cache(from_s=2)),
    Breakage(
        name="the page's tasks are taken after the end",
        breaks=("TD-5",),
        http=accepted_after_the_end("/sessions/tasks", {"task_id": "task_1"}),
    ),
    Breakage(
        name="start_stream is accepted after the end",
        breaks=("TD-5",),
        http=accepted_after_the_end("/start_stream", None),
    ),
    Breakage(name="start_stream revives", breaks=("TD-5",), http=revived),
    Breakage(name="a second delete answers 500", breaks=("TD-6",), http=delete_of_nothing(500, known=True)),
    Breakage(name="a delete of an unknown id answers 500", breaks=("TD-6",), http=delete_of_nothing(500, known=False)),
    Breakage(
        name="a session that never starts lives for ever", breaks=("TD-7",), follows=("TD-9",), http=made_when_needed
    ),
    Breakage(name="two creates get each other's id, run", breaks=("TD-1",), http=another_id, by="run"),
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
