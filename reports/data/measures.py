"""The two measures that every section uses: quantiles of exact values, and rates that only the target can spoil."""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.criteria.slo import RANKS
from loadtest.errors.kinds import OURS
from loadtest.events.kinds import Outcome

_NAMES: Final = ("p50", "p90", "p95", "p99", "max")


def at_rank(ordered: Any, rank: Fraction) -> float:
    """The value of that rank among sorted ones, interpolated linearly, to the ns. `np.quantile` takes ten times
    as long, and rounds otherwise now and then: an objective and a table of the same values must say the same."""
    place = (len(ordered) - 1) * rank
    low, high = floor(place), ceil(place)
    return round(float(ordered[low] + (ordered[high] - ordered[low]) * float(place - low)), 9)


def quantiles(values_s: Iterable[float], names: Iterable[str] = _NAMES) -> dict[str, float | None]:
    """`{"p50_s": …, "max_s": …}` of exact values in s, interpolated linearly; all None where there is no value."""
    values = np.asarray(values_s, dtype=float)
    if not len(values):
        return {f"{name}_s": None for name in names}
    ordered = np.sort(values)
    return {f"{name}_s": at_rank(ordered, RANKS[name]) for name in names}


def quantile(values: Iterable[float], share: float) -> float | None:
    """One quantile in the values' own unit, None where there is no value."""
    exact = np.asarray(values, dtype=float)
    return at_rank(np.sort(exact), Fraction(str(share))) if len(exact) else None


def seconds(ns: "pd.Series[Any]") -> "pd.Series[float]":
    """A column of ns without its gaps, in s."""
    return ns.dropna().astype("int64") / 1e9


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows (columns `outcome`, `kind`) that say something about the target: ok, or failed by its own fault."""
    ours = rows["kind"].isin([str(kind) for kind in OURS])
    return rows[(rows["outcome"] == Outcome.OK) | ((rows["outcome"] == Outcome.FAILED) & ~ours)]


def failed_rate(rows: pd.DataFrame) -> float | None:
    """Share of failed ones among the judged rows; None where none was judged."""
    rows = judged(rows)
    return round(float((rows["outcome"] == Outcome.FAILED).mean()), 9) if len(rows) else None


def counts(values: "pd.Series[Any]") -> dict[str, int]:
    """How often each value occurs, the most frequent first, gaps left out."""
    found = values.dropna().astype("str").value_counts()
    return {str(value): int(count) for value, count in found.items() if count}
