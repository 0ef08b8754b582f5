"""`avaload twin --record`: a reverse proxy before the real services, which writes down the shape of what passes.

It holds no keys: a client's own go through, and nothing of them is written (contract.py).
"""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from aiohttp import (
    ClientError,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)
from aiohttp.web import Application, AppRunner, Request, Response, SockSite, StreamResponse, WebSocketResponse
from yarl import URL

from loadtest.twin.command_line.options import is_here
from loadtest.twin.recorder.contract import (
    AUDIO,
    NOT_JSON,
    OBJECT,
    PROTOCOLS,
    REQUEST_HEADERS,
    Line,
    Names,
    parsed,
    path_shape,
    shape,
    shape_of_body,
)
from loadtest.twin.recorder.upstream import http_session

AnySocket = ClientWebSocketResponse | WebSocketResponse

_ANSWER_DEADLINE_S = 120.0
_DIAL_DEADLINE_S = 10.0
_STOP_DEADLINE_S = 2.0
# OpenAI may leave a client's close frame without an answer.
_CLOSING = ClientWSTimeout(ws_close=_STOP_DEADLINE_S)
_LARGEST_BODY = 32 * 1024 * 1024
_HOP_BY_HOP = re.compile(
    "connection|keep-alive|proxy-authenticate|proxy-authorization|te|trailer|transfer-encoding|upgrade|host|"
    "content-length|content-encoding|accept-encoding"
)
_ANSWER_HEADERS = re.compile(
    "x-request-id|retry-after|retry-after-ms|x-should-retry|openai-processing-ms|openai-version|"
    "openai-organization|www-authenticate|allow|location|access-control-allow-origin|"
    "access-control-allow-methods|access-control-allow-headers|access-control-max-age|x-ratelimit-.*"
)
_KEY_PROTOCOL = "openai-insecure-api-key."
# Hundreds of these come in a row, all alike.
_STREAMED = ("input_audio_buffer.append", ".delta", AUDIO)


class Recorder:
    """The proxy of both services. `write` gets every line, in the order of time."""

    def __init__(
        self, *, upstreams: Mapping[str, str], own: Mapping[str, socket.socket], write: Callable[[Line], None]
    ):
        self.names = Names()
        self._upstreams = upstreams
        self._own = own
        self._write = write
        self._rooms: dict[str, str] = {}
        """Address of the real room by the path that stands for it here."""
        self._exchanges = self._sockets = 0

    def url(self, service: str) -> str:
        """The base URL under which a service is reached through the proxy."""
        return f"http://{self.origin(service)}{urlsplit(self._upstreams[service]).path.rstrip('/')}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Accept connections on the bound sockets; all are closed in the end."""
        async with http_session(deadline_s=_ANSWER_DEADLINE_S) as self._http:
            runners = []
            try:
                for service, sock in self._own.items():
                    app = Application(client_max_size=_LARGEST_BODY)
                    app.router.add_route("*", "/{path:.*}", self._handler(service))
                    runners.append(AppRunner(app, access_log=None, shutdown_timeout=_STOP_DEADLINE_S))
                    await runners[-1].setup()
                    await SockSite(runners[-1], sock).start()
                yield
            finally:
                for runner in runners:
                    await runner.cleanup()

    def _handler(self, service: str) -> Callable[[Request], Any]:
        async def handle(request: Request) -> StreamResponse:
            if request.headers.get("upgrade", "").lower() == "websocket":
                return await self._socket(service, request)
            return await self._exchange(service, request)

        return handle

    async def _exchange(self, service: str, request: Request) -> Response:
        self._exchanges += 1
        number = self._exchanges
        body = await request.read()
        asked = self._request_line(service, request)
        asked |= {"exchange": number, "method": request.method, "request": shape_of_body(body, self.names)}
        self._write(asked)
        try:
            async with self._http.request(
                request.method,
                self._target(service, request),
                headers=_passed_on(request.headers),
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("user-agent", "accept", "content-type"),
            ) as answer:
                content = await answer.read()
        except (ClientError, TimeoutError, OSError) as error:
            self._write({"exchange": number, "status": None, "headers": [], "response": NOT_JSON})
            return Response(status=502, text=f"the recorder got no answer: {type(error).__name__}")
        found = parsed(content) if content else None
        self.names.learn(found, source=str(number))
        self._write(
            {
                "exchange": number,
                "status": answer.status,
                "headers": _that_matter(answer.headers),
                "response": shape_of_body(content, self.names),
            }
        )
        return _passed_back(answer.status, answer.headers, self._with_own_room(service, found) or content)

    async def _socket(self, service: str, request: Request) -> StreamResponse:
        self._sockets += 1
        number = self._sockets
        offered = _offered(request)
        known = [each for each in offered if each in PROTOCOLS]
        opening = self._request_line(service, request) | {"socket": number}
        self._write(opening | ({"protocols": known} if known else {}))
        headers = [
            (name, value) for name, value in _passed_on(request.headers) if not name.startswith("sec-websocket-")
        ]
        try:
            async with asyncio.timeout(_DIAL_DEADLINE_S):
                theirs = await self._http.ws_connect(
                    self._target(service, request), headers=headers, protocols=offered, max_msg_size=0, timeout=_CLOSING
                )
        except WSServerHandshakeError as error:
            self._write({"socket": number, "status": error.status, "headers": _that_matter(error.headers)})
            return _passed_back(error.status, error.headers)
        except (ClientError, TimeoutError, OSError):
            self._write({"socket": number, "status": None})
            return Response(status=502)
        try:
            self._write({"socket": number, "status": 101})
            ours = WebSocketResponse(
                timeout=_STOP_DEADLINE_S, protocols=[theirs.protocol] if theirs.protocol else (), max_msg_size=0
            )
            await ours.prepare(request)
            await self._converse(number, client=ours, service=theirs)
            if ours.close_code == 1006 and request.transport is not None:
                request.transport.abort()
            return ours
        finally:
            await theirs.close()

    async def _converse(self, number: int, *, client: WebSocketResponse, service: ClientWebSocketResponse) -> None:
        """Pass on messages both ways until one of the two ends, then end the other alike."""
        streams = {
            "client": asyncio.create_task(self._pass_on(number, client, service, "client")),
            "service": asyncio.create_task(self._pass_on(number, service, client, "service")),
        }
        try:
            await asyncio.wait(streams.values(), return_when=asyncio.FIRST_COMPLETED)
            ended_by = next(name for name, task in streams.items() if task.done())
            code, reason = streams[ended_by].result()
        finally:
            for task in streams.values():
                task.cancel()
            await asyncio.gather(*streams.values(), return_exceptions=True)
        self._write({"socket": number, "ended_by": ended_by, "code": code})
        other = service if ended_by == "client" else client
        # 1005 and 1006 stand for frames that were never sent, and can't be sent either.
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_STOP_DEADLINE_S):
                await other.close(code=code if code not in (1005, 1006) else 1000, message=reason.encode())

    async def _pass_on(self, number: int, source: AnySocket, target: AnySocket, who: str) -> tuple[int, str]:
        """Returns the close code of `source` and its reason, "" for none."""
        seen: list[Line] = []
        while True:
            message = await source.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return source.close_code or 1006, message.extra if isinstance(message.extra, str) else ""
            line = self._message_line(number, who, message.data)
            if not line["type"].endswith(_STREAMED):
                seen.clear()
                self._write(line)
            elif line not in seen:
                seen.append(line)
                self._write(line)
            with contextlib.suppress(ConnectionError):  # the other direction reports the end
                if message.type == WSMsgType.TEXT:
                    await target.send_str(message.data)
                else:
                    await target.send_bytes(message.data)

    def _message_line(self, number: int, who: str, data: str | bytes) -> Line:
        line = {"socket": number, "from": who}
        if isinstance(data, bytes):
            return line | {"type": AUDIO}
        content = parsed(data)
        if who == "service":
            self.names.learn(content, source=f"{number}s")
        else:
            self.names.learn_call(content, source=f"{number}s")
        shaped = shape(content, self.names)
        if not isinstance(shaped, dict):
            return line | {"type": NOT_JSON if content == NOT_JSON else OBJECT}
        if not isinstance(shaped.get("type"), str):
            return line | {"type": OBJECT, "shape": shaped}
        return line | {"type": shaped.pop("type"), "shape": shaped}

    def _request_line(self, service: str, request: Request) -> Line:
        path = request.rel_url.raw_path
        return {
            "service": service,
            "path": path_shape(path, self.names),
            "query": {key: shape(value, self.names, key=key) for key, value in request.query.items()},
            "headers": _kept_headers(request.headers),
            "credentials": self._credentials(request),
        }

    def _credentials(self, request: Request) -> dict[str, str]:
        """Where the request carried a credential, and the name of which."""
        found = {}
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if value:
            found["authorization"] = value.strip()
        elif scheme:
            found["authorization"] = scheme
        if "x-session-token" in request.headers:
            found["x-session-token"] = request.headers["x-session-token"]
        for protocol in _offered(request):
            if protocol.startswith(_KEY_PROTOCOL):
                found["protocol"] = protocol.removeprefix(_KEY_PROTOCOL)
        return {where: self.names.credential(value) for where, value in found.items() if value}

    def _target(self, service: str, request: Request) -> URL:
        room = self._rooms.get(request.rel_url.raw_path)
        if room is not None:
            target = URL(room, encoded=True)
            return target.update_query(request.query) if request.query else target
        parts = urlsplit(self._upstreams[service])
        return URL(f"{parts.scheme}://{parts.netloc}{request.rel_url.raw_path_qs}", encoded=True)

    def _with_own_room(self, service: str, content: Any) -> bytes | None:
        """The answer with the address of the room led through the proxy, None if it has no WebSocket room.

        A service on this host doesn't lead us to another one: that takes `--live`.
        """
        room = content.get("room_url") if isinstance(content, dict) else None
        if not isinstance(room, str) or not room.startswith(("ws://", "wss://")):
            return None
        if is_here(urlsplit(self._upstreams[service]).hostname) and not is_here(urlsplit(room).hostname):
            return None
        path = urlsplit(room).path.rstrip("/")
        if not path or self._rooms.get(path, room) != room:  # rooms that differ in host or query alone
            path = f"{path}/{len(self._rooms) + 1}"
        self._rooms[path] = room
        return json.dumps(content | {"room_url": f"ws://{self.origin(service)}{path}"}).encode()

    def origin(self, service: str) -> str:
        """Where the proxy listens for a service, as `host:port`."""
        host, port = self._own[service].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _offered(request: Request) -> list[str]:
    """The sub-protocols of a socket."""
    named = (each.strip() for each in request.headers.get("sec-websocket-protocol", "").split(","))
    return [each for each in named if each]


def _pairs(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if not _HOP_BY_HOP.fullmatch(name.lower())]


def _passed_on(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in _pairs(headers)] + [("accept-encoding", "identity")]


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request that decide how it is answered; of the page's address only that there is one."""
    found = {name: headers[name].partition(";")[0] for name in REQUEST_HEADERS if name in headers}
    known = {"application/json", "realtime=v1", "GET", "POST", "PATCH", "DELETE", "PUT"}
    sent = {"content-type", "x-session-token", "authorization"}
    return {
        name: value if value in known or {each.strip().lower() for each in value.split(",")} <= sent else "<string>"
        for name, value in found.items()
    }


def _that_matter(headers: Mapping[str, str] | None) -> list[str]:
    """The names of an answer's headers that clients heed."""
    return sorted({name.lower() for name in headers or () if _ANSWER_HEADERS.fullmatch(name.lower())})


def _passed_back(status: int, headers: Mapping[str, str] | None, body: bytes | None = None) -> Response:
    """The answer for the client."""
    passed = Response(status=status, body=body)
    passed.headers.popall("content-type", None)
    for name, value in _pairs(headers or {}):
        passed.headers.add(name, value)
    return passed
