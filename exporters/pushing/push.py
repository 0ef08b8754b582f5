"""A run's metrics to an OTLP/HTTP endpoint, while it runs:
`python -m exporters.pushing.push RUN_DIR --otlp-metrics URL`.

A process of its own, like that of the spans. The process that owns the run writes the values that /metrics shows into a
small file; this one sends what stands there, under the catalogue's names, and once more at the end.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from exporters.metrics import catalogue as c
from exporters.metrics.live_file import EVERY_S, Live, read
from exporters.metrics.metric import Type
from exporters.metrics.reading import edges_of
from exporters.metrics.snapshot import EXEMPLARS, SEPARATOR, ids
from exporters.traces.collector import REQUEST_S, Collector, endpoint_url, last
from exporters.traces.conventions import SCHEMA_URL
from exporters.traces.spans import resource, scope
from loadtest.errors.exceptions import HarnessError
from loadtest.errors.exit_codes import Exit
from loadtest.secrecy.redact import redact
from loadtest.system.version import __version__
from loadtest.text.outlets import keep_safe, line

_POLL_S: Final = 0.2
_UNITS: Final = {"_seconds": "s", "_bytes": "By", "_ratio": "1"}
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


def data(live: Live) -> MetricsData:
    """The snapshot in OpenTelemetry's model: every metric of the catalogue that has a series."""
    metrics = [
        Metric(
            name=metric.name,
            description=metric.help,
            unit=next((unit for end, unit in _UNITS.items() if metric.name.removesuffix("_total").endswith(end)), ""),
            data=_points(metric, live),
        )
        for metric in c.METRICS
        if live.snapshot.get(metric.name)
    ]
    ours = ScopeMetrics(scope=scope(__version__), metrics=metrics, schema_url=SCHEMA_URL)
    own = resource(live, version=__version__, started_at=live.run_started_at)
    return MetricsData([ResourceMetrics(resource=own, scope_metrics=[ours], schema_url=SCHEMA_URL)])


def _points(metric: c.Metric, live: Live) -> Sum | Gauge | Histogram:
    if metric.type is Type.HISTOGRAM:
        bounds = edges_of(live.snapshot, metric)
        return Histogram(
            data_points=[
                HistogramDataPoint(
                    **when,
                    count=int(sum(value[:-1])),
                    sum=value[-1],
                    bucket_counts=[int(count) for count in value[:-1]],
                    explicit_bounds=bounds,
                    min=None,  # type: ignore[arg-type]  # not known, and the protocol needs neither
                    max=None,  # type: ignore[arg-type]
                    exemplars=_exemplars(metric, key, len(value) - 1, live),
                )
                for key, when, value in _series(metric, live)
                if isinstance(value, list)
            ],
            aggregation_temporality=_CUMULATIVE,
        )
    points = [
        NumberDataPoint(**when, value=value) for _, when, value in _series(metric, live) if not isinstance(value, list)
    ]
    if metric.type is Type.COUNTER:
        return Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True)
    return Gauge(data_points=points)


def _exemplars(metric: c.Metric, key: str, buckets: int, live: Live) -> list[Exemplar]:
    """The latest observation of each bucket, with the span that it was made in."""
    kept = live.snapshot.get(EXEMPLARS, {})
    found = [kept.get(f"{metric.name}{SEPARATOR}{key}{SEPARATOR}{place}") for place in range(buckets)]
    return [_exemplar(each) for each in found if isinstance(each, list)]


def _exemplar(numbers: list[float]) -> Exemplar:
    value, at_s, *rest = numbers
    trace_id, span_id = ids(rest)
    return Exemplar(
        filtered_attributes={},
        value=value,
        time_unix_nano=int(at_s * 1e9),
        span_id=int(span_id, 16),
        trace_id=int(trace_id, 16),
    )


def _series(metric: c.Metric, live: Live) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Of each series, its key, its labels and times, and its value."""
    names = [label.name for label in metric.labels]
    for key, value in live.snapshot[metric.name].items():
        labels = dict(zip(names, key.split(SEPARATOR) if names else (), strict=True))
        yield (
            key,
            {
                "attributes": {name: line(text) for name, text in labels.items()},
                "start_time_unix_nano": live.started_ns,
                "time_unix_nano": max(live.started_ns, live.at_ns),  # the wall clock may be set back
            },
            value,
        )


class Pusher:
    """Sends what it is given, once; what is not taken is not sent again: the next values hold it. Its context closes
    it."""

    def __init__(self, url: str) -> None:
        self._collector = Collector(
            lambda body: ExportMetricsServiceResponse.FromString(body).partial_success.rejected_data_points
        )
        self._exporter = OTLPMetricExporter(endpoint=url, timeout=REQUEST_S, session=self._collector.session)
        self.taken = 0
        """Pushes that the endpoint took whole."""
        self.refused = 0
        """Pushes that it did not, or only in part, or did not answer in time."""
        self.complete = False
        """Whether it took the run's last values."""

    @property
    def why(self) -> str:
        """By what the endpoint last did not take all; empty where it always did."""
        return self._collector.why

    def __enter__(self) -> "Pusher":
        return self

    def __exit__(self, *_: object) -> None:
        self._collector.session.close()

    def push(self, live: Live) -> bool:
        """Whether all of it was taken."""
        self._collector.forget()
        result = self._exporter.export(data(live), timeout_millis=REQUEST_S * 1e3)
        taken = result is MetricExportResult.SUCCESS and self._collector.rejected == 0
        self.taken += taken
        self.refused += not taken
        self.complete = taken and live.over
        return taken


def follow(run_dir: Path, url: str, stop: threading.Event, *, every_s: float = EVERY_S) -> Pusher:
    """Push each `every_s` seconds, and at once when the run is over or `stop` is set. An endpoint that is down, hung or
    slow costs pushes, and never the run."""
    with Pusher(url) as pusher:
        next_s, sent_ns = time.monotonic(), 0
        while True:
            last, live = stop.is_set(), read(run_dir)
            over = live is not None and live.over
            if live is not None and live.at_ns != sent_ns and (last or over or time.monotonic() >= next_s):
                sent_ns, next_s = live.at_ns, time.monotonic() + every_s
                pusher.push(live)
            if last or over:
                return pusher
            stop.wait(_POLL_S)


def main(argv: Sequence[str] | None = None) -> int:
    """The process of a run. Exit.INVALID where the last values did not get out, exit 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m exporters.pushing.push",
        description="Push a run's metrics to an OTLP/HTTP endpoint, until the run is over.",
        epilog="Example: python -m exporters.pushing.push runs/x --otlp-metrics http://127.0.0.1:4318",
    )
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--otlp-metrics", required=True, metavar="URL")
    options = parser.parse_args(argv)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        pusher = follow(
            options.run_dir, endpoint_url(options.otlp_metrics, signal="metrics", option="--otlp-metrics"), stop
        )
    except HarnessError as error:
        print(f"avaload: {line(redact(str(error)))}", file=sys.stderr)
        return Exit.BAD_INPUT
    lacking = "" if pusher.complete else "; the last values are not there"
    why = last(pusher.why) if pusher.refused else ""  # else it was taken at last
    print(f"metrics: {pusher.taken} pushes taken, {pusher.refused} not{why}{lacking}", flush=True)
    return Exit.INVALID if pusher.refused or lacking else Exit.PASS


if __name__ == "__main__":
    keep_safe()
    sys.exit(main())
