"""Connections to the targets of a process, kept for the next call: HTTP/1.1, directly or through a proxy.

Why our own: no client that there is keeps to the bounds that strangers' answers need, at a price that leaves the core
to the load (DECISIONS.md#dependencies). It follows no redirect, keeps no cookie and sets no deadline: the step's own is
the only one.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from loadtest.http_client.connection import Answer, Connection, LostConnectionError
from loadtest.http_client.opening import is_secured, no_way, opened, secured
from loadtest.session.ports import Call
from loadtest.system.clock import now_ns

_UNTRUSTING: Final = "it is to be encrypted, and this pool trusts nobody"
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


class UnreachableError(Exception):
    """No connection to the target came about: nothing was sent to it."""


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a connection."""

    host: str
    port: int
    is_secured: bool


@dataclass(slots=True)
class _Way:
    """To one origin. `before_path`: what a request says before its path; `free`: the one that was used last is at the
    right end."""

    target: _End
    proxy: _End | None
    host: str
    before_path: str
    free: deque[Connection] = field(default_factory=deque)


class Pool:
    """Use as an async context manager. `connections`: how many calls may be under way at once; the time that one waits
    for another is in its `pool_wait_ns`. `live`: connections may leave this machine."""

    def __init__(self, *, trust: ssl.SSLContext | None, connections: int, live: bool = False) -> None:
        self._trust, self._live = trust, live
        self._places = asyncio.Semaphore(connections)
        self._ways: dict[tuple[str, str | None], _Way] = {}
        self._connections: set[Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, whatever is under way. Idempotent."""
        for connection in self._connections:
            connection.abort()
        self._connections.clear()
        self._ways.clear()
        await asyncio.sleep(0)  # for the transports to let go of their sockets

    async def ask(
        self,
        call: Call,
        answer: Answer,
        *,
        method: str,
        url: str,
        lines: bytes,
        body: bytes | None = None,
        proxy: str | None = None,
        repeatable: bool = False,
    ) -> None:
        """Fill in `answer`. `lines`: all headers, as `header_lines` makes them. A `repeatable` call is sent once more
        where a connection from before turns out to be closed.
        Raises UnreachableError, BrokenAnswerError, LostConnectionError."""
        way, path = self._find(url, proxy)
        request = b"%b%b\r\n%b" % (f"{method} {way.before_path}{path} HTTP/1.1\r\n".encode("ascii"), lines, body or b"")
        if self._places.locked():
            queued_ns = now_ns()
            await self._places.acquire()
            call.pool_wait_ns += now_ns() - queued_ns
        else:
            await self._places.acquire()
        try:
            connection = self._free(way)
            if connection is not None:
                try:
                    await self._ask_over(connection, way, request, answer)
                except LostConnectionError:
                    if not repeatable or answer.began:
                        raise
                else:
                    return
            await self._ask_over(await self._new(way), way, request, answer)
        finally:
            self._places.release()

    async def _ask_over(self, connection: Connection, way: _Way, request: bytes, answer: Answer) -> None:
        try:
            await connection.ask(request, answer)
        except BaseException:
            self._drop(connection)
            raise
        if connection.is_over:
            self._drop(connection)
        else:
            way.free.append(connection)

    def _free(self, way: _Way) -> Connection | None:
        """The one that was used last, if the target hasn't closed it: nothing is sent over one that it has."""
        now_s = asyncio.get_running_loop().time()
        while way.free and way.free[0].good_until < now_s:
            self._drop(way.free.popleft())
        while way.free:
            connection = way.free.pop()
            if connection.good_until >= now_s and not connection.has_hung_up():
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.abort()

    async def _new(self, way: _Way) -> Connection:
        """Raises UnreachableError."""
        entrance = way.proxy or way.target
        if entrance.is_secured and self._trust is None:
            raise UnreachableError(_UNTRUSTING)
        connection = Connection(asyncio.get_running_loop())
        self._connections.add(connection)
        try:
            await opened(
                lambda: connection,
                entrance.host,
                entrance.port,
                live=self._live,
                trust=self._trust if entrance.is_secured else None,
            )
            if way.proxy is not None and way.target.is_secured:
                connection = await self._through(connection, way)
        except OSError as error:
            self._drop(connection)
            reason = error.strerror or str(error)
            raise UnreachableError(f"Cannot connect to {entrance.host}:{entrance.port} [{reason}]") from error
        except BaseException:
            self._drop(connection)
            raise
        return connection

    async def _through(self, connection: Connection, way: _Way) -> Connection:
        """The way through a proxy to a target with TLS. Raises UnreachableError, OSError."""
        met = Answer()
        place = f"{_in_url(way.target.host)}:{way.target.port}"
        try:
            await connection.ask(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode(), met, is_tunnel=True)
        except Exception as error:
            raise UnreachableError(no_way(error)) from error
        if met.status != 200:
            raise UnreachableError(no_way(met.status, refused=True))
        inner = Connection(asyncio.get_running_loop())
        self._connections.add(inner)
        try:
            assert connection.transport is not None
            if self._trust is None:
                raise UnreachableError(_UNTRUSTING)
            await secured(connection.transport, inner, self._trust, way.target.host)
        except BaseException:
            self._drop(inner)
            raise
        self._connections.discard(connection)  # the inner one ends it
        return inner

    def _find(self, url: str, proxy: str | None) -> tuple[_Way, str]:
        """The way to a URL, and the path to ask for there."""
        begin = url.find("/", len("https://"))
        origin = url[:begin] if begin >= 0 else url
        way = self._ways.get((origin, proxy))
        if way is None or begin < 0 or not _is_plain(url):
            parsed = httpx.URL(url)
            way = way or self._ways.setdefault((origin, proxy), _way(parsed, proxy))
            return way, parsed.raw_path.decode("ascii")
        return way, url[begin:]


@lru_cache(maxsize=64)
def host_of(url: str) -> str:
    """What the header `Host` says in calls to that URL."""
    return httpx.URL(url).netloc.decode("ascii")


def header_lines(headers: Iterable[tuple[Any, Any]]) -> bytes:
    """Headers, names and values as text or bytes, as they are sent. Raises ValueError for what would end one."""
    lines = [b"%b: %b\r\n" % (_bytes(name), _bytes(value)) for name, value in headers]
    sent = b"".join(lines)
    if sent.count(b"\n") != len(lines) or sent.count(b"\r") != len(lines) or b"\0" in sent:
        raise ValueError("a line break in a header")
    return sent


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _is_plain(url: str) -> bool:
    """Whether it can be sent as it stands."""
    return url.isascii() and url.isprintable() and " " not in url and "#" not in url


def _way(url: httpx.URL, proxy: str | None) -> _Way:
    host = url.netloc.decode("ascii")
    target = _End(url.raw_host.decode("ascii"), url.port or _DEFAULT_PORT[url.scheme], url.scheme == "https")
    if proxy is None:
        return _Way(target, None, host, "")
    parts = urlsplit(proxy)
    entrance = _End(parts.hostname or "", parts.port or _DEFAULT_PORT[parts.scheme], is_secured(proxy))
    return _Way(target, entrance, host, "" if target.is_secured else f"http://{host}")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
