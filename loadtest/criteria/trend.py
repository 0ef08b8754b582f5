"""How something changes with a session's age: the slope of the least-squares line through what one session showed."""

from typing import Final

LEAST: Final = 3
"""Answers of a session that a line is drawn through."""


class Trend:
    """Takes an answer after the other; its memory doesn't grow."""

    __slots__ = ("_count", "_first_ns", "_sum_x", "_sum_xx", "_sum_xy", "_sum_y")

    def __init__(self) -> None:
        self._count = 0
        self._first_ns = 0
        self._sum_x = self._sum_y = self._sum_xx = self._sum_xy = 0.0

    def add(self, at_ns: int, value_s: float) -> None:
        """One answer: when, on any clock, and how long it took."""
        if not self._count:
            self._first_ns = at_ns
        minutes = (at_ns - self._first_ns) / 60e9
        self._count += 1
        self._sum_x += minutes
        self._sum_y += value_s
        self._sum_xx += minutes * minutes
        self._sum_xy += minutes * value_s

    @property
    def slope(self) -> float | None:
        """Seconds that are added in a minute; None: too few answers, or all at once."""
        spread = self._count * self._sum_xx - self._sum_x * self._sum_x
        if self._count < LEAST or spread <= 0:
            return None
        return (self._count * self._sum_xy - self._sum_x * self._sum_y) / spread
