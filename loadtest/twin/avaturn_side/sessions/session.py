"""One Avaturn session, from create to its end (docs/contract.md#a-sessions-life)."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any, Literal

from loadtest.twin.avaturn_side.bodies import CreateSession
from loadtest.twin.avaturn_side.engines.choice import engine_for
from loadtest.twin.avaturn_side.engines.engine import UNREACHABLE, Engine
from loadtest.twin.avaturn_side.engines.external import External
from loadtest.twin.avaturn_side.engines.upstream import answers_task
from loadtest.twin.avaturn_side.rooms import app_messages
from loadtest.twin.avaturn_side.rooms.room import Room
from loadtest.twin.avaturn_side.sessions.lifespan import Lifespan
from loadtest.twin.avaturn_side.surroundings import Surroundings
from loadtest.twin.avaturn_side.voice import Voice
from loadtest.twin.openai_side.minting.client_secrets import ClientSecret

State = Literal["created", "starting", "active", "user_absent", "ended"]
EndReason = Literal[
    "termination_command_received", "user_absent_timeout", "max_duration_reached", "engine_failed", "twin_stopped"
]
Starter = Literal["start_stream", "sdk_session", "join"]

_TRANSCRIPTS = {
    "conversation.item.input_audio_transcription.completed": app_messages.INPUT,
    "conversation.item.input_audio_transcription.failed": app_messages.INPUT,
    "response.output_audio_transcript.done": app_messages.RESPONSE,
}
_FAILED = "transcription-failed"


class Session:
    """The state machine: created, starting, active, user_absent, ended; and the stage of its engine."""

    def __init__(
        self,
        *,
        session_id: str,
        body: CreateSession,
        surroundings: Surroundings,
        on_end: Callable[["Session"], None],
    ) -> None:
        self.id = session_id
        self.body = body
        self.state: State = "created"
        self.end_reason: EndReason | None = None
        self.trace_ids: list[str] = []
        self.room = Room(self, keeps_errors=surroundings.knobs.early_errors == "kept")
        self._around = surroundings
        self._on_end = on_end
        self._created_at = time.time()
        self._joined_at: float | None = None
        self._ended_at: float | None = None
        self.forbidden: str | None = None
        self._engine = self._new_engine()
        self._voice = surroundings.make(Voice)(
            room=self.room,
            microphone=self._engine,
            listener=self._engine if isinstance(self._engine, External) else None,
            chance=surroundings.chance,
            make=surroundings.make,
            codec="opus" if surroundings.knobs.room == "webrtc" else "pcm",
        )
        self._opening: asyncio.Task[None] | None = None
        self._is_ready = False
        self._is_live = False
        self._first_frame: asyncio.TimerHandle | None = None
        self.lifespan = surroundings.make(Lifespan)(
            absence_s=body.user_absent_timeout,
            longest_s=body.max_duration,
            knobs=surroundings.knobs,
            timers=surroundings.timers,
            end=self.end,
        )
        self.lifespan.created()
        if surroundings.knobs.upstream_open_at == "create":
            self._open_engine()

    def seen_with(self, trace_id: str | None) -> None:
        """A call about this session carried this trace id."""
        if trace_id is not None and trace_id not in self.trace_ids:
            self.trace_ids.append(trace_id)

    def minted_with(self, secret: ClientSecret) -> None:
        """This is the secret of its engine; what becomes of it later is none of the session's business (EXP-2)."""
        self.seen_with(secret.trace_id)

    def forbid(self, code: str) -> None:
        """It may be created, but it will not start: whoever comes is told this code."""
        self.forbidden = code

    def start(self, by: Starter) -> None:
        """Start the stream, if it has not been, and if this is what starts it."""
        if self.state != "created" or self._around.knobs.starts_on not in ("any", by):
            return
        self.state = "starting"
        code = self.forbidden or self._around.chance.mishap("stream_start")
        if code is not None:
            self._fail(code, "The session could not be started.")
        elif self._opening is None:
            self._open_engine()
        elif self._is_ready:
            self._await_first_frame()

    def terminate(self) -> None:
        """DELETE: end it, whatever is going on."""
        self.end("termination_command_received")

    def end(self, reason: EndReason) -> None:
        """The room and the engine's connection close now. A second end does nothing."""
        if self.state == "ended":
            return
        self.state, self.end_reason, self._ended_at = "ended", reason, time.time()
        self.lifespan.stop()
        if self._first_frame is not None:
            self._first_frame.cancel()
        if self._opening is not None:
            self._opening.cancel()
        self._around.ticker.remove(self._voice)
        self._voice.hush()
        self._engine.leave()
        self.room.say(app_messages.participant("left", first_frame=False))
        self.room.close()
        self._on_end(self)

    def task(self, task_id: str, text: str) -> None:
        """A text of `/tasks`: queued behind what the avatar is saying; nothing is said while nobody is there."""
        if self.room.users and self._is_live:
            self._engine.task(task_id, text)

    def cancel_tasks(self) -> None:
        """Stop talking."""
        self._engine.cancel_tasks()
        self._voice.interrupt()

    def change_voice(self, voice: str) -> None:
        """Another voice, from the next task on."""
        self._engine.change_voice(voice)

    def record(self) -> dict[str, Any]:
        """The truth about it (TWIN.md#what-really-happened), but for `upstream_open`."""
        return {
            "session_id": self.id,
            "state": self.state,
            "end_reason": self.end_reason,
            "created_at": self._created_at,
            "joined_at": self._joined_at,
            "ended_at": self._ended_at,
            "render_preset": self.body.preset,
            "user_audio_frames": self._voice.user_frames,
            "avatar_audio_frames": self._voice.avatar_frames,
            "heard": self._voice.heard.record(),
            "trace_ids": self.trace_ids,
            "turns": [turn.record() for turn in self._voice.turns],
        }

    # --- what the room says

    def user_joined(self) -> None:
        """A user came, for the first time or again."""
        self._joined_at = self._joined_at or time.time()
        self.lifespan.joined()
        self.start(by="join")
        if self.state == "user_absent":
            self.state = "active"
        self.room.say(app_messages.participant("joined", first_frame=self.state == "active"))
        self._pace()

    def user_left(self) -> None:
        """A user went; if it was the last, absence begins."""
        if self.room.users or self.state == "ended":
            return
        if self.state == "active":
            self.state = "user_absent"
        self._around.ticker.remove(self._voice)
        self._voice.hush()
        self.lifespan.left()

    def user_sent(self, pcm: bytes) -> None:
        """Microphone sound."""
        self._voice.hear(pcm)

    def user_missed(self, packets: int) -> None:
        """So many packets of the microphone's have never come by now."""
        self._voice.heard.lost = packets

    def user_told(self, message: dict[str, Any]) -> None:
        """An app-message; only those for the engine mean anything here."""
        if message.get("type") == app_messages.SEND:
            self._engine.message(message.get("data"))

    # --- what the engine says

    def upstream_ready(self) -> None:
        """The engine is there; the first frame follows if the stream was started."""
        self._is_ready = True
        if self.state == "starting" and not self._is_live:
            self._await_first_frame()

    def upstream_refused(self, code: str | None, *, reason: str = UNREACHABLE) -> None:
        """The session can't start; it says so, now or to the first to join, and waits for its timers."""
        self._fail(
            "openai-realtime-version-mismatch" if code == "beta_api_shape_disabled" else "internal_error", reason
        )

    def upstream_lost(self) -> None:
        """No answers will come any more: better an ended session than a mute avatar (DUR-1)."""
        if self._around.knobs.upstream_reconnects:
            self._engine = self._voice.microphone = self._new_engine()
            self._open_engine()
            return
        self._fail("internal_error", "The conversation engine was lost.")
        self.end("engine_failed")

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        """Sound of an answer; played only to someone."""
        if self.room.users:
            self._voice.queue(self._phrase_id(phrase_id), sound)

    def upstream_complete(self, phrase_id: str) -> None:
        """The answer's sound is complete."""
        self._voice.complete(self._phrase_id(phrase_id))

    def upstream_event(self, event: dict[str, Any]) -> None:
        """The few other events that matter here; most don't, and recoverable errors don't either (ERR-1)."""
        kind = event["type"]
        if kind == "input_audio_buffer.speech_started":
            self._voice.user_started()
        elif kind == "input_audio_buffer.speech_stopped":
            self._voice.user_stopped()
        elif kind == "response.created":
            self._voice.answer_begins(to_user=not answers_task(event))
        elif kind in _TRANSCRIPTS:
            self.say_transcript(_TRANSCRIPTS[kind], event.get("transcript", _FAILED))

    def segment_begins(self) -> None:
        """An external engine answers: the user's turn, if there was one, is over."""
        if self._voice.spoke_since_turn:
            self._voice.user_stopped()
        self._voice.answer_begins()

    def interrupted(self) -> None:
        """An external engine wants silence, because of the user or for reasons of its own."""
        if self._voice.is_barged_in:
            self._voice.user_started()
        else:
            self._voice.interrupt()

    def to_page(self, data: object) -> None:
        """A message of an external engine for the page."""
        self.room.say({"type": app_messages.RECEIVED, "data": data})

    # --- inner workings

    def say_transcript(self, kind: str, text: str) -> None:
        """Tell the page what was said."""
        too_long = self._around.knobs.long_transcript
        message = app_messages.transcript(kind, text, self.timestamp(), too_long=too_long)
        if message is not None:
            self.room.say(message)

    def timestamp(self) -> float | str:
        """What a transcript is stamped with: unix seconds."""
        return time.time()

    def error(self, code: str, message: str) -> dict[str, Any]:
        """The app-message of a lifecycle error."""
        return app_messages.lifecycle_error(code, message, session_id=self.id)

    def _fail(self, code: str, message: str) -> None:
        self.room.say(self.error(code, message), keep=True)

    def _new_engine(self) -> Engine:
        around = self._around
        return engine_for(
            self.body.conversation_engine,
            stage=self,
            dial=around.dial,
            on_count=self._count_upstream,
            make=around.make,
        )

    def _open_engine(self) -> None:
        self._opening = asyncio.get_running_loop().create_task(self._engine.open())

    def _await_first_frame(self) -> None:
        latency_s = self._around.chance.latency_s("stream_start")
        if latency_s:
            self._first_frame = asyncio.get_running_loop().call_later(latency_s, self._go_live)
        else:
            self._go_live()

    def _go_live(self) -> None:
        self._is_live = True
        self.state = "active" if self.room.users or self._joined_at is None else "user_absent"
        self.lifespan.first_frame()
        self.room.say(app_messages.participant("joined", first_frame=True))
        self._pace()

    def _pace(self) -> None:
        if self.state == "active" and self.room.users:
            self._around.ticker.add(self._voice)

    def _phrase_id(self, item_id: str) -> str:
        if self._around.knobs.phrase_id == "item":
            return item_id
        return f"phrase_{hashlib.blake2b(item_id.encode(), digest_size=8).hexdigest()}"

    def _count_upstream(self, is_open: bool) -> None:
        if is_open:
            self._around.truth.upstreams_open.add(self.id)
        else:
            self._around.truth.upstreams_open.discard(self.id)
