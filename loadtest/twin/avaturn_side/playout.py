"""The avatar's mouth: answers queued phrase by phrase, handed out in 20 ms frames (PROTOCOL.md 3.5, 3.7)."""

from collections import deque

from loadtest.twin.pcm import FRAME_BYTES


class Phrase:
    """The sound of one OpenAI item: still growing, or complete."""

    __slots__ = ("complete", "id", "position", "sound", "started")

    def __init__(self, phrase_id: str) -> None:
        self.id = phrase_id
        self.sound = bytearray()
        self.position = 0
        self.complete = False
        self.started = False


class Playout:
    """A queue of phrases. It knows no clock: whoever calls `next_frame` every 20 ms makes it real time."""

    def __init__(self) -> None:
        self._phrases: deque[Phrase] = deque()
        self.events: deque[dict[str, str]] = deque()
        """App-messages that became true by the last calls; the caller takes them out."""
        self._speaking = False

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

    @property
    def waiting(self) -> bool:
        """Whether there is anything to play."""
        return bool(self._phrases)

    def next_frame(self) -> bytes | None:
        """The next 20 ms of speech, padded at the end of a phrase; None while there is nothing to say."""
        while self._phrases:
            phrase = self._phrases[0]
            left = len(phrase.sound) - phrase.position
            if left >= FRAME_BYTES or (phrase.complete and left > 0):
                self._start(phrase)
                frame = bytes(phrase.sound[phrase.position : phrase.position + FRAME_BYTES])
                phrase.position += FRAME_BYTES
                return frame.ljust(FRAME_BYTES, b"\0")
            if not phrase.complete:
                return None
            self._phrases.popleft()
            self._end(phrase)
        self._fall_silent()
        return None

    def discard(self) -> bool:
        """Throw everything away, now; True if the avatar was speaking."""
        was_speaking = self._speaking
        while self._phrases:
            self._end(self._phrases.popleft())
        self._fall_silent()
        return was_speaking

    def _start(self, phrase: Phrase) -> None:
        if phrase.started:
            return
        phrase.started = True
        if not self._speaking:
            self._speaking = True
            self.events.append({"type": "avatar_started_speaking", "phrase_id": phrase.id})
        self.events.append({"type": "avatar_started_speaking_phrase", "phrase_id": phrase.id})

    def _end(self, phrase: Phrase) -> None:
        if phrase.started:
            self.events.append({"type": "avatar_ended_speaking_phrase", "phrase_id": phrase.id})

    def _fall_silent(self) -> None:
        if self._speaking:
            self._speaking = False
            self.events.append({"type": "avatar_ended_speaking"})
