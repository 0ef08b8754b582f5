"""Cookies, of a virtual user as a browser would keep them and of the services' clients: `http.cookiejar` knows their
grammar, times and places."""

import http.client
import re
import urllib.request
from collections.abc import Iterable
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

from loadtest.secrecy.redact import remember
from loadtest.text.validation import is_loopback

MAX_COOKIES: Final = 180
"""Of one jar, as a browser has it for a site: the oldest go first."""
MAX_COOKIE_BYTES: Final = 16_384
"""Of one with all its attributes, and of all that a user holds. Browsers pass over one that has more than 4,096."""
MAX_CLIENT_BYTES: Final = 8_000
"""Of all that a client of a service holds: most servers refuse a longer header, and its sessions share one jar."""

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header that is sent may hold, as a cookie would that is taken back."""


class BoundedJar(CookieJar):
    """One that doesn't grow with the length of a run, whatever a target sets: the oldest go first. What it holds is
    nobody else's to know."""

    def __init__(self, policy: DefaultCookiePolicy | None = None, *, max_bytes: int = MAX_CLIENT_BYTES) -> None:
        super().__init__(policy)
        self._max_bytes = max_bytes

    def set_cookie(self, cookie: Cookie) -> None:
        super().set_cookie(cookie)
        remember(cookie.value or "", owner=cookie, is_cookie=True)

    def extract_cookies(self, response: Any, request: Any) -> None:
        told = response.info().get_all("Set-Cookie", [])
        if not told:
            return
        last: Any = _Last(told)
        super().extract_cookies(last, request)
        size = 0
        for place, cookie in enumerate(reversed(list(self))):
            size += len(cookie.name) + len("=; ") + len(cookie.value or "")
            if place >= MAX_COOKIES or size > self._max_bytes:
                self.clear(cookie.domain, cookie.path, cookie.name)


class _Last:
    """What an answer sets, the last of it: 5,000 cookies fit into its headers, and would take 50 ms."""

    def __init__(self, told: list[str]) -> None:
        self._headers = http.client.HTTPMessage()
        for each in told[-MAX_COOKIES:]:
            self._headers.add_header("Set-Cookie", each)

    def info(self) -> http.client.HTTPMessage:
        return self._headers


class _Policy(DefaultCookiePolicy):
    """As browsers have it: what is `Secure` also goes to this machine, which needs no TLS to be trusted."""

    def return_ok_secure(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        return is_loopback(request.full_url) or super().return_ok_secure(cookie, request)


class _Answer:
    """What a jar wants to see of an answer."""

    def __init__(self, host: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = http.client.HTTPMessage()
        # The jar wants a dot in a domain, which browsers do not of one that is the host itself.
        own_domain = re.compile(rf";\s*domain\s*=\s*\.?{re.escape(host)}\s*(?=;|$)", re.IGNORECASE)
        for name, value in headers:
            if name.lower() == b"set-cookie" and len(value) <= MAX_COOKIE_BYTES and not _CONTROL.search(value):
                text = _text(value)
                self._headers.add_header("Set-Cookie", text if "." in host else own_domain.sub("", text))

    def info(self) -> http.client.HTTPMessage:
        return self._headers


class Cookies:
    """What answers set, and what goes with which request."""

    def __init__(self, *, max_bytes: int = MAX_COOKIE_BYTES) -> None:
        policy = _Policy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)
        self._jar = BoundedJar(policy, max_bytes=max_bytes)

    def keep(self, url: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """What an answer of that URL sets (raw header pairs)."""
        request = urllib.request.Request(url)  # noqa: S310  # nothing is opened
        self._jar.extract_cookies(_Answer(urlsplit(url).hostname or "", headers), request)

    def header(self, url: str) -> str | None:
        """The value of `Cookie` for a request to that URL; None where none is to be sent."""
        request = urllib.request.Request(url)  # noqa: S310  # nothing is opened
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie")


def _text(value: bytes) -> str:
    """A header goes out in UTF-8: what came in it stays as it was."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
