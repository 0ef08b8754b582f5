"""The engine `external`: the integrator's own, behind a WebSocket that Avaturn dials.

The twin dials loopback addresses only: a session body must not make it connect to anybody's network.
"""

import asyncio
import ipaddress
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from picows import WSError, ws_connect

from loadtest.twin.avaturn_side.engines.engine import Stage
from loadtest.twin.json_text import parsed
from loadtest.twin.pcm import SAMPLE_RATE_HZ
from loadtest.twin.sockets.messages import Socket

_OPEN_DEADLINE_S = 10.0


class External(Socket):
    """Sound as binary messages both ways, everything else as JSON; segments are the phrases of the avatar."""

    def __init__(
        self,
        stage: Stage,
        *,
        url: str,
        headers: Mapping[str, str],
        sample_rate_hz: int,
        on_count: Callable[[bool], None],
    ) -> None:
        super().__init__()
        self._stage: Stage | None = stage
        self._url = url
        self._headers = dict(headers)
        self._sample_rate_hz = sample_rate_hz
        self._on_count = on_count
        self._uids: dict[str, str] = {}
        """Segments that have not ended: our id → theirs."""
        self._growing: str | None = None
        """The segment that sound belongs to."""
        self._is_said = False
        """Whether any sound of it has come."""
        self._is_cut = False
        """Whether it was interrupted: the rest of its sound is not wanted."""

    async def open(self) -> None:
        """Dial. Cancelling it leaves nothing open."""
        if self._stage is not None and not is_loopback(self._url):
            self._stage.upstream_refused(None, reason="The twin connects to engines on loopback addresses only.")
            return
        try:
            async with asyncio.timeout(_OPEN_DEADLINE_S):
                # A redirect could lead to another host.
                await ws_connect(
                    lambda: self,
                    self._url,
                    extra_headers=self._headers,
                    websocket_handshake_timeout=_OPEN_DEADLINE_S,
                    max_redirects=0,
                )
        except (OSError, TimeoutError, ValueError, WSError):
            if self._stage is not None:
                self._stage.upstream_refused(None)

    def append(self, pcm: bytes) -> None:
        """Pass on the user's sound, at the rate that was asked for."""
        self.send_binary(pcm if self._sample_rate_hz == SAMPLE_RATE_HZ else resampled(pcm, to_hz=self._sample_rate_hz))

    def task(self, task_id: str, text: str) -> None:
        """Not for this engine: whoever has a text tells the engine himself."""

    def cancel_tasks(self) -> None:
        """Not for this engine."""

    def change_voice(self, voice: str) -> None:
        """Not for this engine."""

    def message(self, data: object) -> None:
        """What the page sent through the SDK."""
        self._tell("sdk.message.receive", data=data)

    def leave(self) -> None:
        """Close for good; the session hears nothing more."""
        self._stage = None
        self.close(1000)

    # --- from the engine

    def on_open(self) -> None:
        """It has answered: that is all it takes."""
        self._on_count(True)
        if self._stage is None:
            self.close(1000)
        else:
            self._stage.upstream_ready()

    def on_binary(self, payload: bytes) -> None:
        """Sound of the open segment."""
        if self._stage is None:
            return
        if self._growing is None:
            self._complain("segment_not_open", "Audio needs an open segment.")
        elif len(payload) % 2:
            self._complain("invalid_audio", "Audio must be whole samples of PCM16LE.")
        elif not self._is_cut:
            self._is_said = True
            self._stage.upstream_sound(self._growing, payload)

    def on_text(self, payload: bytes) -> None:
        """One JSON message; what can't be understood is answered with `error`."""
        try:
            message = parsed(payload)
        except ValueError:
            message = None
        if self._stage is None:
            return
        if isinstance(message, dict):
            self._obey(message, self._stage)
        else:
            self._complain("invalid_message", "Messages must be JSON objects.")

    def on_lost(self) -> None:
        """Tell the session, unless it was its own wish."""
        self._on_count(False)
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.upstream_lost()

    # --- from the avatar's mouth

    def playback_started(self, phrase_id: str) -> None:
        """The avatar begins to say a segment."""
        self._tell_of(phrase_id, "playback.started")

    def playback_ended(self, phrase_id: str) -> None:
        """It has said all of it."""
        self._tell_of(phrase_id, "playback.ended")
        self._uids.pop(phrase_id, None)

    def playback_interrupted(self, phrase_id: str, *, played_s: float) -> None:
        """The rest of it was thrown away."""
        self._tell_of(phrase_id, "playback.interrupted", played_duration=played_s)
        if phrase_id == self._growing:
            self._is_cut = True
        else:
            self._uids.pop(phrase_id, None)

    # --- inner workings

    def _obey(self, message: dict[str, Any], stage: Stage) -> None:
        kind = message.get("type")
        if kind == "avatar.speech.segment.create":
            self._create(message.get("segment_uid"), stage)
        elif kind == "avatar.speech.segment.close":
            self._close_segment(message.get("segment_uid"), stage)
        elif kind == "avatar.speech.interrupt":
            stage.interrupted()
        elif kind == "sdk.message.send":
            stage.to_page(message.get("data"))
        else:
            self._complain("unknown_message_type", f"There is no message of type {kind!r}.")

    def _create(self, uid: object, stage: Stage) -> None:
        if not isinstance(uid, str):
            self._complain("invalid_message", "A segment needs a segment_uid.")
        elif self._growing is not None:
            self._complain("segment_already_open", "Close the open segment first.")
        else:
            self._growing, self._is_said, self._is_cut = f"segment_{secrets.token_hex(8)}", False, False
            self._uids[self._growing] = uid
            self._tell_of(self._growing, "created")
            stage.segment_begins()

    def _close_segment(self, uid: object, stage: Stage) -> None:
        segment_id = self._growing
        if segment_id is None or self._uids[segment_id] != uid:
            self._complain("segment_not_open", "There is no open segment with this segment_uid.")
            return
        self._growing = None
        self._tell_of(segment_id, "closed")
        stage.upstream_complete(segment_id)
        if self._is_cut or not self._is_said:
            del self._uids[segment_id]

    def _tell_of(self, segment_id: str, what: str, **more: object) -> None:
        uid = self._uids.get(segment_id)
        if uid is not None:
            self._tell(f"avatar.speech.segment.{what}", segment_id=segment_id, segment_uid=uid, **more)

    def _complain(self, subtype: str, reason: str) -> None:
        self._tell("error", subtype=subtype, reason=reason)

    def _tell(self, kind: str, **fields: object) -> None:
        self.send_text(json.dumps({"type": kind, **fields}))


def is_loopback(url: str) -> bool:
    """Whether a WebSocket URL names this host itself; anything that has to be looked up does not, but `localhost`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme in ("ws", "wss") and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def resampled(pcm: bytes, *, to_hz: int) -> bytes:
    """24 kHz sound at a lower rate, by linear interpolation within the frame."""
    samples = np.frombuffer(pcm, dtype="<i2", count=len(pcm) // 2)
    wanted = samples.size * to_hz // SAMPLE_RATE_HZ
    at = np.arange(wanted) * (SAMPLE_RATE_HZ / to_hz)
    lower: bytes = np.interp(at, np.arange(samples.size), samples).round().astype("<i2").tobytes()
    return lower
