"""What is made of an answer by its status alone, and what of its body."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Step
from loadtest.services.control import Control
from loadtest.session.ports import Call, Grant
from loadtest.session.record import failure
from loadtest.text.validation import session_id
from tests.loadtest.services.test_both_ways import (
    DEADLINE_S,
    WAYS,
    Service,
    answer,
    controlled,
    create,
    delete,
    listening,
    mint,
    run,
)

OWN_DELETE = {
    "url": "http://localhost:9/backend",
    "session_id": "session_id",
    "delete": {"url": "http://localhost:9/stop/{session_id}", "method": "POST"},
}


@WAYS
@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 205, 206, 226, 404, 410])
def test_a_delete_is_done_by_every_answer_of_success_and_where_there_is_nothing_to_delete(
    http: str, status: int
) -> None:
    service = Service({"DELETE": [answer("", status=f"{status} x")]})
    assert run(http, service, delete) == status
    assert len(service.heard) == 1


@WAYS
def test_the_longest_id_that_is_taken_can_be_deleted_by(http: str) -> None:
    longest = "🧪" * 5_000
    assert session_id(longest, "it")[0] == longest

    async def end(control: Control) -> int:
        return await control.delete(Call(), target_session_id=longest, traceparent="00-a-b-01")

    assert run(http, Service(), end) == 204


@WAYS
@pytest.mark.parametrize("status", [302, 400, 401, 403, 409, 429, 500, 503])
def test_a_delete_is_refused_by_every_other_answer(http: str, status: int) -> None:
    with pytest.raises(StepError) as raised:
        run(http, Service({"DELETE": [answer("", status=f"{status} x")]}), delete)
    assert (raised.value.kind, raised.value.http_status) == (Kind.REJECTED, status)


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ((), None),
        (("Retry-After: 7",), 7.0),
        (("Date: Thu, 01 Jan 2026 00:00:00 GMT", "Retry-After: Thu, 01 Jan 2026 00:00:09 GMT"), 9.0),
        (("Date: Thu, 01 Jan 2026 00:00:09 GMT", "Retry-After: Thu, 01 Jan 2026 00:00:00 GMT"), 0.0),
        (("Retry-After: Thu, 01 Jan 2026 00:00:09 GMT",), None),  # of which clock?
        (("Retry-After: soon",), None),
        (("Retry-After: -1",), None),
    ],
)
def test_a_refusal_says_when_to_come_again(headers: tuple[str, ...], after_s: float | None) -> None:
    with pytest.raises(StepError) as raised:
        run("lean", Service({"DELETE": [answer("", *headers, status="503 x")]}), delete)
    assert raised.value.retry_after_s == after_s


def test_a_delete_at_ones_own_endpoint_is_done_by_the_answer_that_a_post_gets() -> None:
    service = Service({"av-1": [answer({"ended": True}, status="201 Created")]})

    async def main() -> int:
        async with asyncio.timeout(DEADLINE_S), listening(service) as origin:
            own = {name: each.replace("localhost:9", origin) for name, each in OWN_DELETE["delete"].items()}
            async with controlled("lean", f"http://{origin}", backend=OWN_DELETE | {"delete": own}) as control:
                return await control.delete(Call(), target_session_id="av-1", traceparent="00-a-b-01")

    assert asyncio.run(main()) == 201
    assert [first for first, _, _ in service.heard] == ["POST /stop/av-1 HTTP/1.1"]


@pytest.mark.parametrize(
    ("room_url", "is_same"),
    [
        ("wss://rt.example/", False),
        ("https://rt.example/whip", False),
        ("https://notdaily.co/room", False),
        ("https://x.daily.co/room", True),
    ],
)
def test_one_address_is_one_room_for_two_tokens_only_where_the_address_is_the_room(
    room_url: str, is_same: bool
) -> None:
    def granted(token: str) -> Grant:
        service = Service({"sessions": [answer({"room_url": room_url, "limited_access_token": token})]})
        return run("lean", service, lambda control: control.grant(Call(), token="t", traceparent="00-a-b-01"))  # type: ignore[no-any-return]

    first, second, again = granted("token-1"), granted("token-2"), granted("token-1")
    assert (first.room == second.room, first.room == again.room) == (is_same, True)


def packed(encoding: str, body: bytes = b"\x0b\x80{}\x03", *, status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


UNREADABLE = pytest.mark.parametrize("encoding", ["br", "zstd", "gzip", "deflate"])


@WAYS
@UNREADABLE
def test_a_body_that_cant_be_unpacked_is_no_failure_of_a_call_whose_status_says_all(http: str, encoding: str) -> None:
    service = Service({"DELETE": [packed(encoding, status="200 x")], "sessions": [packed(encoding, status="200 x")]})

    async def both(control: Control) -> tuple[int, int]:
        return await delete(control), await control.look(Call(), token="t", traceparent="00-a-b-01")

    assert run(http, service, both) == (200, 200)


@WAYS
@UNREADABLE
def test_a_body_of_nothing_has_no_encoding(http: str, encoding: str) -> None:
    with pytest.raises(StepError) as raised:
        run(http, Service({"sessions": [packed(encoding, b"", status="201 x")]}), create)
    assert (raised.value.kind, raised.value.code) == (Kind.PROTOCOL, Code.BAD_JSON)


@WAYS
@UNREADABLE
@pytest.mark.parametrize(("status", "code"), [("503 x", Code.HTTP_5XX), ("429 x", Code.RATE_LIMITED)])
@pytest.mark.parametrize(("ask", "path"), [(mint, "client_secrets"), (create, "sessions"), (delete, "DELETE")])
def test_a_refusal_that_cant_be_unpacked_is_one_by_its_status(
    http: str, encoding: str, status: str, code: Code, ask: Callable[[Control], Awaitable[Any]], path: str
) -> None:
    with pytest.raises(StepError) as raised:
        run(http, Service({path: [packed(encoding, status=status)]}), ask)
    assert (raised.value.kind, raised.value.code, raised.value.http_status) == (Kind.REJECTED, code, int(status[:3]))


@WAYS
@pytest.mark.parametrize(("ask", "path"), [(mint, "client_secrets"), (create, "sessions")])
def test_an_answer_of_success_that_cant_be_unpacked_is_none(
    http: str, ask: Callable[[Control], Awaitable[Any]], path: str
) -> None:
    with pytest.raises(StepError) as raised:
        run(http, Service({path: [packed("br", status="200 x")]}), ask)
    assert (raised.value.kind, raised.value.code, raised.value.http_status) == (Kind.PROTOCOL, Code.BAD_SHAPE, 200)


@WAYS
@UNREADABLE
def test_a_session_in_plain_text_that_is_called_packed_is_found_and_can_be_deleted(http: str, encoding: str) -> None:
    plain = b'{"session_id": "av-7", "token": "t"}'
    created = run(http, Service({"sessions": [packed(encoding, plain, status="201 x")]}), create)
    assert created.target_session_id == "av-7"
    assert (created.flaw.kind, created.flaw.code) == (Kind.PROTOCOL, Code.BAD_SHAPE)


@WAYS
@pytest.mark.parametrize(("ask", "path"), [(mint, "client_secrets"), (create, "sessions"), (delete, "DELETE")])
def test_a_proxy_that_wants_a_password_is_no_refusal_of_the_target(
    http: str, ask: Callable[[Control], Awaitable[Any]], path: str
) -> None:
    with pytest.raises(StepError) as raised:
        run(http, Service({path: [answer("", status="407 Proxy Authentication Required")]}), ask)
    assert (raised.value.kind, raised.value.code) == (Kind.TRANSPORT, Code.CONNECT_FAILED)
    assert raised.value.detail == "the proxy refused the way to the target: 407"


@WAYS
def test_a_refusal_longer_than_is_read_is_one_by_its_status(http: str) -> None:
    long = b"HTTP/1.1 503 x\r\ncontent-length: 6000000\r\n\r\n" + b" " * 6_000_000
    with pytest.raises(StepError) as raised:
        run(http, Service({"sessions": [long]}), create)
    assert (raised.value.kind, raised.value.code) == (Kind.REJECTED, Code.HTTP_5XX)


@WAYS
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"value": "ek_1", "expires_at": 1e12}', "expires_at"),
        (b'{"value": "ek_1"}', "expires_at"),
        (b'{"expires_at": 1900000000}', "value"),
        (b"[]", None),
        (b"<html>", None),
        (b"[" * 200 + b"]" * 200, None),
        (b" " * 5_000_000, None),
    ],
)
def test_a_failed_mint_says_which_field_of_its_answer_was_wrong_and_only_then(
    http: str, body: bytes, field: str | None
) -> None:
    script = b"HTTP/1.1 200 x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    with pytest.raises(StepError) as raised:
        run(http, Service({"client_secrets": [script]}), mint)
    assert (raised.value.kind, raised.value.field) == (Kind.PROTOCOL, field)
    assert failure(Step.MINT, raised.value).field == field
