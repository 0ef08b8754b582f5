"""One Realtime session without its socket: client events and sound in, server events out.

Source: docs/contract.md#the-realtime-socket.
"""

import binascii
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.twin.openai_side import faults
from loadtest.twin.openai_side.alarms import Alarms
from loadtest.twin.openai_side.config import client_events, session_config
from loadtest.twin.openai_side.config.session_rules import SPEECH, check_whole
from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.openai_side.padding import padded
from loadtest.twin.openai_side.surroundings import Around, Decision, Emit, Script
from loadtest.twin.openai_side.turns.conversation import Conversation, Item
from loadtest.twin.openai_side.turns.response import Response
from loadtest.twin.openai_side.turns.user_turns import UserTurns

LONGEST_S = 3600
"""No session lives longer (docs/contract.md#a-realtime-session)."""

_OVERRIDES = (*SPEECH, "metadata", "conversation")
"""What `response.create` says as the session does, and what it alone says."""

HangUp = Callable[[int, str], None]
"""Closes the socket with a code and a reason; 1006 drops it."""


_UNASKED_AFTER_S = 1.5
"""Silence before an answer that nobody asked for."""


class RealtimeSession:
    """The state of one session. `emit` gets every server event but its `event_id`."""

    def __init__(
        self, *, config: Mapping[str, Any], script: Script, around: Around, emit: Emit, hang_up: HangUp
    ) -> None:
        self._prefix = secrets.token_hex(6)
        self._count = 0
        self._around = around
        self._emit = emit = padded(emit) if around.profile.shapes == "recorded" else emit
        self._hang_up = hang_up
        self._expires_at = int(time.time()) + LONGEST_S
        self._config = {**config, "id": self._new_id("sess")}
        is_as_documented = around.profile.shapes == "documented"
        self._conversation = Conversation(self._new_id("conv"), is_as_documented=is_as_documented)
        self._alarms = Alarms()
        self._response: Response | None = None
        """The one that writes to the conversation."""
        self._beside: dict[str, Response] = {}
        """Those that write to none, by id: any number at a time, and no concern of the user's turns."""
        self._responses = 0
        self._script = script
        self._turns = UserTurns(
            config=self._config,
            conversation=self._conversation,
            around=around,
            alarms=self._alarms,
            emit=emit,
            new_id=self._new_id,
            is_answered=lambda: self._response is not None,
            on_speech=self._user_started,
            on_turn=self._user_stopped,
        )
        self.hear = self._turns.hear
        """Take in user audio (PCM16LE, 24 kHz, mono)."""

    def open(self) -> None:
        """Say session.created."""
        self._emit({"type": "session.created", "session": self._described()})
        if self._around.profile.conversation_created:
            conversation = {"id": self._conversation.id, "object": "realtime.conversation"}
            self._emit({"type": "conversation.created", "conversation": conversation})
        close = self._around.chance.mishap("realtime_close")
        if close is not None:
            self._alarms.after(self._around.chance.close_after_s(), lambda: self._hang_up(int(close), ""))

    def close(self) -> None:
        """Stop everything, without a word."""
        self._alarms.close()
        self._response = None
        self._beside.clear()

    def handle(self, event: object) -> None:
        """Do what a client event asks; one that can't be obeyed brings an `error` event and changes nothing."""
        try:
            self._obey(client_events.check(event))
        except RefusedError as refusal:
            event_id = event.get("event_id") if isinstance(event, dict) else None
            self.complain(refusal, event_id=event_id if isinstance(event_id, str) else None)

    def complain(self, refusal: RefusedError, *, event_id: str | None = None) -> None:
        """Send an `error` event."""
        self._emit({"type": "error", "error": {**refusal.fields(), "event_id": event_id}})

    def _obey(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "input_audio_buffer.append":
                self.hear(binascii.a2b_base64(event["audio"]))
            case "session.update":
                self._update(event["session"])
            case "input_audio_buffer.commit":
                self._turns.commit()
            case "input_audio_buffer.clear":
                self._turns.clear()
            case "conversation.item.create":
                self._create_item(event["item"], after=event.get("previous_item_id"))
            case "conversation.item.retrieve":
                item = self._conversation.named(event["item_id"], to="retrieve")
                self._emit({"type": "conversation.item.retrieved", "item": item.body()})
            case "conversation.item.delete":
                item = self._conversation.named(event["item_id"], to="delete")
                self._conversation.delete(item.id)
                self._emit({"type": "conversation.item.deleted", "item_id": item.id})
            case "conversation.item.truncate":
                item = self._conversation.named(event["item_id"], to="truncate")
                told = {name: event[name] for name in ("content_index", "audio_end_ms")}
                self._conversation.truncate(item, **told)
                self._emit({"type": "conversation.item.truncated", "item_id": item.id, **told})
            case "response.create":
                self._respond(event.get("response") or {})
            case "response.cancel":
                self._cancel(event.get("response_id"))

    def _update(self, patch: Mapping[str, Any]) -> None:
        self._config = session_config.updated(
            self._config, patch, has_spoken=self._conversation.has_spoken, knobs=self._around.profile
        )
        self._turns.configure(self._config)
        self._emit({"type": "session.updated", "session": self._described()})
        close = self._around.chance.mishap("session_update")
        if close is not None:
            self._hang_up(int(close), "")

    # --- the user's turn

    def _user_started(self) -> None:
        if self._response is not None and self._detects("interrupt_response"):
            self._response.cancel("turn_detected")

    def _user_stopped(self) -> None:
        if self._detects("create_response") and self._config["type"] == "realtime":
            try:
                self._respond({})
            except RefusedError as refusal:
                self.complain(refusal)

    # --- the model's turn

    def _respond(self, request: Mapping[str, Any]) -> None:
        if self._config["type"] != "realtime":
            raise RefusedError("A transcription session gives no responses.", code="invalid_event")
        is_beside = request.get("conversation") == "none"
        if self._response is not None and not is_beside:
            raise RefusedError(
                f"Conversation already has an active response in progress: {self._response.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        config, own_input = self._config_of(request), self._own_input(request)
        self._responses += 1
        response = Response(
            number=self._responses,
            config=config,
            conversation=self._conversation,
            own_input=own_input,
            decided=next(self._script, Decision()),
            around=self._around,
            alarms=self._alarms,
            emit=self._emit,
            new_id=self._new_id,
            on_half=(lambda: None) if is_beside else self._turns.answer_half_done,
            on_end=self._ended_beside if is_beside else self._response_ended,
        )
        if is_beside:
            self._beside[response.id] = response
        else:
            self._response = response
            self._turns.response_started()
        response.start()
        error = self._around.chance.mishap("realtime")
        if error is not None and not self._alarms.closed:
            refusal = faults.refusal(error)
            self.complain(refusal)
            if faults.is_fatal(error):
                self._hang_up(1001 if error == "session_expired" else 3000, f"{refusal.kind}.{refusal.code}")

    def _config_of(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The session's settings with those of one response."""
        config = {**self._config, **{name: request[name] for name in _OVERRIDES if request.get(name) is not None}}
        output = request.get("audio", {}).get("output", {})
        config["audio"] = {**config["audio"], "output": {**config["audio"]["output"], **output}}
        voice = self._config["audio"]["output"]["voice"]
        if self._conversation.has_spoken and config["audio"]["output"]["voice"] != voice:
            raise session_config.voice_is_fixed()
        check_whole(config, path="response")
        return config

    def _own_input(self, request: Mapping[str, Any]) -> list[Item] | None:
        """What a response reads in place of the conversation: items of its own, and some of those that are there."""
        if request.get("input") is None:
            return None
        return [
            self._conversation.get(each["id"], param=f"response.input[{index}].id")
            if each["type"] == "item_reference"
            else self._conversation.described(each.get("id") or self._new_id("item"), each)
            for index, each in enumerate(request["input"])
        ]

    def _ended_beside(self, response: Response) -> None:
        self._beside.pop(response.id, None)

    def _response_ended(self, response: Response) -> None:
        self._response = None
        audio_s = response.audio_ms / 1000
        self._turns.response_ended(audio_s=audio_s)
        if audio_s and self._around.chance.mishap("unasked") is not None:
            self._alarms.after(audio_s + _UNASKED_AFTER_S, self._speak_unasked)

    def _speak_unasked(self) -> None:
        """Answer once more, unless somebody has said something since."""
        if self._response is None and not self._turns.is_speaking:
            self._respond({})

    def _cancel(self, response_id: object) -> None:
        response = self._beside.get(response_id) if isinstance(response_id, str) else None
        if self._response is not None and response_id in (None, self._response.id):
            response = self._response
        if response is None:
            raise RefusedError("Cancellation failed: no active response found", code="response_cancel_not_active")
        response.cancel("client_cancelled")

    def _create_item(self, wanted: Mapping[str, Any], *, after: str | None) -> None:
        item_id = wanted.get("id") or self._new_id("item")
        if item_id in self._conversation:
            raise RefusedError(f"Item {item_id!r} already exists.", code="invalid_value", param="item.id")
        item = self._conversation.described(item_id, wanted)
        if item.type == "function_call":
            item.extra.setdefault("call_id", self._new_id("call"))
        if item.type == "function_call_output" and not self._conversation.has_call(item.extra["call_id"]):
            raise RefusedError(
                f"Tool call ID '{item.extra['call_id']}' not found in conversation.", code="invalid_tool_call_id"
            )
        previous_item_id = self._conversation.add(item, after=after)
        for step in ("added", "done"):
            fields = {"previous_item_id": previous_item_id, "item": item.body()}
            self._emit({"type": f"conversation.item.{step}", **fields})

    # --- small things

    def _detects(self, setting: str) -> bool:
        return bool((self._turns.turn_detection or {}).get(setting, True))

    def _described(self) -> dict[str, Any]:
        return {**self._config, "expires_at": self._expires_at}

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._prefix}{self._count:06d}"
