"""Transcripts, interruptions, sound and tools that are not what they should be (docs/contract.md#rules)."""

from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np

from loadtest.twin.avaturn_side.engines.engine import Stage
from loadtest.twin.avaturn_side.engines.upstream import Upstream
from loadtest.twin.avaturn_side.rooms import app_messages
from loadtest.twin.avaturn_side.rooms.mouth import Playout
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.avaturn_side.voice import Voice
from loadtest.twin.pcm import SAMPLE_RATE_HZ, SILENT_FRAME

_FAILED = "transcription-failed"
_SLOW_HZ = 16_000


class AlwaysTranscribes(Upstream):
    """Avaturn switches the user's transcription on by itself."""

    def on_event(self, event: dict[str, Any], stage: Stage) -> None:
        if event["type"] == "session.created":
            audio = {"input": {"transcription": {"model": "whisper-1"}}}
            self.send_event({"type": "session.update", "session": {"type": "realtime", "audio": audio}})
        super().on_event(event, stage)


class NeverTranscribes(Session):
    """The user's transcripts are not forwarded, even if they were asked for."""

    def say_transcript(self, kind: str, text: str) -> None:
        if kind != app_messages.INPUT:
            super().say_transcript(kind, text)


class DroppedWhenOff(Upstream):
    """Without transcription of the user, the avatar's transcripts are missing too."""

    _transcribes = False

    def on_event(self, event: dict[str, Any], stage: Stage) -> None:
        if event["type"] == "session.created":
            self._transcribes = event["session"]["audio"]["input"]["transcription"] is not None
        if self._transcribes or event["type"] != "response.output_audio_transcript.done":
            super().on_event(event, stage)


class PerDelta(Session):
    """The avatar's transcript comes in pieces, one for each delta."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "response.output_audio_transcript.delta":
            self.say_transcript(app_messages.RESPONSE, event["delta"])
        elif event["type"] != "response.output_audio_transcript.done":
            super().upstream_event(event)


class Duplicated(Session):
    """The avatar's transcript comes twice."""

    def say_transcript(self, kind: str, text: str) -> None:
        for _ in range(2 if kind == app_messages.RESPONSE else 1):
            super().say_transcript(kind, text)


class FailureSwallowed(Session):
    """Of a failed transcription nothing is heard."""

    def say_transcript(self, kind: str, text: str) -> None:
        if text != _FAILED:
            super().say_transcript(kind, text)


class TimestampInMilliseconds(Session):
    """Transcripts are stamped in milliseconds."""

    def timestamp(self) -> float | str:
        return float(super().timestamp()) * 1000


class TimestampInIso(Session):
    """Transcripts are stamped with ISO 8601 text."""

    def timestamp(self) -> float | str:
        return datetime.fromtimestamp(float(super().timestamp()), UTC).isoformat()


class Leaks(Session):
    """Transcripts go to the session that spoke before, too."""

    _last: ClassVar[Session | None] = None

    def say_transcript(self, kind: str, text: str) -> None:
        super().say_transcript(kind, text)
        last, Leaks._last = Leaks._last, self
        if last is not None and last is not self:
            Session.say_transcript(last, kind, text)


class AnothersWords(Session):
    """What the session said that spoke before is told in the place of its own words, with its stamp."""

    _said: ClassVar[dict[str, tuple[Session, dict[str, Any]]]] = {}

    def say_transcript(self, kind: str, text: str) -> None:
        message = app_messages.transcript(kind, text, self.timestamp(), too_long=self._around.knobs.long_transcript)
        before = AnothersWords._said.get(kind)
        if message is not None:
            AnothersWords._said[kind] = (self, message)
            self.room.say(message if before is None or before[0] is self else before[1])


class PlaysToTheEnd(Voice):
    """The avatar finishes what it was saying, whoever interrupts it."""

    def user_started(self) -> None:
        pass


class DiscardsOnlyActive(Session):
    """Speech discards the avatar's sound only while OpenAI still generates it."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        engine = self._engine
        is_over = isinstance(engine, Upstream) and not engine._is_responding
        if event["type"] != "input_audio_buffer.speech_started" or not is_over:
            super().upstream_event(event)


class ResumesTail(Playout):
    """What was discarded is said after the next answer."""

    _tail = b""

    def discard(self) -> bool:
        self._tail = b"".join(bytes(phrase.sound[phrase.position :]) for phrase in self._phrases)
        return super().discard()

    def complete(self, phrase_id: str) -> None:
        super().complete(phrase_id)
        if self._tail:
            self.queue("tail", self._tail)
            self._tail = b""
            super().complete("tail")


class NeverEnded(Playout):
    """After an interruption there is no `avatar_ended_speaking`."""

    def discard(self) -> bool:
        was_speaking = super().discard()
        for event in [each for each in self.events if each["type"] == "avatar_ended_speaking"]:
            self.events.remove(event)
        return was_speaking


class AnyPacketInterrupts(Session):
    """Any sound of the microphone silences the avatar, however quiet."""

    def user_sent(self, pcm: bytes) -> None:
        if pcm != SILENT_FRAME:
            self._voice.user_started()
        super().user_sent(pcm)


class SixteenKilohertz(Session):
    """The avatar's sound is taken for 16 kHz: longer and lower by half."""

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        samples = _samples(sound)
        at = np.arange(samples.size * SAMPLE_RATE_HZ // _SLOW_HZ) * (_SLOW_HZ / SAMPLE_RATE_HZ)
        slow = np.interp(at, np.arange(samples.size), samples).astype("<i2")
        super().upstream_sound(phrase_id, slow.tobytes())


class Stereo(Session):
    """The avatar's sound is stereo, sent as mono: twice as long, an octave lower."""

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        super().upstream_sound(phrase_id, np.repeat(_samples(sound), 2).tobytes())


class ByteSwap(Session):
    """The avatar's sound is big-endian: noise."""

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        super().upstream_sound(phrase_id, _samples(sound).byteswap().tobytes())


class EventAtFirstDelta(Voice):
    """`avatar_started_speaking` comes with OpenAI's first sound, not when it is played."""

    def queue(self, phrase_id: str, sound: bytes) -> None:
        super().queue(phrase_id, sound)
        self._playout._start(self._playout._phrases[-1])
        self._announce()


class ForwardsToolCalls(Session):
    """The arguments of tool calls are sent to the page."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        if event["type"].startswith("response.function_call_arguments."):
            self.room.say(event)
        super().upstream_event(event)


class FabricatesResults(Upstream):
    """Avaturn answers tool calls itself, with an empty result, and has the model go on."""

    _is_owed = False

    def on_event(self, event: dict[str, Any], stage: Stage) -> None:
        super().on_event(event, stage)
        if event["type"] == "response.function_call_arguments.done":
            item = {"type": "function_call_output", "call_id": event["call_id"], "output": "{}"}
            self.send_event({"type": "conversation.item.create", "item": item})
            self._is_owed = True
        elif event["type"] == "response.done" and self._is_owed:
            self._is_owed = False
            self.send_event({"type": "response.create", "response": {"tool_choice": "none"}})


def _samples(sound: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.frombuffer(sound, dtype="<i2")


MUTANTS = {
    "TR-1-always": AlwaysTranscribes,
    "TR-1-never": NeverTranscribes,
    "TR-2-dropped-when-off": DroppedWhenOff,
    "TR-2-per-delta": PerDelta,
    "TR-2-duplicated": Duplicated,
    "TR-4-failure-swallowed": FailureSwallowed,
    "TR-5-milliseconds": TimestampInMilliseconds,
    "TR-5-iso": TimestampInIso,
    "TR-7-leaks": Leaks,
    "TR-7-anothers-words": AnothersWords,
    "INT-1-plays-to-the-end": PlaysToTheEnd,
    "INT-2-discards-only-active": DiscardsOnlyActive,
    "INT-3-resumes-tail": ResumesTail,
    "INT-4-never-ended": NeverEnded,
    "INT-5-any-packet-interrupts": AnyPacketInterrupts,
    "AUD-1-16-khz": SixteenKilohertz,
    "AUD-1-stereo": Stereo,
    "AUD-1-byte-swap": ByteSwap,
    "AUD-3-event-at-first-delta": EventAtFirstDelta,
    "TOOL-1-forwards": ForwardsToolCalls,
    "TOOL-2-fabricates": FabricatesResults,
}
