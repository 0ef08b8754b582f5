"""The converse step: turns spoken into a room, and what was heard back, timed from the audio itself.

`Conversation` is the room's `Listener`: it is told every stamp and wakes whoever waits for one. Time to first audio
runs from the user's last voiced frame to the onset of the avatar's first audible sound; an onset before that is an
early answer, never a negative number (DESIGN.md 9).
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from loadtest import scenario
from loadtest.clock import now_ns
from loadtest.errors import Code, Kind, StepError
from loadtest.events import Mark
from loadtest.ports import Room
from loadtest.redact import redact
from loadtest.speech import Clip, Ear

STALLED_NS = 5_000_000_000
"""A joined room sends frames all the time, silence included; none for this long is a dead stream."""
SETTLE_S = 1.0
"""Quiet after which an answer is over where no app-message said so."""
SPEAK_GRACE_S = 5.0

_MARK_OF_MESSAGE = {
    "avatar_started_speaking": Mark.AVATAR_STARTED,
    "avatar_ended_speaking": Mark.AVATAR_ENDED,
    "ce_events.realtime.input_transcript": Mark.USER_TRANSCRIPT,
    "ce_events.realtime.response_transcript": Mark.AVATAR_TRANSCRIPT,
}
_CODE_OF_ERROR = {
    "openai-realtime-version-mismatch": Code.VERSION_MISMATCH,
    "limits_exceeded": Code.LIMITS_EXCEEDED,
    "internal_error": Code.INTERNAL_ERROR,
}

Observe = Callable[[int, Mark, int | None], None]
"""(t_ns, mark, turn)"""


class Conversation:
    """One session's talk. `over` is why the room ended, once it did."""

    def __init__(self, *, observe: Observe) -> None:
        self._observe = observe
        self._ear = Ear(on_onset=self._on_onset, on_offset=self._on_offset)
        self._waiter: asyncio.Future[None] | None = None
        self._turn: int | None = None
        self._speech_end_ns: int | None = None
        self._onset_ns: int | None = None
        self._last_audio_ns: int | None = None
        self._avatar_ended = False
        self._avatar_speaking = False
        self._last_frame_ns = 0
        self.over: StepError | None = None

    # What the room tells

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        if mark is Mark.SPEECH_END:
            self._speech_end_ns = t_ns
        self._observe(t_ns, mark, self._turn)
        self._wake()

    def on_audio(self, t_ns: int, pcm: bytes) -> None:
        self._last_frame_ns = t_ns
        self._ear.hear(t_ns, pcm)

    def on_message(self, t_ns: int, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind in ("error", "session_lifecycle_error"):
            self._on_error(message)
        elif (mark := _MARK_OF_MESSAGE.get(str(kind))) is not None:
            if mark is Mark.USER_TRANSCRIPT and message.get("transcript") == "transcription-failed":
                mark = Mark.TRANSCRIPT_FAILED
            if mark is Mark.AVATAR_ENDED:
                self._avatar_ended = True
            self._observe(t_ns, mark, self._turn)
        self._wake()

    def on_closed(self, t_ns: int, code: int, reason: str) -> None:
        if self.over is None:
            self.over = StepError(Kind.TRANSPORT, Code.WS_CLOSED, redact(f"the room closed: {code} {reason}".strip()))
        self._wake()

    def _on_error(self, message: dict[str, Any]) -> None:
        """Nested as PROTOCOL.md 3.5 has it, or flat as the seed words it: both are accepted (C-9)."""
        error = message.get("error")
        facts = error if isinstance(error, dict) else message
        code = _CODE_OF_ERROR.get(str(facts.get("code")), Code.INTERNAL_ERROR)
        text = f"{facts.get('code')}: {facts.get('message', '')}"
        self.over = StepError(Kind.PROTOCOL, code, redact(text))

    def _on_onset(self, t_ns: int) -> None:
        self._avatar_speaking = True
        self._avatar_ended = False
        if self._onset_ns is None:
            self._onset_ns = t_ns
        self._wake()

    def _on_offset(self, t_ns: int) -> None:
        self._avatar_speaking = False
        self._last_audio_ns = t_ns
        self._wake()

    # What the user does

    async def say(self, room: Room, clip: Clip, plan: scenario.Conversation, turn: int) -> int:
        """Speak, wait for the answer and hear it out. Returns the time to first audio in ns. Raises StepError."""
        await self._until(lambda: not self._avatar_speaking, plan.answer_max_s)
        self._turn = turn
        self._speech_end_ns = self._onset_ns = self._last_audio_ns = None
        room.speak(clip)
        if not await self._until(lambda: self._speech_end_ns is not None, clip.duration_s + SPEAK_GRACE_S):
            raise StepError(Kind.TRANSPORT, Code.MEDIA_STALLED, "the clip could not be sent in time")
        speech_end_ns = self._speech_end_ns
        assert speech_end_ns is not None
        left_s = plan.answer_timeout_s - (now_ns() - speech_end_ns) / 1e9
        if not await self._until(lambda: self._onset_ns is not None, left_s):
            raise StepError(Kind.NO_RESPONSE, Code.NO_ANSWER, f"nothing audible within {plan.answer_timeout_s:g} s")
        onset_ns = self._onset_ns
        assert onset_ns is not None
        self._observe(onset_ns, Mark.FIRST_AUDIO, turn)
        await self._hear_out(plan.answer_max_s)
        if self._last_audio_ns is not None:
            self._observe(self._last_audio_ns, Mark.LAST_AUDIO, turn)
        if onset_ns < speech_end_ns:
            early_ms = (speech_end_ns - onset_ns) / 1e6
            raise StepError(Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY, f"{early_ms:.0f} ms before the user had finished")
        return onset_ns - speech_end_ns

    async def pause(self, seconds: float) -> None:
        """Say nothing for a while; ends early only where the room does (StepError)."""
        await self._until(lambda: False, seconds)

    async def _hear_out(self, limit_s: float) -> None:
        """Wait until the answer is over: quiet, and either announced as ended or quiet for SETTLE_S."""
        deadline_ns = now_ns() + int(limit_s * 1e9)
        while now_ns() < deadline_ns:
            await self._until(lambda: not self._avatar_speaking, (deadline_ns - now_ns()) / 1e9)
            if self._avatar_ended or not await self._until(
                lambda: self._avatar_speaking or self._avatar_ended, SETTLE_S
            ):
                return
            if not self._avatar_speaking:
                return

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `condition` came true within `timeout_s`. Raises StepError as soon as the room is over or its stream
        dead."""
        deadline_ns = now_ns() + int(timeout_s * 1e9)
        while True:
            if self.over is not None:
                raise self.over
            if condition():
                return True
            t_ns = now_ns()
            if t_ns >= deadline_ns:
                return False
            if t_ns - self._last_frame_ns > STALLED_NS:
                raise StepError(Kind.TRANSPORT, Code.MEDIA_STALLED, "no frame from the avatar for 5 s")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(min((deadline_ns - t_ns) / 1e9, 1.0)):
                    await self._waiter
            except TimeoutError:
                pass
            finally:
                self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def pick(clips: Sequence[Clip], chance: random.Random) -> Clip:
    """One of the clips, by seeded chance."""
    return clips[chance.randrange(len(clips))]
