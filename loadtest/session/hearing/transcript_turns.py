"""Whose words a transcript holds: the turn that it belongs to, whichever comes first, the words or the sound.

A transcript names no turn. It is told when the service has made it: that of an answer before, during or after its
sound, that of a speech while it is answered, or when the next one has begun. Where two turns may have said it, nobody
knows.
"""

from typing import Final

_IDS: Final = 64
"""So many phrases are remembered by their ids; a transcript that names an older one is later than any."""


class Attribution:
    """Of one conversation. Times don't matter, only what came before what."""

    def __init__(self) -> None:
        self._speaking: int | None = None
        self._asked: int | None = None
        self._answered: int | None = None
        # Of the user: transcripts since his last speech ended, and of the speech that goes on.
        self._told = self._told_early = 0
        self._most = 1
        self._owed = False
        # Of the avatar: phrases and transcripts of the answer that is heard, and of the one that is not heard yet.
        self._phrases = self._words = 0
        self._coming_phrases = self._coming_words = 0
        self._owed_words = 0
        self._turn_of_phrase: dict[str, int | None] = {}

    @property
    def _is_coming(self) -> bool:
        """The last speech has no audible answer yet."""
        return self._asked != self._answered

    @property
    def tells_too_much(self) -> bool:
        """More of the user's words came than of one speech, since his last one ended."""
        return self._speaking is None and self._told > self._most

    def speech_begins(self, turn: int | None, *, most: int = 1) -> None:
        """The user begins to say what is to be answered, in so many transcripts at most."""
        self._speaking, self._most = turn, most

    def speech_ends(self, turn: int | None) -> None:
        """What comes now may be of this speech, or still of the one before."""
        self._owed = self._asked is not None and not self._told
        self._told, self._told_early = self._told_early, 0
        heard = self._answered is not None and not self._is_coming
        self._owed_words = max(0, max(1, self._phrases) - self._words) if heard else 0
        self._coming_phrases = self._coming_words = 0
        self._speaking, self._asked = None, turn

    def answer_begins(self) -> None:
        """The avatar can be heard."""
        if self._is_coming:
            self._answered = self._asked
            self._phrases, self._words = self._coming_phrases, self._coming_words

    def phrase_begins(self, phrase: str | None) -> None:
        """It is told that the avatar begins a phrase, of that id."""
        if self._is_coming:
            self._coming_phrases += 1
        else:
            self._phrases += 1
        if isinstance(phrase, str):
            self._turn_of_phrase[phrase] = self._asked
            if len(self._turn_of_phrase) > _IDS:
                del self._turn_of_phrase[next(iter(self._turn_of_phrase))]

    def of_user(self) -> int | None:
        """The turn of a transcript of the user, or of its failure. None: can't be known, or is of none."""
        if self._speaking is not None and (self._told or self._asked is None):
            self._told_early += 1  # of a speech that goes on: the service has heard a hole in it
            return self._speaking
        self._told += 1
        if self._speaking is None and self._owed:
            self._owed = False
            return None
        return self._asked

    def of_avatar(self, phrase: str | None = None) -> int | None:
        """The turn of a transcript of the avatar. `phrase`: the id that it carries, if it does."""
        if isinstance(phrase, str) and phrase in self._turn_of_phrase:
            turn = self._turn_of_phrase[phrase]
            if turn == self._answered:
                self._words += 1
            elif turn == self._asked:
                self._coming_words += 1
            return turn
        if not self._is_coming:
            self._words += 1
            return self._answered
        self._coming_words += 1
        if self._owed_words and not isinstance(phrase, str):
            self._owed_words -= 1
            return None
        return self._asked
