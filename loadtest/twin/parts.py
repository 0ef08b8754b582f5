"""Which classes the twin is built of: the honest ones, or mutants of them (loadtest/twin/mutants)."""

from typing import Protocol, TypeVar

T = TypeVar("T")


class Make(Protocol):
    """Gives the class to use where the honest twin uses `part`."""

    def __call__(self, part: type[T], /) -> type[T]:
        """`part` itself, or a subclass that misbehaves."""


def honest(part: type[T], /) -> type[T]:
    """Every part as it is."""
    return part
