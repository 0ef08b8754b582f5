"""Sessions that end too early, too late or never (docs/contract.md#rules-of-termination, #rules-of-durations)."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException
from pydantic import Field

from loadtest.twin.avaturn_side.bodies import CreateSession
from loadtest.twin.avaturn_side.engines.upstream import Upstream
from loadtest.twin.avaturn_side.http_api.gate import Gate
from loadtest.twin.avaturn_side.sessions.lifespan import Lifespan
from loadtest.twin.avaturn_side.sessions.session import Session, Starter
from loadtest.twin.avaturn_side.sessions.store import Sessions
from loadtest.twin.pcm import FRAME_MS

_REMINDER_S = 60


class KeepsRunning(Session):
    """DELETE answers 200 and the session goes on as if nothing had happened."""

    def terminate(self) -> None:
        pass


class WaitsForPhrase(Session):
    """DELETE in mid-speech ends the session only after the phrase that is being said."""

    def terminate(self) -> None:
        phrase_id = self._voice.phrase_id
        _once(lambda: not self._voice.speaks or self._voice.phrase_id != phrase_id, then=super().terminate)


class DrainsQueue(Session):
    """DELETE in mid-speech ends the session only after everything that is left to say."""

    def terminate(self) -> None:
        _once(lambda: not self._voice.speaks, then=super().terminate)


class EndsOnLeave(Session):
    """The session ends as soon as the user leaves the room."""

    def user_left(self) -> None:
        super().user_left()
        if not self.room.users:
            self.end("user_absent_timeout")


class NeverEnds(Lifespan):
    """An absent user is waited for in vain, for ever."""

    def _wait_for_user(self) -> None:
        pass


class AbsenceDefault10(CreateSession):
    """`user_absent_timeout` is 10 s by default."""

    user_absent_timeout: int = Field(10, ge=10)


class AbsenceDefault600(CreateSession):
    """`user_absent_timeout` is 600 s by default."""

    user_absent_timeout: int = Field(600, ge=10)


class CumulativeAbsence(Lifespan):
    """All absences together may last `user_absent_timeout`, instead of each."""

    _left_at_s: float | None = None

    def _wait_for_user(self) -> None:
        self._left_at_s = self._timers.now_s()
        super()._wait_for_user()

    def _stop_waiting(self) -> None:
        if self._left_at_s is not None:
            self.absence_s = max(0.0, self.absence_s - (self._timers.now_s() - self._left_at_s))
            self._left_at_s = None
        super()._stop_waiting()


class TimerNotCancelled(Lifespan):
    """Coming back doesn't stop the absence timer: the session ends with the user in it."""

    def joined(self) -> None:
        running, self._absence = self._absence, None
        super().joined()
        self._absence = running


class AbsenceOffByOne(CreateSession):
    """A `user_absent_timeout` of 9 s is accepted."""

    user_absent_timeout: int = Field(60, ge=9)


class CountsOnlyIdle(Lifespan):
    """`max_duration` counts only while nobody is in the room."""

    _idle_since_s: float | None = None

    def _count_down(self) -> None:
        self._idle_since_s = self._timers.now_s()
        super()._count_down()

    def joined(self) -> None:
        super().joined()
        if self._longest is not None and self._idle_since_s is not None:
            self._longest.cancel()
            self.longest_s = max(0.0, self.longest_s - (self._timers.now_s() - self._idle_since_s))
            self._idle_since_s = None

    def left(self) -> None:
        super().left()
        if self._longest is not None:
            self._count_down()


class ResetsOnSpeech(Session):
    """`max_duration` counts anew from each thing that the user says."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        lifespan = self.lifespan
        if event["type"] == "input_audio_buffer.speech_started" and lifespan._longest is not None:
            lifespan._longest.cancel()
            lifespan._count_down()
        super().upstream_event(event)


class TokenStaysValid(Sessions):
    """The token of an ended session still gets a room and its token."""

    def __init__(self, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._dead: dict[str, Session] = {}

    def find(self, session_id: str) -> Session | None:
        return super().find(session_id) or self._dead.get(session_id)

    def retire(self, session: Session) -> None:
        super().retire(session)
        self._dead[session.id] = session


class NewStreamStarts(Sessions):
    """The token of an ended session starts a new stream, with the old id."""

    def __init__(self, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._bodies: dict[str, CreateSession] = {}

    def find(self, session_id: str) -> Session | None:
        body = self._bodies.pop(session_id, None)
        if body is not None:
            del self._around.truth._ended[session_id]
            return self.begin(session_id, body)
        return super().find(session_id)

    def retire(self, session: Session) -> None:
        super().retire(session)
        self._bodies[session.id] = session.body


class SecondDeleteFails(Gate):
    """DELETE of a session that has ended, or never was, answers 500."""

    def ended_already(self) -> HTTPException | None:
        return HTTPException(500, "Internal Server Error")

    def unknown(self) -> HTTPException:
        return HTTPException(500, "Internal Server Error")


class NeverStartedLivesForEver(Lifespan):
    """Both timers begin with the first frame: a session that never started lives for ever."""

    def created(self) -> None:
        pass

    def first_frame(self) -> None:
        super().created()
        super().first_frame()


class OwnAudioResetsIdle(Session):
    """The avatar's silence is announced as phrases, once a minute: a page never counts as idle."""

    def start(self, by: Starter) -> None:
        super().start(by)
        self._remind()

    def _remind(self) -> None:
        if self.state != "ended":
            for what in ("started", "ended"):
                self.room.say({"type": f"avatar_{what}_speaking_phrase", "phrase_id": "silence"})
            self._around.timers.after(_REMINDER_S, self._remind)


class Orphans(Lifespan):
    """A session that nobody ever joined is not missed: it lives until `max_duration`."""

    _has_been_joined = False

    def _wait_for_user(self) -> None:
        if self._has_been_joined:
            super()._wait_for_user()

    def joined(self) -> None:
        self._has_been_joined = True
        super().joined()


class UpstreamLeftOpen(Upstream):
    """The end of a session leaves its OpenAI socket open."""

    def leave(self) -> None:
        self._stage = None


class AnyKeyDeletes(Gate):
    """DELETE works with any bearer."""

    def may_delete(self, key: str) -> bool:
        return True


class Zombie(Session):
    """After OpenAI has cut the socket the room stays, and never answers again."""

    def upstream_lost(self) -> None:
        pass


def _once(holds: Callable[[], bool], *, then: Callable[[], None]) -> None:
    """Ask again every frame; nobody announces what is waited for here."""
    if holds():
        then()
    else:
        asyncio.get_running_loop().call_later(FRAME_MS / 1000, lambda: _once(holds, then=then))


MUTANTS = {
    "TD-1-keeps-running": KeepsRunning,
    "TD-1b-waits-for-phrase": WaitsForPhrase,
    "TD-1b-drains-queue": DrainsQueue,
    "TD-2-ends-on-leave": EndsOnLeave,
    "TD-3-never-ends": NeverEnds,
    "TD-3-default-10": AbsenceDefault10,
    "TD-3-default-600": AbsenceDefault600,
    "TD-3b-cumulative": CumulativeAbsence,
    "TD-3b-timer-not-cancelled": TimerNotCancelled,
    "TD-3c-off-by-one": AbsenceOffByOne,
    "TD-4-counts-only-idle": CountsOnlyIdle,
    "TD-4-resets-on-speech": ResetsOnSpeech,
    "TD-5-token-stays-valid": TokenStaysValid,
    "TD-5-new-stream-starts": NewStreamStarts,
    "TD-6-500": SecondDeleteFails,
    "TD-7-never-started-lives-for-ever": NeverStartedLivesForEver,
    "TD-8-own-audio-resets-idle": OwnAudioResetsIdle,
    "TD-9-orphans": Orphans,
    "TD-10-upstream-left-open": UpstreamLeftOpen,
    "TD-11-any-key-deletes": AnyKeyDeletes,
    "DUR-1-zombie": Zombie,
}
