"""What a conversation engine and its session are to each other (docs/contract.md#creating-a-session)."""

from typing import Any, Protocol

UNREACHABLE = "The conversation engine could not be reached."


class Engine(Protocol):
    """Hears the user, and tells the stage what to say. It is opened once."""

    async def open(self) -> None:
        """Connect to whatever it needs; the outcome comes as a call of the stage. May be cancelled."""

    def append(self, pcm: bytes) -> None:
        """The user's sound, PCM16LE 24 kHz mono; dropped until the engine is ready."""

    def task(self, task_id: str, text: str) -> None:
        """A text of `/tasks`."""

    def cancel_tasks(self) -> None:
        """Nothing that was asked for by text is wanted any more."""

    def change_voice(self, voice: str) -> None:
        """`PATCH config`: who speaks from now on."""

    def message(self, data: object) -> None:
        """What the page sent through the SDK."""

    def leave(self) -> None:
        """The session has ended: close everything. The stage must hear nothing more."""


class Stage(Protocol):
    """The session, as its engine sees it."""

    def upstream_ready(self) -> None:
        """The engine can converse."""

    def upstream_refused(self, code: str | None, *, reason: str = UNREACHABLE) -> None:
        """It never will: OpenAI's error code, or None if there is none, and what the user is told."""

    def upstream_lost(self) -> None:
        """It could, and cannot any more."""

    def upstream_sound(self, phrase_id: str, sound: bytes) -> None:
        """More sound for the avatar to say, PCM16LE 24 kHz mono."""

    def upstream_complete(self, phrase_id: str) -> None:
        """No more sound will come for this phrase."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        """Any other event of OpenAI."""

    def segment_begins(self) -> None:
        """An engine that sees to turns itself begins to answer."""

    def interrupted(self) -> None:
        """An engine that sees to turns itself wants silence, now."""

    def to_page(self, data: object) -> None:
        """A message for the page, through the SDK."""
