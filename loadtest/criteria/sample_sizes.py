"""How many samples it takes before a statistic of them, or a share, says anything."""

from collections.abc import Mapping
from math import ceil
from typing import Final

ENOUGH: Final[Mapping[str, int]] = {"p50": 2, "p90": 10, "p95": 20, "p99": 100, "max": 1, "min": 1, "drift": 6}
"""Samples that a statistic needs before it says anything: a p95 of ten is the longest of ten. Of a drift, sessions: all
of six on one side of 0 is what chance does once in 32 times."""
ENOUGH_FOR_NONE: Final = 100
"""Of a share that must be 0 or 1, which no number of samples proves."""


def for_one_bad(share: float) -> int:
    """So many samples that one bad one among them is no more than the share that may be bad."""
    return ceil(round(1 / share, 6)) if share else ENOUGH_FOR_NONE
