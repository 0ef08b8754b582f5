"""Words that are looked for by any piece of them: how long a look takes doesn't depend on how many words there are.

A word is known by the eight signs at each of its eighth places. They are compared as one number, so a text of 2,000
signs is asked for all words at once, in 0.1 ms.
"""

from collections.abc import Iterator
from typing import Final

LENGTH: Final = 8
"""Signs of a piece. A shorter word is found in any text, and says nothing there."""
ENOUGH: Final = 16
"""Signs in a row by which a piece of a word is known."""
_ENOUGH_AT_AN_END: Final = 12
"""Where they are a word's first or last: whoever cuts a text leaves these."""
_MOST_ALIKE: Final = 16
"""So many words are kept of one piece, the latest: each is found by its other pieces too."""

Run = tuple[int, bytes, int, int]
"""Place in the text, the word, begin and end within the word."""


class Pieces:
    """Words, known by the pieces of their first and last `ends` signs."""

    def __init__(self, ends: int) -> None:
        self._ends = ends
        self._words: dict[int, list[tuple[bytes, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def add(self, word: bytes) -> None:
        for at in self._anchors(len(word)):
            alike = self._words.setdefault(_number(word, at), [])
            if len(alike) == _MOST_ALIKE:
                del alike[0]
            alike.append((word, at))

    def discard(self, word: bytes) -> None:
        for at in self._anchors(len(word)):
            number = _number(word, at)
            alike = self._words.get(number, [])
            if (word, at) in alike:
                alike.remove((word, at))
                if not alike:
                    del self._words[number]

    def runs(self, text: bytes) -> Iterator[Run]:
        """What is in the text of a word: 16 signs of it or more, 12 at its ends, or the whole of a shorter one."""
        known = self._words.keys()
        shifted = [_numbers(text, shift) for shift in range(LENGTH)]
        if all(map(known.isdisjoint, shifted)):  # nearly always
            return
        hits = sorted(
            (shift + LENGTH * count, number)
            for shift, numbers in enumerate(shifted)
            for count, number in enumerate(numbers)
            if number in known
        )
        seen_to: dict[bytes, int] = {}
        for at, number in hits:
            for word, anchor in tuple(self._words.get(number, ())):
                if at < seen_to.get(word, 0):
                    continue
                begin, end = _around(word, anchor, text, at)
                is_end = begin == 0 or end == len(word)
                if end - begin >= min(_ENOUGH_AT_AN_END if is_end else ENOUGH, len(word)):
                    seen_to[word] = at - anchor + end
                    yield at - anchor + begin, word, begin, end

    def _anchors(self, length: int) -> list[int]:
        last = length - LENGTH
        near = range(0, min(last, self._ends) + 1, LENGTH)
        return sorted({*near, *range(max(0, last - self._ends), last + 1, LENGTH), last})


def _number(word: bytes, at: int) -> int:
    return memoryview(word[at : at + LENGTH]).cast("Q")[0]


def _numbers(text: bytes, shift: int) -> list[int]:
    """Of the pieces that begin at every eighth sign from `shift` on."""
    end = shift + max(0, len(text) - shift) // LENGTH * LENGTH
    return memoryview(text[shift:end]).cast("Q").tolist()


def _around(word: bytes, anchor: int, text: bytes, at: int) -> tuple[int, int]:
    """Begin and end within the word of what is the same in the text, around a piece that is."""
    begin, end, ahead = anchor, anchor + LENGTH, at - anchor
    while begin and ahead + begin > 0 and word[begin - 1] == text[ahead + begin - 1]:
        begin -= 1
    while end < len(word) and ahead + end < len(text) and word[end] == text[ahead + end]:
        end += 1
    return begin, end
