"""A way to break the contract: what it does on the wire, which rule says so, and how that is tried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from multidict import CIMultiDict

from tests.judging.broken_backends.proxy import Answer, Forward, HttpHook, Request, SocketHook

MINT: Final = "/v1/realtime/client_secrets"
CREATE: Final = "/api/v1/sessions"
SDK: Final = "/_sdk/v0/sessions"
GONE: Final = {"detail": "Not Found"}
"""What Avaturn says of a session that is not there."""


@dataclass(slots=True)
class Backend:
    """The honest backend behind the proxy, for one who has its keys. `scale`: how much faster its timers run."""

    openai_key: str
    avaturn_key: str
    scale: float
    memory: dict[str, Any] = field(default_factory=dict)

    def real_s(self, service_s: float) -> float:
        return service_s / self.scale

    async def mint(self, forward: Forward, fields: Mapping[str, Any]) -> Answer:
        return await self._ask(forward, "openai", "POST", MINT, self.openai_key, fields)

    async def create(self, forward: Forward, fields: Mapping[str, Any]) -> Answer:
        return await self._ask(forward, "avaturn", "POST", CREATE, self.avaturn_key, fields)

    async def delete(self, forward: Forward, session_id: str) -> Answer:
        return await self._ask(forward, "avaturn", "DELETE", f"{CREATE}/{session_id}", self.avaturn_key)

    def deletes(self, request: Request) -> bool:
        """Whether it is a delete by the project itself."""
        return is_delete(request) and key_of(request) == self.avaturn_key

    async def _ask(
        self, forward: Forward, service: str, method: str, path: str, key: str, fields: Mapping[str, Any] | None = None
    ) -> Answer:
        request = Request(service, method, path, CIMultiDict({"Authorization": f"Bearer {key}"}), b"")
        if fields is not None:
            request.headers["Content-Type"] = "application/json"
            request.fields = fields
        return await forward(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """`breaks`: rules of which one at least must be named; none: an honest backend, of which nothing may be said.
    `follows`: rules that may be named beside, with reason. `by`: a load run, or the active checks. `invisible`: why
    nobody outside can see it; it is tried all the same, and nothing else may be blamed for it."""

    name: str
    breaks: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    http: Callable[[Backend], HttpHook] | None = None
    sockets: Callable[[Backend], SocketHook] | None = None
    by: Literal["run", "probe"] = "probe"
    rules: tuple[str, ...] = ()
    knobs: tuple[str, ...] = ()
    invisible: str = ""


def token_of(request: Request) -> str:
    """The session's token of a call to the SDK's API."""
    return request.headers.get("X-Session-Token", "")


def key_of(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def is_create(request: Request) -> bool:
    return request.is_("POST", CREATE)


def is_delete(request: Request) -> bool:
    return request.is_("DELETE", f"{CREATE}/*")


def is_mint(request: Request) -> bool:
    return request.is_("POST", MINT)


def is_look(request: Request) -> bool:
    return request.is_("GET", SDK)


def id_of(request: Request) -> str:
    """The session that a delete or a task is about."""
    return request.path.removeprefix(f"{CREATE}/").split("/")[0]


def asked_s(request: Request) -> int:
    """TTL that a mint asks for."""
    wanted = request.fields.get("expires_after")
    seconds = wanted.get("seconds") if isinstance(wanted, dict) else None
    return seconds if isinstance(seconds, int) else 600


def for_s(fields: dict[str, Any], seconds: int) -> dict[str, Any]:
    """A mint's body with another TTL."""
    return {**fields, "expires_after": {"anchor": "created_at", "seconds": seconds}}
