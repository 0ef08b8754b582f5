"""What the tests of all rooms share: a listener that remembers, and a clock that only the test moves."""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import Mark
from loadtest.session.ports import Told
from loadtest.sound.speech import FRAME_BYTES, SILENCE, Clip, clip_of

DEADLINE_S = 20.0
LOUD = b"\x00\x20" * (FRAME_BYTES // 2)
CLIP: Clip = clip_of("silence, three loud frames, silence", SILENCE + LOUD * 3 + SILENCE)


class Recorder:
    """Implements Listener."""

    def __init__(self) -> None:
        self.marks: list[tuple[int, Mark]] = []
        self.audio: list[tuple[int, bytes]] = []
        self.lost: list[int] = []
        self.rests_ns: list[int] = []
        self.messages: list[tuple[int, Mapping[str, Any]]] = []
        self.ends: list[StepError] = []
        self.sent: list[tuple[int, bytes]] = []
        self._changed = asyncio.Event()

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        self.marks.append((t_ns, mark))
        self._changed.set()

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0, rest_ns: int = 0) -> None:
        self.audio.append((t_ns, pcm))
        self.lost.append(lost)
        self.rests_ns.append(rest_ns)
        self._changed.set()

    def on_message(self, t_ns: int, told: Told) -> None:
        self.messages.append((t_ns, told.raw))
        self._changed.set()

    def on_sent(self, t_ns: int, pcm: bytes) -> None:
        self.sent.append((t_ns, pcm))

    def on_closed(self, t_ns: int, why: StepError) -> None:
        self.ends.append(why)
        self._changed.set()

    @property
    def reached(self) -> list[Mark]:
        return [mark for _, mark in self.marks]

    def at(self, mark: Mark) -> int:
        return next(t_ns for t_ns, each in self.marks if each is mark)

    def kinds(self) -> list[str]:
        return [message["type"] for _, message in self.messages]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class HandTicker:
    """Implements the part of Ticker that rooms use; time passes when the test says so."""

    def __init__(self) -> None:
        self.members: list[Callable[[], None]] = []

    def add(self, tick: Callable[[], None]) -> None:
        self.members.append(tick)

    def remove(self, tick: Callable[[], None]) -> None:
        if tick in self.members:
            self.members.remove(tick)

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            for member in list(self.members):
                member()


def footprint() -> tuple[int, int, int]:
    """Tasks of this loop, threads and open files of this process."""
    return len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))
