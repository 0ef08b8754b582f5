"""Which certificates are trusted, on the way that a run takes: directly, through a proxy, through one with TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from loadtest.config.keys.backend import BackendTarget
from loadtest.config.settings import Target
from loadtest.errors.exceptions import ConfigError
from loadtest.preflight.certificates import check_certificates, untrusted, urls_of


@dataclass
class Certified:
    """Two authorities, a file with one or both, and servers that show a certificate of one of them."""

    folder: Path

    def __post_init__(self) -> None:
        self.authorities = {"service": trustme.CA(), "proxy": trustme.CA()}

    def trusted(self, *names: str) -> Path:
        path = self.folder / f"{'-'.join(names) or 'nobody'}.pem"
        others = [self.authorities[name] for name in names] or [trustme.CA()]
        path.write_bytes(b"".join(authority.cert_pem.bytes() for authority in others))
        return path

    def context(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authorities[name].issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return context


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path)


@asynccontextmanager
async def service(certified: Certified) -> AsyncIterator[int]:
    """A port that speaks TLS."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=certified.context("service")) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def proxy(certified: Certified, *, secured: bool, asked: list[bytes], status: int = 200) -> AsyncIterator[int]:
    """A port that opens tunnels."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await source.read(65536):
                sink.write(part)
                await sink.drain()
        sink.transport.abort()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(writer.transport.abort)
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(head)
            writer.write(f"HTTP/1.1 {status} said\r\n\r\n".encode())
            await writer.drain()
            if status != 200:
                await reader.read()
                return
            host, _, port = head.split()[1].decode().partition(":")
            beyond_reader, beyond_writer = await asyncio.open_connection(host, int(port))
            stack.callback(beyond_writer.transport.abort)
            await asyncio.gather(pump(reader, beyond_writer), pump(beyond_reader, writer))

    context = certified.context("proxy") if secured else None
    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def target(port: int, ca_file: Path, *, through: str | None = None) -> Target:
    url = f"https://localhost:{port}"
    return Target(openai_base_url=f"{url}/v1", avaturn_base_url=url, ca_file=ca_file, proxy=through)


def said_of(certified: Certified, *names: str, scheme: str | None, status: int = 200) -> tuple[list[str], list[bytes]]:
    """What is said with these authorities trusted, ports as names; and what a proxy was asked."""
    asked: list[bytes] = []

    async def look() -> list[str]:
        async with contextlib.AsyncExitStack() as stack:
            port = await stack.enter_async_context(service(certified))
            through, ports = None, {str(port): "SERVICE"}
            if scheme is not None:
                entrance = proxy(certified, secured=scheme == "https", asked=asked, status=status)
                proxied = await stack.enter_async_context(entrance)
                through, ports = f"{scheme}://localhost:{proxied}", {**ports, str(proxied): "PROXY"}
            contacted = target(port, certified.trusted(*names), through=through)
            found = await untrusted(urls_of(contacted), contacted)
        for number, name in ports.items():
            found = [sentence.replace(number, name) for sentence in found]
        return found

    return asyncio.run(look()), asked


@pytest.mark.parametrize("scheme", [None, "http", "https"])
def test_a_service_whose_authority_is_trusted_is_fine_on_every_way(certified: Certified, scheme: str | None) -> None:
    said, asked = said_of(certified, "service", "proxy", scheme=scheme)
    assert said == []
    assert len(asked) == (scheme is not None)


@pytest.mark.parametrize("scheme", [None, "http", "https"])
def test_a_service_that_is_not_trusted_is_named_once_on_every_way(certified: Certified, scheme: str | None) -> None:
    said, _ = said_of(certified, "proxy", scheme=scheme)
    (sentence,) = said
    assert sentence.startswith("localhost:SERVICE: its certificate is not trusted here (")
    assert "--ca-file" in sentence


def test_a_proxy_that_is_not_trusted_is_named_as_the_proxy(certified: Certified) -> None:
    said, asked = said_of(certified, "service", scheme="https")
    (sentence,) = said
    assert sentence.startswith("localhost:PROXY, the proxy: its certificate is not trusted here (")
    assert asked == []


def test_whatever_else_goes_wrong_is_the_runs_to_find_out(certified: Certified) -> None:
    assert said_of(certified, "service", "proxy", scheme="https", status=407)[0] == []
    check_certificates(target(1, certified.trusted("service")))


def test_a_run_looks_at_every_url_that_it_asks(certified: Certified) -> None:
    delete = {"url": "https://stop.example/{session_id}", "method": "POST"}
    backend = {"url": "https://shop.example/start", "session_id": "id", "token": "token", "delete": delete}
    contacted = target(1, certified.trusted("service")).model_copy(update={"backend": BackendTarget(**backend)})
    assert [urlsplit(url).hostname for url in urls_of(contacted)] == [
        *("localhost", "localhost", "shop.example", "stop.example"),
    ]


def test_who_starts_something_gets_the_sentences(certified: Certified, monkeypatch: pytest.MonkeyPatch) -> None:
    async def one(*_: object) -> list[str]:
        return ["not trusted"]

    monkeypatch.setattr("loadtest.preflight.certificates.untrusted", one)
    with pytest.raises(ConfigError) as raised:
        check_certificates(target(1, certified.trusted("service")))
    assert raised.value.problems == ["not trusted"]


@pytest.mark.parametrize(
    ("issued", "says"),
    [
        ({"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 1, 2, tzinfo=UTC)}, "renew it"),
        (
            {"not_before": datetime(2199, 1, 1, tzinfo=UTC), "not_after": datetime(2199, 1, 2, tzinfo=UTC)},
            "isn't valid",
        ),
    ],
    ids=["expired", "not yet"],
)
def test_a_certificate_whose_time_is_over_or_not_come_is_no_question_of_trust(
    issued: dict[str, datetime], says: str, certified: Certified
) -> None:
    authority = certified.authorities["service"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", **issued).configure_cert(context)
    (sentence,) = at(context, certified)
    assert "its certificate is not trusted here (certificate " in sentence
    assert says in sentence
    assert "--ca-file" not in sentence


def test_a_certificate_for_another_name_is_said_as_that(certified: Certified) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certified.authorities["service"].issue_cert("elsewhere.example").configure_cert(context)
    (sentence,) = at(context, certified)
    assert sentence.endswith("it is for another name: is the address spelt as in the certificate?")


def test_a_port_without_tls_is_said_as_that(certified: Certified) -> None:
    (sentence,) = at(None, certified)
    assert "it speaks no TLS" in sentence


def at(context: ssl.SSLContext | None, certified: Certified) -> list[str]:
    """What is said of a server with that, of an authority that is trusted."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
        writer.transport.abort()

    async def look() -> list[str]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            contacted = target(port, certified.trusted("service"))
            return await untrusted(urls_of(contacted), contacted)

    return asyncio.run(look())
