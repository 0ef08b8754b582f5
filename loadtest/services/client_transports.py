"""The official clients' calls, carried by our pool: what httpx and httpx2 ask of a transport."""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final, cast

import httpx
import httpx2

from loadtest.http_client.pool import Pool, header_lines
from loadtest.services.transport import MAX_ERROR_BYTES, Answered, Headers, exchange
from loadtest.session.ports import Call

_UNSENDABLE: Final = re.compile(rb"[^\x20-\x7e]")
_TOUCHED: Final = frozenset(
    {b"content-encoding", b"transfer-encoding", b"content-length", b"content-type", b"set-cookie", b"location"}
)
_ANSWERED: Final = "avaload.answered"
"""The extension of a client's response that is the answer as it came."""

current_call: ContextVar[Call] = ContextVar("current_call")
"""Set by the caller before the client's method; the clients have no place to pass it through."""


def answered(response: httpx.Response | httpx2.Response) -> Answered:
    """The answer that the client made its response of."""
    return cast("Answered", response.extensions[_ANSWERED])


async def _carry(session: Pool, asked: Any, proxy: str | None) -> Answered:
    """A client's request; httpx and httpx2 have the same shape."""
    return await exchange(
        session,
        current_call.get(),
        method=asked.method,
        url=str(asked.url),
        lines=header_lines(asked.headers.raw),
        body=asked.content or None,
        proxy=proxy,
    )


class HttpxTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`. The session is the caller's to close."""

    def __init__(self, session: Pool, proxy: str | None) -> None:
        self._session, self._proxy = session, proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        came = await _carry(self._session, request, self._proxy)
        status, headers, body = came
        return httpx.Response(status, headers=_plain(headers), content=body, extensions={_ANSWERED: came})


class Httpx2Transport(httpx2.AsyncBaseTransport):
    """For the client of `openai`. The session is the caller's to close."""

    def __init__(self, session: Pool, proxy: str | None) -> None:
        self._session, self._proxy = session, proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        came = await _carry(self._session, request, self._proxy)
        status, headers, body = came
        # A refusal's body is taken apart by the client, in whatever charset its headers claim, and printed as a whole.
        content = body if status // 100 == 2 else body[:MAX_ERROR_BYTES]
        return httpx2.Response(status, headers=_plain(headers), content=content, extensions={_ANSWERED: came})


def _plain(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The body is already decoded and whole: its transfer's headers no longer hold. Nor does a charset: JSON is UTF-8,
    and Python's codecs by the name of hex or punycode are none of text. Nor a Location: the clients read one that they
    don't follow, and stumble over what is no address."""
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
