"""App-messages: what rooms say besides sound, the only place that knows their names.

Those of a service are translated into `session.ports.Told`; those of the twin's rooms are about the room itself
(TWIN.md). Whoever adds another service translates its messages here, and nothing behind it changes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.http_client import why_refused
from loadtest.secrecy.given_back import Watch
from loadtest.session.ports import Listener, Told
from loadtest.text.validation import is_unicode, json_object, plain, stamp_s

MAX_MESSAGE_BYTES = 1 << 20
"""Of one message, all its fragments together: a sentence has some hundred bytes, and 20 ms of sound 960."""

STARTED, ENDED = "avatar_started_speaking", "avatar_ended_speaking"
PHRASE_STARTED, PHRASE_ENDED = STARTED + "_phrase", ENDED + "_phrase"
OF_USER, OF_AVATAR = "ce_events.realtime.input_transcript", "ce_events.realtime.response_transcript"
TRANSCRIPTION_FAILED = "transcription-failed"
"""Stands for the text of a speech that could not be transcribed (TR-4)."""
ERROR, LIFECYCLE_ERROR = "error", "session_lifecycle_error"
"""The latter nested in the former (GA-3), or flat: both are read."""
ROOM_JOINED, ROOM_PARTICIPANT = "room.joined", "room.participant"
"""Of the twin's rooms."""

_MARKS: Final = {
    STARTED: Mark.AVATAR_STARTED,
    ENDED: Mark.AVATAR_ENDED,
    OF_USER: Mark.USER_TRANSCRIPT,
    OF_AVATAR: Mark.AVATAR_TRANSCRIPT,
    PHRASE_STARTED: Mark.PHRASE_STARTED,
}
_CODE_WORD: Final = re.compile(r"\btwin-[0-9a-f]{8}\b")
"""A twin says it in every session, another one in each: whose words these are (TWIN.md)."""
_CODE_WORD_WITHIN: Final = 1 << 14
"""Signs of a transcript: the look for it takes 20 ms a MiB."""
_TOOL_WORDS: Final = ("function_call", "tool_call", "mcp_call")
_TOOL_FIELDS: Final = frozenset({"arguments", "call_id", "tool_calls", "function_call"})


def translated(message: Mapping[str, Any]) -> Told:
    """A service's message in our own words. Never raises."""
    kind = plain(message.get("type"))
    match _MARKS.get(kind):
        case Mark.USER_TRANSCRIPT if message.get("transcript") == TRANSCRIPTION_FAILED:
            return _transcript(Mark.TRANSCRIPT_FAILED, message)
        case (Mark.USER_TRANSCRIPT | Mark.AVATAR_TRANSCRIPT) as mark:
            return _transcript(mark, message)
        case Mark.PHRASE_STARTED as mark:
            return Told(raw=message, mark=mark, phrase=_text(message.get("phrase_id")))
        case None if kind in (ERROR, LIFECYCLE_ERROR):
            inner = message.get("error")
            nested = kind == ERROR and isinstance(inner, dict) and inner.get("type") == LIFECYCLE_ERROR
            return Told(raw=message, mark=Mark.SESSION_ERROR, well_formed=nested, error=why_refused.of_message(message))
        case None:
            return Told(raw=message, mark=Mark.TOOL_DATA if _is_of_a_tool(kind, message) else None)
        case mark:
            return Told(raw=message, mark=mark)


def is_avatar(message: Mapping[str, Any], state: str) -> bool:
    """Whether a message of the twin's rooms says that of the avatar, who owns the room: "joined" or "left"."""
    return message.get("type") == ROOM_PARTICIPANT and bool(message.get("owner")) and message.get("state") == state


def _transcript(mark: Mark, message: Mapping[str, Any]) -> Told:
    said, stamp = message.get("transcript"), stamp_s(message.get("timestamp"))
    text = _text(said)
    code_word = None if text is None else _CODE_WORD.search(text, 0, _CODE_WORD_WITHIN)
    return Told(
        raw=message,
        mark=mark,
        text=text,
        phrase=_text(message.get("phrase_id")),
        code_word=None if code_word is None else code_word[0],
        stamped_s=stamp,
        well_formed=text is not None and is_unicode(text) and stamp is not None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_of_a_tool(kind: str, message: Mapping[str, Any]) -> bool:
    """Whether it carries a call of a tool, by its type or by the members that only a call has."""
    return any(word in kind for word in _TOOL_WORDS) or not _TOOL_FIELDS.isdisjoint(message)


def bounded(size: int) -> None:
    """Raises StepError where no message, or all of its fragments so far, may be of so many bytes."""
    if size > MAX_MESSAGE_BYTES:
        told = f"the room sent a message of more than {MAX_MESSAGE_BYTES >> 20} MiB"
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told)


class RoomMessages:
    """Of a room of the twin. `on_joined` is called once we are in; `watch` looks through every message."""

    def __init__(self, listener: Listener, *, watch: Watch, on_joined: Callable[[], None]) -> None:
        self._listener, self._watch, self._on_joined = listener, watch, on_joined
        self._has_joined = self._has_avatar = False

    def take(self, t_ns: int, text: bytes | str) -> None:
        """A message that arrived at `t_ns`. Raises StepError for what is no JSON object with a type, or too long."""
        bounded(len(text))
        self._watch.look("room: app-message", text, in_room=True)
        what = "a text message that is no JSON object with a type"
        try:
            message = json_object(text, what)
        except StepError as error:
            raise StepError(Kind.PROTOCOL, Code.BAD_JSON, what) from error
        kind = message.get("type")
        if not isinstance(kind, str):
            raise StepError(Kind.PROTOCOL, Code.BAD_JSON, what)
        if kind == ROOM_JOINED:
            if not self._has_joined:
                self._has_joined = True
                self._listener.on_mark(t_ns, Mark.JOINED)
                self._on_joined()
        elif is_avatar(message, "joined"):
            if not self._has_avatar:
                self._has_avatar = True
                self._listener.on_mark(t_ns, Mark.AVATAR_PRESENT)
        else:
            self._listener.on_message(t_ns, translated(message))
