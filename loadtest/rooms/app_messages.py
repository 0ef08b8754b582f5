"""App-messages of the twin's rooms: those about the room itself, and those for whoever listens (INTERFACE.md)."""

import json
from collections.abc import Callable

from loadtest.errors import Code, Kind, StepError
from loadtest.events import Mark
from loadtest.ports import Listener


class RoomMessages:
    """`on_joined` is called once we are in; `on_broken` for what is no JSON object with a type."""

    def __init__(
        self, listener: Listener, *, on_joined: Callable[[], None], on_broken: Callable[[StepError], None]
    ) -> None:
        self._listener, self._on_joined, self._on_broken = listener, on_joined, on_broken

    def take(self, t_ns: int, text: bytes | str) -> None:
        """A message that arrived at `t_ns`."""
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            self._on_broken(
                StepError(Kind.PROTOCOL, Code.BAD_JSON, "a text message that is no JSON object with a type")
            )
            return
        if kind == "room.joined":
            self._listener.on_mark(t_ns, Mark.JOINED)
            self._on_joined()
        elif kind == "room.participant" and message.get("owner") and message.get("state") == "joined":
            self._listener.on_mark(t_ns, Mark.AVATAR_PRESENT)
        else:
            self._listener.on_message(t_ns, message)
