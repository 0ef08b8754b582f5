"""What a session needs from outside, as protocols and plain values: the seam between `lifecycle` and every tool.

`control.Control` and `rooms/*` implement them; `lifecycle` and `conversation` know nothing else of HTTP or media.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from loadtest.language.errors import StepError
from loadtest.language.events import Mark
from loadtest.language.given_back import Watch
from loadtest.sound.speech import Clip

GONE_STATUS = frozenset({401, 403, 404, 410})
"""Answers that prove the end of a session whose token worked before (DESIGN.md 3)."""
DELETED_STATUS = frozenset({200, 202, 204, 404, 410})
"""Answers to a delete after which nothing is left (INTERFACE.md `avaload sweep`)."""


@dataclass(slots=True)
class Call:
    """Facts of one HTTP call, filled in while it runs; None = no answer came, or it didn't say. `what` it is, for
    people. `watch` looks through its answer."""

    http_status: int | None = None
    server_ns: int | None = None
    pool_wait_ns: int = 0
    body_so_far: bytes = field(default=b"", repr=False)
    """Of a body that was cut off, or was longer than we take."""
    what: str = ""
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
    """What the create answered: the id to delete it by, the token to use it with. `flaw`: what is wrong with the answer
    besides; its session is of no use, but it is there, and is to be deleted."""

    target_session_id: str
    token: str = field(repr=False)
    flaw: StepError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The way into a room, from the SDK session (PROTOCOL.md 3.4). `watch` looks through what is said there."""

    room_url: str
    token: str = field(repr=False)
    watch: Watch = field(default_factory=Watch, repr=False, compare=False)


class ControlApi(Protocol):
    """The HTTP steps. None retries, none has a deadline of its own. All raise StepError."""

    async def mint(self, call: Call, *, ttl_s: int, realtime: Mapping[str, Any], traceparent: str) -> ClientSecret:
        """A fresh client secret (PROTOCOL.md 1.1, 1.2)."""

    async def create(self, call: Call, *, secret: ClientSecret, fields: Mapping[str, Any], traceparent: str) -> Created:
        """An Avaturn session on that secret (PROTOCOL.md 3.1, 3.2)."""

    async def create_at_backend(
        self, call: Call, *, user: int, iteration: int, trace_id: str, traceparent: str
    ) -> Created:
        """The same by the integrator's own endpoint, which mints too."""

    async def sdk_session(self, call: Call, *, token: str, traceparent: str) -> Grant:
        """The room's address and token (PROTOCOL.md 3.4)."""

    async def look(self, call: Call, *, token: str, traceparent: str) -> int:
        """HTTP status of the SDK session: 200 = alive, one of GONE_STATUS = ended."""

    async def delete(self, call: Call, *, target_session_id: str, traceparent: str) -> int:
        """End the session: one of DELETED_STATUS; any other status is raised (PROTOCOL.md 3.1)."""


class Listener(Protocol):
    """Hears what a room has to say. Every `t_ns` was taken on arrival, before any other work."""

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        """A phase of connecting was reached, or a clip's first or last voiced frame left."""

    def on_audio(self, t_ns: int, pcm: bytes) -> None:
        """Avatar audio, 24 kHz mono PCM16LE, silence included."""

    def on_message(self, t_ns: int, message: dict[str, Any]) -> None:
        """An app-message (PROTOCOL.md 3.5)."""

    def on_closed(self, t_ns: int, why: StepError) -> None:
        """The room is over, and `why`; at most once, and not for a close of our own."""


class Room(Protocol):
    """One user's side of the place where user and avatar hear each other."""

    @property
    def lost(self) -> int | None:
        """Packets of the avatar's audio that did not arrive, or too late, by their numbers; None: they have none."""

    async def connect(self) -> None:
        """Return when the avatar's first frame is there; the caller bounds it. Raises StepError."""

    def speak(self, clip: Clip) -> None:
        """Send the clip frame by frame in real time; its end is the mark SPEECH_END. Raises StepError if the room is
        over."""

    async def close(self) -> None:
        """Leave; bounded, idempotent, never raises."""


class OpenRoom(Protocol):
    """Chooses the room of a grant; not yet connected. `between`: the frames that the microphone sends, in turn, while
    nothing is spoken; none: it sends nothing then. Raises StepError."""

    def __call__(self, grant: Grant, listener: Listener, between: tuple[bytes, ...]) -> Room: ...
