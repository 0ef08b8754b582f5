"""Rooms in which the avatar speaks when it should be silent, or sounds as it was not generated."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from loadtest.sound.speech import FRAME_BYTES, SILENCE, is_loud
from tests.judging.broken_backends.proxy import Frame, Link
from tests.judging.broken_backends.room import (
    ENDED,
    OF_AVATAR,
    STARTED,
    House,
    Message,
    Room,
    Session,
    rooms,
)
from tests.judging.broken_backends.talk_in_rooms import Jitters, heard

_KEPT: Final = 100
"""Frames of an answer that are kept to be said again: 2 s."""


class SpeaksOn(Room):
    """Interrupted, the avatar speaks on for `for_s`; `volume` of what it was; `generated`: only where the transcript of
    the answer had come."""

    def __init__(
        self, link: Link, house: House, session: Session, *, for_s: float, volume: float = 1.0, generated: bool = False
    ) -> None:
        super().__init__(link, house, session)
        self._for_s, self._volume, self._only_generated = for_s, volume, generated
        self._kept: deque[bytes] = deque(maxlen=_KEPT)
        self._until_s = 0.0
        self._is_generated = False

    async def message(self, told: Message) -> Sequence[Message]:
        if told.get("type") == OF_AVATAR:
            self._is_generated = True
        return (told,)

    async def user_begins(self) -> None:
        if self.speaks and (self._is_generated or not self._only_generated):
            self._until_s = time.monotonic() + self._for_s
        self._is_generated = False

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        if is_loud(pcm):
            self._kept.append(pcm)
        elif time.monotonic() < self._until_s and self._kept:
            self._kept.rotate(-1)
            return (_louder(self._kept[0], self._volume),)
        return (pcm,)


class SaysTheRest(Room):
    """What was cut off by an interruption is said after the next answer: `after_s` later, announced or not."""

    def __init__(self, link: Link, house: House, session: Session, *, after_s: float, announced: bool) -> None:
        super().__init__(link, house, session)
        self._after_s, self._announced = after_s, announced
        self._kept: deque[bytes] = deque(maxlen=_KEPT)
        self._rest: deque[bytes] = deque()
        self._silent_since_s = 0.0
        self._answered = self._begun = False

    async def user_begins(self) -> None:
        if self.speaks:
            self._rest, self._answered = deque(self._kept), False
        self._kept.clear()

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        now_s = time.monotonic()
        if is_loud(pcm):
            self._kept.append(pcm)
            self._silent_since_s = now_s
            self._answered = self._answered or bool(self._rest and not self.user_speaks)
            return (pcm,)
        if not (self._rest and self._answered and now_s - self._silent_since_s > self._after_s):
            return (pcm,)
        if not self._begun and self._announced:
            self._begun = True
            await self.tell({"type": STARTED, "phrase_id": "rest"})
            await self.tell({"type": STARTED + "_phrase", "phrase_id": "rest"})
        frame = self._rest.popleft()
        if not self._rest and self._announced:
            self._begun = False
            await self.tell({"type": ENDED + "_phrase", "phrase_id": "rest"})
            await self.tell({"type": ENDED})
        return (frame,)


class Startles(Room):
    """Any sound of the user, however low, silences the avatar for `for_s`."""

    def __init__(self, link: Link, house: House, session: Session, *, for_s: float) -> None:
        super().__init__(link, house, session)
        self._for_s, self._until_s = for_s, 0.0

    async def said(self, pcm: bytes) -> Sequence[Frame]:
        if pcm != SILENCE and not is_loud(pcm) and not self.user_speaks and self.speaks:
            self._until_s = time.monotonic() + self._for_s
        return (pcm,)

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        return (SILENCE if time.monotonic() < self._until_s else pcm,)


class Sounds(Room):
    """Each frame of the avatar's speech is another one."""

    def __init__(self, link: Link, house: House, session: Session, *, change: Callable[[bytes], bytes]) -> None:
        super().__init__(link, house, session)
        self._change = change

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        return (self._change(pcm),)


class Slips(Room):
    """The sound was made for another rate, and is played `by` times as fast."""

    def __init__(self, link: Link, house: House, session: Session, *, by: float) -> None:
        super().__init__(link, house, session)
        self._by, self._samples = by, np.zeros(0, dtype="<i2")

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        if not is_loud(pcm) and self._samples.size == 0:
            return (pcm,)
        old = np.frombuffer(pcm, dtype="<i2")
        at = np.arange(0, old.size - 1, self._by)
        self._samples = np.concatenate([self._samples, np.interp(at, np.arange(old.size), old).astype("<i2")])
        frames, each = [], FRAME_BYTES // 2
        while self._samples.size >= each:
            frames.append(self._samples[:each].tobytes())
            self._samples = self._samples[each:]
        if not is_loud(pcm):
            self._samples = self._samples[:0]
        return frames


class Loses(Room):
    """Each `every`-th frame of speech is lost on the way; nothing takes its place."""

    def __init__(self, link: Link, house: House, session: Session, *, every: int) -> None:
        super().__init__(link, house, session)
        self._every, self._seen = every, 0

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        self._seen += is_loud(pcm)
        return () if is_loud(pcm) and self._seen % self._every == 0 else (pcm,)


class LateSound(Room):
    """The sound comes `late_s` after what is told of it."""

    def __init__(self, link: Link, house: House, session: Session, *, late_s: float) -> None:
        super().__init__(link, house, session)
        self._waiting = deque([SILENCE] * round(late_s / 0.02))

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        self._waiting.append(pcm)
        return (self._waiting.popleft(),)


class Hiccups(Room):
    """An honest room whose line stands still now and then, for a moment: what was held up comes at once."""

    def __init__(self, link: Link, house: House, session: Session, *, every: int, for_frames: int) -> None:
        super().__init__(link, house, session)
        self._every, self._for, self._seen = every, for_frames, 0
        self._held: list[Frame] = []

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        self._seen += 1
        self._held.append(pcm)
        if self._seen % self._every < self._for:
            return ()
        held, self._held = self._held, []
        return held


def _louder(pcm: bytes, volume: float) -> bytes:
    return (np.frombuffer(pcm, dtype="<i2") * volume).astype("<i2").tobytes()


def _swapped(pcm: bytes) -> bytes:
    return np.frombuffer(pcm, dtype="<i2").byteswap().tobytes()


BREAKAGES: Final = (
    *heard("the avatar speaks on for 2 s", rooms(SpeaksOn, for_s=2), "INT-1", follows=("INT-2",), load=True),
    *heard(
        "the avatar is turned down instead of silenced", rooms(SpeaksOn, for_s=6, volume=0.25), "INT-1",
        follows=("INT-2",), load=True,
    ),
    *heard(
        "the avatar speaks on for 2 s if its answer was generated", rooms(SpeaksOn, for_s=2, generated=True), "INT-2",
        follows=("INT-1",), load=True,
    ),
    *heard(
        "everything is 0.75 s late, each way", rooms(Jitters, late_s=0.75, jitter_s=0.0), "INT-1", follows=("INT-2",),
        load=True,
    ),
    *heard("the rest is said 3 s after the next answer", rooms(SaysTheRest, after_s=3, announced=False), "INT-3"),
    *heard(
        "the rest is announced and said after the next answer", rooms(SaysTheRest, after_s=3, announced=True), "INT-3",
    ),
    *heard("the rest is said with the next answer", rooms(SaysTheRest, after_s=0.1, announced=False), "INT-3"),
    *heard("a noise silences the avatar", rooms(Startles, for_s=3), "INT-5", load=True),
    *heard("a noise silences the avatar for half a second", rooms(Startles, for_s=0.5), "INT-5", load=True),
    *heard("sound of 22.05 kHz as if it were of 24", rooms(Slips, by=24000 / 22050), "AUD-1"),
    *heard("sound of 24 kHz, 5 % slower", rooms(Slips, by=0.95), "AUD-1"),
    *heard("one frame of sound in ten is lost", rooms(Loses, every=10), "AUD-1"),
    *heard("bytes of sound are swapped", rooms(Sounds, change=_swapped), "AUD-1", follows=("INT-1", "INT-2")),
    *heard("the avatar is announced and never heard", rooms(Sounds, change=lambda _pcm: SILENCE), "AUD-1"),
    *heard("the sound is 1 s later than its announcement", rooms(LateSound, late_s=1), "AUD-3", follows=(
        "INT-1", "INT-2"), load=True),
    *heard("honest: the line stands still for 80 ms each second", rooms(Hiccups, every=50, for_frames=4), load=True),
)  # fmt: skip
