"""What is written of the user's speech, and when it is told (docs/contract.md#a-voice-turn)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.twin.openai_side import faults
from loadtest.twin.openai_side.alarms import Alarms
from loadtest.twin.openai_side.surroundings import Around, Emit, NewId
from loadtest.twin.openai_side.turns.conversation import CHARACTERS_PER_TOKEN, Conversation, Item

SHORTEST_WORD_MS = 100
"""Less voice than this is transcribed as nothing."""
_TRANSCRIPT = "This is what the user of {} said."
_WORD_MS = 300
"""Voice behind each word of a transcript that is told while the user speaks."""
_KEPT_WORDS = 2
"""Words that are told only when the turn is over."""
_STREAMING_MODEL = "gpt-realtime-whisper"
_TELLS_SPEAKERS = "gpt-4o-transcribe-diarize"
_SPEAKER = "A"
"""There is one."""
_LOGPROBS = "item.input_audio_transcription.logprobs"
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Transcripts:
    """Tells the words of each turn, if the session asks for them. `is_answered`: whether a response is under way."""

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        conversation: Conversation,
        around: Around,
        alarms: Alarms,
        emit: Emit,
        new_id: NewId,
        is_answered: Callable[[], bool],
    ) -> None:
        self._conversation = conversation
        self._around = around
        self._alarms = alarms
        self._emit = emit
        self._new_id = new_id
        self._is_answered = is_answered
        self._streamed = 0
        """Words told of what is being said."""
        self._waiting: list[tuple[Item, str]] = []
        """Those that wait for the end of the response."""
        self.configure(config)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over a changed session object."""
        transcription = config["audio"]["input"]["transcription"]
        self._is_wanted = transcription is not None
        self._model: str | None = (transcription or {}).get("model")
        self._include = config.get("include") or []
        manner = self._around.profile.transcript
        if manner == "by_model":
            manner = "streamed" if self._model == _STREAMING_MODEL else "early"
        self._manner = manner

    @property
    def is_early(self) -> bool:
        """Whether they are told before the answer."""
        return self._manner == "early"

    def begin(self) -> None:
        """The user begins to speak."""
        self._streamed = 0

    def stream(self, item_id: str, *, voiced_ms: int) -> None:
        """Tell the words that were understood by now of what the user is saying."""
        if self._manner != "streamed" or not self._is_wanted:
            return
        words = _words(self._words_said)
        understood = min(voiced_ms // _WORD_MS, len(words) - _KEPT_WORDS)
        if understood > self._streamed:
            self._say(item_id, words[self._streamed : understood])
            self._streamed = understood

    def of_turn(self, item: Item, *, voiced_ms: int) -> None:
        """The user has said `item`, so much of which was voice."""
        if self._is_wanted:
            transcript = "" if voiced_ms < SHORTEST_WORD_MS else self._words_said
            said, self._streamed = self._streamed, 0
            self._alarms.after(
                self._around.chance.latency_s("transcription"), lambda: self._understood(item, transcript, said=said)
            )

    def answer_half_done(self) -> None:
        """The model is in the middle of its answer."""
        if self._manner == "streamed":
            self.answer_done()

    def answer_done(self) -> None:
        """Tell what has waited for the answer."""
        waiting, self._waiting = self._waiting, []
        for item, transcript in waiting:
            self._tell(item, transcript)

    @property
    def _words_said(self) -> str:
        return _TRANSCRIPT.format(self._conversation.code_word)

    def _understood(self, item: Item, transcript: str, *, said: int) -> None:
        if self._manner == "streamed":
            self._say(item.id, _words(transcript)[said:])
        if not self.is_early and self._is_answered():
            self._waiting.append((item, transcript))
        else:
            self._tell(item, transcript)

    def _say(self, item_id: str, pieces: list[str]) -> None:
        for piece in pieces:
            where = {"item_id": item_id, "content_index": 0}
            self._emit({"type": f"{_TRANSCRIPTION}.delta", **where, "delta": piece, **self._sure(piece)})

    def _sure(self, transcript: str) -> dict[str, Any]:
        return {"logprobs": _logprobs(transcript)} if _LOGPROBS in self._include else {}

    def _tell(self, item: Item, transcript: str) -> None:
        where = {"item_id": item.id, "content_index": 0}
        if self._around.chance.mishap("transcription") is not None:
            self._emit({"type": f"{_TRANSCRIPTION}.failed", **where, "error": faults.of_transcription(item.id)})
            return
        item.content = [{"type": "input_audio", "transcript": transcript}]
        if transcript and self._model == _TELLS_SPEAKERS:
            span = {"text": transcript, "speaker": _SPEAKER, "start": 0.0, "end": round(item.audio_ms / 1000, 3)}
            self._emit({"type": f"{_TRANSCRIPTION}.segment", **where, "id": self._new_id("seg"), **span})
        if transcript and self._manner != "streamed":
            self._say(item.id, [transcript])
        told = {"transcript": transcript, "usage": self._usage(item, transcript)}
        self._emit({"type": f"{_TRANSCRIPTION}.completed", **where, **told, **self._sure(transcript)})

    def _usage(self, item: Item, transcript: str) -> dict[str, Any]:
        if self._model == "whisper-1":
            return {"type": "duration", "seconds": round(item.audio_ms / 1000, 2)}
        if self._model == _STREAMING_MODEL:
            return {"type": "duration", "seconds": math.ceil(item.audio_ms / 1000) if transcript else 0}
        heard, written = item.audio_tokens, -(-len(transcript) // CHARACTERS_PER_TOKEN)
        return {
            "type": "tokens",
            "total_tokens": heard + written,
            "input_tokens": heard,
            "output_tokens": written,
            "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        }


def _words(transcript: str) -> list[str]:
    return [f" {word}" for word in transcript.split()]


def _logprobs(transcript: str) -> list[dict[str, Any]]:
    return [{"token": word, "logprob": -0.01, "bytes": list(word.encode())} for word in transcript.split()]
