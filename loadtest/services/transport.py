"""HTTP transport under the official clients: aiohttp, for httpx and for the httpx2 that `openai` sits on.

Why our own 40 lines: the ready-made ones cap themselves at 100 connections or hide how long a call waited for one
(DECISIONS.md#dependencies), and both facts decide whether a latency is the target's or ours. The body is read whole:
nothing here streams. What it is opened with, and why a loopback run stays on loopback: loadtest/network/opening.py.
"""

import asyncio
import re
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import httpx2
from aiohttp.http_exceptions import ContentEncodingError

from loadtest.language.clock import now_ns
from loadtest.language.errors import Code, Kind, StepError, own_limit, transport_failure
from loadtest.language.secrecy.redact import redact
from loadtest.language.validation import whole_number
from loadtest.network.opening import http_session, request
from loadtest.session.ports import Call

HANDLED_HEADER = "x-twin-handled-ns"
MAX_BODY_BYTES = 4 << 20
"""Of an answer, unpacked. What these services answer has some kB; a longer one would be held for every session."""
MAX_ERROR_BYTES = 64 << 10
"""Of a refusal's body, the clients get no more: they take it apart, and print it into their exceptions."""


_QUOTED = re.compile(r"""\bb(?:'[^']*'?|"[^"]*"?)""")
_UNSENDABLE = re.compile(rb"[^\x20-\x7e]")
_TOUCHED = frozenset({b"content-encoding", b"transfer-encoding", b"content-length", b"content-type", b"set-cookie"})

current_call: ContextVar[Call] = ContextVar("current_call")
"""Set by the caller before the client's method; the clients have no place to pass it through."""


async def _queued(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.queued_ns = now_ns()


async def _dequeued(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.trace_request_ctx.pool_wait_ns += now_ns() - context.queued_ns


def open_session(*, connections: int, verify: Any, live: bool = False) -> aiohttp.ClientSession:
    """One pool for a process. `connections` must be above the calls in flight; waiting for one is measured."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_queued_start.append(_queued)
    trace.on_connection_queued_end.append(_dequeued)
    return http_session(trust=verify, live=live, connections=connections, trace=trace)


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
    try:
        async with await request(
            session,
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=proxy,
            trace_request_ctx=call,
        ) as response:
            call.http_status = response.status
            answer = await _body(response, call)
    except aiohttp.ClientConnectorError as error:
        raise transport_failure(error, Code.CONNECT_FAILED, redact(str(error)), sent=False) from error
    except aiohttp.ClientHttpProxyError as error:
        told = f"the proxy refused the way to the target: {error.status} {redact(error.message)}"
        raise StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, told, sent=False) from error
    except (aiohttp.ClientResponseError, ContentEncodingError) as error:
        is_packed = "content-encoding" in str(error)
        what = "a body in an encoding that was not asked for" if is_packed else "no HTTP/1.1 answer"
        detail = f"{what} ({type(error).__name__}: {_unquoted(error).partition(' Please install')[0]})"
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, detail, http_status=call.http_status) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        if isinstance(error.__cause__, ContentEncodingError):
            detail = f"a body that its Content-Encoding does not unpack ({redact(str(error))})"
            raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, detail, http_status=call.http_status) from error
        raise transport_failure(error, Code.CONNECTION_LOST, f"{type(error).__name__}: {_unquoted(error)}") from error
    except Exception as error:
        if call.http_status is None or isinstance(error, StepError) or own_limit(error) is not None:
            raise
        detail = f"its body can't be read ({type(error).__name__})"
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, detail, http_status=call.http_status) from error
    call.server_ns = whole_number(response.headers.get(HANDLED_HEADER, ""))
    return response.status, response.raw_headers, answer


def _unquoted(error: BaseException) -> str:
    """What aiohttp says, without the lines of the answer that its parser quotes: they may hold what nobody knows yet,
    such as a new cookie."""
    said = f"{error.status}, {error.message}" if isinstance(error, aiohttp.ClientResponseError) else str(error)
    lines = [line.strip() for line in said.splitlines()]
    told = " ".join(line for line in lines if not line.startswith(("b'", 'b"', "^")))
    return redact(_QUOTED.sub("…", told))


async def _body(response: aiohttp.ClientResponse, call: Call) -> bytes:
    """The whole body, unpacked in small pieces. What there is of one that breaks off is in `call`. Raises StepError for
    one above MAX_BODY_BYTES."""
    content, pieces, size = response.content, list[bytes](), 0
    try:
        while not content.at_eof():
            pieces.append(await content.readany())
            size += len(pieces[-1])
            if size > MAX_BODY_BYTES:
                response.close()
                detail = f"HTTP {response.status} with a body of more than {MAX_BODY_BYTES >> 20} MiB"
                raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, detail, http_status=response.status)
    except BaseException:
        call.body_so_far = b"".join(pieces)[:MAX_ERROR_BYTES]
        raise
    finally:
        body = b"".join(pieces)
        call.watch.look_at_answer(
            call.what or response.method, response.status, response.raw_headers, body, mints=call.what == "mint"
        )
    return body


async def _carry(session: aiohttp.ClientSession, asked: Any, proxy: str | None) -> tuple[int, Any, bytes]:
    """A client's request; httpx and httpx2 have the same shape."""
    return await fetch(
        session,
        current_call.get(),
        method=asked.method,
        url=str(asked.url),
        headers=asked.headers,
        body=asked.content or None,
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
        # A refusal's body is taken apart by the client, in whatever charset its headers claim, and printed as a whole.
        content = body if status // 100 == 2 else body[:MAX_ERROR_BYTES]
        return httpx2.Response(status, headers=_plain(headers), content=content)


def _plain(headers: Any) -> list[tuple[bytes, bytes]]:
    """The body is already decoded and whole: its transfer's headers no longer hold. Nor does a charset: JSON is UTF-8,
    and Python's codecs by the name of hex or punycode are none of text."""
    kept = []
    for header in headers:
        name = header[0].lower()
        if name not in _TOUCHED:
            kept.append(header)
        elif name == b"content-type":
            kept.append((header[0], header[1].partition(b";")[0]))
        # The clients keep cookies, and stumble over one that can't be sent back at every call from then on.
        elif name == b"set-cookie" and not _UNSENDABLE.search(header[1]):
            kept.append(header)
    return kept
