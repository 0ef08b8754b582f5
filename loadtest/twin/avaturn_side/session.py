"""One Avaturn session, from create to its end (PROTOCOL.md 3.7)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from loadtest.twin.avaturn_side.room import Room
from loadtest.twin.avaturn_side.schema import CreateSession, OpenAIRealtime
from loadtest.twin.avaturn_side.upstream import Upstream
from loadtest.twin.avaturn_side.voice import Voice
from loadtest.twin.profiles import Chance
from loadtest.twin.ticker import Ticker
from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth

State = Literal["created", "starting", "active", "user_absent", "ended"]
EndReason = Literal[
    "termination_command_received", "user_absent_timeout", "max_duration_reached", "engine_failed", "twin_stopped"
]

_TRANSCRIPTS = {
    "conversation.item.input_audio_transcription.completed": "ce_events.realtime.input_transcript",
    "conversation.item.input_audio_transcription.failed": "ce_events.realtime.input_transcript",
    "response.output_audio_transcript.done": "ce_events.realtime.response_transcript",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions share."""

    timers: Timers
    chance: Chance
    ticker: Ticker
    truth: Truth
    realtime_url: str


class Session:
    """The state machine: created, starting, active, user_absent, ended. Absence is counted from create until the
    first join and again from each leave; the longest duration is counted from create."""

    def __init__(
        self,
        *,
        session_id: str,
        body: CreateSession,
        surroundings: Surroundings,
        on_end: Callable[["Session"], None],
    ) -> None:
        self.id = session_id
        self.state: State = "created"
        self.end_reason: EndReason | None = None
        self.trace_ids: list[str] = []
        self.uses_stacked_alpha = body.background == "transparent"
        self.room = Room(self)
        self._engine = body.conversation_engine
        self._around = surroundings
        self._on_end = on_end
        self._created_at = time.time()
        self._joined_at: float | None = None
        self._ended_at: float | None = None
        self._upstream = Upstream(self, on_count=self._count_upstream)
        self._voice = Voice(room=self.room, microphone=self._upstream, chance=surroundings.chance)
        self._opening: asyncio.Task[None] | None = None
        self._first_frame: asyncio.TimerHandle | None = None
        self._absence_s = float(body.user_absent_timeout)
        self._absence: asyncio.TimerHandle | None = None
        self._longest = surroundings.timers.after(body.max_duration, lambda: self.end("max_duration_reached"))
        self._wait_for_user()

    def seen_with(self, trace_id: str | None) -> None:
        """A call about this session carried this trace id."""
        if trace_id is not None and trace_id not in self.trace_ids:
            self.trace_ids.append(trace_id)

    def start(self) -> None:
        """Start the stream, if it has not been: start_stream, the SDK's GET and a join all do it."""
        if self.state != "created":
            return
        self.state = "starting"
        if isinstance(self._engine, OpenAIRealtime):
            opening = self._upstream.open(self._around.realtime_url, client_secret=self._engine.client_secret)
            self._opening = asyncio.get_running_loop().create_task(opening)
        else:
            self.upstream_ready()

    def end(self, reason: EndReason) -> None:
        """End it, whatever is going on: the room and the OpenAI socket close now. A second end does nothing."""
        if self.state == "ended":
            return
        self.state, self.end_reason, self._ended_at = "ended", reason, time.time()
        for timer in (self._longest, self._absence, self._first_frame):
            if timer is not None:
                timer.cancel()
        if self._opening is not None:
            self._opening.cancel()
        self._around.ticker.remove(self._voice)
        self._voice.hush()
        self._upstream.leave()
        self.room.say(_participant("left", first_frame=False))
        self.room.close()
        self._on_end(self)

    def record(self) -> dict[str, Any]:
        """The truth about it (INTERFACE.md, `state_url`), but for `upstream_open`."""
        return {
            "session_id": self.id,
            "state": self.state,
            "end_reason": self.end_reason,
            "created_at": self._created_at,
            "joined_at": self._joined_at,
            "ended_at": self._ended_at,
            "user_audio_frames": self._voice.user_frames,
            "avatar_audio_frames": self._voice.avatar_frames,
            "trace_ids": self.trace_ids,
            "turns": [turn.record() for turn in self._voice.turns],
        }

    # --- what the room says

    def user_joined(self) -> None:
        """A user came: absence is over, whatever is left of it."""
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None
        self._joined_at = self._joined_at or time.time()
        self.start()
        if self.state == "user_absent":
            self.state = "active"
        self.room.say(_participant("joined", first_frame=self.state == "active"))
        self._pace()

    def user_left(self) -> None:
        """A user went; if it was the last, absence begins."""
        if self.room.users or self.state == "ended":
            return
        if self.state == "active":
            self.state = "user_absent"
        self._around.ticker.remove(self._voice)
        self._voice.hush()
        self._wait_for_user()

    def user_sent(self, pcm: bytes) -> None:
        """Microphone sound."""
        self._voice.hear(pcm)

    # --- what OpenAI says

    def upstream_ready(self) -> None:
        """The engine is there; the first frame follows after the injected start-up time."""
        latency_s = self._around.chance.latency_s("stream_start")
        if latency_s:
            self._first_frame = asyncio.get_running_loop().call_later(latency_s, self._go_live)
        else:
            self._go_live()

    def upstream_refused(self, code: str | None) -> None:
        """The session can't start; it says so, now or to the first to join, and waits for its timers."""
        self._fail("openai-realtime-version-mismatch" if code == "beta_api_shape_disabled" else "internal_error")

    def upstream_lost(self) -> None:
        """No answers will come any more: better an ended session than a mute avatar (PROTOCOL.md DUR-1)."""
        self._fail("internal_error")
        self.end("engine_failed")

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        """Sound of an answer; played only to someone."""
        if self.room.users:
            self._voice.queue(phrase_id, sound)

    def upstream_event(self, event: dict[str, Any]) -> None:
        """The few other events that matter here; most don't, and recoverable errors don't either (ERR-1)."""
        kind = event["type"]
        if kind == "input_audio_buffer.speech_started":
            self._voice.user_started()
        elif kind == "input_audio_buffer.speech_stopped":
            self._voice.user_stopped()
        elif kind == "response.output_audio.done":
            self._voice.complete(event["item_id"])
        elif kind in _TRANSCRIPTS:
            transcript = event.get("transcript", "transcription-failed")
            self.room.say({"type": _TRANSCRIPTS[kind], "transcript": transcript, "timestamp": time.time()})

    # --- inner workings

    def _go_live(self) -> None:
        self.state = "active" if self.room.users or self._joined_at is None else "user_absent"
        self.room.say(_participant("joined", first_frame=True))
        self._pace()

    def _pace(self) -> None:
        if self.state == "active" and self.room.users:
            self._around.ticker.add(self._voice)

    def _wait_for_user(self) -> None:
        self._absence = self._around.timers.after(self._absence_s, lambda: self.end("user_absent_timeout"))

    def _fail(self, code: str) -> None:
        message = "The conversation engine could not be reached."
        error = {"type": "session_lifecycle_error", "code": code, "message": message, "session_id": self.id}
        self.room.say({"type": "error", "error": error}, keep=True)

    def _count_upstream(self, is_open: bool) -> None:
        if is_open:
            self._around.truth.upstreams_open.add(self.id)
        else:
            self._around.truth.upstreams_open.discard(self.id)


def _participant(state: str, *, first_frame: bool) -> dict[str, Any]:
    return {"type": "room.participant", "owner": True, "state": state, "first_frame": first_frame}
