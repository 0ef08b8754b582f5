"""The room: everyone who is in it, and the door for those who come over WebSocket (TWIN.md#rooms)."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Protocol

from loadtest.twin.json_text import parsed
from loadtest.twin.sockets.messages import Socket

CLOSE_ENDED = 1000
CLOSE_BAD_TOKEN = 4401
CLOSE_NO_ROOM = 4404
CLOSE_ALREADY_ENDED = 4410
CLOSE_OVER_QUOTA = 4429


class Host(Protocol):
    """What a room tells the session that owns it."""

    def user_joined(self) -> None:
        """One more user is in the room."""

    def user_left(self) -> None:
        """One user less."""

    def user_sent(self, pcm: bytes) -> None:
        """One message of microphone sound, PCM16LE 24 kHz mono."""

    def user_missed(self, packets: int) -> None:
        """So many packets of the microphone's have never come by now."""

    def user_told(self, message: dict[str, Any]) -> None:
        """One app-message of a user."""


class Guest(Protocol):
    """One user's connection, of whatever kind."""

    def send_text(self, payload: bytes | str) -> None:
        """An app-message; nothing once closed."""

    def send_binary(self, payload: bytes) -> None:
        """20 ms of sound, PCM16LE 24 kHz mono; nothing once closed."""

    def close(self, code: int, reason: str = "") -> None:
        """Show the user out; a second time does nothing."""


class Room:
    """The users in one session's room. With `keeps_errors`, an error that comes before them is told to the first."""

    def __init__(self, host: Host, *, keeps_errors: bool) -> None:
        self.host = host
        self._keeps_errors = keeps_errors
        self.users: list[Guest] = []
        self._closed = False
        self._kept: list[bytes] = []

    def say(self, message: dict[str, Any], *, keep: bool = False) -> None:
        """Send an app-message to everyone; with `keep`, to the first to come if nobody is there."""
        text = json.dumps(message).encode()
        if keep and self._keeps_errors and not self.users:
            self._kept.append(text)
        for user in self.users:
            user.send_text(text)

    def play(self, frame: bytes) -> None:
        """Send one 20 ms frame of the avatar's sound to everyone."""
        for user in self.users:
            user.send_binary(frame)

    def enter(self, user: Guest) -> None:
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

    def leave(self, user: Guest) -> None:
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


class Visit:
    """One user's stay in a room, from an open connection to its loss."""

    def __init__(self, room: Room, user: Guest, *, join_latency_s: Callable[[], float]) -> None:
        self._room = room
        self._user = user
        self._join_latency_s = join_latency_s
        self._joining: asyncio.TimerHandle | None = None
        self._is_in = self._is_over = False

    def begin(self) -> None:
        """Join after the injected latency."""
        latency_s = self._join_latency_s()
        if latency_s:
            self._joining = asyncio.get_running_loop().call_later(latency_s, self._enter)
        else:
            self._enter()

    def heard(self, pcm: bytes) -> None:
        """Microphone sound. With several users, only the last who came is listened to."""
        if self._is_in and self._room.users and self._room.users[-1] is self._user:
            self._room.host.user_sent(pcm)

    def missed(self, packets: int) -> None:
        """So many packets of the microphone's have never come by now; told as soon as packets have numbers."""
        if self._is_in:
            self._room.host.user_missed(packets)

    def told(self, text: bytes | str) -> None:
        """An app-message; anything but a JSON object is lost, as it would be among any other participants."""
        with contextlib.suppress(ValueError):
            message = parsed(text)
            if self._is_in and isinstance(message, dict):
                self._room.host.user_told(message)

    def end(self) -> None:
        """The user has left; a second time does nothing."""
        if self._joining is not None:
            self._joining.cancel()
        if not self._is_over:
            self._is_in, self._is_over = False, True
            self._room.leave(self._user)

    def _enter(self) -> None:
        if not self._is_over:
            self._is_in = True
            self._room.enter(self._user)


class RoomSocket(Socket):
    """One user's WebSocket; `room` is None when the door stays shut, and `refusal` says why."""

    __slots__ = ("_refusal", "_visit")

    def __init__(
        self, *, room: Room | None, refusal: tuple[int, str] | None, join_latency_s: Callable[[], float]
    ) -> None:
        super().__init__()
        self._visit = Visit(room, self, join_latency_s=join_latency_s) if room is not None else None
        self._refusal = refusal

    def on_open(self) -> None:
        """Join, or be shown the door."""
        if self._refusal is not None:
            self.close(*self._refusal)
        elif self._visit is not None:
            self._visit.begin()

    def on_binary(self, payload: bytes) -> None:
        """Microphone sound."""
        if self._visit is not None:
            self._visit.heard(payload)

    def on_text(self, payload: bytes) -> None:
        """An app-message."""
        if self._visit is not None:
            self._visit.told(payload)

    def on_lost(self) -> None:
        """The user has left."""
        if self._visit is not None:
            self._visit.end()
