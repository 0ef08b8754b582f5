"""Values of all metrics at a time, as processes ship them to each other; the run's from those of its processes."""

from collections.abc import Iterable, Sequence
from typing import Final

from exporters.metrics import catalogue as c
from exporters.metrics.metric import Type

_Number = int | float
"""Whoever decodes it must leave a whole number whole: an id of 64 bits does not fit into a float."""

Value = _Number | list[_Number]
"""Of a counter or gauge a number; of a histogram a count per bucket, the count above the last edge, the sum."""

Snapshot = dict[str, dict[str, Value]]
"""Metric name → series → value; a series is its label values, in the catalogue's order, joined by SEPARATOR."""

SEPARATOR: Final = "\x1f"

EDGES: Final = "edges"
"""In a snapshot beside the metrics: histogram → the upper edges of its buckets in this run."""

EXEMPLARS: Final = "exemplars"
"""In a snapshot beside the metrics: metric, series and place of the bucket, joined → EXEMPLAR_SIZE numbers: the value
in seconds, Unix time, the trace id as two of 64 bits, and the span id."""
EXEMPLAR_SIZE: Final = 5

FAILURES: Final = "failures"
"""In a snapshot beside the metrics: step, kind and code, joined → how often that ended a step or a session; of a turn
and the converse step that it failed, the turn. As a label the kind would multiply the series of errors."""


def ids(numbers: Sequence[float]) -> tuple[str, str]:
    """Trace and span in hex digits, 32 and 16, from an exemplar's last three numbers."""
    high, low, span = numbers
    return f"{int(high):016x}{int(low):016x}", f"{int(span):016x}"


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The run's values from the latest snapshot of each process, always in the same order: sums of the same numbers in
    another one may differ in their last digit, and a counter that falls by it is a reset to Prometheus."""
    total: Snapshot = {}
    for snapshot in snapshots:
        _add(total, snapshot)
    return total


def without_gauges(snapshot: Snapshot) -> Snapshot:
    """Of a process that is silent or gone: what it counted stays, its gauges leave."""
    return {name: series for name, series in snapshot.items() if not _is_gauge(name)}


def never_less(found: Snapshot, reported: Snapshot) -> Snapshot:
    """`found`, and of what is counted what was reported where that is more: a counter can't fall."""
    counted = {name: series for name, series in reported.items() if name == FAILURES or _is_counted(name)}
    return found | {name: _most(found.get(name, {}), series) for name, series in counted.items()}


def _is_gauge(name: str) -> bool:
    return (metric := c.BY_NAME.get(name)) is not None and metric.type is Type.GAUGE


def _is_counted(name: str) -> bool:
    return name in c.BY_NAME and not _is_gauge(name)


def _most(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    most = dict(one)
    for key, value in other.items():
        mine = most.setdefault(key, value)
        if isinstance(mine, list) and isinstance(value, list):
            most[key] = [max(pair) for pair in zip(mine, value, strict=True)]
        else:
            most[key] = max(_number(mine), _number(value))
    return most


def _add(total: Snapshot, snapshot: Snapshot) -> None:
    total.setdefault(EDGES, {}).update(snapshot.get(EDGES, {}))
    examples = total.setdefault(EXEMPLARS, {})
    for key, example in snapshot.get(EXEMPLARS, {}).items():
        known = examples.get(key)
        if isinstance(example, list) and (not isinstance(known, list) or known[1] <= example[1]):
            examples[key] = example  # the latest: Prometheus takes them in the order of time
    failures = total.setdefault(FAILURES, {})
    for key, count in snapshot.get(FAILURES, {}).items():
        failures[key] = _number(failures.get(key)) + _number(count)
    for name, series in snapshot.items():
        metric = c.BY_NAME.get(name)
        if metric is None:
            continue
        into = total.setdefault(name, {})
        for key, value in series.items():
            so_far = into.get(key)
            if isinstance(value, list):
                into[key] = [a + b for a, b in zip(so_far, value, strict=True)] if isinstance(so_far, list) else value
            elif isinstance(so_far, list):
                continue
            elif so_far is None or metric.by_first:
                into[key] = so_far or value
            elif metric.of_run:
                into[key] = max(so_far, value)
            else:
                into[key] = so_far + value


def _number(value: Value | None) -> float:
    return value if isinstance(value, int | float) else 0
