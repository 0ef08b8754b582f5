"""HTTP transport under the official clients: aiohttp, for httpx and for the httpx2 that `openai` sits on.

Why our own 40 lines: the ready-made ones cap themselves at 100 connections or hide how long a call waited for one
(DESIGN.md 4), and both facts decide whether a latency is the target's or ours. The body is read whole: nothing here
streams. Redirects are never followed and the environment's proxies are never used: a loopback run stays on loopback.
"""

import asyncio
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import httpx2

from loadtest.clock import now_ns
from loadtest.errors import Code, Kind, StepError, transport_failure
from loadtest.ports import Call

HANDLED_HEADER = "x-twin-handled-ns"
MAX_HEADER_BYTES = 100 << 10
"""Of one header; the official clients take as much in all. aiohttp's own 8 kB is less than some cookies have."""
MAX_HEADERS = 1000


current_call: ContextVar[Call] = ContextVar("current_call")
"""Set by the caller before the client's method; the clients have no place to pass it through."""


async def _queued(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.queued_ns = now_ns()


async def _dequeued(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.trace_request_ctx.pool_wait_ns += now_ns() - context.queued_ns


def open_session(*, connections: int, verify: Any) -> aiohttp.ClientSession:
    """One pool for a process. `connections` must be above the calls in flight; waiting for one is measured."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_queued_start.append(_queued)
    trace.on_connection_queued_end.append(_dequeued)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=verify, keepalive_timeout=60, ttl_dns_cache=60),
        trace_configs=[trace],
        trust_env=False,
        auto_decompress=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        timeout=aiohttp.ClientTimeout(total=None),
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
    )


async def fetch(
    session: aiohttp.ClientSession,
    call: Call,
    *,
    method: str,
    url: str,
    headers: Any,
    body: bytes | None = None,
    proxy: str | None,
) -> tuple[int, Any, bytes]:
    """(status, raw headers, body). Raises StepError for whatever went wrong below HTTP; `sent` says if the target may
    have seen the request."""
    if method == "POST":
        # aiohttp sends anything else once more by itself. Connections that were closed since the last call are heard of
        # by then: one turn of the loop to look, one to be told.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    try:
        async with session.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=proxy,
            trace_request_ctx=call,
        ) as response:
            answer = await response.read()
    except aiohttp.ClientConnectorError as error:
        raise transport_failure(error, Code.CONNECT_FAILED, str(error), sent=False) from error
    except aiohttp.ClientHttpProxyError as error:
        told = f"the proxy refused the way to the target: {error.status} {error.message}"
        raise StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, told, sent=False) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise transport_failure(error, Code.CONNECTION_LOST, f"{type(error).__name__}: {error}") from error
    call.http_status = response.status
    if (handled := response.headers.get(HANDLED_HEADER, "")).isdigit():
        call.server_ns = int(handled)
    return response.status, response.raw_headers, answer


async def _carry(session: aiohttp.ClientSession, request: Any, proxy: str | None) -> tuple[int, Any, bytes]:
    """A client's request; httpx and httpx2 have the same shape."""
    return await fetch(
        session,
        current_call.get(),
        method=request.method,
        url=str(request.url),
        headers=request.headers,
        body=request.content or None,
        proxy=proxy,
    )


class HttpxTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`. The session is the caller's to close."""

    def __init__(self, session: aiohttp.ClientSession, proxy: str | None) -> None:
        self._session, self._proxy = session, proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status, headers, body = await _carry(self._session, request, self._proxy)
        return httpx.Response(status, headers=_plain(headers), content=body)


class Httpx2Transport(httpx2.AsyncBaseTransport):
    """For the client of `openai`. The session is the caller's to close."""

    def __init__(self, session: aiohttp.ClientSession, proxy: str | None) -> None:
        self._session, self._proxy = session, proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        status, headers, body = await _carry(self._session, request, self._proxy)
        return httpx2.Response(status, headers=_plain(headers), content=body)


def _plain(headers: Any) -> list[tuple[bytes, bytes]]:
    """The body is already decoded and whole: its transfer's headers no longer hold."""
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in (b"content-encoding", b"transfer-encoding", b"content-length")
    ]
