"""One output item of a response: what it says, and its events (docs/contract.md#a-voice-turn)."""

import binascii
import itertools
import json
from collections.abc import Mapping
from typing import Any

from loadtest.twin.openai_side.turns import order
from loadtest.twin.openai_side.turns.conversation import (
    ASSISTANT_TOKENS_PER_S,
    CHARACTERS_PER_TOKEN,
    Item,
    audio_tokens,
)
from loadtest.twin.pcm import BYTES_PER_MS, tone

DELTA_MS = 200
"""Sound in one delta."""

CHARACTERS_PER_DELTA = 3
"""Of what is spoken in one: 15 a second, as people speak."""
_SAID = "this is what the twin has to say about it for as long as the answer lasts"
_SENTENCE = (
    ", and",
    *(f" {word}" for word in _SAID.split()),
)
_DELTA_PCM = tone(duration_ms=DELTA_MS)
"""Whole periods of 440 Hz: deltas of it join without a click."""
_DELTA_BASE64 = binascii.b2a_base64(_DELTA_PCM, newline=False).decode()
_SAMPLES: dict[object, object] = {
    "string": "example",
    "number": 1.5,
    "integer": 1,
    "boolean": True,
    "array": [],
    "object": {},
}


class OutputItem:
    """A message or a function call that grows delta by delta.

    `pieces` is the text, one piece for each delta; `sound_ms` the length of the speech, 0 for text and calls.
    """

    def __init__(
        self,
        item: Item,
        *,
        sequence: order.Order,
        response_id: str,
        index: int,
        pieces: list[str],
        sound_ms: int,
        is_in_conversation: bool,
    ) -> None:
        self.item = item
        self.sequence = sequence
        self.previous_item_id: str | None = None
        self.is_first = False
        """Whether its end is told like that of the first item of a conversation: without the item before it."""
        self.is_open = False
        """Announced, and not yet closed."""
        self._response_id = response_id
        self._index = index
        self._pieces = pieces
        self._said = 0
        self._left_ms = sound_ms
        self._last_ms = 0
        self._is_in_conversation = is_in_conversation

    @property
    def is_complete(self) -> bool:
        """Whether everything was said."""
        return self._said >= len(self._pieces)

    @property
    def left(self) -> int:
        """Deltas still to come."""
        return len(self._pieces) - self._said

    @property
    def text_tokens(self) -> int:
        """Tokens of what it has written or spoken by now."""
        characters = len(self._text())
        return -(-(self._named + characters) // CHARACTERS_PER_TOKEN) if characters else 0

    @property
    def next_audio_tokens(self) -> int:
        """Tokens of its sound with that of the next delta."""
        return audio_tokens(self.item.audio_ms + min(DELTA_MS, self._left_ms), per_s=ASSISTANT_TOKENS_PER_S)

    def fits(self, room: int) -> bool:
        """Whether its text has no more than so many tokens with the next delta. One without sound is split for that."""
        left = room * CHARACTERS_PER_TOKEN - self._named - len(self._text())
        following = self._pieces[self._said]
        if 0 < left < len(following) and not self._left_ms:
            self._pieces[self._said : self._said + 1] = [following[:left], following[left:]]
        return left >= len(self._pieces[self._said])

    @property
    def _named(self) -> int:
        """Length of what it has to say first: the name of the function."""
        return len(self.item.extra["name"]) if self.sequence is order.CALL else 0

    def opening(self) -> list[dict[str, Any]]:
        """The events that announce it."""
        self.is_open = True
        return self._events(self.sequence.opening)

    def grow(self) -> list[dict[str, Any]]:
        """The events of the next delta."""
        self._said += 1
        self._last_ms = min(DELTA_MS, self._left_ms)
        self._left_ms -= self._last_ms
        self.item.audio_ms += self._last_ms
        return self._events(self.sequence.delta)

    def close(self, *, is_complete: bool) -> list[dict[str, Any]]:
        """The events of its end, in the middle of it or not."""
        self.is_open = False
        self.item.status = "completed" if is_complete else "incomplete"
        if self.sequence is order.CALL:
            self.item.extra["arguments"] = self._text()
        else:
            self.item.content = [self._content("output_")]
        return self._events(self.sequence.closing if is_complete else self.sequence.cut)

    def _events(self, steps: tuple[str, ...]) -> list[dict[str, Any]]:
        told = (each for each in steps if self._is_in_conversation or not each.startswith("conversation."))
        return [{"type": step, **self._fields(step)} for step in told]

    def _fields(self, step: str) -> dict[str, Any]:
        """The fields of one step, from what is known by now."""
        where = {"response_id": self._response_id, "item_id": self.item.id, "output_index": self._index}
        part = {**where, "content_index": 0}
        match step:
            case "response.output_item.added" | "response.output_item.done":
                return {"response_id": self._response_id, "output_index": self._index, "item": self.item.body()}
            case "conversation.item.added" | "conversation.item.done":
                is_told = step.endswith("added") or not self.is_first
                return {
                    "previous_item_id": self.previous_item_id if is_told else None,
                    "item": self.item.body(),
                }
            case "response.content_part.added" | "response.content_part.done":
                return {**part, "part": self._content("")}
            case "response.output_audio.delta":
                return {**part, "delta": _sound(self._last_ms)}
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                return {**part, "delta": self._pieces[self._said - 1]}
            case "response.output_audio.done":
                return part
            case "response.output_audio_transcript.done":
                return {**part, "transcript": self._text()}
            case "response.output_text.done":
                return {**part, "text": self._text()}
            case "response.function_call_arguments.delta":
                return {**where, "call_id": self.item.extra["call_id"], "delta": self._pieces[self._said - 1]}
            case "response.function_call_arguments.done":
                call = {name: self.item.extra[name] for name in ("call_id", "name")}
                return {**where, **call, "arguments": self._text()}
        raise ValueError(f"no such step of an output item: {step}")

    def _content(self, prefix: str) -> dict[str, Any]:
        # Items say output_audio, but content parts still say audio.
        if self.sequence is order.TEXT:
            return {"type": f"{prefix}text", "text": self._text()}
        return {"type": f"{prefix}audio", "transcript": self._text()}

    def _text(self) -> str:
        return "".join(self._pieces[: self._said])


def words(number: int, code_word: str, *, deltas: int) -> list[str]:
    """What the answer with this number says in the session with this code word, one piece for each delta. It ends as a
    sentence does."""
    if deltas == 1:
        return [f"Answer {number}."]
    pieces = [f"Answer {number}", f" of {code_word}"]
    longest = deltas * CHARACTERS_PER_DELTA - len("".join(pieces)) + len(code_word)  # which nobody could say
    text = ""
    for word in itertools.cycle(_SENTENCE):
        if len(text) + len(word) > longest:
            break
        text += word
    count = deltas - len(pieces)
    pieces += [text[len(text) * each // count : len(text) * (each + 1) // count] for each in range(count)]
    return ended(pieces)


def ended(pieces: list[str]) -> list[str]:
    """The same, as a whole sentence."""
    last = pieces[-1].rstrip(" ,.")
    return [*pieces[:-1], f"{last}."]


def announcement() -> list[str]:
    """What the model says before it calls a tool, one piece for each delta."""
    return ["Let me", " look that", " up."]


def arguments(tool: Mapping[str, Any]) -> list[str]:
    """Arguments for a call of a function tool, by its JSON schema, in two deltas."""
    schema = tool.get("parameters", {})
    properties = schema.get("properties")
    chosen = {}
    if isinstance(properties, dict):
        for name, described in properties.items():
            described = described if isinstance(described, dict) else {}
            choices = described.get("enum")
            kind = described.get("type", "string")
            sample = _SAMPLES.get(kind) if isinstance(kind, str) else None
            chosen[name] = choices[0] if isinstance(choices, list) and choices else sample
    text = json.dumps(chosen)
    return [text[:1], text[1:]]


def _sound(length_ms: int) -> str:
    if length_ms == DELTA_MS:
        return _DELTA_BASE64
    return binascii.b2a_base64(_DELTA_PCM[: length_ms * BYTES_PER_MS], newline=False).decode()
