"""What a response is going to say: which items, and the text and the length of each (docs/contract.md#a-voice-turn)."""

import math
from collections.abc import Mapping
from typing import Any

from loadtest.twin.openai_side.config.session_rules import reasons
from loadtest.twin.openai_side.surroundings import Around, NewId
from loadtest.twin.openai_side.turns import order
from loadtest.twin.openai_side.turns.conversation import Context, Conversation, Item
from loadtest.twin.openai_side.turns.output_item import DELTA_MS, OutputItem, announcement, arguments, ended, words


class Plan:
    """What the model decides about the response with this number, which reads `context`."""

    def __init__(
        self,
        *,
        number: int,
        response_id: str,
        config: Mapping[str, Any],
        context: Context,
        conversation: Conversation,
        around: Around,
        new_id: NewId,
    ) -> None:
        self.reasons = reasons(config.get("model", ""))
        """Whether the model thinks before it speaks."""
        self._number = number
        self._response_id = response_id
        self._config = config
        self._context = context
        self._conversation = conversation
        self._around = around
        self._new_id = new_id

    def items(self, kinds: tuple[str, ...] | None) -> list[OutputItem]:
        """The items of the response: of these kinds, or what the session asks for."""
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
        has_result = self._context.last_type == "function_call_output"
        chance, profile = self._around.chance, self._around.profile
        messages = ("message",) * profile.output_items
        if choice == "auto" and (has_result or not chance.happens("tool_calls", profile.tool_calls)):
            return messages
        if choice == "none" or not self._tools():
            return messages
        is_told = self.reasons and chance.happens("commentary", profile.commentary)
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
        if self.reasons and self._around.profile.shapes == "recorded":
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
            response_id=self._response_id,
            index=index,
            pieces=pieces,
            sound_ms=sound_ms,
            is_in_conversation=self._config.get("conversation") != "none",
        )
