"""The HTTP steps of a session: what is asked of the services, and what their answers mean.

How the calls are sent is the way's: by the official clients (`official.py`) or without them (`lean.py`). None retries,
and none has a timeout of its own: the step's deadline is the only one.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote

from loadtest.config.access.guard import endpoints_of
from loadtest.config.access.trust import trust
from loadtest.config.settings import Settings, Target
from loadtest.errors.causes import transport_failure
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import SecretKind
from loadtest.http_client import why_refused
from loadtest.http_client.connection import MAX_BODY_BYTES
from loadtest.http_client.opening import is_secured, no_way
from loadtest.http_client.pool import Pool
from loadtest.secrecy.given_back import Ledger
from loadtest.secrecy.redact import know, redact, remember
from loadtest.services.backend import Backend, Request
from loadtest.services.creating import known, of_answer, salvaged_from_call
from loadtest.services.lean import Lean
from loadtest.services.transport import MAX_ERROR_BYTES, Answered, fetch, open_session
from loadtest.session.ports import Call, ClientSecret, Created, Grant, creates_nothing, is_deleted
from loadtest.text import validation

if TYPE_CHECKING:
    import aiohttp

MAX_LOCATION = 300


class _Way(Protocol):
    """How calls are sent. A refusal is an answer; StepError is raised for whatever goes wrong below HTTP."""

    def __init__(self, session: Pool, target: Target, *, openai_key: str, avaturn_key: str) -> None: ...

    async def mint(self, call: Call, body: Mapping[str, Any], *, traceparent: str) -> Answered: ...

    async def create(self, call: Call, body: Mapping[str, Any], *, traceparent: str) -> Answered: ...

    async def delete(self, call: Call, part: str, *, traceparent: str) -> Answered: ...

    async def close(self) -> None: ...


class Control:
    """Both services for a whole process, on one pool. Use as an async context manager."""

    def __init__(self, settings: Settings, keys: Mapping[str, str], *, connections: int) -> None:
        target = settings.target
        assert target.avaturn_base_url is not None
        self._backend = None if target.backend is None else Backend(target.backend)
        self._ca_file = target.ca_file
        self._openai_key, self._avaturn_key = keys["OPENAI_API_KEY"], keys["AVATURN_API_KEY"]
        self._live, self._proxy = target.live, target.proxy
        encrypts = not all(url.startswith("http:") for url in endpoints_of(settings))
        verify = self._trust if encrypts else None
        self._session = open_session(connections=connections, verify=verify, live=target.live)
        way: type[_Way] = Lean
        if target.http == "official":
            from loadtest.services.official import Official  # 24 MB of the SDK's types, for who has use for them

            way = Official
        self._way = way(self._session, target, openai_key=self._openai_key, avaturn_key=self._avaturn_key)
        self._sdk_url = target.avaturn_base_url + "/_sdk/v0/sessions"
        know(self._openai_key, name="OPENAI_API_KEY")
        know(self._avaturn_key, name="AVATURN_API_KEY")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._way.close()
        await self._session.close()
        if "_sockets" in self.__dict__:
            await self._sockets.close()

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Not read where nothing is encrypted: it takes 20 ms, and 2 MB of memory."""
        return trust(self._ca_file)

    def trust_for(self, room_url: str) -> ssl.SSLContext | None:
        """Whose certificates are trusted on the way to a room, its proxy's among them; None: there are none on it."""
        plain = room_url.startswith(("ws:", "http:")) and not is_secured(self._proxy)
        return None if plain else self._trust

    @cached_property
    def _sockets(self) -> "aiohttp.ClientSession":
        """For the WebSockets of probes: most runs have none."""
        from loadtest.http_client.aiohttp_session import http_session

        return http_session(trust=self._trust, live=self._live)

    async def mint(self, call: Call, *, ttl_s: int, realtime: Mapping[str, Any], traceparent: str) -> ClientSecret:
        """A fresh client secret (docs/contract.md#what-a-mint-may-ask, #what-a-mint-answers). Raises StepError."""
        asked = {"expires_after": {"anchor": "created_at", "seconds": ttl_s}, "session": realtime}
        answered = await self._way.mint(call, asked, traceparent=traceparent)
        if not answered.is_good:
            raise _refused(answered, self._openai_key, creates=True, word=_word(answered.body))
        body = validation.json_object(answered.body, "the mint's answer")
        with validation.field("value"):
            value = validation.token(body.get("value"), "the mint's value")
        call.watch.sends(SecretKind.CLIENT_SECRET, value)
        remember(value, owner=call.watch)
        with validation.field("expires_at"):
            expires_at_s = validation.unix_s(body.get("expires_at"), "the mint's expires_at")
        return ClientSecret(value=value, expires_at_s=expires_at_s, provider_s=_date_s(answered.header(b"date")))

    async def create(self, call: Call, *, secret: ClientSecret, fields: Mapping[str, Any], traceparent: str) -> Created:
        """An Avaturn session on that secret (docs/contract.md#creating-a-session). Raises StepError."""
        body = {"conversation_engine": {"type": "openai-realtime", "client_secret": secret.value}, **fields}
        try:
            answered = await self._way.create(call, body, traceparent=traceparent)
        except (StepError, asyncio.CancelledError) as error:
            return salvaged_from_call(call, error)
        if not answered.is_good:
            raise _refused(answered, secret.value, self._avaturn_key, creates=True)
        return of_answer(answered.body, call)

    async def create_at_backend(
        self, call: Call, *, user: int, iteration: int, trace_id: str, traceparent: str
    ) -> Created:
        """The same by the integrator's own endpoint, which mints too. Raises StepError."""
        assert self._backend is not None, "asked only where there is one"
        request = self._backend.create_request(
            user=user, iteration=iteration, trace_id=trace_id, traceparent=traceparent
        )
        try:
            answered = await self._exchange(call, request)
        except (StepError, asyncio.CancelledError) as error:
            return self._backend.owned_by(user, salvaged_from_call(call, error, key=self._backend.id_key))
        self._backend.keep_cookies(user, request.url, answered.headers)
        if not answered.is_good:
            raise _refused(answered, *self._backend.secrets, creates=True)
        return known(self._backend.created(user=user, body=answered.body), call)

    async def _exchange(self, call: Call, request: Request) -> Answered:
        return await fetch(
            self._session,
            call,
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=request.body,
            proxy=self._proxy,
        )

    async def grant(self, call: Call, *, token: str, traceparent: str) -> Grant:
        """The room's address and token (docs/contract.md#the-sdks-api). Raises StepError."""
        answered = await self._ask(call, token, traceparent)
        if not answered.is_good:
            raise _refused(answered, token)
        body = validation.json_object(answered.body, "the SDK session")
        room_url = validation.address(body.get("room_url"), "room_url")
        room_token = validation.token(body.get("limited_access_token"), "limited_access_token")
        call.watch.sends(SecretKind.ROOM_TOKEN, room_token)
        remember(room_token, owner=call.watch)
        is_by_address = validation.is_at_daily(room_url)
        return Grant(room_url=room_url, token=room_token, is_by_address=is_by_address, watch=call.watch)

    async def look(self, call: Call, *, token: str, traceparent: str) -> int:
        """HTTP status of the SDK session: 200 = alive, GONE_STATUS = ended. Raises StepError below HTTP."""
        call.reads_body = False
        return (await self._ask(call, token, traceparent)).status

    async def delete(self, call: Call, *, target_session_id: str, traceparent: str) -> int:
        """End the session; its HTTP status, if that `is_deleted`. Raises StepError for any other."""
        call.reads_body = False
        if self._backend is not None:
            own = self._backend.delete_request(target_session_id, traceparent=traceparent)
            if own is not None:
                answered = await self._exchange(call, own)
                if not is_deleted(answered.status):
                    raise _refused(answered, *self._backend.secrets)
                self._backend.deleted(target_session_id)
                return answered.status
            self._backend.deleted(target_session_id)
        answered = await self._way.delete(call, quote(target_session_id, safe=""), traceparent=traceparent)
        if not is_deleted(answered.status):
            raise _refused(answered, self._avaturn_key)
        return answered.status

    def ledger(self) -> Ledger:
        """For what the sessions of this process send: it knows the keys that all of them do."""
        of_backend = [] if self._backend is None else [*self._backend.secrets, *sorted(self._backend.literals)]
        keys = dict.fromkeys([self._openai_key, self._avaturn_key, *(each.split()[-1] for each in of_backend)])
        return Ledger((SecretKind.API_KEY, key) for key in keys)

    @property
    def keys(self) -> tuple[str, str]:
        """(OpenAI's, Avaturn's)"""
        return self._openai_key, self._avaturn_key

    async def exchange(
        self, call: Call, *, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Any, bytes]:
        """(status, raw headers, body) of any call, for those that no client would make. Raises StepError below HTTP."""
        answered = await fetch(
            self._session,
            call,
            method=method,
            url=url,
            headers=headers,
            body=body,
            proxy=self._proxy,
            repeatable=method in ("GET", "DELETE"),
        )
        return answered.status, answered.headers, answered.body

    async def websocket(self, url: str, headers: Mapping[str, str]) -> "aiohttp.ClientWebSocketResponse":
        """An open WebSocket, the caller's to close. Raises StepError, with the HTTP status of a refused upgrade."""
        import aiohttp

        with validation.reading("the socket's upgrade"):
            try:
                return await self._sockets.ws_connect(
                    url, headers=headers, proxy=self._proxy, max_msg_size=MAX_BODY_BYTES
                )
            except aiohttp.WSServerHandshakeError as error:
                raise StepError(Kind.REJECTED, Code.WS_REFUSED, str(error.status), http_status=error.status) from error
            except (aiohttp.ClientError, OSError) as error:
                raise transport_failure(error, Code.CONNECT_FAILED, type(error).__name__) from error

    async def _ask(self, call: Call, token: str, traceparent: str) -> Answered:
        """The one call that integrators leave to the web SDK: by no client, whatever the way."""
        headers = {"X-Session-Token": token, "traceparent": traceparent, "Accept": "application/json, text/plain, */*"}
        return await fetch(
            self._session,
            call,
            method="GET",
            url=self._sdk_url,
            headers=headers,
            proxy=self._proxy,
            repeatable=True,
        )


def _refused(answered: Answered, *secrets: str, creates: bool = False, word: object = None) -> StepError:
    """An HTTP refusal as data. `creates`: the call should have created something; a redirect is never followed. `word`:
    the provider's own code."""
    status, text = answered.status, answered.body[:MAX_ERROR_BYTES].decode("utf-8", "replace")
    if status == 407:  # always a proxy's word
        return StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, no_way(status, refused=True), http_status=status)
    code = why_refused.of_http(status, text, word=word)
    if status // 100 == 3 and creates:
        location = answered.header(b"location")
        whither = f"a redirect to {location[:MAX_LOCATION]}" if location else "a redirect without a Location"
        left = "nothing was created" if creates_nothing(status) else "what was asked for may have been created"
        text = f"{whither}; it was not followed, and {left}. {text}".rstrip()
    detail = redact(f"HTTP {status}: {text}", *secrets)
    return StepError(Kind.REJECTED, code, detail, http_status=status, retry_after_s=_retry_after_s(answered))


def _retry_after_s(answered: Answered) -> float | None:
    """Seconds or a date (RFC 9110 10.2.3); a date by the clock of who says it."""
    told = (answered.header(b"retry-after") or "").strip()
    if (seconds := validation.whole_number(told)) is not None:
        return float(seconds)
    at_s, now_s = validation.http_date_s(told), _date_s(answered.header(b"date"))
    return None if at_s is None or now_s is None else float(max(0, at_s - now_s))


def _word(body: bytes) -> object:
    """What a refusal of OpenAI's calls itself."""
    try:
        told = validation.json_object(body[:MAX_ERROR_BYTES], "a refusal")
    except StepError:
        return None
    error = told.get("error", told)
    return error.get("code") if isinstance(error, dict) else None


@lru_cache(maxsize=4)
def _date_s(date: str | None) -> int | None:
    """A Date header as unix seconds, None where it says none; the same text comes again for a second."""
    return None if date is None else validation.http_date_s(date)
