"""A run of several load processes begins at one moment: its zero, from which every process counts its schedule.

Each says when it is ready (engine up, users told to come); once all are, and the clock of every host was compared with
the master's, the zero is set a little ahead, so that the word is there before it, and told to each on its own clock.
"""

from collections.abc import Callable, Mapping
from typing import Final

AHEAD_NS: Final = 500_000_000
"""For the word to arrive and users to be spawned."""


def renumbered(numbers: Mapping[str, int], node: str, number: int, *, is_closed: bool) -> dict[str, int] | None:
    """Node → load process, once that node has said which one it is; None where it can't be that one.

    Until all are here another one may come in the place of one that died. Afterwards (`is_closed`) nobody takes a
    number that somebody has; who was let in before may still say his own.
    """
    is_taken = node in numbers or number in numbers.values()
    if is_closed and is_taken and numbers.get(node) != number:
        return None
    return {other: its for other, its in numbers.items() if its != number} | {node: number}


class StartBarrier:
    """`offset_of(number)`: what to add to a stamp of that load process to get one of the master's; None: not known yet.

    Times are the master's monotonic nanoseconds.
    """

    def __init__(self, processes: int, offset_of: Callable[[int], int | None]) -> None:
        self._processes, self._offset_of = processes, offset_of
        self._ready: set[int] = set()
        self.zero_ns: int | None = None
        """When the run begins; None until that is settled, and then for ever the same."""

    def ready(self, number: int) -> None:
        """That load process waits for the word. May be said again; of a number that isn't of this run nothing
        becomes."""
        if 0 <= number < self._processes:
            self._ready.add(number)

    @property
    def waiting_for(self) -> str | None:
        """For people; None once the zero is set."""
        if self.zero_ns is not None:
            return None
        if len(self._ready) < self._processes:
            return f"load processes: {len(self._ready)} of {self._processes} are ready"
        return "the clocks of the hosts to be compared"

    def look(self, now_ns: int) -> bool:
        """Whether the zero has been set just now: tell it to all."""
        if self.zero_ns is not None or len(self._ready) < self._processes:
            return False
        if any(self._offset_of(number) is None for number in self._ready):
            return False
        self.zero_ns = now_ns + AHEAD_NS
        return True

    def zero_for(self, number: int) -> int | None:
        """The zero on that load process's own clock."""
        offset_ns = self._offset_of(number)
        return None if self.zero_ns is None or offset_ns is None else self.zero_ns - offset_ns
