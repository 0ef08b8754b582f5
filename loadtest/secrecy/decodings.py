"""What a text says once its escapes are undone and its encodings decoded, and where in the text that stands.

Encodings are decoded at each of their alignments, over line breaks, and whatever is around them: what was not encoded
becomes noise.
"""

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

Span = tuple[int, int]
Place = Callable[[int, int], Span]
"""Where in the text that stands which is decoded from one sign to before another."""

_ROUNDS: Final = 3
_BACKSLASHES: Final = r"\\(?<!\\\\)\\*+"
"""A whole run of them: looked at from each of its signs on, 2,000 would take 70 ms."""
_ESCAPE: Final = re.compile(  # each begins with a sign that is rare: that is five times as fast
    rf"%([0-9A-Fa-f]{{2}})|{_BACKSLASHES}[ux]([0-9A-Fa-f]{{4}}|[0-9A-Fa-f]{{2}})|{_BACKSLASHES}([0-3][0-7]{{2}})"
    rf"|&#[xX]([0-9A-Fa-f]{{1,6}});?|&#([0-9]{{1,7}});?|&([A-Za-z]{{2,8}};)|{_BACKSLASHES}[nrtbf]|=([0-9A-F]{{2}})"
)
_BASE: Final = (16, 16, 8, 16, 10, 0, 16)
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/=_\-]")
_MAY_BE_BASE32: Final = re.compile(r"[A-Z2-7]{13}|[a-z2-7]{13}")
"""Eight signs of it in a row: other words are hardly ever so long, and to decode all would take twice the time."""


def readings(text: str) -> Iterator[str]:
    """The text as it is, and with its escapes undone, up to three times."""
    yield text
    if not ("%" in text or "\\" in text or "&" in text or "=" in text):  # the usual text: nothing is escaped in it
        return
    for _ in range(_ROUNDS):
        undone = _ESCAPE.sub(_undone, text)
        if undone == text:
            return
        yield (text := undone)


def located(text: str) -> Iterator[tuple[str, list[Span]]]:
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


def decodings(text: str) -> Iterator[tuple[str, Place]]:
    """What it may be in base64, hexadecimal and base32."""
    yield from _decodings(text, _BASE64, 6, 4, _from_base64)
    yield from _decodings(text, _BASE16, 4, 2, _from_base16)
    if _MAY_BE_BASE32.search(text) is not None:
        yield from _decodings(text, _BASE32, 5, 8, _from_base32)


def whole_word(text: str, first: int, last: int) -> Span:
    """That place, and what goes on as an encoding does before it and behind it."""
    while first and _ENCODED.match(text, first - 1):
        first -= 1
    while last < len(text) and _ENCODED.match(text, last):
        last += 1
    return first, last


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same places, in order, not overlapping."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _undone(match: re.Match[str]) -> str:
    if match[6]:
        return html.unescape(match[0])
    for number, base in enumerate(_BASE, 1):
        if match[number] is not None:
            code = int(match[number], base)
            return chr(code) if code < 0x110000 else " "
    return " "


def _all_but(signs: bytes) -> bytes:
    return bytes(each for each in range(256) if each not in signs)


_HEX: Final = b"0123456789abcdef"
_DIGITS: Final = b"0123456789abcdefghijklmnopqrstuv"
_LOWER, _UPPER = b"abcdefghijklmnopqrstuvwxyz234567", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE64: Final = _all_but(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_BASE16: Final = _all_but(_HEX + b"ABCDEF")
_BASE32: Final = _all_but(_LOWER + _UPPER)
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_TO_DIGITS: Final = bytes.maketrans(_LOWER + _UPPER, _DIGITS * 2)


def _decodings(
    text: str, others: bytes, bits: int, alignments: int, decode: Callable[[bytes], bytes]
) -> Iterator[tuple[str, Place]]:
    """`others`: bytes that are no sign of the encoding, in which each sign stands for so many bits."""
    raw = text.encode("latin-1", "replace")  # a byte for each sign, whatever it is
    signs = raw.translate(None, others)
    where: list[int] = []
    for shift in range(min(alignments, len(signs))):

        def place(first: int, last: int, shift: int = shift) -> Span:
            if not where:
                where.extend(at for at, sign in enumerate(raw) if sign not in others)
            return where[shift + 8 * first // bits], where[shift + (8 * last - 1) // bits] + 1

        yield decode(signs[shift:]).decode("latin-1"), place


def _from_base64(signs: bytes) -> bytes:
    whole = len(signs) * 6 // 8
    return base64.b64decode(signs.translate(_TO_BASE64) + b"A" * (-len(signs) % 4))[:whole]


def _from_base16(signs: bytes) -> bytes:
    return bytes.fromhex(signs[: len(signs) // 2 * 2].decode())


def _from_base32(signs: bytes) -> bytes:
    spare = 5 * len(signs) % 8
    return (int(signs.translate(_TO_DIGITS), 32) >> spare).to_bytes(5 * len(signs) // 8)
