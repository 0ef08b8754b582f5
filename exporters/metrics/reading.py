"""Figures read out of a snapshot: sums of series, and quantiles as well as buckets tell them.

Locust's pages and the terminal take them from here.
"""

from collections.abc import Iterator
from itertools import accumulate

from exporters.metrics import catalogue as c
from exporters.metrics.snapshot import EDGES, SEPARATOR, Snapshot


def labelled(snapshot: Snapshot, metric: c.Metric) -> Iterator[tuple[list[str], float]]:
    """Label values and value of each series of a counter or gauge."""
    for key, value in snapshot.get(metric.name, {}).items():
        if not isinstance(value, list):
            yield key.split(SEPARATOR), value


def total(snapshot: Snapshot, metric: c.Metric, label: str | None = None) -> float:
    """Of all series, or of those with that label value; a scenario's name is none."""
    found = labelled(snapshot, metric)
    return sum(value for labels, value in found if label is None or label in _closed(metric, labels))


def histogram(snapshot: Snapshot, metric: c.Metric, *labels: str) -> list[float]:
    """Counts per bucket, over all series with those label values; a scenario's name is none."""
    series = [
        value
        for key, value in snapshot.get(metric.name, {}).items()
        if isinstance(value, list) and set(labels) <= set(_closed(metric, key.split(SEPARATOR)))
    ]
    return [sum(counts) for counts in zip(*(value[:-1] for value in series), strict=True)]


def edges_of(snapshot: Snapshot, metric: c.Metric) -> tuple[float, ...]:
    """Upper edges of its buckets in this run."""
    own = snapshot.get(EDGES, {}).get(metric.name)
    return tuple(own) if isinstance(own, list) else metric.buckets


def quantile_of(snapshot: Snapshot, metric: c.Metric, share: float, *labels: str) -> float | None:
    """As `quantile`, over all series with those label values."""
    return quantile(histogram(snapshot, metric, *labels), edges_of(snapshot, metric), share)


def bounds(snapshot: Snapshot, metric: c.Metric, share: float, *labels: str) -> tuple[float | None, float | None]:
    """Between which two edges a quantile lies: of wide buckets that is all that is known. None: nothing observed."""
    counts, edges = histogram(snapshot, metric, *labels), edges_of(snapshot, metric)
    rank = share * sum(counts)
    if not rank:
        return None, None
    place = next(i for i, so_far in enumerate(accumulate(counts)) if so_far >= rank)
    return (edges[place - 1] if place else None), (edges[place] if place < len(edges) else None)


def at_most(snapshot: Snapshot, metric: c.Metric, bound: float) -> float:
    """How many were no more than `bound`, which has to be an edge."""
    counts = histogram(snapshot, metric)
    return sum(count for edge, count in zip(edges_of(snapshot, metric), counts, strict=False) if edge <= bound)


def quantile(counts: list[float], edges: tuple[float, ...], q: float) -> float | None:
    """A quantile in seconds, as if values lay evenly in their bucket. None: above the last edge, or no values."""
    rank = q * sum(counts)
    if not rank:
        return None
    below = 0.0
    for i, so_far in enumerate(accumulate(counts)):
        if so_far >= rank:
            if i == len(edges):
                return None
            lower = edges[i - 1] if i else 0.0
            return lower + (edges[i] - lower) * (rank - below) / counts[i]
        below = so_far
    return None


def _closed(metric: c.Metric, labels: list[str]) -> list[str]:
    """Without what the run itself calls something: a scenario may be called "failed"."""
    return [value for label, value in zip(metric.labels, labels, strict=False) if label.values is not None]
