"""Avaturn's own WebSocket to OpenAI: opened with the client secret alone (docs/contract.md#opening-the-socket).

No query, no beta header, no session.update: the secret drives the session.
"""

import binascii
import functools
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from picows import WSError

from loadtest.twin.avaturn_side.engines.engine import Stage
from loadtest.twin.sockets.event_socket import Dial, EventSocket

_KEPT_DELTAS = 64
_TASK = "task_id"
"""Key in the metadata of a response that a text asked for."""


class Upstream(EventSocket):
    """The engine `openai-realtime`; `on_count` is told when it opens (True) and when it is gone (False)."""

    __slots__ = (
        *("_client_secret", "_dial", "_is_ready", "_is_responding", "_on_count", "_refusal", "_stage", "_tasks"),
    )

    def __init__(self, stage: Stage, *, dial: Dial, client_secret: str, on_count: Callable[[bool], None]) -> None:
        super().__init__()
        self._stage: Stage | None = stage
        self._dial = dial
        self._client_secret = client_secret
        self._on_count = on_count
        self._is_ready = False
        self._is_responding = False
        self._refusal: str | None = None
        self._tasks: deque[tuple[str, str]] = deque()

    async def open(self) -> None:
        """Connect. Cancelling it leaves nothing open."""
        headers = {"Authorization": f"Bearer {self._client_secret}"}
        try:
            await self._dial(self, headers)
        except (OSError, TimeoutError, WSError):
            if self._stage is not None:
                self._stage.upstream_refused(None)

    def append(self, pcm: bytes) -> None:
        """Pass on the user's sound; dropped until the session is ready."""
        if self._is_ready:
            self.send_sound(pcm)

    def task(self, task_id: str, text: str) -> None:
        """Make it a message of the user, for the model to answer after what it is saying."""
        self._tasks.append((task_id, text))
        self._next_task()

    def cancel_tasks(self) -> None:
        """Stop what is being generated."""
        self._tasks.clear()
        if self._is_responding:
            self.send_event({"type": "response.cancel"})

    def change_voice(self, voice: str) -> None:
        """Not for this engine: the secret has set the voice."""

    def message(self, data: object) -> None:
        """Not for this engine."""

    def leave(self) -> None:
        """Close for good; the session hears nothing more."""
        self._stage = None
        self.close(1000)

    def on_open(self) -> None:
        """The socket is there; the session is not yet."""
        self._on_count(True)
        if self._stage is None:
            self.close(1000)

    def on_text(self, payload: bytes) -> None:
        """One server event."""
        self.on_message(json.loads(payload))

    def on_message(self, event: dict[str, Any]) -> None:
        """One server event."""
        if self._stage is not None:
            self.on_event(event, self._stage)

    def on_event(self, event: dict[str, Any], stage: Stage) -> None:
        """Tell the session what it means."""
        kind = event["type"]
        if kind == "response.output_audio.delta":
            stage.upstream_sound(event["item_id"], _sound(event["delta"]))
        elif kind == "response.output_audio.done":
            stage.upstream_complete(event["item_id"])
        elif kind == "session.created" and event["session"]["type"] == "realtime":
            self._is_ready = True
            stage.upstream_ready()
        elif kind == "session.created":
            # A transcription secret: an error now is better than an avatar that stays mute (GA-4).
            self.leave()
            stage.upstream_refused(None)
        elif kind == "error" and not self._is_ready:
            self._refusal = event["error"]["code"]
        else:
            self._follow_responses(kind)
            stage.upstream_event(event)

    def on_lost(self) -> None:
        """Tell the session, unless it was its own wish."""
        self._on_count(False)
        stage, self._stage = self._stage, None
        if stage is None:
            return
        if self._is_ready:
            stage.upstream_lost()
        else:
            stage.upstream_refused(self._refusal)

    def _follow_responses(self, kind: str) -> None:
        if kind == "response.created":
            self._is_responding = True
        elif kind == "response.done":
            self._is_responding = False
            self._next_task()

    def _next_task(self) -> None:
        if not self._tasks or self._is_responding:
            return
        task_id, text = self._tasks.popleft()
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        self.send_event({"type": "conversation.item.create", "item": item})
        self.send_event({"type": "response.create", "response": {"metadata": {_TASK: task_id}}})
        self._is_responding = True


@functools.lru_cache(maxsize=_KEPT_DELTAS)
def _sound(delta: str) -> bytes:
    """The sound of a delta. The twin's own say the same again and again, and decoding them cost a tenth of a room."""
    return binascii.a2b_base64(delta)


def answers_task(event: dict[str, Any]) -> bool:
    """Whether a `response.created` is the answer to a text, and not to the user's voice."""
    return _TASK in (event["response"].get("metadata") or {})
