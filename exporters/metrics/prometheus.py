"""The run's one scrape target: the server of `/metrics`."""

import base64
import hmac
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

from exporters.metrics.exposition import content_type, exposition
from exporters.metrics.snapshot import Snapshot
from exporters.visitors import meant_only

_RECENT_S: Final = 300.0
"""A scraper that was silent for longer than this is gone: nobody lingers for it."""

_MIN_LINGER_S: Final = 10.0
_ONCE_S: Final = 70.0
"""For a scraper that came once, so that its interval isn't known: Prometheus' default of a minute, and the 10 s that a
scrape may take."""
_MOST_SCRAPERS: Final = 50
_SIGN: Final = "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"
"""Prometheus and its like send it; who looks by hand doesn't, and isn't waited for."""

_log = logging.getLogger(__name__)


class MetricsServer:
    """Serves `/metrics` on the gevent hub until `stop`. Made by `serve`."""

    def __init__(
        self,
        listener: socket.socket,
        snapshot: Callable[[], Snapshot],
        *,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        served_as: Iterable[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        # Here, not above: a process that isn't Locust's must not get gevent with this module.
        import gevent.socket

        from exporters.seats import Server

        self._snapshot, self._now = snapshot, now
        self._expected = None if login is None else b"Basic " + base64.b64encode(":".join(login).encode())
        self._scrapers: dict[tuple[str, str, bool], deque[float]] = {}
        """Whence, by what, whether by Prometheus or its like → when, lately. The last is the one that came last."""
        self.scrapes = 0
        """Answered so far."""
        app = meant_only(self._answer, bound=listener.getsockname()[0], served_as=served_as)
        self._server = Server(
            gevent.socket.socket(listener.family, listener.type, listener.proto, fileno=listener.detach()),
            app,
            log=None,
            error_log=_log,
            **({} if tls is None else {"ssl_context": tls}),
        )
        self._server.start()

    def linger_s(self) -> float:
        """How long to keep serving once the run is over, so that every scraper sees the last values; 0 if none scrapes.
        Who looks by hand is waited for only where nothing else scrapes. Ask again meanwhile: the scrape that was waited
        for may be the one that tells the interval."""
        now = self._now()
        waited = {by: needed_s(at, signed=by[-1]) for by, at in self._scrapers.items() if now - at[-1] < _RECENT_S}
        signed = [for_s for (*_, is_signed), for_s in waited.items() if is_signed]
        return max(signed or waited.values(), default=0.0)

    def linger(self, for_s: float | None, *, sleep: Callable[[float], None]) -> None:
        """Serve on once the run is over: so long, or as long as a scraper needs (None)."""
        over = self._now()
        while (left_s := over + (self.linger_s() if for_s is None else for_s) - self._now()) > 0:
            sleep(min(1.0, left_s))

    def stop(self) -> None:
        """Close the socket; a scrape in flight gets a second."""
        self._server.stop(timeout=1)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._expected is not None:
            given = environ.get("HTTP_AUTHORIZATION", "").encode()
            if not hmac.compare_digest(given, self._expected):
                headers = [("Content-Type", "text/plain; charset=utf-8"), ("WWW-Authenticate", 'Basic realm="avaload"')]
                start_response("401 Unauthorized", headers)
                return [b"User and password, please.\n"]
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The metrics are at /metrics.\n"]
        kind = content_type(environ.get("HTTP_ACCEPT", ""))
        body = exposition(self._snapshot(), kind)  # not compressed: on loopback gzip costs more than bytes
        start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        self.scrapes += 1
        by = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_USER_AGENT", ""), _SIGN in environ
        self._scrapers[by] = at = self._scrapers.pop(by, deque(maxlen=20))
        at.append(self._now())
        if len(self._scrapers) > _MOST_SCRAPERS:
            del self._scrapers[next(iter(self._scrapers))]
        return [body]


def needed_s(scrapes: Sequence[float], *, signed: bool) -> float:
    """How long one scraper may take to come again; of two behind one address, the later one."""
    gaps = sorted(b - a for a, b in pairwise(at for at in scrapes if scrapes[-1] - at < _RECENT_S))
    if not gaps:
        return _ONCE_S if signed else _MIN_LINGER_S
    # The second longest forgives a pause. A median would be the time between the two.
    return max(_MIN_LINGER_S, 2 * gaps[-2 if len(gaps) > 2 else -1])


def serve(
    listener: socket.socket,
    snapshot: Callable[[], Snapshot],
    *,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    served_as: Iterable[str] = (),
) -> MetricsServer:
    """Serve on a socket that is bound and listens already (the port was checked before anything was started).

    The server takes the socket over: `listener` is detached. Returns at once; the answers are greenlets of this hub.
    `tls`: speak it. `login`: user and password that every request has to give. `served_as`: names by which it is asked,
    besides this machine's.
    """
    return MetricsServer(listener, snapshot, tls=tls, login=login, served_as=served_as)
