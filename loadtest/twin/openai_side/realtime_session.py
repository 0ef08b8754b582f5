"""One Realtime session without its socket: client events and sound in, server events out (PROTOCOL.md 2)."""

import asyncio
import binascii
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from loadtest.twin.openai_side import client_events, session_config
from loadtest.twin.openai_side.conversation import Conversation, Item
from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.openai_side.response import Emit, Response
from loadtest.twin.openai_side.vad import SpeechStarted, Vad
from loadtest.twin.profiles import Chance

LONGEST_S = 3600
"""No session lives longer (PROTOCOL.md 2.2)."""

TURN = ("speech_stopped", "committed", "item.added", "item.done")
"""What the end of the user's speech brings, before the response; a manual commit leaves out the first."""

_SHORTEST_COMMIT_MS = 100
_TRANSCRIPT = "This is what the user said."


class RealtimeSession:
    """The state of one session. `emit` gets every server event but its `event_id`."""

    def __init__(self, *, config: Mapping[str, Any], emit: Emit, chance: Chance, answer_s: float) -> None:
        self._prefix = secrets.token_hex(6)
        self._count = 0
        self._emit = emit
        self._chance = chance
        self._answer_s = answer_s
        self._expires_at = int(time.time()) + LONGEST_S
        self._config = {**config, "id": f"sess_{self._new_id()}"}
        self._conversation = Conversation(f"conv_{self._new_id()}")
        self._vad = Vad(self._turn_detection)
        self._committed_ms = 0.0
        """Where in the audio the uncommitted part begins."""
        self._next_item_id = ""
        self._response: Response | None = None
        self._responses = 0
        self._timers: set[asyncio.TimerHandle] = set()

    def open(self) -> None:
        """Say session.created."""
        self._emit({"type": "session.created", "session": self._described()})

    def close(self) -> None:
        """Stop everything, without a word."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._response is not None:
            self._response.abandon()
            self._response = None

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

    def hear(self, pcm: bytes) -> None:
        """Take in user audio (PCM16LE, 24 kHz, mono)."""
        for found in self._vad.hear(pcm):
            if isinstance(found, SpeechStarted):
                self._user_started(found.audio_start_ms)
            else:
                self._user_stopped(found.audio_end_ms)

    def _obey(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "input_audio_buffer.append":
                try:
                    self.hear(binascii.a2b_base64(event["audio"], strict_mode=True))
                except (binascii.Error, ValueError):
                    raise RefusedError(
                        "Invalid 'audio'. Expected base64.", code="invalid_value", param="audio"
                    ) from None
            case "session.update":
                self._update(event["session"])
            case "input_audio_buffer.commit":
                self._commit_by_hand()
            case "input_audio_buffer.clear":
                self._clear_buffer()
                self._emit({"type": "input_audio_buffer.cleared"})
            case "conversation.item.create":
                self._create_item(event["item"])
            case "conversation.item.retrieve":
                item = self._conversation.get(event["item_id"], param="item_id")
                self._emit({"type": "conversation.item.retrieved", "item": item.body()})
            case "conversation.item.delete":
                item = self._conversation.get(event["item_id"], param="item_id")
                self._conversation.delete(item.id)
                self._emit({"type": "conversation.item.deleted", "item_id": item.id})
            case "conversation.item.truncate":
                item = self._conversation.get(event["item_id"], param="item_id")
                self._conversation.truncate(item, audio_end_ms=event["audio_end_ms"])
                told = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                self._emit({"type": "conversation.item.truncated", **told})
            case "response.create":
                self._respond(event.get("response") or {})
            case "response.cancel":
                self._cancel(event.get("response_id"))

    def _update(self, patch: Mapping[str, Any]) -> None:
        self._config = session_config.updated(self._config, patch, has_spoken=self._conversation.has_spoken)
        self._vad.configure(self._turn_detection)
        self._emit({"type": "session.updated", "session": self._described()})

    # --- the user's turn

    def _user_started(self, audio_start_ms: int) -> None:
        self._next_item_id = f"item_{self._new_id()}"
        self._emit(
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": audio_start_ms,
                "item_id": self._next_item_id,
            }
        )
        if self._response is not None and self._detects("interrupt_response"):
            self._response.cancel("turn_detected")

    def _user_stopped(self, audio_end_ms: int) -> None:
        self._take_turn(TURN, audio_end_ms=audio_end_ms)
        if self._detects("create_response") and self._config["type"] == "realtime":
            try:
                self._respond({})
            except RefusedError as refusal:
                self.complain(refusal)

    def _commit_by_hand(self) -> None:
        length_ms = self._buffered_ms
        if length_ms < _SHORTEST_COMMIT_MS:
            raise RefusedError(
                f"Error committing input audio buffer: buffer too small. Expected at least {_SHORTEST_COMMIT_MS}ms "
                f"of audio, but buffer only has {length_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        if not self._vad.speaking:
            self._next_item_id = f"item_{self._new_id()}"
        self._take_turn(TURN[1:], audio_end_ms=self._vad.position_ms)
        self._clear_buffer()

    def _take_turn(self, steps: tuple[str, ...], *, audio_end_ms: int) -> None:
        item = Item(id=self._next_item_id, role="user", audio_ms=self._buffered_ms)
        item.content = [{"type": "input_audio", "transcript": None}]
        previous_item_id = self._conversation.add(item)
        self._committed_ms = self._vad.position_ms
        where = {"item_id": item.id, "previous_item_id": previous_item_id}
        for step in steps:
            match step:
                case "speech_stopped":
                    fields = {"audio_end_ms": audio_end_ms, "item_id": item.id}
                    self._emit({"type": "input_audio_buffer.speech_stopped", **fields})
                case "committed":
                    self._emit({"type": "input_audio_buffer.committed", **where})
                case "item.added" | "item.done":
                    fields = {"previous_item_id": previous_item_id, "item": item.body()}
                    self._emit({"type": f"conversation.{step}", **fields})
                case _:
                    raise ValueError(f"no such step of a turn: {step}")
        if self._config["audio"]["input"]["transcription"] is not None:
            self._later(self._chance.latency_s("transcription"), lambda: self._transcribe(item))

    def _transcribe(self, item: Item) -> None:
        name = "conversation.item.input_audio_transcription"
        where = {"item_id": item.id, "content_index": 0}
        self._emit({"type": f"{name}.delta", **where, "delta": _TRANSCRIPT})
        item.content = [{"type": "input_audio", "transcript": _TRANSCRIPT}]
        usage = {"type": "duration", "seconds": round(item.audio_ms / 1000, 2)}
        self._emit({"type": f"{name}.completed", **where, "transcript": _TRANSCRIPT, "usage": usage})

    # --- the model's turn

    def _respond(self, overrides: Mapping[str, Any]) -> None:
        if self._config["type"] != "realtime":
            raise RefusedError("A transcription session gives no responses.", code="invalid_event")
        if self._response is not None:
            raise RefusedError(
                f"Conversation already has an active response in progress: {self._response.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        self._responses += 1
        kept = ("instructions", "output_modalities", "max_output_tokens", "metadata")
        self._response = Response(
            response_id=f"resp_{self._new_id()}",
            item_id=f"item_{self._new_id()}",
            number=self._responses,
            first_delta_s=self._chance.latency_s("first_delta"),
            answer_s=self._answer_s,
            session={**self._config, "metadata": None},
            overrides={name: overrides[name] for name in kept if name in overrides},
            conversation=self._conversation,
            emit=self._emit,
            on_end=self._response_ended,
        )
        self._response.start()

    def _response_ended(self) -> None:
        self._response = None

    def _cancel(self, response_id: object) -> None:
        if self._response is None or response_id not in (None, self._response.id):
            raise RefusedError("Cancellation failed: no active response found", code="response_cancel_not_active")
        self._response.cancel("client_cancelled")

    def _create_item(self, wanted: Mapping[str, Any]) -> None:
        item_id = wanted.get("id") or f"item_{self._new_id()}"
        if item_id in self._conversation:
            raise RefusedError(f"Item {item_id!r} already exists.", code="invalid_value", param="item.id")
        item = Item(id=item_id, type=wanted["type"], role=wanted.get("role"), content=wanted.get("content", []))
        named = ("id", "type", "object", "status", "role", "content")
        item.extra = {name: value for name, value in wanted.items() if name not in named}
        previous_item_id = self._conversation.add(item)
        for step in ("added", "done"):
            fields = {"previous_item_id": previous_item_id, "item": item.body()}
            self._emit({"type": f"conversation.item.{step}", **fields})

    # --- small things

    @property
    def _turn_detection(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._config["audio"]["input"]["turn_detection"]
        return found

    def _detects(self, setting: str) -> bool:
        return bool((self._turn_detection or {}).get(setting, True))

    @property
    def _buffered_ms(self) -> float:
        return self._vad.position_ms - self._committed_ms + self._vad.rest_ms

    def _clear_buffer(self) -> None:
        self._committed_ms = self._vad.position_ms
        self._vad.forget_rest()

    def _described(self) -> dict[str, Any]:
        return {**self._config, "expires_at": self._expires_at}

    def _later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """After the delay, if any, unless the session is closed by then."""
        if delay_s <= 0:
            callback()
            return

        def run() -> None:
            self._timers.discard(timer)
            callback()

        timer = asyncio.get_running_loop().call_later(delay_s, run)
        self._timers.add(timer)

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:06d}"
