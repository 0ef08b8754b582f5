"""Secrets that are not what they are said to be."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from tests.judging.broken_backends.breakage import (
    Backend,
    Breakage,
    asked_s,
    for_s,
    is_create,
    is_look,
    is_mint,
    token_of,
)
from tests.judging.broken_backends.proxy import Answer, Forward, HttpHook, Request

HANG_S: Final = 40.0
_BACKGROUND: Final[set[asyncio.Task[None]]] = set()


def _secret_of(request: Request) -> str:
    engine = request.fields.get("conversation_engine")
    return str(engine.get("client_secret")) if isinstance(engine, dict) else ""


def _with_secret(request: Request, secret: str) -> None:
    request.fields = {**request.fields, "conversation_engine": {"type": "openai-realtime", "client_secret": secret}}


def remembers(backend: Backend) -> Callable[[Request, Answer], None]:
    """Keeps of each secret what was asked for, and when it expires here."""

    def keep(request: Request, answer: Answer) -> None:
        if answer.status == 200:
            ends_s = time.monotonic() + backend.real_s(asked_s(request))
            backend.memory[answer.fields["value"]] = (request.fields, ends_s)

    return keep


def expired_replaced(backend: Backend) -> HttpHook:
    """An expired secret is exchanged for a fresh one."""
    keep = remembers(backend)

    async def hook(request: Request, forward: Forward) -> Answer:
        if is_create(request):
            asked, ends_s = backend.memory.get(_secret_of(request), ({}, time.monotonic() + 1))
            if time.monotonic() > ends_s:
                _with_secret(request, (await backend.mint(forward, for_s(asked, 600))).fields["value"])
        answer = await forward(request)
        if is_mint(request):
            keep(request, answer)
        return answer

    return hook


def told_otherwise(real_s: int) -> Callable[[Backend], HttpHook]:
    """A secret lives for `real_s`; what is told is what was asked for."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            wanted_s = asked_s(request)
            if not is_mint(request) or not 10 <= wanted_s <= 7200:
                return await forward(request)
            request.fields = for_s(request.fields, real_s)
            answer = await forward(request)
            answer.fields = {**answer.fields, "expires_at": answer.fields.get("expires_at", 0) - real_s + wanted_s}
            return answer

        return hook

    return make


def hangs_if_expired(*, at_create: bool) -> Callable[[Backend], HttpHook]:
    """A session on an expired secret: a call is never answered."""

    def make(backend: Backend) -> HttpHook:
        keep, doomed = remembers(backend), set[str]()

        async def hook(request: Request, forward: Forward) -> Answer:
            _, ends_s = backend.memory.get(_secret_of(request), ({}, time.monotonic() + 1))
            expired = is_create(request) and time.monotonic() > ends_s
            if (expired and at_create) or token_of(request) in doomed:
                await asyncio.sleep(HANG_S)
            answer = await forward(request)
            if expired:
                doomed.add(answer.fields.get("token", "-"))
            if is_mint(request):
                keep(request, answer)
            return answer

        return hook

    return make


def killed_at_expiry(backend: Backend) -> HttpHook:
    """The session ends with its secret."""
    keep = remembers(backend)

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        if is_mint(request):
            keep(request, answer)
        elif is_create(request) and answer.status == 200:
            _, ends_s = backend.memory.get(_secret_of(request), ({}, time.monotonic() + 600))
            ends_later(backend, forward, answer.fields["session_id"], ends_s - time.monotonic())
        return answer

    return hook


def ends_later(backend: Backend, forward: Forward, session_id: str, after_s: float) -> None:
    """Delete it after so many real seconds."""

    async def end() -> None:
        await asyncio.sleep(max(0.0, after_s))
        await backend.delete(forward, session_id)

    task = asyncio.ensure_future(end())
    _BACKGROUND.add(task)
    task.add_done_callback(_BACKGROUND.discard)


def minted(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Backend], HttpHook]:
    """Every mint's answer, changed."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if is_mint(request) and answer.status == 200:
                answer.fields = change(answer.fields)
            return answer

        return hook

    return make


def mint_asked(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Backend], HttpHook]:
    """Every mint's request, changed."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            if is_mint(request):
                request.fields = change(request.fields)
            return await forward(request)

        return hook

    return make


def mint_answered(ttl_s: int, status: int, fields: Any) -> Callable[[Backend], HttpHook]:
    """The mint with this TTL is answered so."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            if is_mint(request) and asked_s(request) == ttl_s:
                return Answer.of(status, fields)
            return await forward(request)

        return hook

    return make


def handed_out_again(times: int) -> Callable[[Backend], HttpHook]:
    """A secret is handed out `times` times to whoever asks with the same body."""

    def make(_backend: Backend) -> HttpHook:
        pools: dict[bytes, list[Answer]] = {}

        async def hook(request: Request, forward: Forward) -> Answer:
            if not is_mint(request):
                return await forward(request)
            pool = pools.setdefault(request.body, [])
            if not pool:
                answer = await forward(request)
                if answer.status != 200:
                    return answer
                pool += [answer] * times
            return pool.pop()

        return hook

    return make


def own_secret(backend: Backend) -> HttpHook:
    """Avaturn mints for itself, with a session as it likes it."""

    async def hook(request: Request, forward: Forward) -> Answer:
        if is_create(request) and _secret_of(request) in backend.memory:
            session = {"type": "realtime", "model": "gpt-realtime"}
            own = await backend.mint(forward, {"session": session})
            _with_secret(request, own.fields["value"])
        answer = await forward(request)
        if is_mint(request) and answer.status == 200:
            backend.memory[answer.fields["value"]] = True
        return answer

    return hook


def slow_create(seconds: float) -> Callable[[Backend], HttpHook]:
    """A create takes its time."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if is_create(request):
                await asyncio.sleep(seconds)
            return answer

        return hook

    return make


def looks_hang(every: int) -> Callable[[Backend], HttpHook]:
    """Each `every`-th GET of an SDK session is not answered."""

    def make(_backend: Backend) -> HttpHook:
        seen = [0]

        async def hook(request: Request, forward: Forward) -> Answer:
            if is_look(request):
                seen[0] += 1
                if seen[0] % every == 0:
                    await asyncio.sleep(HANG_S)
            return await forward(request)

        return hook

    return make


def _without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A mint's body without a field of `session.audio.input`."""

    def change(fields: dict[str, Any]) -> dict[str, Any]:
        audio = fields.get("session", {}).get("audio", {})
        audio.get("input", {}).pop(name, None)
        return fields

    return change


def _voice(fields: dict[str, Any]) -> dict[str, Any]:
    fields.get("session", {}).get("audio", {}).get("output", {}).pop("voice", None)
    return fields


def _seconds(change: Callable[[int | None], int | None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def apply(fields: dict[str, Any]) -> dict[str, Any]:
        wanted = fields.get("expires_after")
        seconds = change(wanted.get("seconds") if isinstance(wanted, dict) else None)
        return fields if seconds is None else for_s(fields, seconds)

    return apply


def _shifted(by_s: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {**fields, "expires_at": fields["expires_at"] + by_s}


def _iso(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "expires_at": datetime.fromtimestamp(fields["expires_at"], UTC).isoformat()}


_TOO_SHORT = {"error": {"message": "too short", "type": "invalid_request_error", "param": None, "code": None}}
_IN_MS = minted(lambda fields: {**fields, "expires_at": fields["expires_at"] * 1000})
_ALWAYS_60 = mint_asked(_seconds(lambda seconds: 60 if seconds and 10 <= seconds <= 7200 else None))

BREAKAGES: Final = (
    Breakage(name="an expired secret is exchanged for a fresh one", breaks=("EXP-1",), http=expired_replaced),
    Breakage(name="a secret lives for two hours whatever is told", breaks=("EXP-1",), http=told_otherwise(7200)),
    Breakage(name="create on an expired secret hangs", breaks=("EXP-1b",), http=hangs_if_expired(at_create=True)),
    Breakage(name="an expired secret: init hangs", breaks=("EXP-1b",), http=hangs_if_expired(at_create=False)),
    Breakage(name="the session dies with its secret", breaks=("EXP-2",), http=killed_at_expiry),
    Breakage(name="the session dies with its secret, run", breaks=("EXP-2",), http=killed_at_expiry, by="run"),
    Breakage(name="expires_at in ms", breaks=("EXP-3",), http=_IN_MS),
    Breakage(name="expires_at in ms, run", breaks=("EXP-3",), http=_IN_MS, by="run"),
    Breakage(name="expires_at as ISO text", breaks=("EXP-3",), http=minted(_iso)),
    Breakage(name="expires_at as ISO text, run", breaks=("EXP-3",), http=minted(_iso), by="run"),
    Breakage(name="expires_at in another time zone", breaks=("EXP-3",), http=minted(_shifted(3600))),
    Breakage(name="expires_at in another time zone, run", breaks=("EXP-3",), http=minted(_shifted(3600)), by="run"),
    Breakage(name="expires_at 30 s late, run", breaks=("EXP-3",), http=minted(_shifted(30)), by="run"),
    Breakage(name="every secret gets 60 s", breaks=("EXP-3",), follows=("EXP-1", "EXP-2"), http=_ALWAYS_60),
    Breakage(name="every secret gets 60 s, run", breaks=("EXP-3",), http=_ALWAYS_60, by="run"),
    Breakage(
        name="the default TTL is 1 h",
        breaks=("EXP-3",),
        http=mint_asked(_seconds(lambda seconds: 3600 if seconds is None else None)),
    ),
    Breakage(
        name="a secret is dead after 60 s whatever is told",
        breaks=("EXP-3",),
        follows=("EXP-1", "EXP-1b"),
        http=told_otherwise(60),
    ),
    Breakage(
        name="a TTL of 9 s is taken for 10",
        breaks=("EXP-4",),
        http=mint_asked(_seconds(lambda seconds: 10 if seconds == 9 else None)),
    ),
    Breakage(name="a TTL of 7201 s answers 500", breaks=("EXP-4",), http=mint_answered(7201, 500, _TOO_SHORT)),
    Breakage(name="a TTL of 7200 s is refused", breaks=("EXP-4",), http=mint_answered(7200, 400, _TOO_SHORT)),
    Breakage(name="a TTL of 9 s: 200 with an error in it", breaks=("EXP-4",), http=mint_answered(9, 200, _TOO_SHORT)),
    Breakage(name="each secret is handed out twice", breaks=("EXP-5",), http=handed_out_again(2)),
    Breakage(name="each secret is handed out twice, run", breaks=("EXP-5",), http=handed_out_again(2), by="run"),
    Breakage(name="one secret for all, run", breaks=("EXP-5",), http=handed_out_again(1000), by="run"),
    Breakage(
        name="turn_detection of the secret is ignored", breaks=("EXP-7",), http=mint_asked(_without("turn_detection"))
    ),
    Breakage(name="the voice of the secret is ignored", breaks=("EXP-7",), http=mint_asked(_voice)),
    Breakage(
        name="transcription of the secret is ignored",
        breaks=("EXP-7",),
        follows=("TR-1",),
        http=mint_asked(_without("transcription")),
    ),
    Breakage(
        name="Avaturn mints its own secret", breaks=("EXP-7",), follows=("EXP-1", "TR-1", "ERR-3"), http=own_secret
    ),
    Breakage(name="create takes 9 of 10 s, run", breaks=("EXP-8",), http=slow_create(8.5), by="run"),
    Breakage(name="GET sessions hangs", breaks=("SDK-1",), follows=("EXP-1b",), rules=("SDK-1",), http=looks_hang(1)),
    Breakage(name="each fourth GET sessions hangs, run", breaks=("SDK-1",), http=looks_hang(4), by="run"),
)
