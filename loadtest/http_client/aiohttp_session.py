"""Connections by aiohttp, for WebRTC rooms and the WebSockets of active checks; other runs do without. The rules of
opening.py hold: no redirect is followed, and a run that is not live stays on this machine."""

import ssl
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from loadtest.http_client.answers import Answers
from loadtest.http_client.connection import KEPT_S
from loadtest.http_client.opening import local_socket
from loadtest.http_client.user_agent import user_agent

MAX_HEADER_BYTES: Final = 100 << 10
"""Of one header; the official clients take as much in all. aiohttp's own 8 kB is less than some cookies have."""
MAX_HEADERS: Final = 1000


class _Connector(aiohttp.TCPConnector):
    """Of connections that read answers as `Answers` does. aiohttp has no argument for that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory: partial[Any] = partial(Answers, self._loop)


def http_session(
    *,
    trust: ssl.SSLContext | None,
    live: bool = False,
    connections: int = 100,
    proxy: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> aiohttp.ClientSession:
    """A pool of connections. `live`: it may leave this machine. The environment's proxies are never used, no cookie is
    kept, and no deadline is set: the step's own is the only one. The caller's to close."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=_Connector(
            limit=connections,
            ssl=True if trust is None else trust,
            keepalive_timeout=KEPT_S,
            ttl_dns_cache=60,
            socket_factory=None if live else local_socket,
        ),
        trace_configs=[trace],
        trust_env=False,
        proxy=proxy,
        headers={"User-Agent": user_agent(), **(headers or {})},
        auto_decompress=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
    )


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    """aiohttp's WebSockets follow redirects and can't be told not to; any other call that would is refused as well."""
    answer = params.response
    answer.close()
    raise aiohttp.WSServerHandshakeError(
        answer.request_info, answer.history, status=answer.status, message="a redirect, which is not followed"
    )
