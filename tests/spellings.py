"""Secrets, the spellings that a stranger may give them, and what can be read of one in a text."""

import base64
import html
import json
import quopri
import random
import string
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

from loadtest.secrecy.decodings import readings

_SIGNS = string.ascii_letters + string.digits + "-_.~+/=:!@#$^*()"


def secret_of(seed: int) -> str:
    chance = random.Random(seed)
    return chance.choice(("sk-", "", "ek_", "p@ss ", "eyJ")) + "".join(
        chance.choices(_SIGNS, k=chance.choice((9, 16, 24, 40, 200)))
    )


SECRETS = [secret_of(seed) for seed in range(200)]


def _b64(ahead: int, after: str = "") -> Callable[[str], str]:
    return lambda s: base64.b64encode(b"x" * ahead + s.encode() + after.encode()).decode()


def _lines(text: str, every: int, by: str) -> str:
    return by.join(text[at : at + every] for at in range(0, len(text), every))


def _everywhere(form: str) -> Callable[[str], str]:
    return lambda s: "".join(form.format(ord(each)) for each in s)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "other case": str.swapcase,
    "URL": quote,
    "URL, no slash": lambda s: quote(s, safe=""),
    "URL, form": quote_plus,
    "URL, everything": _everywhere("%{:02X}"),
    "URL, everything, lower case": _everywhere("%{:02x}"),
    "URL, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "URL, thrice": lambda s: quote(quote(quote(s, safe=""), safe=""), safe=""),
    "JSON": lambda s: json.dumps(s),
    "JSON, slashes escaped": lambda s: json.dumps(s).replace("/", "\\/"),
    "JSON, everything": _everywhere("\\u{:04x}"),
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)),
    "JSON, everything, in JSON": lambda s: json.dumps(_everywhere("\\u{:04X}")(s)),
    "HTML": html.escape,
    "HTML, decimal": _everywhere("&#{};"),
    "HTML, hexadecimal": _everywhere("&#x{:x};"),
    "HTML of JSON": lambda s: html.escape(json.dumps(s)),
    "URL of JSON": lambda s: quote(json.dumps(s)),
    "Python's bytes": lambda s: repr(s.encode()),
    "Python, everything": _everywhere("\\x{:02x}"),
    "octal": _everywhere("\\{:03o}"),
    "base64, first": _b64(0),
    "base64, second": _b64(1, "y"),
    "base64, third": _b64(2, "zz"),
    "base64, far in": _b64(47, " and more"),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(b"user:" + s.encode()).decode().rstrip("="),
    "base64, broken over lines": lambda s: _lines(_b64(10)(s), 20, "\n"),
    "base64, MIME": lambda s: base64.encodebytes(b"n:" + s.encode()).decode(),
    "base64 of a URL": lambda s: base64.b64encode(quote(s, safe="").encode()).decode(),
    "base64 of JSON": lambda s: base64.b64encode(json.dumps({"k": s}).encode()).decode(),
    "base64 of base64": lambda s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 in a URL": lambda s: quote(_b64(1)(s), safe=""),
    "base64 of UTF-16": lambda s: base64.b64encode(s.encode("utf-16-le")).decode(),
    "hexadecimal": lambda s: s.encode().hex(),
    "hexadecimal with colons": lambda s: s.encode().hex(":").upper(),
    "broken over lines": lambda s: _lines(s, 7, "\n"),
    "folded as a header": lambda s: _lines(s, 6, "\r\n\t"),
    "broken over lines in JSON": lambda s: json.dumps(_lines(s, 5, "\n")),
    "quoted-printable": lambda s: quopri.encodestring(s.encode()).decode(),
    "spelt out": lambda s: " ".join(s),
    "UTF-16": lambda s: s.encode("utf-16-le").decode("latin-1"),
}
PLACES = (
    "{}",
    "HTTP 401: {}",
    '{{"error": {{"message": "Incorrect API key provided: {}. You can find it at"}}}}',
    "400, message:\n  Invalid header value char:\n\n    b'X-Key: {}\\x00'\n                   ^",
    "GET /x?key={}&more=1 HTTP/1.1",
    "<p title='{}'>no</p>",
    "Authorization: Basic {}\r\nX: y",
)


def cuts(text: str) -> Iterator[str]:
    """What is left of it where somebody cuts it, at every third sign: a beginning, or an end."""
    for at in range(1, len(text), 3):
        yield from (text[:at], text[at:])


def pieces_of(secret: str, text: str) -> set[str]:
    """Runs of the secret's letters and digits that can be read in the text, whatever is between them."""
    plain, told = ("".join(filter(str.isalnum, each)).lower() for each in (secret, text))
    length = min(12, len(plain))
    return {plain[at : at + length] for at in range(len(plain) - length + 1)} & {
        told[at : at + length] for at in range(len(told) - length + 1)
    }


def decoded(text: str) -> str:
    """What somebody can make of it who undoes all that can be undone."""
    made = [text, *list(readings(text))]
    for word in text.replace("\n", "").replace("\r", "").split():
        for ahead in range(4):
            run = "".join(each for each in word[ahead:] if each in string.ascii_letters + string.digits + "+/-_")
            raw = run.replace("-", "+").replace("_", "/")
            made.append(base64.b64decode(raw[: len(raw) // 4 * 4] or "").decode("latin-1"))
    return "\n".join(made)
