"""A control that does what a test scripts, and a room that hands its listener to the test."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from loadtest.config.clips.microphone import Microphone
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Mark
from loadtest.services.creating import created
from loadtest.session.lifecycle import Lifecycle, Surroundings
from loadtest.session.ports import Call, ClientSecret, Created, Grant, Listener, Situation
from loadtest.session.ticket import Ticket
from loadtest.sound.speech import FRAME_BYTES, Clip, clip_of

LOUD_FRAME = b"\x00\x20" * (FRAME_BYTES // 2)
CLIP: Clip = clip_of("two loud frames", LOUD_FRAME * 2)

Script = Callable[[], Awaitable[Any]]


def refused(status: int, *, sent: bool = True) -> StepError:
    return StepError(Kind.REJECTED, Code.HTTP_4XX if status < 500 else Code.HTTP_5XX, http_status=status, sent=sent)


class FakeControl:
    """Implements ControlApi. `scripts[name]` is a list: an exception is raised, a callable awaited, anything else
    returned; the last entry repeats. `alive` is the ground truth."""

    def __init__(self, **scripts: list[Any]) -> None:
        self.scripts = scripts
        self.alive: set[str] = set()
        self.calls: list[str] = []
        self.traceparents: list[str] = []

    async def _play(self, name: str, default: Any) -> Any:
        self.calls.append(name)
        script = self.scripts.get(name)
        if not script:
            return default
        act = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(act, BaseException):
            raise act
        return await act() if callable(act) else act

    async def mint(self, call: Call, *, ttl_s: int, realtime: Mapping[str, Any], traceparent: str) -> ClientSecret:
        self.traceparents.append(traceparent)
        value = await self._play("mint", "ek_one")
        return ClientSecret(value=value, expires_at_s=1_000 + ttl_s)

    async def create(self, call: Call, *, secret: ClientSecret, fields: Mapping[str, Any], traceparent: str) -> Created:
        token = await self._play("create", None)
        self.alive.add("av-1")
        return created("av-1", "token-1" if token is None else token, "the create's answer")

    async def grant(self, call: Call, *, token: str, traceparent: str) -> Grant:
        granted: Grant | None = await self._play("grant", None)
        return granted or Grant(room_url="ws://127.0.0.1:1/rooms/1", token="room-1")

    async def look(self, call: Call, *, token: str, traceparent: str) -> int:
        return int(await self._play("look", 200 if "av-1" in self.alive else 404))

    async def delete(self, call: Call, *, target_session_id: str, traceparent: str) -> int:
        status = int(await self._play("delete", 200))
        self.alive.discard(target_session_id)
        return status


class FakeRoom:
    """Implements Room; `on_speak` is the test's script for what the avatar does."""

    def __init__(self, on_speak: Callable[[Listener], None] | None = None) -> None:
        self.listener: Listener | None = None
        self.closed = 0
        self.lost: int | None = None
        self._on_speak = on_speak

    async def connect(self) -> None:
        assert self.listener is not None
        self.listener.on_mark(1, Mark.JOINED)

    def speak(self, clip: Clip) -> None:
        assert self.listener is not None
        if self._on_speak is not None:
            self._on_speak(self.listener)

    async def cut(self) -> None:
        self.listener = None

    async def close(self) -> None:
        self.closed += 1


def around(control: FakeControl, events: list[Event], *, room: FakeRoom | None = None, **settings: Any) -> Surroundings:
    """Everything a lifecycle needs; without a room the scenario has none."""
    target = {"room": "auto" if room else "none", **settings.pop("target", {})}

    def open_room(
        _grant: Grant, listener: Listener, _between: tuple[bytes, ...], _situation: Situation | None = None
    ) -> FakeRoom:
        assert room is not None
        room.listener = listener
        return room

    resolved = Settings.model_validate({"name": "test", "target": target, **settings})
    return Surroundings(
        settings=resolved,
        scenarios=resolved.scenarios,
        control=control,
        open_room=open_room,
        microphones={"test": Microphone(clips={"corpus:en": (CLIP,)}, between=())},
        emit=events.append,
        lag_ns=lambda: 0,
        salt=b"salt",
    )


def lifecycle(control: FakeControl, events: list[Event], **settings: Any) -> Lifecycle:
    return Lifecycle(around(control, events, **settings), Ticket(number=0, user=0, iteration=0, due_ns=0))


async def forever() -> None:
    await asyncio.Event().wait()
