"""Rooms that outlive their sessions, sessions that outlive their rooms, and users who are not let in."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from loadtest.sound.speech import SILENCE, is_loud
from tests.judging.broken_backends.breakage import Backend, Breakage, is_create
from tests.judging.broken_backends.proxy import Answer, Forward, Frame, HttpHook, Link, Request
from tests.judging.broken_backends.room import (
    FRAME_S,
    STARTED,
    House,
    Message,
    Room,
    Session,
    rooms,
    watched,
    with_grant_kept,
)

CHECKS: Final = ("TD-1", "TD-1b", "TD-2", "TD-3", "TD-3b", "TD-4", "TD-7", "TD-8", "EXP-2", "SDK-1")
"""Leading rules of the checks that see sessions end."""
_REPLAYED: Final = 50
_ALREADY_ENDED: Final = 4410


class Haunted(Room):
    """The room stays when the session is over: silent, or with the last second of speech again and again."""

    def __init__(self, link: Link, house: House, session: Session, *, for_s: float = 3600.0, speaks: bool = False):
        super().__init__(link, house, session)
        self._for_s, self._speaks = for_s, speaks
        self._kept: deque[bytes] = deque(maxlen=_REPLAYED)

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        if is_loud(pcm):
            self._kept.append(pcm)
        return (pcm,)

    async def message(self, told: Message) -> Sequence[Message]:
        return () if told.get("type") == "room.participant" and told.get("state") == "left" else (told,)

    async def closed(self, by: str, code: int) -> bool:
        if by == "user" or not self.is_haunted(code):
            return True
        self.link.beside(self._go_on())
        return False

    def is_haunted(self, _code: int) -> bool:
        return True

    async def _go_on(self) -> None:
        until_s = time.monotonic() + self._for_s
        while time.monotonic() < until_s:
            self._kept.rotate(-1)
            await self.link.to_user(self._kept[0] if self._speaks and self._kept else SILENCE)
            await asyncio.sleep(FRAME_S)
        await self.link.close_user()


class TalksOnAfterDelete(Haunted):
    """Deleted in mid-speech, the avatar says the rest."""

    def is_haunted(self, _code: int) -> bool:
        return self.session.deleted_s is not None and self.speaks


class OpenToTheDead(Haunted):
    """Who comes with the token of a session that is over is let in."""

    def is_haunted(self, code: int) -> bool:
        return code == _ALREADY_ENDED

    async def closed(self, by: str, code: int) -> bool:
        if not await super().closed(by, code):
            await self.tell({"type": "room.joined"})
            await self.tell({"type": "room.participant", "owner": True, "state": "joined", "first_frame": True})
            return False
        return True


class EndsOnLeave(Room):
    """The session ends `after` (a share of its user_absent_timeout) its user left."""

    def __init__(self, link: Link, house: House, session: Session, *, after: float) -> None:
        super().__init__(link, house, session)
        self._after = after

    async def closed(self, by: str, code: int) -> bool:
        if by == "user":
            self.house.after(self.session.absence_s * self._after, lambda: self.house.end(self.session))
        return True


class CountsAllAbsences(Room):
    """All absences together may last as long as each may."""

    def __init__(self, link: Link, house: House, session: Session) -> None:
        super().__init__(link, house, session)
        if session.left_s is not None:
            session.absent_s += time.monotonic() - session.left_s
            session.left_s = None

    async def closed(self, by: str, code: int) -> bool:
        if by == "user":
            session, scale = self.session, self.house.backend.scale
            session.left_s = time.monotonic()
            self.house.after(max(0.0, session.absence_s - session.absent_s * scale), self._end_if_absent)
        return True

    async def _end_if_absent(self) -> None:
        if self.session.left_s is not None:
            await self.house.end(self.session)


class Overlooks(Room):
    """That the user has left isn't noticed: never, for `for_s` more, or only where the connection broke."""

    def __init__(self, link: Link, house: House, session: Session, *, for_s: float = 600.0, crashes: bool = False):
        super().__init__(link, house, session)
        self._for_s, self._crashes = for_s, crashes

    async def closed(self, by: str, code: int) -> bool:
        if by == "user" and not (self._crashes and code == 1000):
            await asyncio.sleep(self.house.backend.real_s(self._for_s))
        return True


class OneVisit(Room):
    """Who has left isn't let in again, or finds no avatar."""

    def __init__(self, link: Link, house: House, session: Session, *, mute: bool) -> None:
        super().__init__(link, house, session)
        self._mute, self._again = mute, len(session.rooms) > 1
        if self._again and not mute:
            link.later(0.02, link.close_user(4403, "only once"))

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        return () if self._again and self._mute else (pcm,)

    async def message(self, told: Message) -> Sequence[Message]:
        return () if self._again and told.get("type") == "room.participant" else (told,)


class EndsAt(Room):
    """The session ends at that share of its max_duration, or when its secret expires; with `mute` it is only silent
    then."""

    def __init__(
        self,
        link: Link,
        house: House,
        session: Session,
        *,
        share: float | None = None,
        at_expiry: bool = False,
        mute: bool = False,
    ) -> None:
        super().__init__(link, house, session)
        self._mute, self._is_mute = mute, False
        if share is not None and "max_duration" in session.fields:
            house.after(session.longest_s * share, self._over)
        if at_expiry:
            aged_s = (time.monotonic() - session.minted_s) * house.backend.scale
            house.after(max(0.0, session.ttl_s - aged_s), self._over)

    async def _over(self) -> None:
        if self._mute:
            self._is_mute = True
        else:
            await self.house.end(self.session)

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        return (SILENCE if self._is_mute else pcm,)

    async def message(self, told: Message) -> Sequence[Message]:
        return () if self._is_mute else (told,)


class Dies(Haunted):
    """The session ends 3 s after its user came, and its room stays, silent."""

    def __init__(self, link: Link, house: House, session: Session) -> None:
        super().__init__(link, house, session)
        house.after(3 * house.backend.scale, lambda: house.end(session))


class Reminds(Room):
    """A message in the silence, once a minute."""

    def __init__(self, link: Link, house: House, session: Session) -> None:
        super().__init__(link, house, session)
        link.beside(self._remind())

    async def _remind(self) -> None:
        while True:
            await asyncio.sleep(self.house.backend.real_s(60))
            await self.tell({"type": f"{STARTED}_phrase", "phrase_id": "still there?"})


class Hangs(Room):
    """Nothing comes of entering the room: neither `room.joined` nor a frame nor an end."""

    async def down(self, frame: Frame) -> Sequence[Frame]:
        return ()


class NoAvatar(Room):
    """The user is in the room, and the avatar doesn't come."""

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        return ()

    async def message(self, told: Message) -> Sequence[Message]:
        return () if told.get("type") == "room.participant" else (told,)


class LateAvatar(Room):
    """The avatar comes `late_s` after the user."""

    def __init__(self, link: Link, house: House, session: Session, *, late_s: float) -> None:
        super().__init__(link, house, session)
        self._from_s = time.monotonic() + late_s

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        return () if time.monotonic() < self._from_s else (pcm,)


class Cuts(Room):
    """An honest room whose connection breaks now and then, and is there again for who comes back."""

    def __init__(self, link: Link, house: House, session: Session, *, share: float) -> None:
        super().__init__(link, house, session)
        chance = random.Random(session.id)
        if chance.random() < share:
            link.later(chance.uniform(1, 6), link.close_user(1011, "try again"))


def kills_rooms(backend: Backend) -> HttpHook:
    """Who is in a room is shown out when a create is refused."""
    house = House.of(backend)

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await house.hook(request, forward)
        if is_create(request) and answer.status == 429:
            for session in house.sessions.values():
                for room in session.rooms:
                    await room.link.close_user(1000, "session ended")
        return answer

    return hook


def ghosts(backend: Backend) -> HttpHook:
    """Somebody whom nobody knows is in each session's room, until its user comes."""
    house = House.of(backend)

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await house.hook(request, forward)
        if is_create(request) and answer.status == 200:
            session = house.sessions[answer.fields["session_id"]]
            look = Request("avaturn", "GET", "/_sdk/v0/sessions", request.headers.copy(), b"")
            look.headers["X-Session-Token"] = session.token
            grant = (await forward(look)).fields
            task = asyncio.ensure_future(_haunt(grant, session))
            backend.memory.setdefault("tasks", set()).add(task)
        return answer

    return hook


async def _haunt(grant: dict[str, Any], session: Session) -> None:
    headers = {"Authorization": f"Bearer {grant['limited_access_token']}"}
    async with aiohttp.ClientSession() as client, client.ws_connect(grant["room_url"], headers=headers) as socket:
        while len(session.rooms) <= 1 and not socket.closed:  # the first is its own
            await socket.receive()


def _ends(name: str, *breaks: str, **more: Any) -> Breakage:
    return Breakage(name=name, breaks=breaks, **{"http": watched, "rules": CHECKS, **more})


BREAKAGES: Final = (
    _ends(
        "deleted sessions stay, room and token", "TD-1", sockets=rooms(Haunted), http=with_grant_kept,
        follows=("TD-1b", "TD-3", "TD-3b", "TD-4", "TD-5", "TD-7", "TD-8", "TD-9", "SDK-2"),
    ),
    _ends("rooms stay, silent, when the token is dead", "SDK-2", sockets=rooms(Haunted)),
    _ends("a deleted avatar says the rest", "TD-1b", sockets=rooms(TalksOnAfterDelete, for_s=8, speaks=True)),
    _ends("the dead are let in", "TD-5", sockets=rooms(OpenToTheDead)),
    _ends(
        "the token of the dead still gets a room", "TD-5", http=with_grant_kept, sockets=rooms(Room),
        follows=("TD-1", "TD-3", "TD-3b", "TD-7", "TD-8", "TD-9"),
    ),
    _ends("a session ends when its user leaves", "TD-2", sockets=rooms(EndsOnLeave, after=0), follows=(
        "TD-3", "TD-3b", "TD-8")),
    _ends("who has left isn't let in again", "TD-2", sockets=rooms(OneVisit, mute=False), follows=("TD-3b",)),
    _ends("who comes back finds no avatar", "TD-2", sockets=rooms(OneVisit, mute=True), follows=("TD-3b", "ERR-3")),
    _ends("an absent user is waited for in vain", "TD-3", sockets=rooms(Overlooks), follows=("TD-3b", "TD-8")),
    _ends("a broken connection is not noticed", "TD-3", sockets=rooms(Overlooks, crashes=True)),
    _ends("an absence is noticed 20 s late", "TD-3", sockets=rooms(Overlooks, for_s=20), follows=("TD-3b", "TD-8")),
    _ends("an absence counts twice as fast", "TD-3", sockets=rooms(EndsOnLeave, after=0.5), follows=("TD-3b", "TD-8")),
    _ends("the timer of absence goes on", "TD-3b", sockets=rooms(EndsOnLeave, after=1.0)),
    _ends("absences are added up", "TD-3b", sockets=rooms(CountsAllAbsences)),
    _ends(
        "rooms and tokens outlive max_duration, and speak", "TD-4", sockets=rooms(Haunted, speaks=True),
        http=with_grant_kept, rules=("TD-4",),
    ),
    _ends("a room speaks on 30 s after max_duration", "TD-4", sockets=rooms(Haunted, speaks=True), rules=("TD-4",)),
    _ends("a session ends at three quarters of max_duration", "TD-4", sockets=rooms(EndsAt, share=0.75)),
    _ends("ghosts sit in rooms that nobody has joined", "TD-7", sockets=rooms(Room), http=ghosts, follows=("TD-9",)),
    _ends("a message in the silence, once a minute", "TD-8", sockets=rooms(Reminds)),
    _ends("a session ends with its secret", "EXP-2", sockets=rooms(EndsAt, at_expiry=True)),
    _ends("a session is mute once its secret has expired", "EXP-2", sockets=rooms(EndsAt, at_expiry=True, mute=True)),
    _ends("a session ends with its secret, under load", "EXP-2", sockets=rooms(EndsAt, at_expiry=True), by="run"),
    _ends("a room is entered, and nothing happens", "SDK-1", sockets=rooms(Hangs), rules=("SDK-1",)),
    _ends("the avatar doesn't come, and nobody says why", "ERR-3", sockets=rooms(NoAvatar), by="run"),
    _ends("the avatar comes after 8.5 s of a secret's 10", "EXP-8", sockets=rooms(LateAvatar, late_s=8.5), by="run"),
    _ends("sessions die after 3 s, and their rooms stay, silent", "SDK-2", sockets=rooms(Dies), by="run"),
    _ends(
        "a refused create ends who is in a room", "LIM-1", sockets=rooms(Room), http=kills_rooms, by="run",
        knobs=("limit.sessions=3",),
    ),
    _ends("honest: a room through a proxy", sockets=rooms(Room)),
    _ends("honest: a room through a proxy, under load", sockets=rooms(Room), by="run"),
    _ends("honest: connections break now and then, under load", sockets=rooms(Cuts, share=0.3), by="run"),
    _ends("honest: connections break now and then", sockets=rooms(Cuts, share=0.1)),
    _ends("honest: the avatar comes after 4 s, under load", sockets=rooms(LateAvatar, late_s=4), by="run"),
)  # fmt: skip
