"""The room over WebSocket: its door, and everyone who is in it (INTERFACE.md, "Room over WebSocket")."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

from loadtest.twin.wire import Socket

CLOSE_ENDED = 1000
CLOSE_BAD_TOKEN = 4401
CLOSE_NO_ROOM = 4404
CLOSE_ALREADY_ENDED = 4410


class Host(Protocol):
    """What a room tells the session that owns it."""

    def user_joined(self) -> None:
        """One more user is in the room."""

    def user_left(self) -> None:
        """One user less."""

    def user_sent(self, pcm: bytes) -> None:
        """One message of microphone sound, PCM16LE 24 kHz mono."""


class Room:
    """The users in one session's room. What is said before anyone is there, is kept for the first to come."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.users: list[RoomSocket] = []
        self._closed = False
        self._kept: list[bytes] = []

    def say(self, message: dict[str, Any], *, keep: bool = False) -> None:
        """Send an app-message to everyone; with `keep`, to the first to come if nobody is there."""
        text = json.dumps(message).encode()
        if keep and not self.users:
            self._kept.append(text)
        for user in self.users:
            user.send_text(text)

    def play(self, frame: bytes) -> None:
        """Send one 20 ms frame of the avatar's sound to everyone."""
        for user in self.users:
            user.send_binary(frame)

    def enter(self, user: "RoomSocket") -> None:
        """A user has joined."""
        if self._closed:
            user.close(CLOSE_ALREADY_ENDED, "session ended")
            return
        self.users.append(user)
        user.send_text(json.dumps({"type": "room.joined"}))
        self.host.user_joined()
        for text in self._kept:
            user.send_text(text)
        self._kept.clear()

    def leave(self, user: "RoomSocket") -> None:
        """A user's connection is gone."""
        if user in self.users:
            self.users.remove(user)
            self.host.user_left()

    def close(self) -> None:
        """Show everyone out: the session has ended."""
        self._closed = True
        users, self.users = self.users, []
        for user in users:
            user.close(CLOSE_ENDED, "session ended")


class RoomSocket(Socket):
    """One user's connection; `room` is None when the door stays shut, and `refusal` says why."""

    def __init__(
        self, *, room: Room | None, refusal: tuple[int, str] | None, join_latency_s: Callable[[], float]
    ) -> None:
        super().__init__()
        self._room = room
        self._refusal = refusal
        self._join_latency_s = join_latency_s
        self._joining: asyncio.TimerHandle | None = None
        self._is_in = False

    def on_open(self) -> None:
        """Join after the injected latency, or be shown the door."""
        if self._refusal is not None:
            self.close(*self._refusal)
            return
        latency_s = self._join_latency_s()
        if latency_s:
            self._joining = asyncio.get_running_loop().call_later(latency_s, self._enter)
        else:
            self._enter()

    def on_binary(self, payload: bytes) -> None:
        """Microphone sound. With several users, only the last who came is listened to."""
        room = self._room
        if room is not None and self._is_in and room.users and room.users[-1] is self:
            room.host.user_sent(payload)

    def on_lost(self) -> None:
        """The user has left."""
        if self._joining is not None:
            self._joining.cancel()
        if self._room is not None:
            self._room.leave(self)
            self._room = None

    def _enter(self) -> None:
        if self._room is not None:
            self._is_in = True
            self._room.enter(self)
