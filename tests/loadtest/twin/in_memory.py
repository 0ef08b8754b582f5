"""A Realtime session without a socket, in a time that passes only when everybody waits."""

import asyncio
import base64
import selectors
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from loadtest.twin.command_line.loading import load
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.openai_side.config import session_config
from loadtest.twin.openai_side.config.session_rules import SESSION
from loadtest.twin.openai_side.rate_limits import RateLimits
from loadtest.twin.openai_side.realtime_session import RealtimeSession
from loadtest.twin.openai_side.surroundings import Around, Decision
from loadtest.twin.pcm import tone
from loadtest.twin.timers import Timers


class Talk:
    """A client's view of one session."""

    def __init__(
        self,
        *knobs: str,
        session: dict[str, Any] | None = None,
        seed: int = 0,
        scale: float = 1,
        script: Sequence[Decision] = (),
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        profile = load(name="instant", settings=knobs)
        timers = Timers(scale=scale)
        limits = RateLimits(
            requests_per_minute=profile.requests_per_minute,
            tokens_per_minute=profile.tokens_per_minute,
            timers=timers,
        )
        request = {"type": "realtime", **(session or {})}
        SESSION(request, "session")
        self.session = RealtimeSession(
            config=session_config.effective(request, knobs=profile),
            around=Around(profile=profile, chance=Chance(profile, seed=seed), timers=timers, limits=limits),
            script=iter(script),
            emit=self.events.append,
            hang_up=self._hang_up,
        )
        self.session.open()

    def send(self, kind: str, **fields: Any) -> None:
        self.session.handle({"type": kind, **fields})

    def say(self, *, speech_ms: int, silence_ms: int = 600) -> None:
        sound = tone(duration_ms=speech_ms) + bytes(48 * silence_ms)
        self.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())

    def types(self, *, since: int = 1) -> list[str]:
        """The types of the events from the `since`-th on, runs of deltas as one."""
        kinds = [event["type"] for event in self.events[since:]]
        return [
            kind
            for index, kind in enumerate(kinds)
            if not kind.endswith(".delta") or kind not in kinds[max(0, index - 2) : index]
        ]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def last(self, kind: str) -> dict[str, Any]:
        return self.all(kind)[-1]

    def _hang_up(self, code: int, reason: str) -> None:
        self.closed = code, reason
        self.session.close()


def in_no_time(script: Callable[[], Awaitable[None]]) -> None:
    """Run `script` on a loop whose sleeps take no time; fails if it waits for what will never come."""

    async def run() -> None:
        await script()

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(run())


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now_s


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will ever happen")
        self._loop.now_s += timeout
        return super().select(0)
