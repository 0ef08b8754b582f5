"""The values of all metrics in one process: plain dicts and lists, no metrics library."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from exporters.metrics import catalogue as c
from exporters.metrics.metric import Metric, Type
from exporters.metrics.snapshot import EDGES, EXEMPLARS, FAILURES, SEPARATOR, Snapshot
from loadtest.events.kinds import Failure

Values = dict[tuple[str, ...], Any]
"""Label values of a series → a number, or a histogram: a count per bucket, the count above the last edge, the sum."""


class Series:
    """By metric. Every series that is known beforehand is born at 0. `clock_offset_ns`: wall clock minus events'."""

    def __init__(self, scenarios: Sequence[str], edges: Mapping[str, tuple[float, ...]]) -> None:
        self.clock_offset_ns = 0
        self._edges = edges
        self._values: dict[str, Values] = {
            metric.name: {key: self._zero(metric) for key in metric.initial(scenarios)} for metric in c.METRICS
        }
        self._exemplars: dict[tuple[Any, ...], tuple[float, int, str, str]] = {}  # value, t_ns, session, span
        self._failures: dict[tuple[str, ...], int] = {}  # step, kind, code

    def of(self, metric: Metric) -> Values:
        """The metric's own dict: what is written there is its value."""
        return self._values[metric.name]

    def count(self, metric: Metric, key: tuple[str, ...], by: float = 1) -> None:
        """A counter goes up."""
        values = self._values[metric.name]
        values[key] = values.get(key, 0) + by

    def observe(self, metric: Metric, key: tuple[str, ...], value: float) -> int:
        """Count it in a histogram; the place of its bucket."""
        values = self._values[metric.name]
        histogram = values.get(key)
        if histogram is None:
            histogram = values[key] = self._zero(metric)
        place = bisect_left(self._edges[metric.name], value)
        histogram[place] += 1
        if value > 0:  # a sum must not fall; only a margin can be negative
            histogram[-1] += value
        return place

    def exemplify(
        self, metric: Metric, key: tuple[str, ...], place: int, value: float, t_ns: int, session: str, span: str
    ) -> None:
        """The latest of a bucket is kept."""
        self._exemplars[metric.name, *key, place] = value, t_ns, session, span

    def failed(self, step: str, failure: Failure) -> None:
        """Count it by all its words."""
        key = (step, failure.kind, failure.code)
        self._failures[key] = self._failures.get(key, 0) + 1

    def snapshot(self) -> Snapshot:
        """All of it so far, fit for JSON and msgpack: nothing but numbers."""
        found: Snapshot = {
            name: {SEPARATOR.join(key): value.copy() if type(value) is list else value for key, value in values.items()}
            for name, values in self._values.items()
        }
        found[EDGES] = {name: list(edges) for name, edges in self._edges.items()}
        found[FAILURES] = {SEPARATOR.join(key): count for key, count in self._failures.items()}
        found[EXEMPLARS] = {
            SEPARATOR.join(map(str, key)): [
                value,
                (t_ns + self.clock_offset_ns) / 1e9,
                int(session[:16], 16),
                int(session[16:], 16),
                int(span, 16),
            ]
            for key, (value, t_ns, session, span) in self._exemplars.items()
        }
        return found

    def _zero(self, metric: Metric) -> Any:
        return [0] * (len(self._edges[metric.name]) + 2) if metric.type is Type.HISTOGRAM else 0
