"""What a number of samples leaves open: between which shares the true one may lie, 19 times of 20.

The exact one-sided bounds of Clopper and Pearson (The use of confidence or fiducial limits, Biometrika 26, 1934): the
share at which so few bad ones, or so many, would be seen once in twenty runs.
"""

from math import log, log1p
from typing import Final

import numpy as np

CHANCE: Final = 0.05
_HALVINGS: Final = 50


def upper_bound(bad: int, count: int) -> float:
    """The largest share of bad ones with which `bad` or fewer of `count` are seen once in twenty times; of none: 1."""
    if bad >= count:
        return 1.0
    low, high = bad / count, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(bad, count, middle) > CHANCE:
            low = middle
        else:
            high = middle
    return high


def lower_bound(bad: int, count: int) -> float:
    """The smallest share with which `bad` or more of `count` are seen once in twenty times; of none: 0."""
    return 1.0 - upper_bound(count - bad, count)


def _at_most(most: int, count: int, share: float) -> float:
    """How likely no more than `most` of `count` are bad, where a share in (0, 1) of all is."""
    numbers = np.arange(most)
    ways = np.concatenate(([0.0], np.cumsum(np.log((count - numbers) / (numbers + 1)))))
    bad = np.arange(most + 1)
    return float(np.exp(ways + bad * log(share) + (count - bad) * log1p(-share)).sum())
