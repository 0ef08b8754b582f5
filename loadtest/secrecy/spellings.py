"""A secret in whatever spelling: encoded, escaped, in other case, broken over lines, or a long piece of it.

Texts and secrets are compared by their letters and digits alone, in lower case. So line breaks, separators and case
don't matter. A text is read as it is and with its escapes undone, up to three times. Of each secret the encodings that
no escape undoes are known beforehand: hex, base32, and base64 at each of its three alignments.
"""

import base64
import html
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from loadtest.secrecy.decodings import Span, located, merged, readings, whole_word
from loadtest.secrecy.pieces import LENGTH, Pieces

SHORTEST: Final = LENGTH
"""Characters. A shorter value is found in any text, and says nothing there."""
_ENDS: Final = 512
"""So much of a long secret's beginning and end is known in pieces."""
_ALNUM_BYTES: Final = bytes(sorted(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
_NO_ALNUM: Final = bytes(each for each in range(128) if each not in _ALNUM_BYTES)


class Spellings:
    """Secrets, and where a text holds one of them."""

    def __init__(self) -> None:
        self._letters, self._visible = Pieces(_ENDS), Pieces(_ENDS)
        self._known: set[str] = set()
        self._plain: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, value: str) -> None:
        """From now on it is found. What is shorter than SHORTEST is not."""
        if value in self._known or len(value) < SHORTEST:
            return
        self._known.add(value)
        for form in forms(value):
            self._letters.add(_encoded(form))
        plain = {_encoded(letters(value))}
        if len(letters(value)) < SHORTEST:  # its other signs are most of it
            plain = {_encoded(visible(each)) for each in (*readings(value), value.replace(" ", "+"))}
            for signs in plain:
                if len(signs) >= SHORTEST:
                    self._visible.add(signs)
        self._plain |= plain

    def spans(self, text: str) -> list[Span]:
        """Where they are, in order, not overlapping. A piece counts from 16 signs on, an end from 12."""
        found: list[Span] = []
        for pieces, fold in ((self._letters, letters), (self._visible, visible)):
            if pieces and any(any(pieces.runs(_encoded(fold(read)))) for read in readings(text)):
                found += self._spans_of(text, pieces, fold)
        return merged(found)

    def holds(self, text: str) -> bool:
        """Whether one of them is there as a whole."""
        return any(
            begin == 0 and end == len(form)
            for pieces, fold in ((self._letters, letters), (self._visible, visible))
            if pieces
            for read in readings(text)
            for _, form, begin, end in pieces.runs(_encoded(fold(read)))
        )

    def _spans_of(self, text: str, pieces: Pieces, fold: Callable[[str], str]) -> Iterator[Span]:
        """In the text as it is. Encodings whose first and last sign hold a part of the secret and a part of what is
        beside it are taken as a whole."""
        for read, places in located(text):
            found = list(pieces.runs(_encoded(fold(read))))
            if not found:
                continue
            where = [place for sign, place in zip(read, places, strict=True) for _ in _kept(sign, fold)]
            for at, form, begin, end in found:
                first, last = where[at][0], where[at + end - begin - 1][1]
                yield (first, last) if form in self._plain else whole_word(text, first, last)


def _encoded(folded: str) -> bytes:
    return folded.encode(errors="replace")


@lru_cache(maxsize=1024)
def _kept(sign: str, fold: Callable[[str], str]) -> bytes:
    return _encoded(fold(sign))


@lru_cache(maxsize=1024)
def forms(value: str) -> tuple[str, ...]:
    """What of the value and of its encodings is compared, each at least SHORTEST long."""
    everywhere = "".join(f"%{each:02X}" for each in value.encode(errors="replace"))
    raw = value.encode(errors="replace")
    spelt = [raw, value.upper().encode(errors="replace"), value.lower().encode(errors="replace")]
    spelt += [quote(value, safe="", errors="replace").encode(), everywhere.encode(), everywhere.lower().encode()]
    spelt += [json.dumps(value)[1:-1].encode(), html.escape(value).encode(errors="replace")]
    spelt += [value.encode("utf-16-le", errors="replace"), raw.hex().encode(), base64.b64encode(raw)]
    found = {letters(value), letters(raw.decode("latin-1")), *(letters(read) for read in readings(value))}
    found |= {each.hex() for each in spelt[:3]}
    found |= {letters(base64.b32encode(each).decode()) for each in spelt[:3]}
    for each in dict.fromkeys(spelt):
        found |= {letters(_aligned(each, ahead)) for ahead in range(3)}
    return tuple(form for form in found if len(form) >= SHORTEST)


def folded_bytes(data: bytes) -> bytes:
    """ASCII letters and digits of a file's piece, in lower case."""
    return data.translate(None, delete=_NO_ALNUM).lower()


def _aligned(data: bytes, ahead: int) -> str:
    """What of its base64 depends on nothing else, where so many bytes are ahead of it within a group of three."""
    whole = base64.b64encode(bytes(ahead) + data).decode()
    return whole[-(-8 * ahead // 6) : 8 * (ahead + len(data)) // 6]


def letters(text: str) -> str:
    """Letters and digits, in lower case."""
    if text.isascii():
        return folded_bytes(text.encode()).decode()
    return "".join(filter(str.isalnum, text)).lower()


def visible(text: str) -> str:
    """All that can be seen, in lower case, but for the sign of an escape."""
    return "".join(sign for sign in text if sign.isprintable() and not sign.isspace() and sign != "\\").lower()
