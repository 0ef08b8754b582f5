"""One answer of the model: the order of its events as data, and its generation faster than real time (PROTOCOL.md 2.4).

Whoever wants another order edits the tables; `_event` says what each step looks like.
"""

import asyncio
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.twin.openai_side.conversation import Conversation, Item
from loadtest.twin.pcm import BYTES_PER_MS, tone

Emit = Callable[[dict[str, Any]], None]

OPENING = (
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
)
AUDIO_DELTAS = ("response.output_audio_transcript.delta", "response.output_audio.delta")
AUDIO_CLOSING = (
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
)
AUDIO_CANCELLED = (
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
)
TEXT_DELTAS = ("response.output_text.delta",)
TEXT_CLOSING = ("response.output_text.done", *AUDIO_CLOSING[2:])
TEXT_CANCELLED = ("response.output_text.done", *AUDIO_CANCELLED[2:])

DELTA_MS = 200
_SPEED = 3.0
_WORDS_PER_DELTA = 2
_WORDS = [
    "and",
    "this",
    "is",
    "what",
    "the",
    "twin",
    "has",
    "to",
    "say",
    "about",
    "it",
    "for",
    "as",
    "long",
    "as",
    "the",
    "answer",
    "lasts",
]
_DELTA_PCM = tone(duration_ms=DELTA_MS)
"""Whole periods of 440 Hz: deltas of it join without a click."""
_DELTA_BASE64 = binascii.b2a_base64(_DELTA_PCM, newline=False).decode()


class Response:
    """Generates one response on its own timer and says through `emit` what a client sees of it.

    `on_end` is called once, after the last event.
    """

    def __init__(
        self,
        *,
        response_id: str,
        item_id: str,
        number: int,
        first_delta_s: float,
        answer_s: float,
        session: Mapping[str, Any],
        overrides: Mapping[str, Any],
        conversation: Conversation,
        emit: Emit,
        on_end: Callable[[], None],
    ) -> None:
        self.id = response_id
        self._session = {**session, **overrides}
        self._conversation = conversation
        self._emit = emit
        self._on_end = on_end
        self._handle: asyncio.TimerHandle | None = None
        self._is_text = self._session["output_modalities"] == ["text"]
        self._first_delta_s = first_delta_s
        self._left_ms = round(answer_s * 1000)
        self._words = _words(number, deltas=math.ceil(self._left_ms / DELTA_MS))
        self._spoken: list[str] = []
        self._status = "in_progress"
        self._status_details: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._item = Item(id=item_id, role="assistant", status="in_progress")
        self._previous_item_id: str | None = None

    def start(self) -> None:
        """Announce the response; its first delta follows after `first_delta_s`. Call it once."""
        self._previous_item_id = self._conversation.add(self._item)
        self._play(OPENING)
        if self._first_delta_s > 0:
            self._handle = asyncio.get_running_loop().call_later(self._first_delta_s, self._generate)
        else:
            self._generate()

    def cancel(self, reason: str) -> None:
        """Stop generating: `turn_detected` or `client_cancelled`."""
        self._finish("cancelled", {"type": "cancelled", "reason": reason}, TEXT_CANCELLED, AUDIO_CANCELLED)

    def abandon(self) -> None:
        """The connection is gone: stop without a word."""
        if self._handle is not None:
            self._handle.cancel()

    def _generate(self) -> None:
        self._spoken += self._words[len(self._spoken) : len(self._spoken) + _WORDS_PER_DELTA]
        delta_ms = min(DELTA_MS, self._left_ms)
        self._left_ms -= delta_ms
        if not self._is_text:
            self._item.audio_ms += delta_ms
            self._conversation.has_spoken = True
        for step in TEXT_DELTAS if self._is_text else AUDIO_DELTAS:
            self._emit(self._event(step, delta_ms=delta_ms))
        if self._left_ms > 0:
            self._handle = asyncio.get_running_loop().call_later(DELTA_MS / 1000 / _SPEED, self._generate)
        else:
            self._finish("completed", None, TEXT_CLOSING, AUDIO_CLOSING)

    def _finish(
        self, status: str, details: dict[str, Any] | None, text_steps: tuple[str, ...], audio_steps: tuple[str, ...]
    ) -> None:
        self.abandon()
        self._status, self._status_details = status, details
        self._item.status = "completed" if status == "completed" else "incomplete"
        self._item.content = [self._content("output_")]
        instructions = self._session.get("instructions") or ""
        self._usage = self._conversation.usage(instructions=instructions, output=self._item)
        self._play(text_steps if self._is_text else audio_steps)
        self._on_end()

    def _play(self, steps: tuple[str, ...]) -> None:
        for step in steps:
            self._emit(self._event(step))

    def _event(self, step: str, *, delta_ms: int = 0) -> dict[str, Any]:
        """The event of one step, from what is known by now."""
        item = {"response_id": self.id, "output_index": 0}
        part = {"response_id": self.id, "item_id": self._item.id, "output_index": 0, "content_index": 0}
        match step:
            case "response.created" | "response.done":
                fields: dict[str, Any] = {"response": self._body()}
            case "rate_limits.updated":
                fields = {"rate_limits": _rate_limits()}
            case "response.output_item.added" | "response.output_item.done":
                fields = {**item, "item": self._item.body()}
            case "conversation.item.added" | "conversation.item.done":
                fields = {"previous_item_id": self._previous_item_id, "item": self._item.body()}
            case "response.content_part.added" | "response.content_part.done":
                fields = {**part, "part": self._content("")}
            case "response.output_audio.delta":
                fields = {**part, "delta": _audio_delta(delta_ms)}
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                fields = {**part, "delta": self._last_words()}
            case "response.output_audio.done":
                fields = part
            case "response.output_audio_transcript.done":
                fields = {**part, "transcript": self._text()}
            case "response.output_text.done":
                fields = {**part, "text": self._text()}
            case _:
                raise ValueError(f"no such step of a response: {step}")
        return {"type": step, **fields}

    def _body(self) -> dict[str, Any]:
        audio = self._session["audio"]["output"]
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": self._status,
            "status_details": self._status_details,
            "output": [] if self._status == "in_progress" else [self._item.body()],
            "conversation_id": self._conversation.id,
            "output_modalities": self._session["output_modalities"],
            "max_output_tokens": self._session["max_output_tokens"],
            "audio": {"output": {"format": audio["format"], "voice": audio["voice"]}},
            "usage": self._usage,
            "metadata": self._session.get("metadata"),
        }

    def _content(self, prefix: str) -> dict[str, Any]:
        # Items say output_audio, but content parts still say audio.
        if self._is_text:
            return {"type": f"{prefix}text", "text": self._text()}
        return {"type": f"{prefix}audio", "transcript": self._text()}

    def _text(self) -> str:
        return " ".join(self._spoken)

    def _last_words(self) -> str:
        start = (len(self._spoken) - 1) // _WORDS_PER_DELTA * _WORDS_PER_DELTA
        return (" " if start else "") + " ".join(self._spoken[start:])


def _words(number: int, *, deltas: int) -> list[str]:
    wanted = deltas * _WORDS_PER_DELTA
    return ["Answer", f"{number},", *(_WORDS * (wanted // len(_WORDS) + 1))][:wanted]


def _audio_delta(delta_ms: int) -> str:
    if delta_ms == DELTA_MS:
        return _DELTA_BASE64
    return binascii.b2a_base64(_DELTA_PCM[: delta_ms * BYTES_PER_MS], newline=False).decode()


def _rate_limits() -> list[dict[str, Any]]:
    return [
        {"name": "requests", "limit": 400, "remaining": 399, "reset_seconds": 0.15},
        {"name": "tokens", "limit": 200_000, "remaining": 199_000, "reset_seconds": 0.3},
    ]
