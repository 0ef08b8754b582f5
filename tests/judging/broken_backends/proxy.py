"""A man in the middle: both services over HTTP and every WebSocket, passed on to an honest backend as they are, or as
hooks make of them.

An HTTP hook is `async def hook(request, forward) -> Answer`. It may change the request, forward it once, twice or not
at all, wait, change the answer, or `raise CutError`. Of several hooks the first is the outermost. A WebSocket hook is a
`Passing` (or a subclass), made anew for each socket: frame in, frames out, in both directions.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

Frame = str | bytes
_OF_A_HOP: Final = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Host", "Upgrade")
_LIMIT_S: Final = 120.0
_BAD_GATEWAY: Final = 502


class CutError(Exception):
    """Raised by an HTTP hook: the connection is closed, and there is no answer."""


@dataclass(slots=True)
class Request:
    """What the client sent. `service`: "openai" or "avaturn"; `path` with its query."""

    service: str
    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes

    def is_(self, method: str, path: str) -> bool:
        """Whether it is that call; a path that ends in * stands for all that begin so."""
        same = self.path.startswith(path[:-1]) if path.endswith("*") else self.path.split("?")[0] == path
        return self.method == method and same

    @property
    def fields(self) -> dict[str, Any]:
        return _object(self.body)

    @fields.setter
    def fields(self, value: Mapping[str, Any]) -> None:
        self.body = json.dumps(value).encode()


@dataclass(slots=True)
class Answer:
    """What the client gets."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    @classmethod
    def of(cls, status: int, fields: Any = None, headers: Mapping[str, str] | None = None) -> "Answer":
        """One of our own, in JSON."""
        body = b"" if fields is None else json.dumps(fields).encode()
        return cls(status, CIMultiDict({"Content-Type": "application/json", **(headers or {})}), body)

    @property
    def fields(self) -> dict[str, Any]:
        return _object(self.body)

    @fields.setter
    def fields(self, value: Mapping[str, Any]) -> None:
        self.body = json.dumps(value).encode()


Forward = Callable[[Request], Awaitable[Answer]]
HttpHook = Callable[[Request, Forward], Awaitable[Answer]]


class Link:
    """One WebSocket through the proxy. `path` tells rooms (`/rooms/…`) from Realtime sockets (`/v1/realtime`)."""

    def __init__(self, service: str, path: str, headers: Mapping[str, str]) -> None:
        self.service, self.path, self.headers = service, path, headers
        self.user: web.WebSocketResponse | None = None
        self.backend: aiohttp.ClientWebSocketResponse | None = None
        self._beside: set[asyncio.Task[Any]] = set()

    async def to_user(self, frame: Frame) -> None:
        """Send it at once; nothing happens where the socket is closed."""
        if self.user is not None:
            await _send(self.user, frame)

    async def to_backend(self, frame: Frame) -> None:
        if self.backend is not None:
            await _send(self.backend, frame)

    async def close_user(self, code: int = 1000, reason: str = "") -> None:
        if self.user is not None and not self.user.closed:
            await self.user.close(code=code, message=reason.encode())

    async def close_backend(self, code: int = 1000) -> None:
        if self.backend is not None and not self.backend.closed:
            await self.backend.close(code=code)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on beside the frames; it is over when the user's socket is."""
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def later(self, after_s: float, work: Coroutine[Any, Any, None]) -> None:
        """The same, after a while."""

        async def wait() -> None:
            try:
                await asyncio.sleep(after_s)
            except asyncio.CancelledError:
                work.close()
                raise
            await work

        self.beside(wait())

    async def end(self) -> None:
        for task in [*self._beside]:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)


class Passing:
    """What becomes of one socket's frames: here nothing. A hook that sleeps holds up what is behind in its direction;
    one that returns nothing drops the frame; `link` sends more, later, or closes."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def down(self, frame: Frame) -> Sequence[Frame]:
        """From the backend to the user."""
        return (frame,)

    async def up(self, frame: Frame) -> Sequence[Frame]:
        """From the user to the backend."""
        return (frame,)

    async def closed(self, by: str, code: int) -> bool:
        """One side ("user" or "backend") has closed; whether the other is closed too. Where it isn't, that side is
        left to close by itself or by the hook."""
        return True


SocketHook = Callable[[Link], Passing]


@contextlib.asynccontextmanager
async def proxied(
    told: Mapping[str, Any], *, http: Sequence[HttpHook] = (), sockets: SocketHook | None = None
) -> AsyncIterator[dict[str, Any]]:
    """A proxy before the twin that said `told`; what it says instead: the same with the proxy's addresses. Rooms lead
    past it where there is no hook for sockets."""
    origins = {
        "openai": str(told["openai_base_url"]).removesuffix("/v1"),
        "avaturn": str(told["avaturn_base_url"]),
    }
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=_LIMIT_S),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        )
        own: dict[str, str] = {}
        for service in origins:
            server = _Server(service, origins, session, tuple(http), sockets)
            own[service] = server.own = await stack.enter_async_context(_listening(server.handle))
        yield {**told, "openai_base_url": f"{own['openai']}/v1", "avaturn_base_url": own["avaturn"]}


@contextlib.asynccontextmanager
async def _listening(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class _Server:
    """One service's side of the proxy. `own`: its address, which takes the place of the backend's in `room_url`."""

    def __init__(
        self,
        service: str,
        origins: Mapping[str, str],
        session: aiohttp.ClientSession,
        http: tuple[HttpHook, ...],
        sockets: SocketHook | None,
    ) -> None:
        self._service, self._origins, self._session = service, origins, session
        self._origin = origins[service]
        self._sockets, self.own = sockets, ""
        self._forward: Forward = self._pass_on
        for hook in reversed(http):
            self._forward = _within(hook, self._forward)

    async def handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        headers = _without_hop(incoming.headers)
        if incoming.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(incoming, headers)
        request = Request(self._service, incoming.method, incoming.path_qs, headers, await incoming.read())
        try:
            answer = await self._forward(request)
        except CutError:
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response()
        return web.Response(status=answer.status, headers=_without_hop(answer.headers), body=answer.body)

    async def _pass_on(self, request: Request) -> Answer:
        """To the service that it is for: a hook may ask the other one."""
        if self._session.closed:
            return Answer.of(_BAD_GATEWAY, {"detail": "the judgement is over"})
        try:
            async with self._session.request(
                request.method,
                self._origins[request.service] + request.path,
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            ) as got:
                body = await got.read()
                answer = Answer(got.status, _without_hop(got.headers), body)
        except (aiohttp.ClientError, TimeoutError):
            return Answer.of(_BAD_GATEWAY, {"detail": "Bad Gateway"})
        if self._sockets is not None and b"room_url" in body:
            there, here = (each.partition("://")[2].encode() for each in (self._origin, self.own))
            answer.body = body.replace(there, here)
        return answer

    async def _socket(self, incoming: web.BaseRequest, headers: CIMultiDict[str]) -> web.StreamResponse:
        """A socket on each side, for as long as both are open or the hook wants it."""
        link = Link(self._service, incoming.path_qs, headers)
        passing = (self._sockets or Passing)(link)
        offered = [each.strip() for each in headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
        sent = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket")}
        try:
            link.backend = await self._session.ws_connect(
                "ws" + (self._origin + incoming.path_qs).removeprefix("http"),
                headers=sent,
                protocols=offered,
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        except (aiohttp.ClientError, OSError):
            return web.Response(status=_BAD_GATEWAY)
        chosen = [link.backend.protocol] if link.backend.protocol else []
        link.user = web.WebSocketResponse(protocols=chosen, max_msg_size=0, compress=False, timeout=2.0)
        try:
            await link.user.prepare(incoming)
            down = asyncio.ensure_future(self._down(link, passing))
            try:
                await self._up(link, passing)
            finally:
                await down
        finally:
            await link.end()
            await link.close_backend()
        return link.user

    async def _down(self, link: Link, passing: Passing) -> None:
        assert link.backend is not None
        async for message in link.backend:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                for frame in await passing.down(message.data):
                    await link.to_user(frame)
        code = link.backend.close_code or 1006
        if await passing.closed("backend", code):
            await link.close_user(code if code != 1006 else 1011)

    async def _up(self, link: Link, passing: Passing) -> None:
        assert link.user is not None
        async for message in link.user:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                for frame in await passing.up(message.data):
                    await link.to_backend(frame)
        if await passing.closed("user", link.user.close_code or 1006):
            await link.close_backend()


def _within(hook: HttpHook, forward: Forward) -> Forward:
    async def call(request: Request) -> Answer:
        return await hook(request, forward)

    return call


async def _send(socket: Any, frame: Frame) -> None:
    if socket.closed:
        return
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))


def _without_hop(headers: Any) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in _OF_A_HOP:
        kept.popall(name, None)
    return kept


def _object(body: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(body)
        if isinstance(value, dict):
            return value
    return {}
