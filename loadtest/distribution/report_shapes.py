"""What reports of load processes look like. Each check raises ValueError for anything else: what can't be merged must
reach neither the run's figures nor /metrics."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from exporters.metrics import catalogue as c
from exporters.metrics.metric import Type
from exporters.metrics.snapshot import EDGES, EXEMPLAR_SIZE, EXEMPLARS, FAILURES, SEPARATOR, Snapshot
from loadtest.criteria.stage_health import MAX_BECAUSE
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Step

MOST_SERIES: Final = 10
"""Times as many as a run of these scenarios begins with: errors, exemplars, stages and workers come to no more."""
MAX_LABELS: Final = 1000
"""Characters of all labels of a series."""
_MOST: Final = float(1 << 53)
"""Of anything that is counted or measured: a sum of larger ones may be no number."""
_MOST_ID: Final = float(1 << 64)
_FITNESS: Final = ("valid", "suspect", "invalid")
_STEPS, _KINDS, _CODES = (frozenset(each.value for each in words) for words in (Step, Kind, Code))

_Number = int | float


class _Objectives(msgspec.Struct):
    """`loadtest.criteria.objectives.Counts`."""

    slots: list[list[tuple[int, int, int]]]
    complete_ns: int
    steady_ns: list[int]


class _Numbered(msgspec.Struct):
    number: int


def check_snapshot(data: Any, *, like: Snapshot) -> None:
    """Every metric is ours, every histogram has the buckets of `like`, which is one of this run."""
    snapshot = msgspec.convert(data, dict[str, dict[str, _Number | list[_Number]]])
    edges: dict[str, Any] = like[EDGES]
    if (count := sum(map(len, snapshot.values()))) > (most := MOST_SERIES * sum(map(len, like.values()))):
        raise ValueError(f"{count} series, more than {most}")
    for name, series in snapshot.items():
        if name == EDGES:
            if any(edges.get(histogram) != own for histogram, own in series.items()):
                raise ValueError("buckets that are not those of this run")
        elif name == EXEMPLARS:
            _check_numbers(name, series.values(), size=EXEMPLAR_SIZE, most=_MOST_ID)
        elif name == FAILURES:
            if any(not _is_failure(key.split(SEPARATOR)) for key in series):
                raise ValueError(f"{name}: words that it does not have")
            _check_numbers(name, series.values(), size=None)
        elif (metric := c.BY_NAME.get(name)) is None:
            raise ValueError(f"no metric is called {name!r}")
        else:
            labels = max(1, len(metric.labels))
            if any(len(key) > MAX_LABELS or key.count(SEPARATOR) != labels - 1 for key in series):
                raise ValueError(f"{name}: labels that it does not have")
            size = len(edges[name]) + 2 if metric.type is Type.HISTOGRAM else None
            _check_numbers(name, series.values(), size=size, falling=metric.type is Type.GAUGE)


def check_objectives(data: Any, *, count: int) -> None:
    """Of so many objectives."""
    value = msgspec.convert(data, _Objectives)
    counts = [(samples, beyond) for slots in value.slots for _, samples, beyond in slots]
    fits = all(0 <= beyond <= samples <= _MOST for samples, beyond in counts)
    if len(value.slots) != count or value.complete_ns < 0 or not fits:
        raise ValueError(f"not the counts of {count} objectives")


def check_number(data: Any, *, processes: int) -> None:
    """The number of a load process of this run."""
    if not 0 <= msgspec.convert(data, _Numbered).number < processes:
        raise ValueError("no load process of this run has that number")


def check_fitness(data: Any) -> None:
    """How fit a load process is to judge, and why it is not fitter."""
    outcome, because = msgspec.convert(data, tuple[str, str])
    if outcome not in _FITNESS or len(because) > MAX_BECAUSE:
        raise ValueError("no word for fitness")


def check_nothing(data: Any) -> None:
    """A message that says all by its type."""
    if data is not None:
        raise ValueError("has nothing to say")


def _is_failure(words: Sequence[str]) -> bool:
    return len(words) == 3 and all(word in known for word, known in zip(words, (_STEPS, _KINDS, _CODES), strict=True))


def _check_numbers(name: str, values: Any, *, size: int | None, falling: bool = False, most: float = _MOST) -> None:
    """All are lists of `size` numbers, or numbers (None), of at most `most`; below zero only what may fall."""
    for value in values:
        if isinstance(value, list) != (size is not None) or (size is not None and len(value) != size):
            raise ValueError(f"{name}: not so many numbers")
        numbers: Sequence[float] = value if isinstance(value, list) else (value,)
        if not all(-most * falling <= number <= most for number in numbers):  # nor what is no number
            raise ValueError(f"{name}: numbers that can't be")
