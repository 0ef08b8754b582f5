"""Rooms in which the wrong things are told: transcripts, announcements, errors, tools."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from loadtest.twin.pcm import tone
from tests.judging.broken_backends.breakage import Backend, Breakage
from tests.judging.broken_backends.proxy import Frame, Link, SocketHook
from tests.judging.broken_backends.room import (
    ENDED,
    FRAME_S,
    OF_AVATAR,
    OF_USER,
    STARTED,
    House,
    Message,
    Room,
    Session,
    rooms,
    watched,
)

Change = Callable[[Message], Sequence[Message]]
CHECKS: Final = ("TR-1", "INT-1", "INT-2", "INT-5", "AUD-1", "AUD-3", "TOOL-1", "TD-1", "TD-1b", "TD-2")
"""Leading rules of the checks that hear what is said."""
TRANSCRIPTS: Final = (OF_USER, OF_AVATAR)
REFUSED: Final = ("fault.realtime_open=invalid_api_key:1",)
TOOL_CALL: Final = {
    "type": "ce_events.realtime.raw",
    "event": {"type": "response.function_call_arguments.done", "call_id": "call_1", "name": "look_up_weather"},
}


class Tells(Room):
    """Messages of some kinds are other ones."""

    def __init__(self, link: Link, house: House, session: Session, *, of: Sequence[str], change: Change) -> None:
        super().__init__(link, house, session)
        self._of, self._change = of, change

    async def message(self, told: Message) -> Sequence[Message]:
        return self._change(told) if told.get("type") in self._of else (told,)


def telling(of: str | Sequence[str], change: Change) -> Callable[[Backend], SocketHook]:
    return rooms(Tells, of=(of,) if isinstance(of, str) else of, change=change)


def set_to(**fields: Any) -> Change:
    """The same with other fields."""
    return lambda told: ({**told, **fields},)


def dropped(_told: Message) -> Sequence[Message]:
    return ()


def without(field: str) -> Change:
    return lambda told: ({name: value for name, value in told.items() if name != field},)


def stamped(by: Callable[[float], object]) -> Change:
    return lambda told: ({**told, "timestamp": by(told["timestamp"])},)


def every(count: int, change: Change) -> Callable[[Backend], SocketHook]:
    """Each `count`-th of all rooms together, of the avatar's transcripts."""
    return _each(OF_AVATAR, count, change)


def _each(of: str, count: int, change: Change) -> Callable[[Backend], SocketHook]:
    seen = [0]

    def now_and_then(told: Message) -> Sequence[Message]:
        seen[0] += 1
        return change(told) if seen[0] % count == 0 else (told,)

    return telling(of, now_and_then)


def _halves(told: Message) -> Sequence[Message]:
    text = told["transcript"]
    return ({**told, "transcript": text[: len(text) // 2]}, {**told, "transcript": text[len(text) // 2 :]})


def _backwards() -> Change:
    seen = [0]

    def change(told: Message) -> Sequence[Message]:
        seen[0] += 1
        return ({**told, "timestamp": told["timestamp"] - 5 * seen[0]},)

    return change


class Late(Room):
    """Messages of some kinds come later, the others don't wait for them."""

    def __init__(
        self, link: Link, house: House, session: Session, *, of: Sequence[str], late_s: float, twice: bool = False
    ) -> None:
        super().__init__(link, house, session)
        self._of, self._late_s, self._twice = of, late_s, twice

    async def message(self, told: Message) -> Sequence[Message]:
        if told.get("type") not in self._of:
            return (told,)
        self.link.later(self._late_s, self.tell(told))
        return (told,) if self._twice else ()


class Unasked(Room):
    """What the user says is told also where nobody asked for it."""

    async def user_ends(self) -> None:
        if not self.session.transcribes:
            await self.tell({"type": OF_USER, "transcript": "you said something", "timestamp": time.time()})


class Leaks(Room):
    """What is told to one is told to another, too, or to the other alone."""

    def __init__(self, link: Link, house: House, session: Session, *, of: str, keeps: bool) -> None:
        super().__init__(link, house, session)
        self._of, self._keeps = of, keeps

    async def message(self, told: Message) -> Sequence[Message]:
        if told.get("type") != self._of:
            return (told,)
        others = [room for each in self.house.sessions.values() for room in each.rooms if room is not self]
        for room in others if self._keeps else others[-1:]:
            await room.tell(told)
        return (told,) if self._keeps or not others else ()


class CutAnnouncement(Room):
    """The end of an answer that is interrupted isn't told."""

    async def message(self, told: Message) -> Sequence[Message]:
        return () if told.get("type") == ENDED and self.user_speaks else (told,)


class ShowsTools(Room):
    """A call of a tool comes to the page."""

    async def user_ends(self) -> None:
        if self.session.mint.get("tools"):
            self.link.later(0.5, self.tell(TOOL_CALL))


class MakesUpResults(Room):
    """Who asks for a tool is given an answer that nobody has worked out."""

    async def user_ends(self) -> None:
        if self.session.mint.get("tools"):
            self.link.later(1.5, self._answer())

    async def _answer(self) -> None:
        await self.tell({"type": STARTED, "phrase_id": "made-up"})
        for _ in range(50):
            await self.link.to_user(tone(duration_ms=20, frequency_hz=450))
            await asyncio.sleep(FRAME_S)
        await self.tell({"type": ENDED})
        await self.tell({"type": OF_AVATAR, "transcript": "it is 20 degrees", "timestamp": time.time()})


class Jitters(Room):
    """An honest room behind a bad line: everything later by `late_s` and up to `jitter_s` more, in order."""

    def __init__(self, link: Link, house: House, session: Session, *, late_s: float, jitter_s: float) -> None:
        super().__init__(link, house, session)
        self._late_s, self._jitter_s, self._chance = late_s, jitter_s, random.Random(1)
        self._queues: dict[str, asyncio.Queue[tuple[float, Frame]]] = {"up": asyncio.Queue(), "down": asyncio.Queue()}
        link.beside(self._deliver("up"))
        link.beside(self._deliver("down"))

    async def down(self, frame: Frame) -> Sequence[Frame]:
        return self._take("down", frame)

    async def up(self, frame: Frame) -> Sequence[Frame]:
        return self._take("up", frame)

    def _take(self, way: str, frame: Frame) -> Sequence[Frame]:
        due_s = _loop_s() + self._late_s + self._chance.uniform(0, self._jitter_s)
        self._queues[way].put_nowait((due_s, frame))
        return ()

    async def _deliver(self, way: str) -> None:
        send = self.link.to_user if way == "down" else self.link.to_backend
        while True:
            due_s, frame = await self._queues[way].get()
            await asyncio.sleep(max(0.0, due_s - _loop_s()))
            await send(frame)


class Chatty(Room):
    """An honest room that tells more than it has to: unknown messages, and unknown fields in the known ones."""

    async def message(self, told: Message) -> Sequence[Message]:
        return ({"type": "ce_events.realtime.hint", "text": "new in this version"}, {**told, "trace": {"hop": 1}})


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


def heard(
    name: str, sockets: Callable[[Backend], SocketHook], *breaks: str, load: bool = False, **more: Any
) -> Iterator[Breakage]:
    """Tried by the active checks and, where load sessions show it too, by a load run."""
    yield Breakage(name=name, breaks=breaks, sockets=sockets, http=watched, rules=CHECKS, **more)
    if load:
        yield Breakage(name=f"{name}, under load", breaks=breaks, sockets=sockets, http=watched, by="run", **more)


BREAKAGES: Final = (
    *heard("the user's transcripts never come", telling(OF_USER, dropped), "TR-1", load=True),
    *heard("one in three of the user's transcripts is missing", _each(OF_USER, 3, dropped), "TR-1"),
    *heard("the user's transcripts come twice", rooms(Late, of=(OF_USER,), late_s=0.4, twice=True), "TR-1", load=True),
    *heard("the user's transcripts are 15 s late", rooms(Late, of=(OF_USER,), late_s=15), "TR-1"),
    *heard("the user's transcripts come unasked", rooms(Unasked), "TR-1"),
    *heard("no transcript of an answer", telling(OF_AVATAR, dropped), "TR-2", load=True),
    *heard("every second transcript of an answer is missing", every(2, dropped), "TR-2", load=True),
    *heard("transcripts of answers twice", rooms(Late, of=(OF_AVATAR,), late_s=0.4, twice=True), "TR-2", load=True),
    *heard("transcripts of answers in halves", telling(OF_AVATAR, _halves), "TR-2", load=True),
    *heard("answers told as the user's words", telling(OF_AVATAR, set_to(type=OF_USER)), "TR-2", follows=("TR-1",)),
    *heard(
        "failed transcriptions are swallowed", telling(OF_USER, dropped), "TR-4",
        knobs=("fault.transcription=failed:1",),
    ),
    *heard(
        "failed transcriptions as empty texts", telling(OF_USER, set_to(transcript="")), "TR-4",
        knobs=("fault.transcription=failed:1",),
    ),
    *heard("transcripts without a time stamp", telling(TRANSCRIPTS, without("timestamp")), "TR-5", load=True),
    *heard("time stamps as text", telling(TRANSCRIPTS, stamped(str)), "TR-5"),
    *heard("time stamps that go back", telling(OF_AVATAR, _backwards()), "TR-5", load=True),
    *heard("time stamps 5 min ahead", telling(TRANSCRIPTS, stamped(lambda at: at + 300)), "TR-5", load=True),
    *heard("transcripts that are lists", telling(OF_AVATAR, set_to(transcript=["a", "b"])), "TR-5", load=True),
    *heard(
        "what the user says is told in every room", rooms(Leaks, of=OF_USER, keeps=True), "TR-7", follows=("TR-1",),
    ),
    *heard(
        "answers are told in every room", rooms(Leaks, of=OF_AVATAR, keeps=True), "TR-7", follows=("TR-2",), load=True,
    ),
    *heard("answers are told to another", rooms(Leaks, of=OF_AVATAR, keeps=False), "TR-7", follows=("TR-2",)),
    *heard("the end of speech isn't told on an interruption", rooms(CutAnnouncement), "INT-4", load=True),
    *heard("the end of speech is never told", telling(ENDED, dropped), "INT-4", load=True),
    *heard("the end of speech is told 8 s late", rooms(Late, of=(ENDED,), late_s=8), "INT-4"),
    *heard("the beginning of speech is told twice", telling(STARTED, lambda told: (told, told)), "INT-4", load=True),
    *heard("the beginning of speech is told 1 s late", rooms(Late, of=(STARTED,), late_s=1), "AUD-3", load=True),
    *heard("the beginning of speech is never told", telling(STARTED, dropped), "AUD-3", load=True),
    *heard("calls of tools come to the page", rooms(ShowsTools), "TOOL-1"),
    *heard("results of tools are made up", rooms(MakesUpResults), "TOOL-2"),
    Breakage(
        name="errors are swallowed", breaks=("ERR-3",), sockets=telling("error", dropped), http=watched,
        rules=("EXP-1",), follows=("EXP-1b",),
    ),
    Breakage(
        name="errors come after 15 s", breaks=("ERR-3",), sockets=rooms(Late, of=("error",), late_s=15), http=watched,
        rules=("EXP-1",), follows=("EXP-1b",),
    ),
    Breakage(
        name="errors are not nested", breaks=("GA-3",), sockets=telling("error", lambda told: (told["error"],)),
        http=watched, rules=("EXP-1",),
    ),
    Breakage(
        name="errors without a type inside", breaks=("GA-3",), http=watched, rules=("EXP-1",),
        sockets=telling("error", lambda told: ({**told, "error": {**told["error"], "type": "error"}},)),
    ),
    Breakage(
        name="a beta shape is told as an internal error", breaks=("GA-1",), http=watched, rules=("GA-1",),
        sockets=telling("error", lambda told: ({**told, "error": {**told["error"], "code": "internal_error"}},)),
        knobs=("fault.realtime_open=beta_api_shape_disabled:1",),
    ),
    *heard("honest: 30 ms later", rooms(Jitters, late_s=0.03, jitter_s=0.0), load=True),
    *heard("honest: 10 to 50 ms later, in order", rooms(Jitters, late_s=0.01, jitter_s=0.04), load=True),
    *heard("honest: unknown messages and fields", rooms(Chatty), load=True),
    *heard("honest: the user's transcripts 3 s late", rooms(Late, of=(OF_USER,), late_s=3), load=True),
    *heard("honest: transcripts of answers 1 s late", rooms(Late, of=(OF_AVATAR,), late_s=1), load=True),
)  # fmt: skip
