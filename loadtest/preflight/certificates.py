"""Whether the target's certificates are trusted here: looked at once, before a load of sessions fails over it."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from loadtest.config.access.trust import trust
from loadtest.config.settings import Target
from loadtest.errors.exceptions import ConfigError

_DEADLINE_S = 5.0
_DATES: Final = {
    9: "it isn't valid yet: is this machine's clock right?",
    10: "renew it there, or is this machine's clock wrong?",
    62: "it is for another name: is the address spelt as in the certificate?",
    64: "it is for another address: is there a name that it is for?",
}
"""Verify codes of OpenSSL (X509_V_ERR_…) that no other authority would help against, and what does."""
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def check_certificates(target: Target) -> None:
    """Of all that a run of it contacts. Raises ConfigError with a sentence for each that isn't trusted."""
    if problems := asyncio.run(untrusted(urls_of(target), target)):
        raise ConfigError(problems)


def urls_of(target: Target) -> list[str]:
    """Where a run of it asks."""
    backend = [] if target.backend is None else target.backend.endpoints
    return [url for url in (target.openai_base_url, target.avaturn_base_url, *backend) if url]


async def untrusted(urls: Iterable[str], target: Target) -> list[str]:
    """A TLS handshake with each of these that has TLS, on the way and with the trust of the target; nothing is asked.

    Returns a sentence for each certificate that isn't trusted. Whatever else goes wrong is the run's to find out.
    """
    found = {urlsplit(url) for url in urls if urlsplit(url).scheme == "https"}
    way = None if target.proxy is None else urlsplit(target.proxy)
    if not found:
        return []
    trusted = trust(target.ca_file)
    hosts = sorted({(url.hostname or "", url.port or 443) for url in found})
    said = await asyncio.gather(*(_flaw(host, port, way=way, trusted=trusted) for host, port in hosts))
    return list(dict.fromkeys(sentence for sentence in said if sentence))


async def _flaw(host: str, port: int, *, way: SplitResult | None, trusted: ssl.SSLContext) -> str | None:
    """What is wrong with the certificate of that host, or of the proxy before it."""
    met = f"{host}:{port}"
    try:
        async with asyncio.timeout(_DEADLINE_S), contextlib.AsyncExitStack() as stack:
            if way is None:
                _, writer = await asyncio.open_connection(host, port, ssl=trusted)
                stack.callback(writer.transport.abort)
                return None
            secured = way.scheme == "https"
            entrance = (way.hostname or "", way.port or (443 if secured else 80))
            met = f"{entrance[0]}:{entrance[1]}, the proxy"
            reader, writer = await asyncio.open_connection(*entrance, ssl=trusted if secured else None)
            stack.callback(writer.transport.abort)
            writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            status, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
            met = f"{host}:{port}"
            if status.split()[1:2] == [b"200"]:
                await _shake_hands(reader, writer, host, trusted)
    except ssl.SSLCertVerificationError as error:
        what = _DATES.get(error.verify_code, "--ca-file FILE names the authority to trust")
        return f"{met}: its certificate is not trusted here ({error.verify_message}); {what}"
    except ssl.SSLError as error:
        if error.reason in _NO_TLS:
            return f"{met}: it speaks no TLS ({error.reason}); is it http:// there, or another port?"
    except (OSError, EOFError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
        pass
    return None


async def _shake_hands(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, trusted: ssl.SSLContext
) -> None:
    """TLS within a connection that may have TLS itself. asyncio's own start_tls does not end where a certificate in
    there is refused. Raises ssl.SSLError, EOFError."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusted.wrap_bio(incoming, outgoing, server_hostname=host)
    done = False
    while not done:
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
            done = True
        writer.write(outgoing.read())
        await writer.drain()
        if not done:
            part = await reader.read(65536)
            if not part:
                raise EOFError
            incoming.write(part)
