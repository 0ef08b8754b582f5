"""By the official clients and without them: the same calls, facts, failures and secrets kept."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from loadtest.config.settings import Settings
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.services.control import Control
from loadtest.session.ports import Call, ClientSecret, Created
from tests.loadtest.preflight.test_certificates import Certified, proxy
from tests.loadtest.preflight.test_certificates import certified as certified
from tests.serving import Serving

KEYS = {"OPENAI_API_KEY": "sk-of-a-test-of-both", "AVATURN_API_KEY": "key-of-a-test-of-both"}
SECRET = ClientSecret(value="ek_of_a_test", expires_at_s=0)
MINTED = {"value": "ek_minted_0001", "expires_at": 1_900_000_000}
CREATED = {"session_id": "av-1", "token": "token-av-1"}
DEADLINE_S = 20.0
WAYS = pytest.mark.parametrize("http", ["official", "lean"])


def answer(body: Any, *headers: str, status: str = "200 OK") -> bytes:
    raw = json.dumps(body).encode()
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, f"content-length: {len(raw)}", "", "")).encode() + raw


class Service(Serving):
    """Both services on one port. `answers`: by method, the last part of the path or both; each is sent once, the last
    one for ever; None hangs up. `heard`: requests as they came."""

    def __init__(self, answers: Mapping[str, list[bytes | None]] | None = None) -> None:
        usual = {"client_secrets": answer(MINTED), "sessions": answer(CREATED, status="201 Created")}
        self.answers: dict[str, list[bytes | None]] = {name: [told] for name, told in usual.items()}
        self.answers |= {"DELETE": [answer({}, status="204 No Content")[:-2]]} | dict(answers or {})
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.heard.append((first, headers, body))
            method, path, _ = first.split()
            told = self.answers["DELETE" if method == "DELETE" else path.rpartition("/")[2]]
            script = told.pop(0) if len(told) > 1 else told[0]
            if script is None:
                break
            writer.write(script)
            await writer.drain()


@asynccontextmanager
async def listening(service: Service, tls: Any = None) -> AsyncIterator[str]:
    async with await asyncio.start_server(service, "127.0.0.1", 0, ssl=tls) as server:
        try:
            yield f"localhost:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await service.close()


def controlled(http: str, url: str, **target: Any) -> Control:
    where = {"openai_base_url": f"{url}/v1", "avaturn_base_url": url}
    return Control(Settings.model_validate({"target": {**where, "http": http, **target}}), KEYS, connections=4)


def run(http: str, service: Service, work: Callable[[Control], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with (
            asyncio.timeout(DEADLINE_S),
            listening(service) as origin,
            controlled(http, f"http://{origin}") as control,
        ):
            return await work(control)

    return asyncio.run(main())


async def mint(control: Control, call: Call | None = None) -> ClientSecret:
    return await control.mint(call or Call(), ttl_s=60, realtime={"type": "realtime"}, traceparent="00-a-b-01")


async def create(control: Control, call: Call | None = None) -> Created:
    return await control.create(call or Call(), secret=SECRET, fields={"avatar_id": "ä"}, traceparent="00-a-b-01")


async def delete(control: Control, call: Call | None = None) -> int:
    return await control.delete(call or Call(), target_session_id="a/b", traceparent="00-a-b-01")


@WAYS
def test_the_three_calls_are_sent_as_the_contract_has_them(http: str) -> None:
    service = Service()

    async def all_three(control: Control) -> tuple[ClientSecret, Created, int]:
        return await mint(control), await create(control), await delete(control)

    secret, created, status = run(http, service, all_three)
    assert (secret.value, secret.expires_at_s) == ("ek_minted_0001", 1_900_000_000)
    assert (created.target_session_id, created.token, status) == ("av-1", "token-av-1", 204)
    assert [first for first, _, _ in service.heard] == [
        "POST /v1/realtime/client_secrets HTTP/1.1",
        "POST /api/v1/sessions HTTP/1.1",
        "DELETE /api/v1/sessions/a%2Fb HTTP/1.1",
    ]
    keys = [KEYS["OPENAI_API_KEY"], KEYS["AVATURN_API_KEY"], KEYS["AVATURN_API_KEY"]]
    assert [headers["authorization"] for _, headers, _ in service.heard] == [f"Bearer {key}" for key in keys]
    assert {headers["traceparent"] for _, headers, _ in service.heard} == {"00-a-b-01"}
    assert {headers["accept-encoding"] for _, headers, _ in service.heard} == {"gzip, deflate"}
    minted, made, ended = (body for _, _, body in service.heard)
    assert json.loads(minted) == {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": {"type": "realtime"},
    }
    assert json.loads(made) == {
        "conversation_engine": {"type": "openai-realtime", "client_secret": "ek_of_a_test"},
        "avatar_id": "ä",
    }
    assert (service.heard[0][1]["content-type"], service.heard[1][1]["content-type"]) == ("application/json",) * 2
    assert ended == b""


@WAYS
def test_a_call_has_its_facts(http: str) -> None:
    call = Call(what="mint")
    service = Service(
        {"client_secrets": [answer(MINTED, "X-Twin-Handled-Ns: 123", "date: Thu, 01 Jan 2026 00:00:00 GMT")]}
    )
    secret = run(http, service, lambda control: mint(control, call))
    assert (call.http_status, call.server_ns, call.pool_wait_ns, secret.provider_s) == (200, 123, 0, 1_767_225_600)
    assert call.watch.looked == 1


@WAYS
def test_the_wait_for_a_place_among_the_connections_is_told_apart(http: str) -> None:
    calls = [Call() for _ in range(6)]

    async def all_at_once(control: Control) -> None:
        await asyncio.gather(*(create(control, call) for call in calls))

    run(http, Service(), all_at_once)
    assert sorted(call.pool_wait_ns > 0 for call in calls) == [False] * 4 + [True] * 2


@WAYS
@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("429 x", {"code": "insufficient_quota"}, Code.QUOTA),
        ("429 x", {"code": "rate_limit_exceeded"}, Code.RATE_LIMITED),
        ("429 x", {"code": []}, Code.RATE_LIMITED),
        ("401 x", {"code": "invalid_api_key"}, Code.INVALID_API_KEY),
        ("500 x", {"code": "internal_error"}, Code.HTTP_5XX),
        ("400 x", "text", Code.INVALID_REQUEST),
    ],
)
def test_a_refusal_has_the_code_that_the_provider_says(http: str, status: str, error: Any, code: Code) -> None:
    call = Call()
    service = Service({"client_secrets": [answer({"error": error}, status=status)]})
    with pytest.raises(StepError) as raised:
        run(http, service, lambda control: mint(control, call))
    assert (raised.value.kind, raised.value.code) == (Kind.REJECTED, code)
    assert call.http_status == raised.value.http_status == int(status[:3])


@WAYS
def test_a_refusal_that_says_the_key_back_is_told_without_it(http: str) -> None:
    said = {"error": {"message": f"Incorrect API key provided: {KEYS['OPENAI_API_KEY']}."}}
    with pytest.raises(StepError, match="Incorrect API key provided") as raised:
        run(http, Service({"client_secrets": [answer(said, status="401 x")]}), mint)
    assert KEYS["OPENAI_API_KEY"] not in raised.value.detail


@WAYS
@pytest.mark.parametrize("ask", [mint, create, delete])
@pytest.mark.parametrize(
    "location", ["/login", "localhost:8080/login", "about:blank", "https:login", "https://xn--/", "http://h/\x7f"]
)
def test_a_redirect_is_a_refusal_whatever_its_location_is(
    http: str, ask: Callable[[Control], Awaitable[Any]], location: str
) -> None:
    redirect = answer({}, f"Location: {location}", status="307 x")
    service = Service({path: [redirect] for path in ("client_secrets", "sessions", "DELETE")})
    with pytest.raises(StepError) as raised:
        run(http, service, ask)
    error = raised.value
    assert (error.kind, error.code, error.http_status) == (Kind.REJECTED, Code.HTTP_3XX, 307)
    assert (f"a redirect to {location}".rstrip("\x7f") in error.detail) == (ask is not delete)
    assert len(service.heard) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_create_says_that_nothing_was_created_only_where_the_same_is_to_be_asked_elsewhere(
    status: int,
) -> None:
    with pytest.raises(StepError) as raised:
        run("lean", Service({"sessions": [answer({}, "Location: /sessions/av-1", status=f"{status} x")]}), create)
    left = "nothing was created" if status in (307, 308) else "what was asked for may have been created"
    assert f"a redirect to /sessions/av-1; it was not followed, and {left}." in raised.value.detail


@WAYS
def test_cookies_are_taken_back_by_the_service_that_set_them(http: str) -> None:
    service = Service({"sessions": [answer(CREATED, "Set-Cookie: node=7; Path=/", status="201 Created")]})

    async def twice(control: Control) -> None:
        await create(control)
        await create(control)
        await delete(control)
        await mint(control)

    run(http, service, twice)
    assert [headers.get("cookie") for _, headers, _ in service.heard] == [None, "node=7", "node=7", None]


@WAYS
@pytest.mark.parametrize(("ask", "path"), [(mint, "client_secrets"), (create, "sessions"), (delete, "DELETE")])
def test_what_makes_or_ends_something_is_sent_once_though_its_connection_was_used_before(
    http: str, ask: Callable[[Control], Awaitable[Any]], path: str
) -> None:
    first = answer({**MINTED, **CREATED})
    service = Service({path: [first, None]})

    async def twice(control: Control) -> None:
        await ask(control)
        await ask(control)

    with pytest.raises(StepError) as raised:
        run(http, service, twice)
    assert (raised.value.code, raised.value.sent, len(service.heard)) == (Code.CONNECTION_LOST, True, 2)


@WAYS
def test_calls_one_after_the_other_go_over_one_connection(http: str) -> None:
    connections: list[Any] = []

    class Counting(Service):
        async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            await super().__call__(reader, writer)

    async def many(control: Control) -> None:
        for _ in range(5):
            await mint(control)
            await create(control)

    run(http, Counting(), many)
    assert len(connections) == 1


@WAYS
def test_a_call_that_is_cancelled_leaves_no_connection_for_the_next_one(http: str) -> None:
    service = Service({"sessions": [b"HTTP/1.1 201 x\r\ncontent-length: 99\r\n\r\n{", answer(CREATED)]})

    async def cut_off(control: Control) -> Created:
        with contextlib.suppress(TimeoutError, StepError):
            async with asyncio.timeout(0.2):
                await create(control)
        return await create(control)

    assert run(http, service, cut_off).target_session_id == "av-1"


@WAYS
def test_nobody_there_is_told_as_nothing_sent(http: str) -> None:
    async def main() -> StepError:
        async with controlled(http, "http://127.0.0.1:1") as control:
            with pytest.raises(StepError) as raised:
                await create(control)
        return raised.value

    error = asyncio.run(main())
    assert (error.kind, error.code, error.sent) == (Kind.TRANSPORT, Code.CONNECT_FAILED, False)


@WAYS
def test_a_plain_target_is_asked_of_the_proxy_by_its_whole_url(http: str) -> None:
    service = Service()

    async def main() -> Created:
        async with (
            asyncio.timeout(DEADLINE_S),
            listening(service) as entrance,
            controlled(http, "http://localhost:9", proxy=f"http://{entrance}") as control,
        ):
            return await create(control)

    assert asyncio.run(main()).target_session_id == "av-1"
    first, headers, _ = service.heard[0]
    assert (first, headers["host"]) == ("POST http://localhost:9/api/v1/sessions HTTP/1.1", "localhost:9")


@WAYS
@pytest.mark.parametrize("scheme", [None, "http", "https"])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_is_trusted_by_the_file_alone_directly_and_through_a_proxy(
    certified: Certified, http: str, scheme: str | None, trusted: bool
) -> None:
    service, asked, remembered = Service(), list[bytes](), list[int]()
    ca_file = certified.trusted("service", "proxy") if trusted else certified.trusted("proxy")

    async def main() -> Created:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(DEADLINE_S))
            origin = await stack.enter_async_context(listening(service, certified.context("service")))
            through: dict[str, str] = {}
            if scheme is not None:
                entrance = proxy(certified, secured=scheme == "https", asked=asked)
                through = {"proxy": f"{scheme}://localhost:{await stack.enter_async_context(entrance)}"}
            control = controlled(http, f"https://{origin}", ca_file=ca_file, **through)
            await stack.enter_async_context(control)
            try:
                return await create(control)
            finally:
                remembered.append(len(control._session._connections))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if trusted:
            assert runner.run(main()).target_session_id == "av-1"
        else:
            with pytest.raises(StepError) as raised:
                runner.run(main())
            assert (raised.value.code, raised.value.sent) == (Code.CONNECT_FAILED, False)
            assert "certificate" in raised.value.detail.lower()
    assert len(service.heard) == trusted
    assert remembered == [int(trusted)]  # the tunnel is part of the connection in it
    assert [head.split()[0] for head in asked] == [b"CONNECT"] * (scheme is not None)
