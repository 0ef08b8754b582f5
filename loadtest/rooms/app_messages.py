"""App-messages of the twin's rooms: those about the room itself, and those for whoever listens (INTERFACE.md)."""

from collections.abc import Callable

from loadtest.language.errors import Code, Kind, StepError
from loadtest.language.events import Mark
from loadtest.language.given_back import Watch
from loadtest.language.validation import json_object
from loadtest.session.ports import Listener

MAX_MESSAGE_BYTES = 1 << 20
"""Of one message, all its fragments together: a sentence has some hundred bytes, and 20 ms of sound 960."""


class RoomMessages:
    """`on_joined` is called once we are in; `watch` looks through every message."""

    def __init__(self, listener: Listener, *, watch: Watch, on_joined: Callable[[], None]) -> None:
        self._listener, self._watch, self._on_joined = listener, watch, on_joined
        self._has_joined = self._has_avatar = False

    def take(self, t_ns: int, text: bytes | str) -> None:
        """A message that arrived at `t_ns`. Raises StepError for what is no JSON object with a type."""
        self._watch.look("room: app-message", text, in_room=True)
        what = "a text message that is no JSON object with a type"
        try:
            message = json_object(text, what)
        except StepError as error:
            raise StepError(Kind.PROTOCOL, Code.BAD_JSON, what) from error
        kind = message.get("type")
        if not isinstance(kind, str):
            raise StepError(Kind.PROTOCOL, Code.BAD_JSON, what)
        if kind == "room.joined":
            if not self._has_joined:
                self._has_joined = True
                self._listener.on_mark(t_ns, Mark.JOINED)
                self._on_joined()
        elif kind == "room.participant" and message.get("owner") and message.get("state") == "joined":
            if not self._has_avatar:
                self._has_avatar = True
                self._listener.on_mark(t_ns, Mark.AVATAR_PRESENT)
        else:
            self._listener.on_message(t_ns, message)
