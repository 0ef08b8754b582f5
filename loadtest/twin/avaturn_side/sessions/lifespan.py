"""When a session ends by itself: nobody there for too long, or simply too long.

Source: docs/contract.md#a-sessions-life, #rules-of-termination.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

from loadtest.twin.knobs.avaturn import AvaturnKnobs
from loadtest.twin.timers import Timers

SelfEnd = Literal["user_absent_timeout", "max_duration_reached"]


class Lifespan:
    """Absence counts from its zero point until the first join, and again in full from each leave; the longest duration
    counts from its own zero point on, whatever happens. Both in seconds of service time."""

    def __init__(
        self, *, absence_s: float, longest_s: float, knobs: AvaturnKnobs, timers: Timers, end: Callable[[SelfEnd], None]
    ) -> None:
        self.absence_s = absence_s
        self.longest_s = longest_s
        self._knobs = knobs
        self._timers = timers
        self._end = end
        self._somebody_is_in = False
        self._counts_absence = False
        self._absence: asyncio.TimerHandle | None = None
        self._longest: asyncio.TimerHandle | None = None

    def created(self) -> None:
        """The session exists."""
        self._reached("create")

    def first_frame(self) -> None:
        """The avatar can be seen."""
        self._reached("first_frame")

    def joined(self) -> None:
        """A user came: absence is over, whatever is left of it."""
        self._somebody_is_in = True
        self._stop_waiting()
        self._reached("first_join")

    def left(self) -> None:
        """The last user went."""
        self._somebody_is_in = False
        if self._counts_absence:
            self._wait_for_user()

    def stop(self) -> None:
        """The session has ended."""
        self._stop_waiting()
        if self._longest is not None:
            self._longest.cancel()

    def _reached(self, point: str) -> None:
        if self._knobs.max_duration_from == point and self._longest is None:
            self._count_down()
        if self._knobs.absence_from == point:
            self._counts_absence = True
            if not self._somebody_is_in:
                self._wait_for_user()

    def _count_down(self) -> None:
        self._longest = self._timers.after(self.longest_s, lambda: self._end("max_duration_reached"))

    def _wait_for_user(self) -> None:
        self._absence = self._timers.after(self.absence_s, lambda: self._end("user_absent_timeout"))

    def _stop_waiting(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None
