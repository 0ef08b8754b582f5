"""The two measures that every section uses: quantiles of exact values, and rates that only the target can spoil."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.language.errors import OURS
from loadtest.language.events import Outcome

_SHARES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}


def quantiles(values_s: Iterable[float], names: Iterable[str] = tuple(_SHARES)) -> dict[str, float | None]:
    """`{"p50_s": …, "max_s": …}` of exact values in s, interpolated linearly; all None where there is no value."""
    values = np.asarray(values_s, dtype=float)
    if not len(values):
        return {f"{name}_s": None for name in names}
    return {f"{name}_s": round(float(np.quantile(values, _SHARES[name])), 9) for name in names}


def quantile(values: Iterable[float], share: float) -> float | None:
    """One quantile in the values' own unit, None where there is no value."""
    exact = np.asarray(values, dtype=float)
    return round(float(np.quantile(exact, share)), 9) if len(exact) else None


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
