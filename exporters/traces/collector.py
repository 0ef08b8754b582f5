"""The way to an OTLP/HTTP collector: what it is allowed to do with us, and what it said last."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
from google.protobuf.message import DecodeError
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from loadtest.config.sendable import flaw_of_url
from loadtest.errors.exceptions import ConfigError

REQUEST_S: Final = 2.0
"""All that a request may take, its retries included."""
_BUSY: Final = (429, 502, 503, 504)
_MAX_ANSWER: Final = 65_536  # bytes


class Collector:
    """`session` is for one of OpenTelemetry's exporters, and the caller's to close. `rejected`: how much of the last
    request the collector did not take; None: none of it. `come_again_s`: what it asked for. `why`: the status, or the
    kind of failure, by which it last did not take all; no text of anybody's. `told`: how much an answer's body rejects;
    raises DecodeError."""

    def __init__(self, told: Callable[[bytes], int]) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)  # its losses are counted; its lines hold URLs
        self.session = session = _HeardSession(self._fail)
        session.trust_env = False  # no proxy and no .netrc that the run's options don't name
        session.max_redirects = 0  # and no other host that the endpoint may name
        session.stream = True  # its answers are read by `_hear`, up to a bound
        session.hooks["response"].append(self._hear)
        self._told = told
        self.why = ""
        self.forget()

    def forget(self) -> None:
        """Before a request."""
        self.rejected: int | None = None
        self.come_again_s = 0.0

    def _hear(self, response: requests.Response, **_: object) -> None:
        """What it said: OpenTelemetry's exporters call any status below 400 a success, let a partial one pass, and wait
        no longer than a request may take."""
        told, self.come_again_s = 0, 0.0
        with response, contextlib.suppress(HTTPError, DecodeError):  # no word of OTLP's: the status alone speaks
            if response.status_code in _BUSY:
                self.come_again_s = Retry().get_retry_after(response.raw) or 0.0
            told = self._told(response.raw.read(_MAX_ANSWER, decode_content=True))
        is_page = response.headers.get("content-type", "").startswith("text/html")  # of somebody else
        if 200 <= response.status_code < 300 and not is_page:
            self.rejected = max(told, 0)
        if self.rejected != 0:
            partly = ", in part" if self.rejected else ", a page" if is_page else ""
            self.why = f"{response.status_code}{partly}"

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, requests.TooManyRedirects):  # its status says more
            self.why = type(error).__name__


class _HeardSession(requests.Session):
    """Tells of what is raised, which OpenTelemetry's exporters keep for themselves."""

    def __init__(self, fail: Callable[[Exception], None]) -> None:
        super().__init__()
        self._fail = fail

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        except Exception as error:
            self._fail(error)
            raise


def last(why: str) -> str:
    """For a closing line."""
    return f" (last: {why})" if why else ""


def endpoint_url(text: str, *, signal: str = "traces", option: str = "--otlp-endpoint") -> str:
    """The URL of an OTLP/HTTP endpoint for a signal; `v1/<signal>` is appended to a base URL. Raises ConfigError."""
    if flaw_of_url(text) or urlsplit(text).query or urlsplit(text).fragment:
        raise ConfigError(f"{option}: must be like http://127.0.0.1:4318, without user, query or fragment")
    parts = urlsplit(text)
    path = parts.path.rstrip("/")
    if not path.endswith(f"/v1/{signal}"):
        path += f"/v1/{signal}"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
