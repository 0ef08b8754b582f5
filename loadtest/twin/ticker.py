"""One absolute 20 ms schedule for all rooms, spread over phase slots (instead of a task and a timer per room)."""

import asyncio
from typing import Protocol

from loadtest.twin.pcm import FRAME_MS

_SLOTS = 10
_SLOT_S = FRAME_MS / 1000 / _SLOTS
_LATE_S = 0.040
_GIVE_UP_S = 0.200


class Paced(Protocol):
    """Something that does its 20 ms worth of work when told."""

    def tick(self) -> None:
        """Called every 20 ms of the schedule."""


class Ticker:
    """Calls every member once per 20 ms at `start + n x 20 ms`. Lateness never accumulates: after a delay the missed
    ticks follow at once; only those more than 200 ms overdue are dropped, and counted."""

    def __init__(self) -> None:
        self.ticks = 0
        self.ticks_late = 0
        """Ticks done more than 40 ms after they were due."""
        self.ticks_dropped = 0
        self._loop = asyncio.get_running_loop()
        self._slots: list[dict[Paced, None]] = [{} for _ in range(_SLOTS)]
        self._slot_of: dict[Paced, dict[Paced, None]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._start_s = 0.0
        self._turn = 0

    def add(self, member: Paced) -> None:
        """Begin to tick `member`, in the emptiest slot. Adding twice does nothing."""
        if member in self._slot_of:
            return
        slot = min(self._slots, key=len)
        slot[member] = None
        self._slot_of[member] = slot
        if self._handle is None:
            self._start_s, self._turn = self._loop.time(), 1
            self._schedule()

    def remove(self, member: Paced) -> None:
        """Stop ticking `member`, if it was."""
        slot = self._slot_of.pop(member, None)
        if slot is not None:
            del slot[member]

    def stop(self) -> None:
        """Forget all members and stop the timer."""
        self._slot_of.clear()
        self._slots = [{} for _ in range(_SLOTS)]
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self) -> None:
        self._handle = self._loop.call_at(self._start_s + self._turn * _SLOT_S, self._run)

    def _run(self) -> None:
        members = tuple(self._slots[self._turn % _SLOTS])
        late_s = self._loop.time() - (self._start_s + self._turn * _SLOT_S)
        self._turn += 1
        if not self._slot_of:
            self._handle = None
            return
        self._schedule()
        if late_s > _GIVE_UP_S:
            self.ticks_dropped += len(members)
            return
        self.ticks += len(members)
        if late_s > _LATE_S:
            self.ticks_late += len(members)
        for member in members:
            member.tick()
