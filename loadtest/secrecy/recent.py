"""Secrets that come and go, such as sessions' tokens: thousands are known at once, and a text is asked for all of them.

Of each only itself is known, a few kB at most. It is the text that is decoded (`decodings.py`): that takes the same
time for one token and for ten thousand, and a base64 whose case was changed is nobody's token any more.
"""

import re
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from loadtest.secrecy.decodings import Span, decodings, located, merged, readings, whole_word
from loadtest.secrecy.pieces import LENGTH, Pieces

MOST_ENDED: Final = 8192
"""So many are known of those whose session is over. Those of sessions that go on are not counted out."""
_MOST_SIGNS: Final = 8 << 20
_HARD_LIMIT: Final = 4
"""Times as many, whoever they belong to: a target that gives each session a thousand tokens is not remembered."""
_LOOKED_AT: Final = 8
"""Of the oldest, so many are asked whether their session goes on, for each that is new."""
_ENDS: Final = 128
_NESTED: Final = 2
_MAY_BE_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_\-]{11}")
"""Eight signs in base64. Noise has no such run."""
_MAY_BE_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}|=[0-9A-F]{2}|\\[ux0-3]|&[#A-Za-z]")
_NAME: Final = re.compile(r"[\w.:-]{1,40}", re.ASCII)
"""What ids look like; too short for a token that is encoded."""


class _Fold:
    """What of a text is compared."""

    def __init__(self, is_kept: Callable[[str], bool]) -> None:
        self._kept = frozenset(filter(is_kept, map(chr, range(128))))
        self._rest = bytes(each for each in range(256) if chr(each) not in self._kept)

    def __call__(self, text: str) -> bytes:
        return text.encode(errors="replace").translate(None, self._rest).lower()

    def places(self, text: str) -> list[int]:
        """Of each sign that is kept."""
        return [at for at, sign in enumerate(text) if sign in self._kept]


_letters = _Fold(str.isalnum)
_visible = _Fold(lambda sign: "!" <= sign <= "~" and sign != "\\")


@dataclass(frozen=True, slots=True)
class _Secret:
    value: str
    owner: weakref.ref[object] | None
    is_cookie: bool


class Recent:
    """What sessions hold and have held."""

    def __init__(self) -> None:
        self._secrets: OrderedDict[bytes, _Secret] = OrderedDict()
        self._of_letters, self._of_signs = Pieces(_ENDS), Pieces(_ENDS)
        self._signs = 0

    def __len__(self) -> int:
        return len(self._secrets)

    def add(self, value: str, owner: object = None, *, is_cookie: bool = False) -> None:
        """From now on it is found, as long as its owner lives and for a good while afterwards."""
        word, pieces = self._word(value)
        if len(word) < LENGTH:
            return
        known = self._secrets.get(word)
        if known is not None and owner is None:  # what is told with every failure keeps nobody out
            return
        held_by = None if owner is None else weakref.ref(owner)
        self._secrets[word] = _Secret(value, held_by, is_cookie)
        self._secrets.move_to_end(word)
        if known is None:
            self._signs += len(word)
            pieces.add(word)
            self._make_room()

    def spans(self, text: str) -> list[Span]:
        """Where in the text they are, in order, not overlapping. A piece counts from 16 signs on, an end from 12."""
        return merged(span for _, _, span in self._found(text))

    def reveals(self, text: str) -> bool:
        """Whether one of them is there as a whole. A cookie may be an id, and then is the whole text."""
        is_name = _NAME.fullmatch(text) is not None
        for word, is_whole, _ in self._found(text, 0 if is_name else _NESTED):
            known = self._secrets.get(word)
            if known is None or not is_whole or (known.is_cookie and known.value == text):
                continue
            if not is_name or known.value.lower() in text.lower():
                return True
        return False

    def _word(self, value: str) -> tuple[bytes, Pieces]:
        word = _letters(value)
        return (word, self._of_letters) if len(word) >= LENGTH else (_visible(value), self._of_signs)

    def _make_room(self) -> None:
        for _ in range(_LOOKED_AT):
            if len(self._secrets) <= MOST_ENDED and self._signs <= _MOST_SIGNS:
                return
            word = next(iter(self._secrets))
            oldest = self._secrets[word]
            is_over = oldest.owner is None or oldest.owner() is None
            if is_over or len(self._secrets) > _HARD_LIMIT * MOST_ENDED or self._signs > _HARD_LIMIT * _MOST_SIGNS:
                del self._secrets[word]
                self._signs -= len(word)
                self._word(oldest.value)[1].discard(word)
            else:
                self._secrets.move_to_end(word)

    def _found(self, text: str, nested: int = _NESTED) -> Iterator[tuple[bytes, bool, Span]]:
        """(which, whether whole, where)."""
        for pieces, fold in ((self._of_letters, _letters), (self._of_signs, _visible)):
            if pieces:
                yield from _runs(text, pieces, fold, nested)


def _runs(text: str, pieces: Pieces, fold: _Fold, nested: int) -> Iterator[tuple[bytes, bool, Span]]:
    is_escaped = nested == _NESTED or _MAY_BE_ESCAPED.search(text) is not None
    for number, read in enumerate(readings(text) if is_escaped else (text,)):
        found: list[tuple[bytes, bool, Span]] = []
        where: list[int] = []
        for at, word, begin, end in pieces.runs(fold(read)):
            where = where or fold.places(read)
            found.append((word, begin == 0 and end == len(word), (where[at], where[at + end - begin - 1] + 1)))
        if nested and (nested == _NESTED or _MAY_BE_ENCODED.search(read) is not None):
            for decoded, place in decodings(read):
                around = (0, 0)
                for word, is_whole, span in _runs(decoded, pieces, fold, nested - 1):
                    first, last = place(*span)
                    if not around[0] <= first < last <= around[1]:
                        around = whole_word(read, first, last)
                    found.append((word, is_whole, around))
        if found:
            places = next(places for count, (_, places) in enumerate(located(text)) if count == number)
            for word, is_whole, (first, last) in found:
                yield word, is_whole, (places[first][0], places[last - 1][1])
