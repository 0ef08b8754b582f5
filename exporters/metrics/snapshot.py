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


def merged(live: Iterable[Snapshot], *, lost: Iterable[Snapshot] = ()) -> Snapshot:
    """The run's values from the latest snapshot of each process.

    `lost`: last snapshots of workers that are silent or gone: what they counted stays, their gauges leave.
    """
    total: Snapshot = {}
    for snapshot in live:
        _add(total, snapshot, gauges=True)
    for snapshot in lost:
        _add(total, snapshot, gauges=False)
    return total


def _add(total: Snapshot, snapshot: Snapshot, *, gauges: bool) -> None:
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
        if metric is None or (metric.type is Type.GAUGE and not gauges):
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
