"""What a metric is: its name, kind, help, labels and their closed values, buckets. All of them: `catalogue.py`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

OTHER: Final = "other"
"""Value of a label whose true value isn't in its set: a bug elsewhere, kept visible and bounded."""


class Type(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label and all its values. `values` is None where the run sets them: scenarios, workers, the run's own facts.

    `unborn`: values that most runs never see; their series is there once they are."""

    name: str
    values: tuple[str, ...] | None = None
    unborn: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric family.

    `buckets`: upper edges of a histogram, without +Inf. `of_run`: a gauge that is true of the run, not a share of
    it, so values of several processes are not added up: the largest is shown. `by_first`: what was told first is shown,
    the master's before all: clocks of several hosts don't compare. `unborn`: which of its series a run has is the run's
    own, so none is there before it is told.
    """

    name: str
    type: Type
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    of_run: bool = False
    by_first: bool = False
    unborn: bool = False

    def initial(self, scenarios: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Label values of every series that is known beforehand: born at 0, its first step is seen by `increase()`."""
        if self.unborn:
            return
        values: list[Iterable[str]] = []
        for label in self.labels:
            if label.name == "scenario":
                values.append(scenarios)
            elif label.values is None:
                return
            else:
                values.append([value for value in label.values if value not in label.unborn])
        yield from product(*values)
