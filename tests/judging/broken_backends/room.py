"""What a broken room knows: its session, who speaks in it, and what was said. Its frames as sound and messages."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.sound.speech import is_loud
from tests.judging.broken_backends.breakage import (
    CREATE,
    SDK,
    Backend,
    asked_s,
    is_create,
    is_delete,
    is_look,
    is_mint,
    token_of,
)
from tests.judging.broken_backends.proxy import Answer, Forward, Frame, HttpHook, Link, Passing, Request, SocketHook

OF_USER: Final = "ce_events.realtime.input_transcript"
OF_AVATAR: Final = "ce_events.realtime.response_transcript"
STARTED: Final = "avatar_started_speaking"
ENDED: Final = "avatar_ended_speaking"
FRAME_S: Final = 0.02
_QUIET_FRAMES: Final = 12
"""As many silent ones in a row end a stretch of speech."""

Message = dict[str, Any]


@dataclass(slots=True)
class Session:
    """One that was created through the proxy, times on the monotonic clock. `mint`: the session object that its secret
    was minted with; `grant`: the last answer to who asked for its room; `left_s`: since when nobody is there;
    `absent_s`: how long nobody was before."""

    id: str
    token: str
    created_s: float
    fields: Message
    mint: Message
    minted_s: float
    ttl_s: float
    grant: Answer | None = None
    deleted_s: float | None = None
    left_s: float | None = None
    absent_s: float = 0.0
    rooms: list["Room"] = field(default_factory=list)

    @property
    def transcribes(self) -> bool:
        return bool(self.mint.get("audio", {}).get("input", {}).get("transcription"))

    @property
    def longest_s(self) -> float:
        return float(self.fields.get("max_duration", 3600))

    @property
    def absence_s(self) -> float:
        return float(self.fields.get("user_absent_timeout", 60))


class House:
    """All sessions behind one proxy."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.sessions: dict[str, Session] = {}
        self._minted: dict[str, tuple[Message, float, float]] = {}
        self._forward: Forward | None = None

    @classmethod
    def of(cls, backend: Backend) -> "House":
        house = backend.memory.setdefault("house", cls(backend))
        assert isinstance(house, cls)
        return house

    def of_token(self, token: str) -> Session | None:
        return next((session for session in self.sessions.values() if session.token == token), None)

    async def end(self, session: Session) -> None:
        """End it as an operator would."""
        assert self._forward is not None
        await self.backend.delete(self._forward, session.id)

    def after(self, service_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do it later, by the backend's clock."""

        async def wait() -> None:
            await asyncio.sleep(self.backend.real_s(service_s))
            await work()

        task = asyncio.ensure_future(wait())
        self.backend.memory.setdefault("tasks", set()).add(task)

    async def hook(self, request: Request, forward: Forward) -> Answer:
        """Watch what is made."""
        self._forward = forward
        if is_delete(request):
            session = self.sessions.get(request.path.removeprefix(f"{CREATE}/"))
            if session is not None:
                session.deleted_s = time.monotonic()  # its room may be closed before the delete is answered
            return await forward(request)
        answer = await forward(request)
        if is_mint(request) and answer.status == 200:
            session = request.fields.get("session", {})
            self._minted[str(answer.fields.get("value"))] = (session, time.monotonic(), asked_s(request))
        elif is_create(request) and answer.status == 200:
            made, engine = answer.fields, request.fields.get("conversation_engine", {})
            mint, minted_s, ttl_s = self._minted.get(str(engine.get("client_secret")), ({}, time.monotonic(), 600))
            self.sessions[made["session_id"]] = Session(
                made["session_id"], made["token"], time.monotonic(), request.fields, mint, minted_s, ttl_s
            )
        elif is_look(request) and answer.status == 200:
            known = self.of_token(token_of(request))
            if known is not None:
                known.grant = answer
        return answer


class Room(Passing):
    """A user's socket in a room; `sound`, `message` and `said` are what a breakage changes.

    `speaks`: the avatar is heard, as the backend sends it; `user_speaks` likewise.
    """

    def __init__(self, link: Link, house: House, session: Session) -> None:
        super().__init__(link)
        self.house, self.session = house, session
        session.rooms.append(self)
        self.speaks = self.user_speaks = False
        self._silent = self._user_silent = _QUIET_FRAMES

    async def sound(self, pcm: bytes) -> Sequence[Frame]:
        """20 ms of the avatar."""
        return (pcm,)

    async def message(self, told: Message) -> Sequence[Message]:
        """An app-message to the user."""
        return (told,)

    async def said(self, pcm: bytes) -> Sequence[Frame]:
        """20 ms of the user."""
        return (pcm,)

    async def user_begins(self) -> None:
        """The user's first loud frame after a silence."""

    async def user_ends(self) -> None:
        """The user has been silent for a quarter of a second."""

    async def down(self, frame: Frame) -> Sequence[Frame]:
        if isinstance(frame, str):
            return [json.dumps(each) for each in await self.message(json.loads(frame))]
        self._silent = 0 if is_loud(frame) else self._silent + 1
        self.speaks = self._silent < _QUIET_FRAMES
        return await self.sound(frame)

    async def up(self, frame: Frame) -> Sequence[Frame]:
        if isinstance(frame, str):
            return (frame,)
        self._user_silent = 0 if is_loud(frame) else self._user_silent + 1
        before, self.user_speaks = self.user_speaks, self._user_silent < _QUIET_FRAMES
        frames = await self.said(frame)
        if self.user_speaks and not before:
            await self.user_begins()
        elif before and not self.user_speaks:
            await self.user_ends()
        return frames

    async def tell(self, message: Message) -> None:
        """A message of our own to the user."""
        await self.link.to_user(json.dumps(message))


def rooms(kind: type[Room], **how: Any) -> Callable[[Backend], SocketHook]:
    """Every user's socket is such a room; OpenAI's sockets are left alone."""

    def make(backend: Backend) -> SocketHook:
        house = House.of(backend)

        def socket(link: Link) -> Passing:
            session = house.sessions.get(link.path.partition("?")[0].rpartition("/")[2])
            if link.service != "avaturn" or session is None:
                return Passing(link)
            return kind(link, house, session, **how)

        return socket

    return make


def watched(backend: Backend) -> HttpHook:
    """The HTTP of a breakage that is in the room alone."""
    return House.of(backend).hook


def with_grant_kept(backend: Backend) -> HttpHook:
    """Who has had a room's address gets it again, whatever became of the session."""
    house = House.of(backend)

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await house.hook(request, forward)
        if request.is_("GET", SDK) and answer.status != 200:
            known = house.of_token(token_of(request))
            if known is not None and known.grant is not None:
                return known.grant
        return answer

    return hook
