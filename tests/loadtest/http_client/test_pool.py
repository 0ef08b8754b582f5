"""Connections that are kept: which one the next call gets, and which one nobody gets any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest.http_client import connection as module
from loadtest.http_client.connection import Answer, BrokenAnswerError, LostConnectionError
from loadtest.http_client.pool import Pool, UnreachableError, header_lines
from loadtest.session.ports import Call
from tests.serving import Serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
DEADLINE_S = 10.0
Asked = Callable[..., Awaitable[bytes]]


class Server(Serving):
    """Answers every request with the next of `answers`, the last one for ever. `opened`: connections so far."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.opened, self.writers = list(answers), 0, list[asyncio.StreamWriter]()
        super().__init__()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.writers.append(writer)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[Asked]:
    async with (
        asyncio.timeout(DEADLINE_S),
        await asyncio.start_server(server, "127.0.0.1", 0) as listening,
        Pool(trust=None, connections=3) as pool,
    ):
        port = listening.sockets[0].getsockname()[1]

        async def ask(method: str = "GET", *, repeatable: bool = False) -> bytes:
            answer = Answer()
            url = f"http://127.0.0.1:{port}/x"
            await pool.ask(Call(), answer, method=method, url=url, lines=b"Host: x\r\n", repeatable=repeatable)
            return b"".join(answer.pieces)

        try:
            yield ask
        finally:
            await pool.close()
            await server.close()


def played(server: Server, script: Callable[[Asked], Awaitable[list[bytes]]]) -> list[bytes]:
    async def main() -> list[bytes]:
        async with asking(server) as ask:
            return await script(ask)

    return asyncio.run(main())


def test_the_connection_that_was_used_last_is_used_next() -> None:
    server = Server(OK)

    async def script(ask: Asked) -> list[bytes]:
        await asyncio.gather(ask(), ask(), ask())
        return [await ask() for _ in range(5)]

    assert played(server, script) == [b"ok"] * 5
    assert server.opened == 3


@pytest.mark.parametrize(
    ("kept_s", "said", "opened"),
    [
        (module.KEPT_S, b"", 1),
        (-1.0, b"", 2),
        (module.KEPT_S, b"keep-alive: timeout=5, max=99\r\n", 1),
        (module.KEPT_S, b"Keep-Alive: max=99, Timeout=0\r\n", 2),
        (-1.0, b"Keep-Alive: timeout=60\r\n", 2),
        (module.KEPT_S, b"Keep-Alive: timeout=-1\r\nkeep-alive: \xff\r\n", 1),
    ],
)
def test_a_connection_is_given_up_before_the_target_gives_it_up(
    monkeypatch: pytest.MonkeyPatch, kept_s: float, said: bytes, opened: int
) -> None:
    assert module.KEPT_S < 5.0, "servers that hang up after 5 s would do so just as a create is sent"
    monkeypatch.setattr(module, "KEPT_S", kept_s)
    server = Server(OK.replace(b"content", said + b"content"))

    async def script(ask: Asked) -> list[bytes]:
        return [await ask(), await ask()]

    assert played(server, script) == [b"ok", b"ok"]
    assert server.opened == opened


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(OK + OK, id="a second answer, which nobody asked for"),
        pytest.param(OK + b"rubbish", id="something behind the answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", id="the last one"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", id="of HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            id="with a length besides its chunks",
        ),
    ],
)
def test_what_comes_behind_an_answer_is_nobodys(first: bytes) -> None:
    server = Server(first, b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext")

    async def script(ask: Asked) -> list[bytes]:
        return [await ask(), await ask()]

    assert played(server, script) == [b"ok", b"next"]
    assert server.opened == 2


def test_what_comes_while_nobody_asks_ends_the_connection() -> None:
    server = Server(OK)

    async def script(ask: Asked) -> list[bytes]:
        first = await ask()
        server.writers[0].write(OK.replace(b"ok", b"no"))
        await server.writers[0].drain()
        await asyncio.sleep(0.05)
        return [first, await ask()]

    assert played(server, script) == [b"ok", b"ok"]
    assert server.opened == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * (101 << 10) + b"\r\n\r\n", "more than 100 kB of headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "more than 100 kB of headers"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * (300 << 10), "more than 100 kB of headers"),
        (b"HTTP/1.1 103 x\r\n\r\n" * 101 + OK, "more than 100 answers of 1xx"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 5_000_000, "a body of more than 4 MiB"),
        (CHUNKED + b"2\r\nok\r\n0\r\nx: " + b"y" * (1 << 20), "HTTP 200 with more than 100 kB of trailers"),
        (CHUNKED + b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * (1 << 17), "HTTP 200 with more than 100 kB of trailers"),
        (CHUNKED + b"2;" + b"y" * (1 << 20), "or of words beside its chunks"),
        (CHUNKED + (b"1;" + b"y" * 1000 + b"\r\nx\r\n") * 1000, "or of words beside its chunks"),
        (CHUNKED + b"1\r\nx\r\n" * 70_000, "a body in more than 65536 pieces"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: x\r\n\r\nok",
            "HTTP 200 with a length besides its transfer",
        ),
        (b"HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "another protocol"),
    ],
)
def test_an_answer_beyond_the_bounds_is_refused_and_its_connection_closed(answer: bytes, told: str) -> None:
    server = Server(answer, OK)

    async def script(ask: Asked) -> list[bytes]:
        with pytest.raises(BrokenAnswerError, match=told):
            await ask()
        return [await ask()]

    assert played(server, script) == [b"ok"]
    assert server.opened == 2


def test_headers_of_up_to_the_bound_are_taken() -> None:
    answer = b"HTTP/1.1 200 OK\r\nx: " + b"y" * (99 << 10) + b"\r\ncontent-length: 2\r\n\r\nok"
    assert played(Server(answer), lambda ask: asyncio.gather(ask())) == [b"ok"]


@pytest.mark.parametrize(
    ("framed", "size"),
    [
        (b"2\r\nok\r\n0\r\nx: " + b"y" * (99 << 10) + b"\r\n\r\n", 2),
        (b"1\r\nx\r\n" * 60_000 + b"0\r\n\r\n", 60_000),
        ((b"400;a=" + b"y" * 100 + b"\r\n" + b"x" * 1024 + b"\r\n") * 3000 + b"0\r\n\r\n", 3000 << 10),
    ],
    ids=["a trailer", "byte by byte", "extensions"],
)
def test_chunks_and_trailers_of_up_to_the_bound_are_taken(framed: bytes, size: int) -> None:
    (body,) = played(Server(CHUNKED + framed), lambda ask: asyncio.gather(ask()))
    assert len(body) == size


def test_a_call_that_may_be_repeated_is_repeated_once_alone() -> None:
    """The second request of a connection is answered by its end."""

    class Fickle(Server):
        async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.opened += 1
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\r\n\r\n")
                if self.opened == 1:
                    writer.write(OK)
                    await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            await asyncio.sleep(0)

    server = Fickle(OK)

    async def script(ask: Asked) -> list[bytes]:
        first = await ask()
        with pytest.raises(LostConnectionError):
            await ask(repeatable=True)
        return [first]

    assert played(server, script) == [b"ok"]
    assert server.opened == 2


def test_nobody_there_is_said_with_the_address() -> None:
    async def main() -> None:
        async with Pool(trust=None, connections=1) as pool:
            for _ in range(2):  # its place is free again
                with pytest.raises(UnreachableError, match=r"Cannot connect to 127\.0\.0\.1:1 \["):
                    await pool.ask(Call(), Answer(), method="GET", url="http://127.0.0.1:1/", lines=b"")

    asyncio.run(main())


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b"])
def test_a_header_can_not_bring_another_one(value: str) -> None:
    with pytest.raises(ValueError, match="a line break in a header"):
        header_lines([("x", value)])


def test_headers_go_out_as_they_are_given() -> None:
    assert header_lines([("X-One", "é"), (b"two", b"\xe9")]) == b"X-One: \xc3\xa9\r\ntwo: \xe9\r\n"
