"""What a session needs from outside, as protocols and plain values: the seam between `lifecycle` and every service.

`lifecycle`, `owned` and `conversation` know nothing else of HTTP, media or a vendor's words. `services.control.Control`
and `rooms/` provide it for one service. Another one would have to provide

- a `ControlApi`: make a session, hand out the way into its room, look whether it lives, end it;
- an `OpenRoom`: a `Room` that carries sound both ways and tells its `Listener` what it hears;
- its app-messages as `Told` (`rooms/app_messages.py` has the names).

Each says below what it has to keep to. What a service can't do is said there, too.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from loadtest.config.keys.caller import Caller
from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import Mark
from loadtest.secrecy.given_back import Watch
from loadtest.session.line import CallersLine
from loadtest.sound.speech import Clip

GONE_STATUS = frozenset({401, 403, 404, 410})
"""Answers that prove the end of a session whose token worked before (ARCHITECTURE.md#nothing-may-be-left-behind)."""


def is_deleted(status: int) -> bool:
    """Whether nothing is left after a delete that was answered so: it was done, or there was nothing to do."""
    return status // 100 == 2 or status in (404, 410)


_GAVE_UP = (408, 499)
"""A proxy's words for a request that it no longer waits for: whoever stands behind it may go on."""


def creates_nothing(status: int) -> bool:
    """Whether a create that was answered so has made nothing: it was refused, or the same is to be asked elsewhere. By
    any other redirect a page may tell where to look at what it has made."""
    return (status // 100 == 4 and status not in _GAVE_UP) or status in (307, 308)


@dataclass(slots=True)
class Call:
    """Facts of one HTTP call, filled in while it runs; None = no answer came, or it didn't say. `what` it is, for
    people. `watch` looks through its answer. `reads_body`: False where the status says all that is asked: then nothing
    that is wrong with a body is a failure."""

    http_status: int | None = None
    server_ns: int | None = None
    pool_wait_ns: int = 0
    body_so_far: bytes = field(default=b"", repr=False)
    """Of a body that was cut off, or was longer than we take."""
    what: str = ""
    reads_body: bool = True
    watch: Watch = field(default_factory=Watch, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """What the mint answered; `expires_at_s` is unix time of the provider's clock, `provider_s` what that showed then
    (None: it didn't say)."""

    value: str = field(repr=False)
    expires_at_s: int
    provider_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What the create answered: the id to delete it by, the token to use it with (a service without one says the id
    again). `flaw`: what is wrong with the answer besides; its session is of no use, but it is there, and is to be
    deleted."""

    target_session_id: str
    token: str = field(repr=False)
    flaw: StepError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The way into a room: its address and the token that opens it. `is_by_address`: the address alone says which room
    it is; elsewhere the token may choose among those behind one. `watch` looks through what is said there."""

    room_url: str
    token: str = field(repr=False)
    is_by_address: bool = False
    watch: Watch = field(default_factory=Watch, repr=False, compare=False)

    @property
    def room(self) -> str:
        """Equal for two ways into one room."""
        return self.room_url if self.is_by_address else f"{self.room_url} {self.token}"


class ControlApi(Protocol):
    """The steps before and after the room. None retries, none has a deadline of its own: `lifecycle` has both.

    All raise StepError: for a refusal with its `http_status`; with `sent=False` where nothing can have reached the
    service. Each fills in its `call`, sends the `traceparent`, enters the secrets that it sends with `call.watch`, and
    lets that look through every answer.
    """

    async def mint(self, call: Call, *, ttl_s: int, realtime: Mapping[str, Any], traceparent: str) -> ClientSecret:
        """A fresh secret of the provider of speech, good for `ttl_s`; `realtime` is the scenario's part for it. A
        service that speaks by itself returns what its create needs instead, and the step is its login."""

    async def create(self, call: Call, *, secret: ClientSecret, fields: Mapping[str, Any], traceparent: str) -> Created:
        """A session on that secret; `fields` are the scenario's part for it. Where an answer came that holds an id,
        return it even if the rest is wrong (`Created.flaw`): what has no id can't be deleted."""

    async def create_at_backend(
        self, call: Call, *, user: int, iteration: int, trace_id: str, traceparent: str
    ) -> Created:
        """The same by the integrator's own endpoint, which mints too. `user` and `iteration` tell who asks."""

    async def grant(self, call: Call, *, token: str, traceparent: str) -> Grant:
        """The way into the session's room, by its token: the answer that proves that the token was good once."""

    async def look(self, call: Call, *, token: str, traceparent: str) -> int:
        """Ask the same again after the end: 200 = alive, one of GONE_STATUS = ended. A service that can't be asked
        raises StepError: the end is then unconfirmed, never confirmed."""

    async def delete(self, call: Call, *, target_session_id: str, traceparent: str) -> int:
        """End the session; a status that is not `is_deleted` is raised. Ending it twice must do no harm: what
        was not answered is tried again, and a sweep asks for everything that may be left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An app-message in words of ours. `mark`: what it says; None: nothing that anybody here asks for. `raw`: as it
    came, for who checks the contract itself.

    `text`: of a transcript. `phrase`: the id of the part of an answer that it belongs to. `code_word`: names in the
    text the session in which it was said, where a twin says one. `stamped_s`: its own time, unix seconds of the
    provider's clock. `well_formed`: it has the shape that the contract gives it. `error`: why the session is in
    trouble, with the mark SESSION_ERROR and no other.
    """

    raw: Mapping[str, Any]
    mark: Mark | None
    text: str | None = None
    phrase: str | None = None
    code_word: str | None = None
    stamped_s: float | None = None
    well_formed: bool | None = None
    error: StepError | None = None


class Listener(Protocol):
    """Hears what a room has to say. Every `t_ns` was taken on arrival, before any other work; all on the event loop."""

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        """A phase of connecting was reached, or a clip's first or last voiced frame left."""

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0, rest_ns: int = 0) -> None:
        """Avatar audio, 24 kHz mono PCM16LE, silence included. `lost`: packets just before it that did not come.
        `rest_ns`: so long before it nothing was sent, for there was silence alone."""

    def on_message(self, t_ns: int, told: Told) -> None:
        """An app-message."""

    def on_sent(self, t_ns: int, pcm: bytes) -> None:
        """A frame of the microphone left that holds more than the clip: an echo."""

    def on_closed(self, t_ns: int, why: StepError) -> None:
        """The room is over, and `why`; at most once, and not for a close of our own."""


class Room(Protocol):
    """One user's side of the place where user and avatar hear each other.

    It tells the listener JOINED, AVATAR_PRESENT and FIRST_FRAME as they come, then every frame, silence included, where
    the service sends it. What it holds is closed by `close` alone.
    """

    @property
    def lost(self) -> int | None:
        """Packets of the avatar's audio that did not arrive, or too late, by their numbers; None: they have none."""

    async def connect(self) -> None:
        """Return when the avatar's first frame is there; the caller bounds it. Raises StepError."""

    def speak(self, clip: Clip) -> None:
        """Send the clip frame by frame in real time; its end is the mark SPEECH_END. Raises StepError if the room is
        over."""

    async def cut(self) -> None:
        """Be gone as if the line was cut; bounded, never raises. Nothing is told or heard any more."""

    async def close(self) -> None:
        """Leave; bounded, idempotent, never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where somebody calls from, who doesn't call from a studio: `[caller]` of his scenario, his own chance, and his
    line, where it does anything to what it carries."""

    caller: Caller
    chance: random.Random
    line: CallersLine | None = None


class OpenRoom(Protocol):
    """Chooses the room of a grant; not yet connected. `between`: the frames that the microphone sends, in turn, while
    nothing is spoken; none: it sends nothing then. `situation`: None is a clean caller's. Raises StepError."""

    def __call__(
        self, grant: Grant, listener: Listener, between: tuple[bytes, ...], situation: Situation | None = None
    ) -> Room: ...
