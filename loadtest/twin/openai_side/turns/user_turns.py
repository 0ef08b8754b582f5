"""The user's side of a conversation: the audio buffer and its turns.

Source: docs/contract.md#a-voice-turn.
"""

from collections.abc import Callable, Mapping
from typing import Any

from loadtest.twin.openai_side.alarms import Alarms
from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.openai_side.surroundings import Around, Emit, NewId
from loadtest.twin.openai_side.turns import order
from loadtest.twin.openai_side.turns.conversation import Conversation, Item
from loadtest.twin.openai_side.turns.patience import Patience
from loadtest.twin.openai_side.turns.transcripts import SHORTEST_WORD_MS, Transcripts
from loadtest.twin.openai_side.turns.vad import SpeechStarted, Vad

_SHORTEST_COMMIT_MS = 100
_NOBODY_SPOKE = {"type": "input_text", "text": "Nothing has been heard of the user for some time."}


class UserTurns:
    """Finds the user's turns in the sound, or is told of them; makes an item of each.

    `is_answered` says whether a response is under way. `on_speech` is called when the user begins to speak, `on_turn`
    when a turn is over that the model may answer.
    """

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
        on_speech: Callable[[], None],
        on_turn: Callable[[], None],
    ) -> None:
        self._input: Mapping[str, Any] = config["audio"]["input"]
        self._conversation = conversation
        self._around = around
        self._alarms = alarms
        self._emit = emit
        self._new_id = new_id
        self._on_speech = on_speech
        self._on_turn = on_turn
        self._vad = Vad(self.turn_detection, self._input.get("noise_reduction"))
        self._transcripts = Transcripts(
            config=config,
            conversation=conversation,
            around=around,
            alarms=alarms,
            emit=emit,
            new_id=new_id,
            is_answered=is_answered,
        )
        self._taken_ms = 0
        """Where in the audio the buffer begins: all before it was committed or cleared."""
        self._item_id = ""
        """Of the turn that the user is in."""
        self._patience = Patience(
            alarms=alarms,
            scale=around.timers.scale,
            position_ms=lambda: self._vad.position_ms,
            on_over=self._give_up_waiting,
        )
        self._patience.configure(self._idle_timeout_ms)
        self.answer_half_done = self._transcripts.answer_half_done
        """The model is in the middle of its answer."""

    @property
    def turn_detection(self) -> Mapping[str, Any] | None:
        """The settings of the VAD; None: it is off."""
        found: Mapping[str, Any] | None = self._input["turn_detection"]
        return found

    @property
    def _idle_timeout_ms(self) -> int | None:
        found: int | None = (self.turn_detection or {}).get("idle_timeout_ms")
        return found

    @property
    def is_speaking(self) -> bool:
        """Whether the user is."""
        return self._vad.speaking

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over a changed session object."""
        self._input = config["audio"]["input"]
        self._transcripts.configure(config)
        self._vad.configure(self.turn_detection, self._input.get("noise_reduction"))
        self._patience.configure(self._idle_timeout_ms)

    def hear(self, pcm: bytes) -> None:
        """Take in sound (PCM16LE, 24 kHz, mono)."""
        for found in self._vad.hear(pcm):
            if isinstance(found, SpeechStarted):
                self._start(found.audio_start_ms)
            else:
                self._transcripts.stream(self._item_id, voiced_ms=self._vad.voiced_ms)
                self._end_turn(
                    order.USER_TURN,
                    since_ms=self._vad.started_ms,
                    until_ms=found.audio_end_ms,
                    voiced_ms=self._vad.voiced_ms,
                )
        if self._vad.speaking:
            self._transcripts.stream(self._item_id, voiced_ms=self._vad.voiced_ms)

    def commit(self) -> None:
        """Make a turn of what is in the buffer, as the client wishes; nobody answers by itself."""
        length_ms = self._buffered_ms
        if length_ms < _SHORTEST_COMMIT_MS:
            raise RefusedError(
                f"Error committing input audio buffer: buffer too small. Expected at least {_SHORTEST_COMMIT_MS}ms "
                f"of audio, but buffer only has {length_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        if not self._vad.speaking:
            self._item_id = self._new_id("item")
        voiced_ms = self._vad.voiced_ms if self._vad.speaking else 0
        item = self._take(order.USER_TURN[1:], since_ms=self._taken_ms, until_ms=self._vad.position_ms)
        # Without turn detection nobody has looked for voice: the client knows what it commits.
        self._transcripts.of_turn(item, voiced_ms=voiced_ms if self.turn_detection is not None else SHORTEST_WORD_MS)
        self._vad.forget_rest()
        self._vad.forget_speech()

    def clear(self) -> None:
        """Forget what is in the buffer."""
        self._taken_ms = self._vad.position_ms
        self._vad.forget_rest()
        self._emit({"type": "input_audio_buffer.cleared"})

    def response_started(self) -> None:
        """The model answers."""
        self._patience.end()

    def response_ended(self, *, audio_s: float) -> None:
        """The model has finished a response of this length; what silence follows counts from when it has been heard."""
        self._transcripts.answer_done()
        if not self._vad.speaking:
            self._patience.answered(audio_s)

    def _start(self, audio_start_ms: int) -> None:
        self._patience.end()
        self._item_id = self._new_id("item")
        self._transcripts.begin()
        told = {"audio_start_ms": audio_start_ms, "item_id": self._item_id}
        self._emit({"type": "input_audio_buffer.speech_started", **told})
        self._on_speech()

    def _give_up_waiting(self, since_ms: int) -> None:
        """Nobody spoke: OpenAI takes that for a turn, and remarks upon it."""
        self._item_id, until_ms = self._new_id("item"), self._vad.position_ms
        span = {"audio_start_ms": max(since_ms, self._taken_ms), "audio_end_ms": until_ms}
        self._emit({"type": "input_audio_buffer.timeout_triggered", **span, "item_id": self._item_id})
        if self._around.profile.shapes == "recorded":
            remark = self._conversation.item(self._new_id("item"), role="system", content=[_NOBODY_SPOKE])
            previous_item_id = self._conversation.add(remark)
            for step in order.REMARK:
                self._emit(_event(step, remark, previous_item_id))
        self._end_turn(order.USER_TURN[1:], since_ms=since_ms, until_ms=until_ms, voiced_ms=0)

    def _end_turn(self, steps: tuple[str, ...], *, since_ms: int, until_ms: int, voiced_ms: int) -> None:
        item = self._take(steps, since_ms=since_ms, until_ms=until_ms)
        if self._transcripts.is_early:
            self._transcripts.of_turn(item, voiced_ms=voiced_ms)
        self._on_turn()
        if not self._transcripts.is_early:
            self._transcripts.of_turn(item, voiced_ms=voiced_ms)

    def _take(self, steps: tuple[str, ...], *, since_ms: int, until_ms: int) -> Item:
        since_ms = max(since_ms, self._taken_ms)
        self._taken_ms = self._vad.position_ms
        item = self._conversation.item(self._item_id, role="user", audio_ms=until_ms - since_ms)
        item.content = [{"type": "input_audio", "transcript": None}]
        previous_item_id = self._conversation.add(item)
        for step in steps:
            self._emit(_event(step, item, previous_item_id, until_ms=until_ms))
        return item

    @property
    def _buffered_ms(self) -> float:
        return self._vad.position_ms - self._taken_ms + self._vad.rest_ms


def _event(step: str, item: Item, previous_item_id: str | None, *, until_ms: int = 0) -> dict[str, Any]:
    """One step of a turn."""
    match step:
        case "speech_stopped":
            fields: dict[str, Any] = {"audio_end_ms": until_ms, "item_id": item.id}
        case "committed":
            fields = {"item_id": item.id, "previous_item_id": previous_item_id}
        case "item.added" | "item.done":
            fields = {"previous_item_id": previous_item_id, "item": item.body()}
            return {"type": f"conversation.{step}", **fields}
        case _:
            raise ValueError(f"no such step of a turn: {step}")
    return {"type": f"input_audio_buffer.{step}", **fields}
