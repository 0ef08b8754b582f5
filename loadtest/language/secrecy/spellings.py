"""A secret in whatever spelling: encoded, escaped, in other case, broken over lines, or a long piece of it.

Texts and secrets are compared by their letters and digits alone, in lower case. So line breaks, separators and case
don't matter. A text is read as it is and with its escapes undone, up to three times. Of each secret the encodings that
no escape undoes are known beforehand: hex, base32, and base64 at each of its three alignments.
"""

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote

SHORTEST: Final = 8
"""Characters. A shorter value is found in any text, and says nothing there."""
_PIECE: Final = 16
"""Letters and digits in a row by which a cut secret is known."""
_ENDS: Final = 512
"""So much of a long secret's beginning and end is known in pieces."""
_ROUNDS: Final = 3
_ESCAPE: Final = re.compile(
    r"%([0-9A-Fa-f]{2})|\\+[ux]([0-9A-Fa-f]{4}|[0-9A-Fa-f]{2})|\\+([0-3][0-7]{2})|&#[xX]([0-9A-Fa-f]{1,6});?"
    r"|&#([0-9]{1,7});?|(&[A-Za-z]{2,8};)|\\+[nrtbf]|=([0-9A-F]{2})"
)
_BASE: Final = (16, 16, 8, 16, 10, 0, 16)
_ALNUM_BYTES: Final = bytes(sorted(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
_NO_ALNUM: Final = bytes(each for each in range(128) if each not in _ALNUM_BYTES)
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/=_\-]")

Span = tuple[int, int]


class Spellings:
    """Secrets, and where a text holds one of them."""

    def __init__(self) -> None:
        self._letters, self._visible = _Index(), _Index()
        self._known: set[str] = set()
        self._plain: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, value: str) -> None:
        """From now on it is found. What is shorter than SHORTEST is not."""
        if value in self._known or len(value) < SHORTEST:
            return
        self._known.add(value)
        self._letters.add(forms(value))
        plain = [letters(value)]
        if len(plain[0]) < SHORTEST:  # its other signs are most of it
            plain = [visible(each) for each in (*readings(value), value.replace(" ", "+"))]
            self._visible.add(plain)
        self._plain.update(plain)

    def spans(self, text: str) -> list[Span]:
        """Where they are, in order, not overlapping. A piece counts from 16 signs on."""
        found: list[Span] = []
        for index, fold in ((self._letters, letters), (self._visible, visible)):
            if index and any(any(index.runs(fold(read))) for read in readings(text)):
                found += self._spans_of(text, index, fold)
        return _merged(found)

    def holds(self, text: str) -> bool:
        """Whether one of them is there as a whole."""
        return any(
            begin == 0 and end == len(form)
            for index, fold in ((self._letters, letters), (self._visible, visible))
            if index
            for read in readings(text)
            for _, form, begin, end in index.runs(fold(read))
        )

    def _spans_of(self, text: str, index: "_Index", fold: Callable[[str], str]) -> Iterator[Span]:
        """In the text as it is. Encodings whose first and last sign hold a part of the secret and a part of what is
        beside it are taken as a whole."""
        for read, places in _located(text):
            kept = [(fold(sign), place) for sign, place in zip(read, places, strict=True)]
            where = [place for signs, place in kept for _ in signs]
            for at, form, begin, end in index.runs("".join(signs for signs, _ in kept)):
                first, last = where[at][0], where[at + end - begin - 1][1]
                yield (first, last) if form in self._plain else _whole_word(text, first, last)


class _Index:
    """Forms of secrets, found by any piece of them."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[tuple[str, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, of_one: Iterable[str]) -> None:
        for form in of_one:
            for at in _anchors(len(form)):
                self._pieces.setdefault(form[at : at + SHORTEST], []).append((form, at))

    def runs(self, folded: str) -> Iterator[tuple[int, str, int, int]]:
        """(place in the text, form, begin and end within the form) of what is there of a form."""
        pieces = self._pieces
        of_text = [folded[at : at + SHORTEST] for at in range(len(folded) - SHORTEST + 1)]
        if pieces.keys().isdisjoint(of_text):  # nearly always
            return
        for at, piece in enumerate(of_text):
            for form, anchor in pieces.get(piece, ()):
                begin, end, place = anchor, anchor + SHORTEST, at - anchor
                while begin and place + begin > 0 and form[begin - 1] == folded[place + begin - 1]:
                    begin -= 1
                while end < len(form) and place + end < len(folded) and form[end] == folded[place + end]:
                    end += 1
                if end - begin >= min(_PIECE, len(form)):
                    yield place + begin, form, begin, end


def readings(text: str) -> Iterator[str]:
    """The text as it is, and with its escapes undone."""
    yield text
    if not ("%" in text or "\\" in text or "&" in text or "=" in text):  # the usual text: nothing is escaped in it
        return
    for _ in range(_ROUNDS):
        undone = _ESCAPE.sub(_undone, text)
        if undone == text:
            return
        yield (text := undone)


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


def _anchors(length: int) -> list[int]:
    """Where pieces begin by which a form is looked up."""
    last = length - SHORTEST
    return sorted({*range(0, min(last, _ENDS) + 1, SHORTEST), *range(max(0, last - _ENDS), last + 1, SHORTEST), last})


def _undone(match: re.Match[str]) -> str:
    if match[6]:
        return html.unescape(match[6])
    for number, base in enumerate(_BASE, 1):
        if match[number] is not None:
            code = int(match[number], base)
            return chr(code) if code < 0x110000 else " "
    return " "


def _located(text: str) -> Iterator[tuple[str, list[Span]]]:
    """Like `readings`, with the place in `text` of each sign."""
    places = [(at, at + 1) for at in range(len(text))]
    yield text, places
    for _ in range(_ROUNDS):
        signs: list[str] = []
        where: list[Span] = []
        done = 0
        for match in _ESCAPE.finditer(text):
            undone = _undone(match)
            signs += [text[done : match.start()], undone]
            where += places[done : match.start()]
            where += [(places[match.start()][0], places[match.end() - 1][1])] * len(undone)
            done = match.end()
        if not done:
            return
        text, places = "".join([*signs, text[done:]]), where + places[done:]
        yield text, places


def _whole_word(text: str, first: int, last: int) -> Span:
    while first and _ENCODED.match(text, first - 1):
        first -= 1
    while last < len(text) and _ENCODED.match(text, last):
        last += 1
    return first, last


def _all(part: str, text: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
