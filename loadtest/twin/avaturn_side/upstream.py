"""Avaturn's own WebSocket to OpenAI: opened with the client secret alone (PROTOCOL.md 2.1).

No query, no beta header, no session.update: the secret drives the session.
"""

import asyncio
import binascii
import json
from collections.abc import Callable
from typing import Any, Protocol

from picows import WSError, ws_connect

from loadtest.twin import append_event
from loadtest.twin.pcm import SILENT_FRAME
from loadtest.twin.wire import Socket

_OPEN_DEADLINE_S = 10.0


class Engine(Protocol):
    """What the upstream tells its session; transcripts and sound arrive as OpenAI sent them."""

    def upstream_ready(self) -> None:
        """session.created has come."""

    def upstream_refused(self, code: str | None) -> None:
        """No session: OpenAI's error code, or None if there was only silence or a closed door."""

    def upstream_lost(self) -> None:
        """An established session is gone, and we had not closed it."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        """Any other server event."""

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        """Audio of an answer."""


class Upstream(Socket):
    """One connection to OpenAI; `on_count` is told when it opens (True) and when it is gone (False)."""

    def __init__(self, engine: Engine, *, on_count: Callable[[bool], None]) -> None:
        super().__init__()
        self._engine: Engine | None = engine
        self._on_count = on_count
        self._is_ready = False
        self._refusal: str | None = None

    async def open(self, url: str, *, client_secret: str) -> None:
        """Connect; the rest comes as calls of the engine. Cancelling it leaves nothing open."""
        headers = {"Authorization": f"Bearer {client_secret}"}
        try:
            # The handshake has a deadline of its own, for a connection whose opening was cancelled.
            async with asyncio.timeout(_OPEN_DEADLINE_S):
                await ws_connect(lambda: self, url, extra_headers=headers, websocket_handshake_timeout=_OPEN_DEADLINE_S)
        except (OSError, TimeoutError, WSError):
            if self._engine is not None:
                self._engine.upstream_refused(None)

    def append(self, pcm: bytes) -> None:
        """Pass on the user's sound; dropped until the session is ready."""
        if self._is_ready:
            self.send_text(append_event.SILENT_APPEND if pcm == SILENT_FRAME else append_event.encode(pcm))

    def leave(self) -> None:
        """Close for good; the engine hears nothing more."""
        self._engine = None
        self.close(1000)

    def on_open(self) -> None:
        """The socket is there; the session is not yet."""
        self._on_count(True)
        if self._engine is None:
            self.close(1000)

    def on_text(self, payload: bytes) -> None:
        """One server event."""
        engine = self._engine
        if engine is None:
            return
        event = json.loads(payload)
        kind = event["type"]
        if kind == "response.output_audio.delta":
            engine.upstream_sound(event["item_id"], binascii.a2b_base64(event["delta"]))
        elif kind == "session.created" and event["session"]["type"] == "realtime":
            self._is_ready = True
            engine.upstream_ready()
        elif kind == "session.created":
            # A transcription secret: an error now is better than an avatar that stays mute (PROTOCOL.md GA-4).
            self.leave()
            engine.upstream_refused(None)
        elif kind == "error" and not self._is_ready:
            self._refusal = event["error"]["code"]
        else:
            engine.upstream_event(event)

    def on_lost(self) -> None:
        """Tell the engine, unless it was its own wish."""
        self._on_count(False)
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if self._is_ready:
            engine.upstream_lost()
        else:
            engine.upstream_refused(self._refusal)
