"""Money as a budget counts it: whole millionths of a dollar, rounded against who spends it."""

import math
from typing import Final

MICRO: Final = 1_000_000
"""In a dollar."""


def to_spend(usd: float) -> int:
    """What there is."""
    return math.floor(usd * MICRO)


def to_pay(usd: float) -> int:
    """What something costs."""
    return math.ceil(usd * MICRO)
