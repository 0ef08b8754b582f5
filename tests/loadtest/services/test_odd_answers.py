"""Answers that the official clients take are taken, from servers as they are."""

import asyncio
import gzip
import socket
import threading
import zlib

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.services.transport import fetch, open_session
from loadtest.session.ports import Call
from loadtest.text import validation

BODY = b'{"ok": 1}'
Answer = tuple[int, bytes]
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(BODY) + RAW.flush()


def ok(*headers: bytes, body: bytes = BODY, version: bytes = b"HTTP/1.1", length: bool = True) -> bytes:
    size = (b"content-length: %d" % len(body),) if length else ()
    return b"\r\n".join((version + b" 200 OK", *headers, *size, b"", body))


async def asked(*answers: bytes, calls: int = 1, method: str = "GET", host: str = "127.0.0.1") -> list[Answer]:
    """What calls, one after the other, get of a server that sends these bytes and then closes the connection."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    got: list[Answer] = []
    async with server, open_session(connections=2, verify=False) as session:
        for _ in range(calls):
            status, _, body = await fetch(session, Call(), method=method, url=url, headers={}, proxy=None)
            got.append((status, body))
    return got


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"x-long: " + b"y" * 90_000),
        ok(b"set-cookie: a=" + b"y" * 9_000),
        ok(*(b"x-%d: y" % number for number in range(900))),
        ok(b"x-folded: one\r\n  two\r\n\tthree"),
        ok(b"x-latin: caf\xe9"),
        b"HTTP/1.1 200 " + b"O" * 9_000 + b"\r\ncontent-length: 9\r\n\r\n" + BODY,
        b"HTTP/1.1 200\r\nCONTENT-LENGTH: 9\r\n\r\n" + BODY,
        CHUNKED + b"Trailer: x-t\r\n\r\n9\r\n" + BODY + b"\r\n0\r\nX-T: 1\r\n\r\n",
        CHUNKED + b"\r\n9;a=b\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ok(),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + ok(),
        ok(b"connection: close", length=False),
        ok(length=False),
        ok(version=b"HTTP/1.0", length=False),
        ok(b"Connection: keep-alive", version=b"HTTP/1.0"),
        ok(b"content-encoding: gzip", body=gzip.compress(BODY)),
        ok(b"Content-Encoding: GZIP", body=gzip.compress(BODY)),
        ok(b"content-encoding: deflate", body=zlib.compress(BODY)),
        ok(b"content-encoding: deflate", body=DEFLATED),
        ok(b"content-encoding: identity"),
        ok(b"content-encoding: aws-chunked"),
        ok().replace(b"\r\n", b"\n"),
    ],
    ids=range(22),
)
def test_it_is_taken(answer: bytes) -> None:
    assert asyncio.run(asked(answer)) == [(200, BODY)]


def test_an_address_of_version_6_is_reached() -> None:
    assert asyncio.run(asked(ok(), host="::1")) == [(200, BODY)]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_connection_that_was_closed_between_two_calls_is_nobodys_failure(method: str) -> None:
    """Each answer closes its connection without a word of it; the next call must not go out on it."""

    async def main() -> list[Answer]:
        return await asked(*[ok()] * 20, calls=20, method=method)

    assert asyncio.run(main()) == [(200, BODY)] * 20


def test_a_create_does_not_go_out_over_a_connection_whose_end_the_loop_was_not_told_of() -> None:
    """The server hangs up while nothing else of ours gets to run."""
    answered: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def serve() -> None:
            for number in range(3):
                connection, _ = server.accept()
                with connection:
                    if connection.recv(1 << 16):
                        answered.append(number)
                        connection.sendall(ok())
                hung_up.release()

        async def main() -> list[Answer]:
            got = []
            async with open_session(connections=2, verify=False) as session:
                for _ in range(3):
                    status, _, body = await fetch(session, Call(), method="POST", url=url, headers={}, proxy=None)
                    got.append((status, body))
                    assert hung_up.acquire(timeout=10)  # it is to block the loop
            return got

        hung_up = threading.Semaphore(0)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            assert asyncio.run(main()) == [(200, BODY)] * 3
        finally:
            server.close()
            thread.join(10)
    assert answered == [0, 1, 2]


def test_a_create_whose_connection_breaks_is_sent_once_and_may_have_been_heard() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async def main() -> StepError:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, open_session(connections=1, verify=False) as session:
            with pytest.raises(StepError) as raised:
                await fetch(session, Call(), method="POST", url=url, headers={}, body=b"", proxy=None)
        return raised.value

    error = asyncio.run(main())
    assert (error.kind, error.code, error.sent, len(heard)) == (Kind.TRANSPORT, Code.CONNECTION_LOST, True, 1)


@pytest.mark.parametrize(
    "text",
    [
        '{"ok": "é"}'.encode(),
        '\ufeff{"ok": "é"}'.encode(),
        '{"ok": "é"}'.encode("utf-16"),
        b'  \r\n{"ok": "\\u00e9"}\n',
    ],
)
def test_json_is_read_in_every_encoding_that_it_may_have(text: bytes) -> None:
    assert validation.json_object(text, "the answer") == {"ok": "é"}
