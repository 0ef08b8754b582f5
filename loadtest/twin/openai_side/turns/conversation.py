"""The items of one Realtime conversation and the tokens they cost (docs/contract.md#client-events, #a-voice-turn)."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.pcm import BYTES_PER_MS

_USER_TOKENS_PER_S = 10
ASSISTANT_TOKENS_PER_S = 20
CHARACTERS_PER_TOKEN = 4
_SOUND = ("input_audio", "output_audio")


@dataclass(slots=True, kw_only=True)
class Item:
    """One item. Sound is kept only as its length in ms, as far as it was not truncated."""

    id: str
    type: str = "message"
    role: str | None = None
    status: str = "completed"
    content: list[dict[str, Any]] = field(default_factory=list)
    audio_ms: float = 0
    is_truncated: bool = False
    """What it says from here on is not kept, nor any word of it."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of items that are no messages (function calls and their results), and the `phase` of those that are."""
    is_as_documented: bool = False
    """With the fields that the documents have and recordings of the real service lack."""

    def body(self) -> dict[str, Any]:
        """The item as the wire has it."""
        body: dict[str, Any] = {"id": self.id, "type": self.type}
        if self.type.startswith("mcp_"):
            return body | self.extra
        if self.is_as_documented:
            body["object"] = "realtime.item"
        if self.is_as_documented or self.type != "function_call_output":
            body["status"] = self.status
        if self.role is not None:
            body["role"], body["content"] = self.role, self.content
        return body | self.extra

    @property
    def audio_tokens(self) -> int:
        """Tokens of its sound."""
        per_s = ASSISTANT_TOKENS_PER_S if self.role == "assistant" else _USER_TOKENS_PER_S
        return audio_tokens(self.audio_ms, per_s=per_s)

    @property
    def text_tokens(self) -> int:
        """Tokens of its text; a transcript of user speech is not read by the model."""
        characters = sum(_characters(part.get("text")) for part in self.content)
        characters += sum(_characters(self.extra.get(name)) for name in ("name", "arguments", "output"))
        return -(-characters // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Context:
    """What a response reads, counted when it begins: what happens to the items afterwards is no matter of its bill."""

    text_tokens: int
    audio_tokens: int
    cached_text_tokens: int
    cached_audio_tokens: int
    answers: int
    """Messages of the model among it."""
    last_type: str | None
    """Of the newest item; None: there is none."""

    def usage(self, *, text_out: int, audio_out: int, reasoning: bool) -> dict[str, Any]:
        """What a response cost that was so many tokens long. With `reasoning` its tokens are told, too: the twin thinks
        as much as it says."""
        thought = {"reasoning_tokens": text_out} if reasoning else {}
        text_out += sum(thought.values())
        cached = {"text_tokens": self.cached_text_tokens, "audio_tokens": self.cached_audio_tokens}
        input_tokens = self.text_tokens + self.audio_tokens
        return {
            "total_tokens": input_tokens + text_out + audio_out,
            "input_tokens": input_tokens,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": self.text_tokens,
                "audio_tokens": self.audio_tokens,
                "image_tokens": 0,
                "cached_tokens": sum(cached.values()),
                "cached_tokens_details": {**cached, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out, **thought},
        }


NOTHING_READ = Context(
    text_tokens=0, audio_tokens=0, cached_text_tokens=0, cached_audio_tokens=0, answers=0, last_type=None
)


class Conversation:
    """The items in order. Every response reads all of them again, so input usage grows with each turn."""

    def __init__(self, conversation_id: str, *, is_as_documented: bool) -> None:
        self.id = conversation_id
        self.code_word = f"twin-{zlib.crc32(conversation_id.encode()):08x}"
        """In all that is said here, so that words in another session can be told."""
        self._is_as_documented = is_as_documented
        self.has_answered = False
        """Whether there ever was an item of the model."""
        self.has_spoken = False
        """Whether assistant sound was ever generated."""
        self._items: dict[str, Item] = {}
        self._read: Context | None = None
        """What was read of it last."""

    def item(self, item_id: str, **fields: Any) -> Item:
        """A new item, not yet in the conversation."""
        return Item(id=item_id, is_as_documented=self._is_as_documented, **fields)

    def described(self, item_id: str, wanted: Mapping[str, Any]) -> Item:
        """The item that a client describes, not yet in the conversation."""
        named = ("id", "type", "object", "status", "role", "content")
        content = wanted.get("content", [])
        return self.item(
            item_id,
            type=wanted["type"],
            role=wanted.get("role"),
            content=[_kept(part) for part in content],
            audio_ms=sum(_sound_ms(part["audio"]) for part in content if "audio" in part and part["type"] in _SOUND),
            extra={name: value for name, value in wanted.items() if name not in named},
        )

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Put behind the item with the id `after` ("root": first), by default the last; returns the id before it."""
        newest = next(reversed(self._items), None)
        if after is None or after == newest:
            self._items[item.id] = item
            return newest
        order = list(self._items.values())
        at = 0 if after == "root" else order.index(self.get(after, param="previous_item_id")) + 1
        order.insert(at, item)
        self._items = {each.id: each for each in order}
        return order[at - 1].id if at else None

    def get(self, item_id: object, *, param: str) -> Item:
        """The item, or RefusedError."""
        item = self._items.get(item_id) if isinstance(item_id, str) else None
        if item is None:
            raise RefusedError(f"Item with item_id {item_id!r} not found.", code="item_not_found", param=param)
        return item

    def named(self, item_id: str, *, to: str) -> Item:
        """The item that is there to `to` something with: delete, retrieve, truncate. Raises RefusedError."""
        item = self._items.get(item_id)
        if item is None:
            raise RefusedError(
                f"Error {to.removesuffix('e')}ing item: the item with id '{item_id}' does not exist.",
                code=f"item_{to}_invalid_item_id",
            )
        return item

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def has_call(self, call_id: str) -> bool:
        """Whether it holds the call of a function with this `call_id`."""
        return any(item.type == "function_call" and item.extra["call_id"] == call_id for item in self._items.values())

    def delete(self, item_id: str) -> None:
        """Remove; the caller made sure that it is there."""
        del self._items[item_id]

    def truncate(self, item: Item, *, content_index: int, audio_end_ms: int) -> None:
        """Forget what lies after `audio_end_ms` of an assistant's answer, and its transcript with it.

        Raises RefusedError if there is no such sound (docs/contract.md#interruption).
        """
        if item.type != "message" or item.role != "assistant" or not (item.audio_ms or item.is_truncated):
            raise RefusedError(
                "Only model output audio messages can be truncated", code="unsupported_content_type", param="item_id"
            )
        if content_index > 0:
            raise RefusedError(
                f"Item has no content part {content_index}.", code="invalid_value", param="content_index"
            )
        if audio_end_ms > item.audio_ms:
            raise RefusedError(
                f"Audio content of {int(item.audio_ms)}ms is already shorter than {audio_end_ms}ms",
                code=None,
                param="audio_end_ms",
            )
        item.audio_ms, item.is_truncated = audio_end_ms, True
        # Not in place: earlier events have the same parts.
        item.content = [without_transcript(part) for part in item.content]

    def context(self, instructions: str, items: Sequence[Item] | None = None) -> Context:
        """What a response reads that begins now: the conversation, or `items` in its place. Of those nothing is
        cached."""
        read = self._items.values() if items is None else items
        before = self._read if items is None else None
        text_tokens = -(-len(instructions) // CHARACTERS_PER_TOKEN) + sum(item.text_tokens for item in read)
        audio_tokens = sum(item.audio_tokens for item in read)
        context = Context(
            text_tokens=text_tokens,
            audio_tokens=audio_tokens,
            cached_text_tokens=min(before.text_tokens, text_tokens) if before else 0,
            cached_audio_tokens=min(before.audio_tokens, audio_tokens) if before else 0,
            answers=sum(item.type == "message" and item.role == "assistant" for item in read),
            last_type=next((item.type for item in reversed(read)), None),
        )
        if items is None:
            self._read = context
        return context


def _kept(part: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a part of a message: of sound what was said in it."""
    return {"type": part["type"], "transcript": part.get("transcript")} if part["type"] in _SOUND else part


def without_transcript(part: dict[str, Any]) -> dict[str, Any]:
    """The part of a message whose sound was truncated."""
    return {**part, "transcript": None} if part["type"] == "output_audio" else part


def audio_tokens(length_ms: float, *, per_s: int) -> int:
    """Tokens of so much sound."""
    return round(length_ms / 1000 * per_s)


def _characters(text: object) -> int:
    return len(text) if isinstance(text, str) else 0


def _sound_ms(base64: str) -> float:
    """Length of PCM by that of its base64."""
    return (len(base64) * 3 // 4 - base64[-2:].count("=")) / BYTES_PER_MS
