"""Whether an answer was whole: what it is told to say, against what of it was heard.

Texts are measured, and never kept: of how many letters they are, and whether they end as a sentence does.
"""

import unicodedata
from typing import Final

from loadtest.config.promise import Manner
from loadtest.errors.kinds import Code
from loadtest.events.vocabulary import AnswerEnd
from loadtest.sound.speech import FRAME_NS

_LETTERS_PER_S: Final = 24.0
"""No voice says more letters and digits a second at its usual speed: a usual one says 12, one of French 20. One that is
so low that its softest sounds aren't heard seems to say 22."""
_SLACK_S: Final = 0.25
"""Where an onset is soft it is heard late, and an end early."""
_WIDE: Final = 2.0
"""A sign of Chinese, Japanese or Korean stands for a syllable or more: so many letters."""
_MEASURED: Final = 1 << 14
"""Signs of a transcript that are measured, for a quarter of an hour: one of a MiB would hold up all other sessions."""
_WORDS: Final = 4
"""A shorter text may be no sentence."""
_BRIEF_NS: Final = 1_000_000_000
"""An answer without a word that is over sooner may have been stopped."""
_MOST: Final = 2_000
"""So many phrases and transcripts of one answer are looked at; a room that floods has more."""
_CLIPPED_SHARE: Final = 0.2
_UNMARKED: Final = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x0F00, 0x0FFF))
"""Thai and Lao, Burmese, Khmer, Tibetan: writing that ends no sentence with a mark of its own."""

Flaw = tuple[AnswerEnd, Code | None, str]
"""Its end, what its turn fails with, and words for a person. No code: it is counted, and fails no turn."""


class Answer:
    """The answer to one speech, that of the `turn`.

    `sound_ns`: how long it was heard, its silences left out. `is_announced`: an app-message said that the avatar
    speaks. `again`: how often it spoke after its announced end, and nobody had said anything. `phantoms`: transcripts
    of the user beyond what he has said. `is_disturbed`: the user made a sound meanwhile.
    """

    __slots__ = (
        "_is_open",
        "_letters",
        "_manner",
        "_phrases",
        "_phrases_begun",
        "_texts",
        "_times_told",
        "_words",
        "again",
        "is_announced",
        "is_disturbed",
        "is_repeated",
        "phantoms",
        "sound_ns",
        "turn",
    )

    def __init__(self, turn: int | None, manner: Manner) -> None:
        self.turn, self._manner = turn, manner
        self.sound_ns = 0
        self.is_announced = self.is_repeated = self.is_disturbed = False
        self.again = self.phantoms = 0
        self._is_open = False
        """What it said last ends in the middle of a sentence."""
        self._words = 0
        self._letters = 0.0
        self._times_told = self._phrases_begun = 0
        self._texts: set[int] = set()
        self._phrases: set[int] = set()

    def phrase_begins(self, phrase: str | None) -> None:
        """An item of it begins to be played."""
        if self._phrases_begun == _MOST:
            return
        self._phrases_begun += 1
        if phrase is None:
            return
        known = hash(phrase)
        self.is_repeated = self.is_repeated or known in self._phrases
        self._phrases.add(known)

    def told(self, text: str, *, unsaid: str = "") -> None:
        """A transcript of it came. `unsaid`: what of it is only written: the code word of a twin."""
        if self._times_told == _MOST:
            return
        self._times_told += 1
        known = hash(text)
        if known not in self._texts:
            self._letters += _letters(text) - _letters(unsaid)
        self._texts.add(known)
        self._is_open = self._manner.writes_sentences and _is_open(text)
        self._words = len(text.split(maxsplit=_WORDS))

    @property
    def is_told(self) -> bool:
        """Whether any of its words came."""
        return bool(self._texts)

    @property
    def is_too_short(self) -> bool:
        """Nobody could have said its words in that time."""
        return self.sound_ns / 1e9 + _SLACK_S < self._letters / (_LETTERS_PER_S * self._manner.speed)

    @property
    def may_have_been_stopped(self) -> bool:
        """The same, and not by a sound of the user's."""
        return not self.is_disturbed and self.looks_stopped

    @property
    def looks_stopped(self) -> bool:
        """Something of it is missing, as far as can be told; where none of its words came, that it was brief."""
        return self.is_too_short or self._is_open or (not self._texts and self.sound_ns < _BRIEF_NS)

    @property
    def is_followed(self) -> bool:
        """The service has heard the user, who had said nothing, or answers him; of an answer whose words nobody knows
        the second may be its rest."""
        return self.phantoms > 0 or (self.again > 0 and self.is_told)

    def flaw(self, *, silent_ns: int, most_silent_ns: int, loud_frames: int, clipped_frames: int) -> Flaw | None:
        """What was wrong with it, if anything. `silent_ns`: from its last sound to its announced end; of its
        `loud_frames`, so many were clipped."""
        heard = f"{self.sound_ns / 1e9:.1f} s of it"
        if self.may_have_been_stopped and self.is_followed:
            return (
                AnswerEnd.SELF_INTERRUPTED,
                Code.SELF_INTERRUPTED,
                f"stopped after {heard}, and the service has heard a user who had said nothing",
            )
        if silent_ns > most_silent_ns:
            return (
                AnswerEnd.SILENT,
                Code.VOICE_SILENT,
                f"announced as speaking {silent_ns / 1e9:.1f} s after its last sound",
            )
        if self.is_too_short:
            return AnswerEnd.CUT, Code.ANSWER_CUT, f"{heard}, too short for its {self._letters:.0f} letters"
        if self._is_open and self._words >= _WORDS:
            # Its words alone are no proof: an address, a list or a number ends without a mark as well.
            return AnswerEnd.CUT, None, f"{heard}, and its words end in the middle of a sentence"
        if self.is_repeated or (len(self._texts) < self._times_told <= self._phrases_begun):
            return AnswerEnd.TWICE, Code.ANSWERED_TWICE, f"the same was said again within {heard}"
        if clipped_frames > _CLIPPED_SHARE * max(1, loud_frames):
            clipped_s = clipped_frames * FRAME_NS / 1e9
            return AnswerEnd.CLIPPED, Code.VOICE_CLIPPED, f"clipped for {clipped_s:.1f} s, within {heard}"
        return None


def _letters(text: str) -> float:
    return sum(_WIDE if ord(sign) > 0x2E7F else 1.0 for sign in text[:_MEASURED] if sign.isalnum())


def _is_open(text: str) -> bool:
    """It ends with a letter, a digit, a comma or a dash, in a writing that marks the end of a sentence."""
    last = text.rstrip()[-1:]
    if not last or any(low <= ord(last) <= high for low, high in _UNMARKED):
        return False
    return unicodedata.category(last)[0] in "LN" or last in ",;:-–—،、，"
