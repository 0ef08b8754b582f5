"""One answer of the model, generated faster than real time: what comes when, and how it ends.

Source: docs/contract.md#a-voice-turn, #interruption.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.twin.openai_side import faults
from loadtest.twin.openai_side.alarms import Alarms
from loadtest.twin.openai_side.config.session_rules import reasons
from loadtest.twin.openai_side.surroundings import Around, Emit, NewId
from loadtest.twin.openai_side.turns import order
from loadtest.twin.openai_side.turns.conversation import (
    Conversation,
    Item,
)
from loadtest.twin.openai_side.turns.output_item import (
    DELTA_MS,
    OutputItem,
    announcement,
    arguments,
    ended,
    tokens,
    words,
)

_SOMETIMES = 0.5
"""Recordings of the real service have rate_limits.updated after about half of the responses."""


class Response:
    """Generates one response on its own timer and says through `emit` what a client sees of it.

    `config` is the session's, with the overrides of `response.create`; `on_half` is called once in the middle of the
    answer, `on_end` once after its last event.
    """

    def __init__(
        self,
        *,
        number: int,
        config: Mapping[str, Any],
        conversation: Conversation,
        around: Around,
        alarms: Alarms,
        emit: Emit,
        new_id: NewId,
        on_half: Callable[[], None],
        on_end: Callable[["Response"], None],
    ) -> None:
        self.id = new_id("resp")
        self.audio_ms = 0.0
        """Speech generated so far."""
        self._number = number
        self._config = config
        self._conversation = conversation
        self._around = around
        self._alarms = alarms
        self._emit = emit
        self._new_id = new_id
        self._on_half = on_half
        self._on_end = on_end
        self._reasons = reasons(config.get("model", ""))
        self._is_in_conversation = config.get("conversation") != "none"
        self._next: asyncio.TimerHandle | None = None
        self._status = "in_progress"
        self._status_details: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._items: list[OutputItem] = []
        self._planned: list[OutputItem] = []
        self._deltas = 0
        self._is_half = False
        self._fate = around.chance.mishap("first_delta") or around.chance.mishap("response")
        self._cut_at: int | None = None
        """After so many deltas the fate strikes."""

    def start(self) -> None:
        """Announce the response; its first delta follows after the injected latency. Call it once."""
        self._play(order.response_begins(self._around.profile.rate_limits))
        if self._fate is None and self._around.limits.tokens.wait_s() > 0:
            self._fate = "inference_rate_limit_exceeded"
        latency_s = self._around.chance.latency_s("first_delta")
        if growth_s := self._around.profile.context_growth_s:
            latency_s += growth_s * self._conversation.answers
        if self._fate in faults.RESPONSE_FAILURES:
            self._in(latency_s, self._fail)
            return
        self._planned = self._plan()
        self._open_next()
        self._in(latency_s, self._generate)

    def cancel(self, reason: str) -> None:
        """Stop generating: `turn_detected` or `client_cancelled`."""
        self._end("cancelled", {"type": "cancelled", "reason": reason})

    def _in(self, delay_s: float, callback: Callable[[], None]) -> None:
        if delay_s > 0:
            self._next = self._alarms.after(delay_s, callback)
        else:
            callback()

    # --- what it is going to say

    def _plan(self) -> list[OutputItem]:
        """The items of the response, as the script has them or as the session asks for them."""
        kinds = next(self._around.script, None)
        if kinds is None:
            kinds = self._decided()
        if "call" not in kinds or not self._tools():
            return self._message(len(kinds))
        tool = self._tools()[0]
        planned: list[OutputItem] = []
        for kind in kinds:
            planned.append(self._call(tool, index=len(planned)) if kind == "call" else self._aside(len(planned)))
        return planned

    def _decided(self) -> tuple[str, ...]:
        """What the twin makes of a request by itself."""
        choice = self._config["tool_choice"]
        last = self._conversation.last
        has_result = last is not None and last.type == "function_call_output"
        chance, profile = self._around.chance, self._around.profile
        messages = ("message",) * profile.output_items
        if choice == "auto" and (has_result or not chance.happens("tool_calls", profile.tool_calls)):
            return messages
        if choice == "none" or not self._tools():
            return messages
        is_told = self._reasons and chance.happens("commentary", profile.commentary)
        return ("commentary", "call") if is_told else ("call",)

    def _tools(self) -> list[Mapping[str, Any]]:
        """The functions that may be called."""
        choice = self._config["tool_choice"]
        tools = [each for each in self._config["tools"] if each["type"] == "function"]
        return [each for each in tools if not isinstance(choice, dict) or each["name"] == choice.get("name")]

    def _call(self, tool: Mapping[str, Any], *, index: int) -> OutputItem:
        item = self._conversation.item(self._new_id("item"), type="function_call", status="in_progress")
        item.extra = {"name": tool["name"], "call_id": self._new_id("call"), "arguments": ""}
        return self._output_item(item, order.CALL, index=index, pieces=arguments(tool), sound_ms=0)

    def _aside(self, index: int) -> OutputItem:
        """A short message beside a call."""
        pieces = announcement()
        sound_ms = 0 if self._is_text else len(pieces) * DELTA_MS
        return self._message_item("commentary", index=index, pieces=pieces, sound_ms=sound_ms)

    def _message(self, count: int) -> list[OutputItem]:
        """The spoken or written answer, split into so many items."""
        length_ms = round(self._around.profile.answer_s / self._config["audio"]["output"]["speed"] * 1000)
        pieces = words(self._number, self._conversation.code_word, deltas=max(1, math.ceil(length_ms / DELTA_MS)))
        if self._fate is not None:
            self._cut_at = len(pieces) // 2
        count = min(count, len(pieces))
        planned = []
        for index in range(count):
            first, last = (len(pieces) * each // count for each in (index, index + 1))
            sound_ms = 0 if self._is_text else min(last * DELTA_MS, length_ms) - first * DELTA_MS
            part = pieces[first:last]
            if index:
                part[0] = f"{self._conversation.code_word}{part[0]}"
            planned.append(self._message_item("final_answer", index=index, pieces=ended(part), sound_ms=sound_ms))
        return planned

    def _message_item(self, phase: str, *, index: int, pieces: list[str], sound_ms: int) -> OutputItem:
        """A message of the model."""
        item = self._conversation.item(self._new_id("item"), role="assistant", status="in_progress")
        if self._reasons and self._around.profile.shapes == "recorded":
            item.extra = {"phase": phase}
        sequence = order.TEXT if self._is_text else order.AUDIO
        return self._output_item(item, sequence, index=index, pieces=pieces, sound_ms=sound_ms)

    @property
    def _is_text(self) -> bool:
        return bool(self._config["output_modalities"] == ["text"])

    def _output_item(
        self, item: Item, sequence: order.Order, *, index: int, pieces: list[str], sound_ms: int
    ) -> OutputItem:
        return OutputItem(
            item,
            sequence=sequence,
            response_id=self.id,
            index=index,
            pieces=pieces,
            sound_ms=sound_ms,
            is_in_conversation=self._is_in_conversation,
        )

    # --- saying it

    def _open_next(self) -> None:
        opened = self._planned.pop(0)
        self._items.append(opened)
        if self._is_in_conversation:
            opened.previous_item_id = self._conversation.add(opened.item)
            is_first, self._conversation.has_answered = not self._conversation.has_answered, True
            opened.is_first = is_first and self._around.profile.first_item_done == "null"
        self._say(opened.opening())

    def _generate(self) -> None:
        cut = self._cut()
        if cut is not None:
            self._end("incomplete", {"type": "incomplete", "reason": cut})
            return
        current = self._items[-1]
        self._deltas += 1
        self._say(current.grow())
        self.audio_ms = sum(each.item.audio_ms for each in self._items)
        if self._is_in_conversation and self.audio_ms:
            self._conversation.has_spoken = True
        if not self._is_half and self._is_in_its_middle():
            self._is_half = True
            self._on_half()
        if current.is_complete and self._planned and self._planned[0].sequence is order.CALL:
            self._open_next()  # a call begins before what announces it has ended
        elif current.is_complete:
            for each in self._items:
                if each.is_open:
                    self._say(each.close(is_complete=True))
            if not self._planned:
                self._end("completed", None)
                return
            self._open_next()
        self._in(DELTA_MS / 1000 / self._around.profile.generation_speed, self._generate)

    def _is_in_its_middle(self) -> bool:
        left = sum(each.left for each in (*self._items, *self._planned))
        return self._deltas >= left

    def _cut(self) -> str | None:
        """Why the answer ends before its next delta, if it does."""
        if self._cut_at is not None and self._deltas >= self._cut_at:
            return self._fate
        most = self._config["max_output_tokens"]
        if most == "inf":
            return None
        return "max_output_tokens" if tokens(self._deltas + 1) > most else None

    def _fail(self) -> None:
        assert self._fate is not None
        self._end("failed", {"type": "failed", "error": faults.of_response(self._fate)})

    def _end(self, status: str, details: dict[str, Any] | None) -> None:
        self._alarms.cancel(self._next)
        for each in self._items:
            if each.is_open:
                self._say(each.close(is_complete=each.is_complete))
        self._status, self._status_details = status, details
        if status != "failed":
            output = [each.item for each in self._items]
            self._usage = self._conversation.usage(
                instructions=self._config["instructions"], output=output, reasoning=self._tells_reasoning()
            )
            self._around.limits.tokens.use(self._usage["total_tokens"])
        self._play(order.response_ends(self._rate_limits()))
        self._on_end(self)

    def _rate_limits(self) -> str:
        """Where this time rate_limits.updated comes, as `order` wants it."""
        where = self._around.profile.rate_limits
        if where != "sometimes":
            return where
        return "after" if self._around.chance.happens("rate_limits", _SOMETIMES) else "none"

    def _tells_reasoning(self) -> bool:
        asked = (self._config.get("reasoning") or {}).get("effort") is not None
        told = self._around.profile.reasoning_tokens
        return self._reasons and (told == "always" or (told == "asked" and asked))

    def _say(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self._emit(event)

    def _play(self, steps: tuple[str, ...]) -> None:
        for step in steps:
            if step == "rate_limits.updated":
                requests = self._around.profile.rate_limits in ("start", "end", "both")
                self._emit({"type": step, "rate_limits": self._around.limits.described(requests=requests)})
            else:
                self._emit({"type": step, "response": self._body()})

    def _body(self) -> dict[str, Any]:
        audio = self._config["audio"]["output"]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self._status,
            "status_details": self._status_details,
            "output": [] if self._status == "in_progress" else [each.item.body() for each in self._items],
            "conversation_id": self._conversation.id if self._is_in_conversation else None,
            "output_modalities": self._config["output_modalities"],
            "max_output_tokens": self._config["max_output_tokens"],
            "audio": {"output": {"format": audio["format"], "voice": audio["voice"]}},
            "usage": self._usage,
            "metadata": self._config.get("metadata"),
        }
