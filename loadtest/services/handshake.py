"""Whether the target's certificates are trusted here: looked at once, before a load of sessions fails over it."""

import contextlib
import http.client
import ssl
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from loadtest.config.access.trust import trust
from loadtest.config.settings import Target
from loadtest.language.errors import ConfigError

_DEADLINE_S = 5.0


def check_certificates(target: Target) -> None:
    """A TLS handshake with each service that has one, on the way that the load will take; nothing is asked.

    Raises ConfigError for a certificate that isn't trusted. Whatever else goes wrong is the run's to find out.
    """
    backend = None if target.backend is None else str(target.backend.url)
    urls = [url for url in (target.openai_base_url, target.avaturn_base_url, backend) if url]
    found = {urlsplit(url) for url in urls if urlsplit(url).scheme == "https"}
    trusted = trust(target.ca_file) if found else None
    problems = []
    for host, port in sorted({(url.hostname or "", url.port or 443) for url in found}):
        try:
            with contextlib.closing(_connection(host, port, proxy=target.proxy, trusted=trusted)) as connection:
                connection.connect()
        except ssl.SSLCertVerificationError as error:
            problems.append(
                f"{host}:{port}: its certificate is not trusted here ({error.verify_message}); "
                "--ca-file FILE names the authority to trust"
            )
        except (OSError, http.client.HTTPException):
            continue
    if problems:
        raise ConfigError(problems)


def _connection(
    host: str, port: int, *, proxy: str | None, trusted: ssl.SSLContext | None
) -> http.client.HTTPSConnection:
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=_DEADLINE_S, context=trusted)
    way = urlsplit(proxy)
    connection = http.client.HTTPSConnection(way.hostname or "", way.port or 80, timeout=_DEADLINE_S, context=trusted)
    credentials = f"{unquote(way.username or '')}:{unquote(way.password or '')}".encode()
    known = {"Proxy-Authorization": f"Basic {b64encode(credentials).decode()}"} if way.username else {}
    connection.set_tunnel(host, port, headers=known)
    return connection
