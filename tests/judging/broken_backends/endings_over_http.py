"""Sessions that end too late, too early, not at all, or come back."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from tests.judging.broken_backends.breakage import (
    CREATE,
    GONE,
    SDK,
    Backend,
    Breakage,
    id_of,
    is_create,
    is_delete,
    is_look,
    token_of,
)
from tests.judging.broken_backends.expiry_over_http import ends_later
from tests.judging.broken_backends.proxy import Answer, Forward, HttpHook, Request


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
            return Answer.of(404, GONE)
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
            elif token in cache:
                now_s = time.monotonic()
                if now_s - refused_s.setdefault(token, now_s) >= from_s:
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
)
