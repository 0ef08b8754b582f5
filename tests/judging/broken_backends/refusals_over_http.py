"""Keys, bounds, limits and shapes of refusals; and honest backends on a bad line."""

import json
import random
from collections.abc import Callable
from typing import Any, Final

from tests.judging.broken_backends.breakage import (
    CREATE,
    Backend,
    Breakage,
    id_of,
    is_create,
    is_delete,
    is_look,
    is_mint,
    key_of,
    token_of,
)
from tests.judging.broken_backends.proxy import Answer, Forward, HttpHook, Request

BETA_PATH: Final = "/v1/realtime/sessions"


def any_key_deletes(*, answered: int | None, missing: bool = False) -> Callable[[Backend], HttpHook]:
    """A delete with a wrong key (or, `missing`, without one) is done, and answered so (None: as any delete)."""

    def make(backend: Backend) -> HttpHook:
        tokens: set[str] = set()

        async def hook(request: Request, forward: Forward) -> Answer:
            key = key_of(request)
            wrong = key == "" if missing else key not in ("", backend.avaturn_key) and key not in tokens
            if is_delete(request) and wrong:
                answer = await backend.delete(forward, id_of(request))
                return answer if answered is None else Answer.of(answered, {"detail": "no"})
            answer = await forward(request)
            if is_create(request) and answer.status == 200:
                tokens.add(answer.fields["token"])
            return answer

        return hook

    return make


def token_at_public(method: str, *, answered: int | None = None) -> Callable[[Backend], HttpHook]:
    """The public API takes a session's token for the project's key."""

    def make(backend: Backend) -> HttpHook:
        tokens: set[str] = set()

        async def hook(request: Request, forward: Forward) -> Answer:
            by_token = key_of(request) in tokens and request.method == method and request.path.startswith(CREATE)
            if by_token:
                request.headers["Authorization"] = f"Bearer {backend.avaturn_key}"
            answer = await forward(request)
            if is_create(request) and answer.status == 200:
                tokens.add(answer.fields["token"])
            return Answer.of(answered, {"detail": "no"}) if by_token and answered else answer

        return hook

    return make


def key_at_sdk(backend: Backend) -> HttpHook:
    """The page's API takes the project's key, for the latest session that lives."""
    tokens: list[str] = []

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        if is_create(request) and answer.status == 200:
            tokens.append(answer.fields["token"])
        if token_of(request) == backend.avaturn_key:
            for token in reversed(tokens):
                request.headers["X-Session-Token"] = token
                if (answer := await forward(request)).status == 200:
                    break
        return answer

    return hook


def sdk_tells(what: str) -> Callable[[Backend], HttpHook]:
    """The SDK session holds what its page must not know: the other sessions' tokens, or the project's key."""

    def make(backend: Backend) -> HttpHook:
        tokens: list[str] = []

        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if is_create(request) and answer.status == 200:
                tokens.append(answer.fields["token"])
            if is_look(request) and answer.status == 200:
                told: Any = tokens if what == "tokens" else backend.avaturn_key
                answer.fields = {**answer.fields, "debug": told}
            return answer

        return hook

    return make


def quota(places: int, status: int, *, fields: Any = None, kills: bool = False) -> Callable[[Backend], HttpHook]:
    """Beyond `places` living sessions a create is answered so; `kills`: and the latest one is ended."""

    def make(backend: Backend) -> HttpHook:
        alive: list[str] = []

        async def hook(request: Request, forward: Forward) -> Answer:
            if is_create(request) and len(alive) >= places:
                if kills:
                    await backend.delete(forward, alive.pop())
                return Answer.of(status, fields or {"detail": "limits_exceeded"})
            answer = await forward(request)
            if is_create(request) and answer.status == 200:
                alive.append(answer.fields["session_id"])
            if is_delete(request) and id_of(request) in alive:
                alive.remove(id_of(request))
            return answer

        return hook

    return make


def refused_as(change: Callable[[Answer], Answer]) -> Callable[[Backend], HttpHook]:
    """Every 422 of create, changed."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            return change(answer) if is_create(request) and answer.status == 422 else answer

        return hook

    return make


def _mended(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def mends(names: tuple[str, ...]) -> Callable[[Backend], HttpHook]:
    """A create that is refused for one of these fields is made without it."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if is_create(request) and answer.status == 422 and set(names) & set(request.fields):
                request.fields = _mended(request.fields, names)
                return await forward(request)
            return answer

        return hook

    return make


def strict(_backend: Backend) -> HttpHook:
    """Fields that nobody knows are refused."""
    known = {"conversation_engine", "avatar_id", "background", "model", "render_model"}
    known |= {"user_absent_timeout", "max_duration"}

    async def hook(request: Request, forward: Forward) -> Answer:
        unknown = sorted(set(request.fields) - known) if is_create(request) else []
        if unknown:
            return Answer.of(
                422, {"detail": [{"loc": ["body", unknown[0]], "msg": "extra", "type": "extra_forbidden"}]}
            )
        return await forward(request)

    return hook


def beta_lives(backend: Backend) -> HttpHook:
    """The beta's mint is still there."""

    async def hook(request: Request, forward: Forward) -> Answer:
        if request.is_("POST", BETA_PATH):
            own = await backend.mint(forward, {"session": {"type": "realtime", "model": "gpt-realtime"}})
            return Answer.of(200, {"client_secret": {"value": own.fields["value"], "expires_at": 0}})
        return await forward(request)

    return hook


def beta_header_ignored(_backend: Backend) -> HttpHook:
    """A mint with the beta's header is a mint like any other."""

    async def hook(request: Request, forward: Forward) -> Answer:
        if is_mint(request):
            request.headers.popall("OpenAI-Beta", None)
        return await forward(request)

    return hook


def tells_all(backend: Backend) -> HttpHook:
    """Each fifth call fails, and its body has every key, secret and token that was ever seen; tokens are opaque."""
    chance, seen, real = random.Random(1), [backend.avaturn_key, backend.openai_key], dict[str, str]()

    async def hook(request: Request, forward: Forward) -> Answer:
        if token_of(request) in real:
            request.headers["X-Session-Token"] = real[token_of(request)]
        if chance.random() < 0.2 and not request.path.endswith("openapi.json"):
            text = f"failed: {dict(request.headers)} {request.body!r} {seen[-30:]}"
            return Answer.of(chance.choice((400, 422, 500)), {"detail": text, "error": {"message": text}})
        answer = await forward(request)
        if is_mint(request) and answer.status == 200:
            seen.append(answer.fields["value"])
        if is_create(request) and answer.status == 200:
            opaque = f"{chance.getrandbits(160):040x}"
            real[opaque] = answer.fields["token"]
            answer.fields = {**answer.fields, "token": opaque}
            seen.append(opaque)
        return answer

    return hook


def _no_place(answer: Answer) -> Answer:
    items = [{**item, "loc": None} for item in json.loads(answer.body)["detail"]]
    return Answer.of(422, {"detail": items})


BREAKAGES: Final = (
    Breakage(name="any key deletes", breaks=("TD-11",), http=any_key_deletes(answered=None)),
    Breakage(name="a wrong key is refused, and deletes", breaks=("TD-11",), http=any_key_deletes(answered=401)),
    Breakage(name="no key deletes", breaks=("TD-11",), http=any_key_deletes(answered=None, missing=True)),
    Breakage(name="a token deletes", breaks=("SEC-3",), http=token_at_public("DELETE")),
    Breakage(name="a token is refused, and deletes", breaks=("SEC-3",), http=token_at_public("DELETE", answered=403)),
    Breakage(name="a token creates", breaks=("SEC-3",), http=token_at_public("POST")),
    Breakage(name="the API key opens a page's session", breaks=("SEC-3",), http=key_at_sdk),
    Breakage(name="the SDK session tells other sessions' tokens", breaks=("SEC-3",), http=sdk_tells("tokens")),
    Breakage(name="the SDK session tells the API key", breaks=("SEC-3",), http=sdk_tells("key")),
    Breakage(name="quota: 500", breaks=("LIM-1",), rules=("LIM-1",), http=quota(6, 500)),
    Breakage(name="quota: 503", breaks=("LIM-1",), rules=("LIM-1",), http=quota(6, 503)),
    Breakage(
        name="quota: 200 with an error in it",
        breaks=("LIM-1",),
        rules=("LIM-1",),
        http=quota(6, 200, fields={"error": {"code": "limits_exceeded"}}),
    ),
    Breakage(
        name="quota: 429, and another one dies", breaks=("LIM-1",), rules=("LIM-1",), http=quota(6, 429, kills=True)
    ),
    Breakage(
        name="422 in another shape",
        breaks=("VAL-1",),
        http=refused_as(lambda _answer: Answer.of(422, {"error": "invalid", "fields": ["max_duration"]})),
    ),
    Breakage(name="422 without a place", breaks=("VAL-1",), http=refused_as(_no_place)),
    Breakage(
        name="422 with detail null", breaks=("VAL-1",), http=refused_as(lambda _: Answer.of(422, {"detail": None}))
    ),
    Breakage(
        name="400 for 422",
        breaks=("VAL-1",),
        follows=("VAL-2",),
        http=refused_as(lambda answer: Answer(400, answer.headers, answer.body)),
    ),
    Breakage(name="a bad background is ignored", breaks=("VAL-1",), http=mends(("background",))),
    Breakage(name="an unknown field is refused", breaks=("VAL-1",), http=strict),
    Breakage(name="a bogus preset is ignored", breaks=("VAL-2",), http=mends(("model", "render_model"))),
    Breakage(name="the beta's mint lives", breaks=("GA-2",), http=beta_lives),
    Breakage(name="the beta's header is ignored at mint", breaks=("GA-2",), http=beta_header_ignored),
    Breakage(name="a fifth fails and tells all secrets, run", http=tells_all, by="run"),
)
