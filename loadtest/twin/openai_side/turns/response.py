"""One answer of the model, generated faster than real time: what comes when, and how it ends.

Source: docs/contract.md#a-voice-turn, #interruption.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loadtest.twin.openai_side import faults
from loadtest.twin.openai_side.alarms import Alarms
from loadtest.twin.openai_side.surroundings import Around, Decision, Emit, NewId
from loadtest.twin.openai_side.turns import order
from loadtest.twin.openai_side.turns.conversation import NOTHING_READ, Conversation, Item
from loadtest.twin.openai_side.turns.output_item import DELTA_MS, OutputItem
from loadtest.twin.openai_side.turns.plan import Plan

_SOMETIMES = 0.5
"""Recordings of the real service have rate_limits.updated after about half of the responses."""


class Response:
    """Generates one response on its own timer and says through `emit` what a client sees of it.

    `config` is the session's, with the overrides of `response.create`; `own_input` what it reads instead of the
    conversation, if that isn't None; `on_half` is called once in the middle of the
    answer, `on_end` once after its last event.
    """

    def __init__(
        self,
        *,
        number: int,
        config: Mapping[str, Any],
        conversation: Conversation,
        own_input: Sequence[Item] | None,
        decided: Decision,
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
        self._config = config
        self._conversation = conversation
        self._around = around
        self._alarms = alarms
        self._emit = emit
        self._on_half = on_half
        self._on_end = on_end
        self._context = conversation.context(config["instructions"], own_input)
        self._plan = Plan(
            number=number,
            response_id=self.id,
            config=config,
            context=self._context,
            conversation=conversation,
            around=around,
            new_id=new_id,
        )
        self._is_in_conversation = config.get("conversation") != "none"
        self._next: asyncio.TimerHandle | None = None
        self._status = "in_progress"
        self._status_details: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._items: list[OutputItem] = []
        self._planned: list[OutputItem] = []
        self._deltas = 0
        self._is_half = False
        fate = around.chance.mishap("first_delta") or around.chance.mishap("response")
        self._decided = decided if fate is None else Decision()
        self._fate = fate or decided.reason
        self._cut_at: int | None = None
        """After so many deltas the fate strikes."""

    def start(self) -> None:
        """Announce the response; its first item follows after the injected latency. Call it once."""
        self._play(order.response_begins(self._around.profile.rate_limits))
        if self._fate is None and self._around.limits.tokens.wait_s() > 0:
            self._fate = "inference_rate_limit_exceeded"
        latency_s = self._around.chance.latency_s("first_delta")
        if growth_s := self._around.profile.context_growth_s:
            latency_s += growth_s * self._context.answers
        if not self._says_nothing():
            self._planned = self._plan.items(self._decided.items)
        is_a_call = any(each.sequence is order.CALL for each in self._planned)
        if self._fate is not None and (self._decided.reason or not is_a_call):
            self._cut_at = sum(each.left for each in self._planned) // 2
        self._in(latency_s, self._generate)

    def cancel(self, reason: str) -> None:
        """Stop generating: `turn_detected` or `client_cancelled`."""
        self._end("cancelled", {"type": "cancelled", "reason": reason})

    def _in(self, delay_s: float, callback: Callable[[], None]) -> None:
        if delay_s > 0:
            self._next = self._alarms.after(delay_s, callback)
        else:
            callback()

    def _says_nothing(self) -> bool:
        """Whether it ends before its first item."""
        if self._decided.items is not None:
            return not self._decided.items
        return self._fate in faults.RESPONSE_FAILURES and not self._decided.reason

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
        if not self._items and self._planned:
            self._open_next()
        cut = self._cut()
        if cut is not None:
            self._end_early(cut)
            return
        if self._waits_to_be_cancelled():
            return
        if not self._items:
            self._end("completed", None)
            return
        current = self._items[-1]
        self._deltas += 1
        self._say(current.grow())
        self.audio_ms = sum(each.sound_ms for each in self._items)
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
        if most == "inf" or self._decided.status is not None or self._items[-1].fits(self._room(most)):
            return None
        return "max_output_tokens"

    def _waits_to_be_cancelled(self) -> bool:
        """Whether the script has the response cancelled, and nothing may be said any more before that."""
        left = sum(each.left for each in (*self._items, *self._planned))
        return self._decided.status == "cancelled" and left <= 1

    def _room(self, most: int) -> int:
        """Tokens of text that the item which is being said may have in all, if the whole answer has no more than
        `most`: those of its sound count, too, and those of thought."""
        *others, current = self._items
        left = most - sum(each.audio_tokens for each in others) - current.next_audio_tokens
        # What is thought costs as much as what is said.
        return left // (2 if self._tells_reasoning() else 1) - sum(each.text_tokens for each in others)

    def _end_early(self, fate: str) -> None:
        if fate in faults.RESPONSE_FAILURES:
            self._end("failed", {"type": "failed", "error": faults.of_response(fate)})
        else:
            self._end("incomplete", {"type": "incomplete", "reason": fate})

    def _end(self, status: str, details: dict[str, Any] | None) -> None:
        self._alarms.cancel(self._next)
        for each in self._items:
            if each.is_open:
                self._say(each.close(is_complete=each.is_complete))
        self._status, self._status_details = status, details
        if status == "failed":  # it costs nothing, and says so
            self._usage = NOTHING_READ.usage(text_out=0, audio_out=0, reasoning=False)
        else:
            self._usage = self._context.usage(
                text_out=sum(each.text_tokens for each in self._items),
                audio_out=sum(each.audio_tokens for each in self._items),
                reasoning=self._tells_reasoning(),
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
        told = self._around.profile.reasoning_tokens
        if told != "by_answer" or not self._plan.reasons:
            return self._plan.reasons and told == "always"
        is_asked = (self._config.get("reasoning") or {}).get("effort") is not None
        is_call = any(each.sequence is order.CALL for each in (*self._items, *self._planned))
        return is_asked or not (is_call or self._context.last_type == "function_call_output")

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
