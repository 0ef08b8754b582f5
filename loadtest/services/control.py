"""The HTTP steps, as integrators write them: `AsyncOpenAI` mints, httpx creates, asks and deletes.

Foreign exceptions are translated here, once. No call retries (`max_retries=0`) and none has a timeout of its own: the
step's deadline is the only one.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import httpx
import httpx2
import openai

from loadtest.config.access.trust import trust
from loadtest.config.settings import Settings
from loadtest.language import reasons, validation
from loadtest.language.errors import Code, Kind, StepError, transport_failure
from loadtest.language.events import SecretKind
from loadtest.language.secrecy.given_back import Ledger
from loadtest.language.secrecy.redact import know, redact, remember
from loadtest.network.user_agent import user_agent
from loadtest.services.backend import Backend, Request
from loadtest.services.cookies import BoundedJar
from loadtest.services.creating import created, salvaged, salvaged_from_call
from loadtest.services.transport import (
    MAX_BODY_BYTES,
    MAX_ERROR_BYTES,
    Httpx2Transport,
    HttpxTransport,
    current_call,
    fetch,
    open_session,
)
from loadtest.session.ports import DELETED_STATUS, Call, ClientSecret, Created, Grant

MAX_LOCATION = 300


class Control:
    """One OpenAI client and one httpx client for a whole process, on one pool. Use as an async context manager."""

    def __init__(self, settings: Settings, keys: Mapping[str, str], *, connections: int) -> None:
        target = settings.target
        assert target.avaturn_base_url is not None
        self._backend = None if target.backend is None else Backend(target.backend)
        self.trust = trust(target.ca_file)
        self._openai_key, self._avaturn_key = keys["OPENAI_API_KEY"], keys["AVATURN_API_KEY"]
        self._session = open_session(connections=connections, verify=self.trust, live=target.live)
        self._openai = openai.AsyncOpenAI(
            api_key=self._openai_key or "none",
            base_url=target.openai_base_url or target.avaturn_base_url,  # with a backend it is never called
            max_retries=0,
            timeout=None,
            default_headers={"User-Agent": user_agent(f"AsyncOpenAI/Python {openai.__version__}")},
            http_client=httpx2.AsyncClient(
                transport=Httpx2Transport(self._session, target.proxy),
                cookies=BoundedJar(),
                trust_env=False,
                timeout=None,
            ),
        )
        self._create_secret = self._openai.realtime.client_secrets.with_raw_response.create
        self._avaturn = httpx.AsyncClient(
            transport=HttpxTransport(self._session, target.proxy),
            cookies=BoundedJar(),
            trust_env=False,
            timeout=httpx.Timeout(None),  # the step's deadline is the only one
        )
        self._avaturn.headers["User-Agent"] = user_agent(self._avaturn.headers["User-Agent"])
        # A whole URL, parsed once: joining a path to a base URL costs as much as parsing two.
        self._sessions_url = httpx.URL(target.avaturn_base_url + "/api/v1/sessions")
        self._sdk_url = target.avaturn_base_url + "/_sdk/v0/sessions"
        self._proxy = target.proxy
        self._bearer = f"Bearer {self._avaturn_key}"
        know(self._openai_key, name="OPENAI_API_KEY")
        know(self._avaturn_key, name="AVATURN_API_KEY")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._openai.close()
        await self._avaturn.aclose()
        await self._session.close()

    async def mint(self, call: Call, *, ttl_s: int, realtime: Mapping[str, Any], traceparent: str) -> ClientSecret:
        """A fresh client secret (docs/contract.md#what-a-mint-may-ask, #what-a-mint-answers). Raises StepError."""
        current_call.set(call)
        try:
            # As extra_body the SDK sends the same bytes but does not walk the session by its type hints (0.15 ms a
            # call); it validates nothing either way (docs/contract.md#what-a-mint-may-ask).
            answer = await self._create_secret(
                extra_body={"expires_after": {"anchor": "created_at", "seconds": ttl_s}, "session": realtime},
                extra_headers={"traceparent": traceparent},
            )
        except openai.APIStatusError as error:
            raise _refused(
                error.status_code,
                error.response.content,
                error.code,
                self._openai_key,
                location=error.response.headers.get("location", ""),
            ) from error
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, StepError):
                raise error.__cause__ from None
            raise StepError(Kind.TRANSPORT, Code.CONNECTION_LOST, redact(str(error))) from error
        except Exception as error:
            if call.http_status is None or isinstance(error, StepError):
                raise  # nothing was answered: it is not the answer that the client stumbles over
            raise StepError(
                Kind.PROTOCOL, Code.BAD_SHAPE, f"the mint's answer can't be used ({type(error).__name__})"
            ) from error
        body = validation.json_object(answer.content, "the mint's answer")
        value = validation.token(body.get("value"), "the mint's value")
        call.watch.sends(SecretKind.CLIENT_SECRET, value)
        remember(value, owner=call.watch)
        return ClientSecret(
            value=value,
            expires_at_s=validation.unix_s(body.get("expires_at"), "the mint's expires_at"),
            provider_s=_date_s(answer.headers.get("date")),
        )

    async def create(self, call: Call, *, secret: ClientSecret, fields: Mapping[str, Any], traceparent: str) -> Created:
        """An Avaturn session on that secret (docs/contract.md#creating-a-session). Raises StepError."""
        body = {"conversation_engine": {"type": "openai-realtime", "client_secret": secret.value}, **fields}
        headers = {"Authorization": self._bearer, "traceparent": traceparent}
        try:
            response = await self._send(call, self._avaturn.post(self._sessions_url, json=body, headers=headers))
        except (StepError, asyncio.CancelledError) as error:
            return salvaged_from_call(call, error)
        if response.status_code // 100 != 2:
            raise _refused(
                response.status_code,
                response.content,
                None,
                secret.value,
                self._avaturn_key,
                location=response.headers.get("location", ""),
            )
        what = "the create's answer"
        try:
            answer = validation.json_object(response.content, what)
        except StepError as error:
            return salvaged(response.content, error)
        made = created(answer.get("session_id"), answer.get("token"), what)
        call.watch.sends(SecretKind.SESSION_TOKEN, made.token)
        remember(made.token, owner=call.watch)
        return made

    async def create_at_backend(
        self, call: Call, *, user: int, iteration: int, trace_id: str, traceparent: str
    ) -> Created:
        """The same by the integrator's own endpoint, which mints too. Raises StepError."""
        assert self._backend is not None, "asked only where there is one"
        request = self._backend.create_request(
            user=user, iteration=iteration, trace_id=trace_id, traceparent=traceparent
        )
        try:
            status, headers, body = await self._exchange(call, request)
        except (StepError, asyncio.CancelledError) as error:
            return self._backend.owned_by(user, salvaged_from_call(call, error, key=self._backend.id_key))
        self._backend.keep_cookies(user, request.url, headers)
        if status // 100 != 2:
            raise _refused(status, body, None, *self._backend.secrets, location=_location(headers))
        made = self._backend.created(user=user, body=body)
        call.watch.sends(SecretKind.SESSION_TOKEN, made.token)
        remember(made.token, owner=call.watch)
        return made

    async def _exchange(self, call: Call, request: Request) -> tuple[int, Any, bytes]:
        return await self.exchange(
            call, method=request.method, url=request.url, headers=request.headers, body=request.body
        )

    async def grant(self, call: Call, *, token: str, traceparent: str) -> Grant:
        """The room's address and token (docs/contract.md#the-sdks-api). Raises StepError."""
        status, answer = await self._ask(call, token, traceparent)
        if status // 100 != 2:
            raise _refused(status, answer, None, token)
        body = validation.json_object(answer, "the SDK session")
        room_url = validation.address(body.get("room_url"), "room_url")
        room_token = validation.token(body.get("limited_access_token"), "limited_access_token")
        call.watch.sends(SecretKind.ROOM_TOKEN, room_token)
        remember(room_token, owner=call.watch)
        return Grant(room_url=room_url, token=room_token, watch=call.watch)

    async def look(self, call: Call, *, token: str, traceparent: str) -> int:
        """HTTP status of the SDK session: 200 = alive, GONE_STATUS = ended. Raises StepError below HTTP."""
        return (await self._ask(call, token, traceparent))[0]

    async def delete(self, call: Call, *, target_session_id: str, traceparent: str) -> int:
        """End the session; its HTTP status, one of DELETED_STATUS. Raises StepError for any other."""
        if self._backend is not None:
            own = self._backend.delete_request(target_session_id, traceparent=traceparent)
            if own is not None:
                status, _, body = await self._exchange(call, own)
                if status not in DELETED_STATUS:
                    raise _refused(status, body, None, *self._backend.secrets)
                self._backend.deleted(target_session_id)
                return status
            self._backend.deleted(target_session_id)
        response = await self._send(
            call,
            self._avaturn.delete(
                f"{self._sessions_url}/{quote(target_session_id, safe='')}",
                headers={"Authorization": self._bearer, "traceparent": traceparent},
            ),
        )
        if response.status_code not in DELETED_STATUS:
            raise _refused(response.status_code, response.content, None, self._avaturn_key)
        return response.status_code

    def ledger(self) -> Ledger:
        """For what the sessions of this process send: it knows the keys that all of them do."""
        of_backend = [] if self._backend is None else [each.split()[-1] for each in self._backend.secrets]
        keys = (self._openai_key, self._avaturn_key, *of_backend)
        return Ledger((SecretKind.API_KEY, key) for key in keys)

    @property
    def keys(self) -> tuple[str, str]:
        """(OpenAI's, Avaturn's)"""
        return self._openai_key, self._avaturn_key

    async def exchange(
        self, call: Call, *, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Any, bytes]:
        """(status, raw headers, body) of any call, for those that no client would make. Raises StepError below HTTP."""
        return await fetch(self._session, call, method=method, url=url, headers=headers, body=body, proxy=self._proxy)

    async def websocket(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientWebSocketResponse:
        """An open WebSocket, the caller's to close. Raises StepError, with the HTTP status of a refused upgrade."""
        with validation.reading("the socket's upgrade"):
            try:
                return await self._session.ws_connect(
                    url, headers=headers, proxy=self._proxy, max_msg_size=MAX_BODY_BYTES
                )
            except aiohttp.WSServerHandshakeError as error:
                raise StepError(Kind.REJECTED, Code.WS_REFUSED, str(error.status), http_status=error.status) from error
            except (aiohttp.ClientError, OSError) as error:
                raise transport_failure(error, Code.CONNECT_FAILED, type(error).__name__) from error

    async def _ask(self, call: Call, token: str, traceparent: str) -> tuple[int, bytes]:
        """The one call that integrators leave to the web SDK: straight through the transport, a third of httpx's
        price."""
        headers = {"X-Session-Token": token, "traceparent": traceparent, "Accept": "application/json, text/plain, */*"}
        status, _, body = await fetch(
            self._session, call, method="GET", url=self._sdk_url, headers=headers, proxy=self._proxy
        )
        return status, body

    async def _send(self, call: Call, request: Awaitable[httpx.Response]) -> httpx.Response:
        current_call.set(call)
        try:
            return await request
        except httpx.HTTPError as error:
            raise StepError(Kind.TRANSPORT, Code.CONNECTION_LOST, redact(str(error))) from error


def _refused(status: int, body: bytes, provider_code: object, *secrets: str, location: str | None = None) -> StepError:
    """An HTTP refusal as data. `location`: of an answer that should have created something ("": it has none); a
    redirect, which is never followed, is a refusal."""
    text = body[:MAX_ERROR_BYTES].decode("utf-8", "replace")
    code = reasons.of_http(status, text, word=provider_code)
    if status // 100 == 3 and location is not None:
        whither = f"a redirect to {location[:MAX_LOCATION]}" if location else "a redirect without a Location"
        text = f"{whither}; it was not followed, and nothing was created. {text}".rstrip()
    return StepError(Kind.REJECTED, code, redact(f"HTTP {status}: {text}", *secrets), http_status=status)


def _location(headers: Any) -> str:
    """Of raw header pairs; empty where there is none."""
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"location"), "")


@lru_cache(maxsize=4)
def _date_s(date: str | None) -> int | None:
    """A Date header as unix seconds, None where it says none; the same text comes again for a second."""
    return None if date is None else validation.http_date_s(date)
