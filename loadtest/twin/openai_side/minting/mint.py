"""`POST /v1/realtime/client_secrets` as a bare ASGI application (docs/contract.md#minting-a-client-secret)."""

import asyncio
import json
import math
import secrets
import time
from collections.abc import Mapping
from typing import Any

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from loadtest.twin.json_text import parsed
from loadtest.twin.keys import Keys
from loadtest.twin.knobs.profiles import Chance, Profile
from loadtest.twin.openai_side import faults, models
from loadtest.twin.openai_side.config import session_config
from loadtest.twin.openai_side.config.session_rules import SESSION
from loadtest.twin.openai_side.config.validation import integer, one_of, record
from loadtest.twin.openai_side.errors import RefusedError, bad_key, beta_is_gone
from loadtest.twin.openai_side.minting.client_secrets import ClientSecrets
from loadtest.twin.openai_side.rate_limits import RateLimits
from loadtest.twin.sockets.tracing import trace_id_of

PATH = "/v1/realtime/client_secrets"
_BETA_PATHS = ("/v1/realtime/sessions", "/v1/realtime/transcription_sessions")
_DEFAULT_TTL_S = 600
_KEPT_BODIES = 256
_LARGEST_KEPT_BYTES = 64 * 1024
_MAX_BODY_BYTES = 1024 * 1024
_BODY = record(
    {
        "expires_after": record({"anchor": one_of("created_at"), "seconds": integer(10, 7200)}),
        "session": SESSION,
    }
)
_FIXED_HEADERS = [
    (b"openai-version", b"2020-10-01"),
    (b"openai-organization", b"twin"),
    (b"openai-processing-ms", b"1"),
]

Understood = tuple[int, str, bytes]
"""What a valid body means: the TTL in s, the effective session object, and all of the answer after its id, as JSON."""


def point_of(method: str, path: str) -> str:
    """Name of a request in the counters."""
    return "mint" if path == PATH else "openai_other"


class Mint:
    """OpenAI's REST side. Bodies seen before are answered without being validated again."""

    def __init__(
        self, *, keys: Keys, profile: Profile, chance: Chance, client_secrets: ClientSecrets, limits: RateLimits
    ) -> None:
        self._keys = keys
        self._profile = profile
        self._chance = chance
        self._secrets = client_secrets
        self._limits = limits
        self._known: dict[bytes, Understood] = {}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        headers = [(b"content-type", b"application/json")]
        try:
            body = await _body(receive)
            status, answer = 200, await self._answer(scope, body)
        except RefusedError as refusal:
            status, answer = refusal.status, refusal.body()
            if refusal.retry_after_s is not None:
                headers.append((b"retry-after", b"%d" % refusal.retry_after_s))
        headers.append((b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    def common_headers(self) -> list[tuple[bytes, bytes]]:
        """What OpenAI puts on every answer."""
        return [(b"x-request-id", b"req_" + secrets.token_hex(16).encode()), *_FIXED_HEADERS, *self._limits.headers()]

    def understood(self, request: Any) -> Understood:
        """Check the JSON of a body. Raises RefusedError."""
        _BODY(request, "")
        ttl_s = request.get("expires_after", {}).get("seconds", _DEFAULT_TTL_S)
        session = session_config.effective(request.get("session", {}), knobs=self._profile)
        rest = json.dumps({**session, "expires_at": 0}, separators=(",", ":"))[1:] + "}"
        return ttl_s, json.dumps(session), rest.encode()

    async def _answer(self, scope: HTTPScope, body: bytes) -> bytes:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        if path in _BETA_PATHS or b"openai-beta" in headers:
            self.refuse_beta()
        if (method, path) == ("GET", models.PATH):
            self._check_key(headers)
            return models.listed()
        if path != PATH:
            raise RefusedError(f"Invalid URL ({method} {path})", code=None, status=404)
        if method != "POST":
            raise RefusedError(f"Not allowed to {method} on {path}.", code="method_not_supported", status=405)
        latency_s = self._chance.latency_s("mint")
        if latency_s:
            await asyncio.sleep(latency_s)
        fault = self._chance.mishap("mint")
        if fault is not None:
            refusal = faults.refusal(fault)
            # Waiting doesn't help who has run out of credit.
            if refusal.status == 429 and refusal.code != "insufficient_quota":
                refusal.retry_after_s = self._profile.retry_after_s
            raise refusal
        self._check_key(headers)
        self._keep_to_the_limit()
        ttl_s, session, rest = self._understood(body)
        value = self._secrets.mint(session, ttl_s=ttl_s, trace_id=trace_id_of(headers.get(b"traceparent")))
        head = f'{{"value":"{value}","expires_at":{int(time.time()) + ttl_s},"session":{{"id":"sess_{value[-24:]}",'
        return head.encode() + rest

    def _check_key(self, headers: Mapping[bytes, str]) -> None:
        scheme, _, key = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._keys.is_openai(key):
            raise bad_key() if key else bad_key("You didn't provide an API key.")

    def refuse_beta(self) -> None:
        """A call in the shape of the beta. Raises RefusedError."""
        raise beta_is_gone()

    def _keep_to_the_limit(self) -> None:
        wait_s = self._limits.requests.take()
        if wait_s > 0:
            refusal = faults.refusal("rate_limit_exceeded")
            refusal.retry_after_s = math.ceil(wait_s)
            raise refusal

    def _understood(self, body: bytes) -> Understood:
        known = self._known.get(body)
        if known is None:
            try:
                request = parsed(body or b"{}")
            except ValueError:
                raise RefusedError("We could not parse the JSON body of your request.", code=None) from None
            known = self.understood(request)
            if len(self._known) >= _KEPT_BODIES:
                self._known.clear()
            if len(body) <= _LARGEST_KEPT_BYTES:
                self._known[body] = known
        return known


async def _body(receive: ASGIReceiveCallable) -> bytes:
    parts = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return parts
        parts += event["body"]
        if len(parts) > _MAX_BODY_BYTES:
            raise RefusedError("The request is too large.", code=None, status=413)
        if not event["more_body"]:
            return parts
