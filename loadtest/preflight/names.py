"""Names of hosts, looked up before anything is started: a misspelt one is the operator's, not the target's."""

import ipaddress
import socket
import threading
from typing import Final
from urllib.parse import urlsplit

from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError

DEADLINE_S: Final = 10.0


def check_names(settings: Settings) -> None:
    """Raises ConfigError for every host that we would have to find and whose name doesn't resolve. Where a proxy is
    configured it finds the others."""
    target = settings.target
    urls = {
        "target.openai_base_url": target.openai_base_url,
        "target.avaturn_base_url": target.avaturn_base_url,
    }
    if target.backend is not None:
        urls["target.backend.url"] = target.backend.url
        if target.backend.delete is not None:
            urls["target.backend.delete.url"] = target.backend.delete.url
    if target.proxy is not None:
        urls = {"target.proxy": target.proxy}
    hosts = {setting: urlsplit(url).hostname or "" for setting, url in urls.items() if url is not None}
    why = {host: _why_not(host) for host in dict.fromkeys(hosts.values())}
    problems = [f"{setting}: {host}: {why[host]}" for setting, host in hosts.items() if why[host] is not None]
    if problems:
        raise ConfigError(problems)


def _why_not(host: str) -> str | None:
    """Why nobody can be found under this name; None: somebody can. The system's resolver has no deadline of its own."""
    if _is_address(host):
        return None
    said: list[str | None] = []

    def look() -> None:
        try:
            socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            said.append(None)
        except (OSError, UnicodeError) as error:
            said.append(f"this name doesn't resolve ({getattr(error, 'strerror', None) or error}); is it spelt right?")

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(DEADLINE_S)
    return said[0] if said else f"this name did not resolve within {DEADLINE_S:g} s"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
