"""The avatar's mouth: answers queued phrase by phrase, handed out in 20 ms frames.

Source: docs/contract.md#app-messages, #a-sessions-life.
"""

from collections import deque
from typing import Protocol

from loadtest.twin.pcm import BYTES_PER_MS, FRAME_BYTES


class Listener(Protocol):
    """An engine that wants to know what became of its phrases."""

    def playback_started(self, phrase_id: str) -> None:
        """Its first frame is being played."""

    def playback_ended(self, phrase_id: str) -> None:
        """Its last frame was played."""

    def playback_interrupted(self, phrase_id: str, *, played_s: float) -> None:
        """It was thrown away, after so many seconds (0: nobody heard any of it)."""


class Phrase:
    """The sound of one OpenAI item, task or segment: still growing, or complete."""

    __slots__ = ("complete", "id", "lead", "position", "sound", "started")

    def __init__(self, phrase_id: str) -> None:
        self.id = phrase_id
        self.sound = bytearray()
        self.position = 0
        self.lead = 0
        """Bytes of silence in it that put its onset where it is due."""
        self.complete = False
        self.started = False


class Playout:
    """A queue of phrases. It knows no clock: whoever calls `next_frame` every 20 ms makes it real time."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.events: deque[dict[str, str]] = deque()
        """App-messages that became true by the last calls; the caller takes them out."""
        self.phrase_id = ""
        """The phrase that is playing, or was the last to play."""
        self._phrases: deque[Phrase] = deque()
        self._speaking = False
        self._listener = listener

    def queue(self, phrase_id: str, sound: bytes) -> None:
        """More sound of a phrase; an unknown id begins a new one behind the others."""
        if not self._phrases or self._phrases[-1].id != phrase_id:
            self._phrases.append(Phrase(phrase_id))
        self._phrases[-1].sound += sound

    def complete(self, phrase_id: str) -> None:
        """No more sound will come for this phrase."""
        for phrase in self._phrases:
            if phrase.id == phrase_id:
                phrase.complete = True

    def pause(self, phrase_id: str, silence: int) -> None:
        """So many bytes of silence in the middle of a phrase, or as near to that as it isn't played yet."""
        for phrase in self._phrases:
            middle = len(phrase.sound) // 2 // FRAME_BYTES * FRAME_BYTES
            at = max(phrase.position, middle)
            if phrase.id == phrase_id and at < len(phrase.sound):
                phrase.sound[at:at] = bytes(silence)

    def cut(self, phrase_id: str) -> None:
        """Forget what comes after a third of a phrase, or what of that isn't played yet."""
        for phrase in self._phrases:
            if phrase.id == phrase_id:
                del phrase.sound[max(phrase.position, len(phrase.sound) // 3 // FRAME_BYTES * FRAME_BYTES) :]

    def say_again(self, phrase_id: str) -> None:
        """A phrase begins anew behind all others, complete."""
        sounds = [bytes(phrase.sound) for phrase in self._phrases if phrase.id == phrase_id]
        for sound in sounds:
            again = Phrase(phrase_id)
            again.sound += sound
            again.complete = True
            self._phrases.append(again)

    @property
    def waiting(self) -> bool:
        """Whether there is anything to play."""
        return bool(self._phrases)

    def next_frame(self, *, lead: int = 0) -> bytes | None:
        """The next 20 ms of speech, padded at the end of a phrase; None while there is nothing to say. With `lead`, the
        speech begins after so many bytes of silence."""
        while self._phrases:
            phrase = self._phrases[0]
            left = len(phrase.sound) - phrase.position
            if left >= FRAME_BYTES or (phrase.complete and left > 0):
                self._start(phrase)
                if lead:
                    phrase.sound[phrase.position : phrase.position] = bytes(lead)
                    phrase.lead += lead
                frame = bytes(phrase.sound[phrase.position : phrase.position + FRAME_BYTES])
                phrase.position += FRAME_BYTES
                return frame.ljust(FRAME_BYTES, b"\0")
            if not phrase.complete:
                return None
            self._phrases.popleft()
            self._end(phrase)
            if self._listener is not None:
                self._listener.playback_ended(phrase.id)
        self._fall_silent()
        return None

    def discard(self) -> bool:
        """Throw everything away, now; True if the avatar was speaking."""
        was_speaking = self._speaking
        while self._phrases:
            phrase = self._phrases.popleft()
            self._end(phrase)
            if self._listener is not None:
                played = max(0, min(phrase.position, len(phrase.sound)) - phrase.lead)
                played_s = played / BYTES_PER_MS / 1000
                self._listener.playback_interrupted(phrase.id, played_s=played_s)
        self._fall_silent()
        return was_speaking

    def _start(self, phrase: Phrase) -> None:
        if phrase.started:
            return
        phrase.started = True
        self.phrase_id = phrase.id
        if not self._speaking:
            self._speaking = True
            self.events.append({"type": "avatar_started_speaking", "phrase_id": phrase.id})
        self.events.append({"type": "avatar_started_speaking_phrase", "phrase_id": phrase.id})
        if self._listener is not None:
            self._listener.playback_started(phrase.id)

    def _end(self, phrase: Phrase) -> None:
        if phrase.started:
            self.events.append({"type": "avatar_ended_speaking_phrase", "phrase_id": phrase.id})

    def _fall_silent(self) -> None:
        if self._speaking:
            self._speaking = False
            self.events.append({"type": "avatar_ended_speaking"})
