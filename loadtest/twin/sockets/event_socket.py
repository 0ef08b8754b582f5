"""A socket that carries Realtime events: as JSON text, or as they are to a peer in the same process."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from loadtest.twin.pcm import SILENT_FRAME
from loadtest.twin.sockets import append_event
from loadtest.twin.sockets.messages import Socket, Transport

Dial = Callable[["EventSocket", Mapping[str, str]], Awaitable[None]]
"""Connects a socket with these request headers. Raises OSError, TimeoutError or picows' WSError."""


class Direct(Protocol):
    """What an end of an inline connection takes besides text; nobody may change an event once it is sent."""

    def send_event(self, event: dict[str, Any], /) -> None:
        """Hand over an event."""

    def send_sound(self, pcm: bytes, /) -> None:
        """Hand over what `input_audio_buffer.append` would carry."""


class EventSocket(Socket):
    """Both ends of a Realtime connection. Text comes by `on_text`; from a peer in the process, by the two below."""

    __slots__ = ("_direct",)

    def __init__(self) -> None:
        super().__init__()
        self._direct: Direct | None = None

    def on_message(self, event: dict[str, Any]) -> None:
        """An event that never was text; not to be changed."""

    def on_sound(self, pcm: bytes) -> None:
        """The sound of an `input_audio_buffer.append` that never was text."""

    def connected_inline(self, end: Transport, direct: Direct) -> None:
        """The peer is in this process: no text is needed."""
        self._direct = direct
        self.connected(end)

    def send_event(self, event: dict[str, Any]) -> None:
        """Send one event; does nothing once closed."""
        if self._direct is not None:
            self._direct.send_event(event)
        else:
            self.send_text(json.dumps(event, separators=(",", ":")))

    def send_sound(self, pcm: bytes) -> None:
        """Send `input_audio_buffer.append`; does nothing once closed."""
        if self._direct is not None:
            self._direct.send_sound(pcm)
        else:
            self.send_text(append_event.SILENT_APPEND if pcm == SILENT_FRAME else append_event.encode(pcm))
