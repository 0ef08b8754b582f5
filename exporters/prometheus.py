"""The run's one scrape target: a collector over merged snapshots, and the server of `/metrics`.

A custom collector instead of prometheus_client's own counters: values come from several processes, the hot path stays
free of its locks, and nothing but the catalogue's series appears (no `_created`).
"""

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from statistics import median
from typing import Any, Final

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from exporters import catalogue
from exporters.aggregate import SEPARATOR, Aggregate, Snapshot, Value, merged

__all__ = ["Aggregate", "Collector", "MetricsServer", "Snapshot", "merged", "serve"]

_RECENT_S: Final = 300.0
"""A scraper that was silent for longer than this is gone: nobody lingers for it."""

_MIN_LINGER_S: Final = 10.0

_log = logging.getLogger(__name__)


class Collector:
    """Shows the snapshot that `snapshot()` returns as Prometheus' metric families, in the catalogue's order."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not need a snapshot."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family of the catalogue, those without a value too."""
        snapshot = self._snapshot()
        for metric in catalogue.METRICS:
            yield _family(metric, snapshot.get(metric.name, {}))


def _family(metric: catalogue.Metric, series: Mapping[str, Value]) -> Metric:
    labels = [label.name for label in metric.labels]
    family: Any
    match metric.type:
        case catalogue.Type.COUNTER:
            family = CounterMetricFamily(metric.name, metric.help, labels=labels)
        case catalogue.Type.GAUGE:
            family = GaugeMetricFamily(metric.name, metric.help, labels=labels)
        case catalogue.Type.HISTOGRAM:
            family = HistogramMetricFamily(metric.name, metric.help, labels=labels)
    edges = [*map(floatToGoString, metric.buckets), "+Inf"]
    for key, value in series.items():
        values = key.split(SEPARATOR) if labels else []
        if isinstance(value, list):
            family.add_metric(values, list(zip(edges, accumulate(value[:-1]), strict=True)), value[-1])
        else:
            family.add_metric(values, value)
    result: Metric = family
    return result


class MetricsServer:
    """Serves `/metrics` on the gevent hub until `stop`. Made by `serve`."""

    def __init__(
        self, listener: socket.socket, snapshot: Callable[[], Snapshot], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        # Here, not above: a process that isn't Locust's must not get gevent with this module.
        import gevent.socket
        from gevent.pywsgi import WSGIServer

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collector(snapshot))
        self._exposition = make_wsgi_app(registry, disable_compression=True)  # loopback: gzip costs more than bytes
        self._now = now
        self._recent: deque[float] = deque(maxlen=20)
        self.scrapes = 0
        """Answered so far."""
        self._server = WSGIServer(
            gevent.socket.socket(listener.family, listener.type, listener.proto, fileno=listener.detach()),
            self._answer,
            log=None,
            error_log=_log,
        )
        self._server.start()

    def linger_s(self) -> float:
        """How long to keep serving once the run is over, so that a scraper sees the last values; 0 if none scrapes."""
        now = self._now()
        recent = [at for at in self._recent if now - at < _RECENT_S]
        if not recent:
            return 0.0
        # The median forgives a scraper's pause, and a look by hand between two scrapes.
        interval_s = median(b - a for a, b in pairwise(recent)) if len(recent) > 1 else 0.0
        return max(_MIN_LINGER_S, 2 * interval_s)

    def stop(self) -> None:
        """Close the socket; a scrape in flight gets a second."""
        self._server.stop(timeout=1)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The metrics are at /metrics.\n"]
        body: Iterable[bytes] = self._exposition(environ, start_response)
        self.scrapes += 1
        self._recent.append(self._now())
        return body


def serve(listener: socket.socket, snapshot: Callable[[], Snapshot]) -> MetricsServer:
    """Serve on a socket that is bound and listens already (the port was checked before anything was started).

    The server takes the socket over: `listener` is detached. Returns at once; the answers are greenlets of this hub.
    """
    return MetricsServer(listener, snapshot)
