"""A snapshot as the text that Prometheus scrapes: the plain format, or OpenMetrics 1.0 with exemplars.

Our own writer instead of prometheus_client's: that takes some 10 µs a sample, all of it on the hub of the load. Labels
are written once per series and kept. Tests read the text back with prometheus_client's parsers and with promtool.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

from prometheus_client.utils import floatToGoString

from exporters.metrics import catalogue
from exporters.metrics.metric import Label, Metric, Type
from exporters.metrics.snapshot import EDGES, EXEMPLARS, SEPARATOR, Snapshot, Value, ids
from loadtest.text.outlets import line

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def content_type(accept: str) -> str:
    """What to answer a scraper that accepts that: OPENMETRICS where it names it, else PLAIN."""
    offered = {each.split(";")[0].strip() for each in accept.split(",")}
    return OPENMETRICS if "application/openmetrics-text" in offered else PLAIN


def exposition(snapshot: Snapshot, kind: str) -> bytes:
    """Every family of the catalogue in its order, those without a series too. `kind`: PLAIN or OPENMETRICS."""
    openmetrics = kind == OPENMETRICS
    lines: list[str] = []
    for metric in catalogue.METRICS:
        # OpenMetrics names a counter's family without the suffix of its samples.
        name = metric.name.removesuffix("_total") if openmetrics else metric.name
        lines += (f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.type.value}")
        series = snapshot.get(metric.name, {})
        if metric.type is Type.HISTOGRAM:
            edges = _edges(snapshot, metric)
            exemplars = snapshot.get(EXEMPLARS, {}) if openmetrics else {}
            for key, value in series.items():
                if isinstance(value, list):
                    lines += _histogram(metric, key, value, edges, exemplars)
        else:
            lines += [f"{_head(metric.name, metric.labels, key)} {value}" for key, value in series.items()]
    lines.append("# EOF\n" if openmetrics else "")
    return "\n".join(lines).encode()


def _edges(snapshot: Snapshot, metric: Metric) -> tuple[float, ...]:
    own = snapshot.get(EDGES, {}).get(metric.name)
    return tuple(own) if isinstance(own, list) else metric.buckets


def _histogram(
    metric: Metric, key: str, value: Sequence[float], edges: tuple[float, ...], exemplars: Mapping[str, Value]
) -> Iterator[str]:
    heads = _bucket_heads(metric.name, metric.labels, key, edges)
    example = f"{metric.name}{SEPARATOR}{key}{SEPARATOR}"
    for place, (head, count) in enumerate(zip(heads, accumulate(value[:-1]), strict=True)):
        found = exemplars.get(f"{example}{place}") if exemplars else None
        if isinstance(found, list):
            seen, at_s, *numbers = found
            trace_id, span_id = ids(numbers)
            yield f'{head} {count} # {{trace_id="{trace_id}",span_id="{span_id}"}} {seen} {at_s:.3f}'
        else:
            yield f"{head} {count}"
    yield f"{_head(metric.name + '_count', metric.labels, key)} {sum(value[:-1])}"
    yield f"{_head(metric.name + '_sum', metric.labels, key)} {value[-1]}"


# A run has some hundred series and a thousand buckets, always the same.


@lru_cache(maxsize=20_000)
def _head(name: str, labels: tuple[Label, ...], key: str) -> str:
    """Name and labels of a sample."""
    pairs = _pairs(labels, key)
    return f"{name}{{{pairs}}}" if pairs else name


@lru_cache(maxsize=20_000)
def _bucket_heads(name: str, labels: tuple[Label, ...], key: str, edges: tuple[float, ...]) -> tuple[str, ...]:
    before = f"{pairs}," if (pairs := _pairs(labels, key)) else ""
    bounds = (*map(floatToGoString, edges), "+Inf")
    return tuple(f'{name}_bucket{{{before}le="{bound}"}}' for bound in bounds)


def _pairs(labels: tuple[Label, ...], key: str) -> str:
    values = key.split(SEPARATOR) if labels else []
    return ",".join(f'{label.name}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))


def _escaped(value: str) -> str:
    return line(value).replace("\\", "\\\\").replace('"', '\\"')
