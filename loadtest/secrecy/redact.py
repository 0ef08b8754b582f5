"""The one redactor: no secret reaches a journal, a span, a log or a report (rules SEC-1 and SEC-2).

It knows two sorts. What looks like a key or a token it knows by patterns. What this process itself holds (keys, header
values, passwords, cookies) it has been told, and finds in any spelling (`spellings.py`). All of that is work for the
failure path: a text is cut before it is read.
"""

import mmap
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from loadtest.secrecy.decodings import readings
from loadtest.secrecy.recent import Recent
from loadtest.secrecy.spellings import SHORTEST, Spellings, folded_bytes, forms
from loadtest.text.outlets import Outlet
from loadtest.text.outlets import text as printable

MAX_DETAIL = 300
MAX_READ = 2_048
"""Of a longer text, an error page say, no more is looked at: the patterns cost 2 µs a character."""
HIDDEN: Final = "[redacted]"
_WORD_ENDS = "\"'<>,;\\ \t\r\n"
_SECRETS = re.compile(r"(?:\b(?:sk|ek)[-_][A-Za-z0-9_\-]{4,}|(?i:\bbearer\s+)\S+|\beyJ[A-Za-z0-9_\-.]{10,})")
_OPAQUE = re.compile(r"\b(?!(?:req|resp|sess|item|task|event)_)(?=\w*[0-9])(?=\w*[A-Za-z])\w{24,}\b")
"""A token that says nothing of itself: long, of letters and digits, and not one of the ids that errors are asked by."""
_KEY_IN_FILE = rb"(?=[\w\-.]{20})[\w\-.]*?(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{12}"
"""Of a whole file, where names of branches, clips and hosts are no keys (sk-bratislava-2024): a key has 20 signs or
more, and among them 12 letters and digits in a row."""
_IN_FILES = [
    re.compile(beginning + rest)
    for beginning, rest in (
        (rb"sk[-_](?<=\bsk[-_])", _KEY_IN_FILE),
        (rb"ek[-_](?<=\bek[-_])", _KEY_IN_FILE),
        (rb"eyJ(?<=\beyJ)", rb"[\w\-.]{10,}"),
    )
]
_BEARER_IN_FILES = re.compile(rb"bearer(?<=\bbearer)\s+" + _KEY_IN_FILE)
"""Of a text in small letters. Each begins with what it looks for: as one pattern they take ten times as long."""
_TELLING = "KEY|PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|COOKIE|AUTHORIZATION"
_TELLS = re.compile(_TELLING, re.IGNORECASE)
"""Names whose values are secrets, whatever they look like."""
_IN_URLS = re.compile(
    rf"([?&;#][\w.-]{{0,64}}(?:{_TELLING}|SIG|CODE|ASSERTION|SAML|TICKET)[\w.-]{{0,64}}=)[^\s&#\"'<>]+"
    r"|(://[^\s/@:]{0,256}:)[^\s/@]{1,256}(?=@)",
    re.IGNORECASE,
)
"""What a URL that a target told holds for somebody else: where it redirects to, say."""
_HARMLESS = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language", "content-type"})
_ESCAPED = re.compile(rb"%[0-9A-Fa-f]{2}|\\[ux][0-9A-Fa-f]{2}|\\[0-7nrtbf]|&#|=[0-9A-F]{2}")
_PIECE_BYTES, _OVERLAP_BYTES = 1 << 20, 64 << 10


class _Process:
    """What this process knows and must not tell."""

    def __init__(self) -> None:
        self.spellings = Spellings()
        self.by_name: dict[tuple[str, str], re.Pattern[str]] = {}
        self.recent = Recent()
        self.is_primed = False

    def primed(self) -> "_Process":
        if not self.is_primed:
            self.is_primed = True
            know_environment(os.environ)
        return self


_process = _Process()


def know(value: str, *, name: str = "") -> None:
    """This process holds it as long as it lives: no text may tell it. What is shorter than 8 characters is no word to
    look for; it is hidden where `name` stands before it."""
    for called, part in _parts(name, value):
        if len(part) >= SHORTEST:
            _process.spellings.add(part)
        elif called and (called, part) not in _process.by_name:
            before = rf"(\b{re.escape(called)}\b[\"']?\s*[:=]\s*[\"']?)"
            _process.by_name[called, part] = re.compile(before + re.escape(part) + r"\b", re.IGNORECASE)


def _parts(name: str, value: str) -> Iterator[tuple[str, str]]:
    """The value, and what in it is secret by itself, each with its name."""
    if not value or name.lower() in _HARMLESS:
        return
    yield name, value
    if len(value) < SHORTEST:
        return
    scheme, _, rest = value.partition(" ")
    if rest and scheme.isalpha() and " " not in rest and len(rest) >= SHORTEST:  # Bearer, Basic, Token …
        yield from _parts(name, rest)
    if "cookie" in name.lower():
        for pair in value.split(";"):
            key, _, told = pair.partition("=")
            yield from _parts(key.strip() + "-cookie", told.strip())


def remember(value: str, *, owner: object = None, is_cookie: bool = False) -> None:
    """One of many that come and go, such as a session's token. It is known as long as its owner lives, and among
    thousands of others for a good while afterwards."""
    _process.recent.add(value, owner, is_cookie=is_cookie)


def know_environment(environ: Mapping[str, str]) -> None:
    """What variables hold whose names say that they are secrets, the collector's headers, and proxies' passwords."""
    for name, value in collector_headers(environ):
        know(value, name=name)
    for name, value in environ.items():
        if name.lower().endswith("_proxy"):
            know(_password(value), name="password")
        elif names_secret(name) and not name.endswith(("_FILE", "_PATH", "_DIR")):
            know(value, name=name)


def collector_headers(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is sent to a collector besides spans and metrics: names and values."""
    for name, value in environ.items():
        if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("HEADERS"):
            for pair in value.split(","):
                key, _, told = pair.partition("=")
                yield key.strip(), unquote(told.strip())


def redact(text: str, *known: str | None) -> str:
    """`text` without anything that looks like a key or a token, without what this process knows and without the `known`
    values, cut to 300 characters that every page and terminal can hold.

    422 bodies echo what was sent, so a session's own secrets are always among `known`.
    """
    return _hidden(text, known)[:MAX_DETAIL]


def redact_said(text: str) -> str:
    """The same of what was said, as far as it is read at all: an ellipsis tells that it went on."""
    return f"{_hidden(text).rstrip()} …" if len(text) > MAX_READ else _hidden(text)


def _hidden(text: str, known: Iterable[str | None] = ()) -> str:
    cut = text if len(text) <= MAX_READ else _without_last_word(text[:MAX_READ])
    plain = _IN_URLS.sub(_blanked, printable(_without(cut, known)))
    return _OPAQUE.sub(HIDDEN, _SECRETS.sub(HIDDEN, plain))


def _blanked(found: re.Match[str]) -> str:
    return f"{found[1] or found[2]}{HIDDEN}"


def _without(text: str, known: Iterable[str | None] = ()) -> str:
    """The text without what is known. Whole: nothing of it is cut."""
    process = _process.primed()
    for value in known:
        if value and len(value) < SHORTEST:
            text = text.replace(value, HIDDEN)
        elif value:
            remember(value)
    for pattern in process.by_name.values():
        text = pattern.sub(rf"\1{HIDDEN}", text)
    for secrets in (process.spellings, process.recent):
        for first, last in reversed(secrets.spans(text)):
            text = text[:first] + HIDDEN + text[last:]
    return text


def redact_lines(text: str) -> str:
    """A whole text for a log, such as a traceback: without secrets, nothing cut."""
    pieces = [text[at : at + MAX_READ] for at in range(0, len(text), MAX_READ)] if len(text) > 16 * MAX_READ else [text]
    return "".join(_SECRETS.sub(HIDDEN, _IN_URLS.sub(_blanked, _without(piece))) for piece in pieces)


class _Stream(Outlet):
    """For tracebacks and log lines: written at once, without secrets."""

    def write(self, text: str) -> int:
        super().write(redact_lines(text) if len(text) > 1 else text)
        self.flush()
        return len(text)


def guard_stderr() -> None:
    """What this process writes to `sys.stderr` from now on, libraries' tracebacks say, tells no secret."""
    sys.stderr.flush()
    binary = os.fdopen(os.dup(sys.stderr.fileno()), "wb")
    sys.stderr = _Stream(binary, encoding="utf-8", errors="backslashreplace")


def reveals(text: str) -> bool:
    """Whether it holds, as a whole, something that this process knows or was lately given. A cookie may be an id."""
    process = _process.primed()
    return process.spellings.holds(text) or is_secret(text) or process.recent.reveals(text)


def is_secret(text: str) -> bool:
    """Whether anything in it looks like a key or a token."""
    return _SECRETS.search(text.replace(f"Bearer {HIDDEN}", "")) is not None


def file_tells(data: bytes | mmap.mmap, values: Iterable[str] = ()) -> str | None:
    """What of a file (bytes, or a map of it) is a secret, in words; None: nothing. `values` are looked for, in any
    spelling, as well as what looks like one. This process's own environment is not: a file is judged by what its run
    sent, whoever judges it."""
    needles = {form.encode() for value in values for form in forms(value) if form.isascii()}
    may_be_one = False
    for at in range(0, len(data), _PIECE_BYTES):
        piece = bytes(
            data[max(0, at - 1) : at + _PIECE_BYTES + _OVERLAP_BYTES]
        )  # what is before it ends a word, or not
        if not piece.strip(b"\0"):  # of a file that claims more than it holds
            continue
        if needles:
            texts = [piece]
            if any(sign in piece for sign in b"%\\&=") and _ESCAPED.search(piece) is not None:
                texts += [each.encode("latin-1", "replace") for each in list(readings(piece.decode("latin-1")))[1:]]
            if any(needle in folded for folded in map(folded_bytes, texts) for needle in needles):
                return "holds a key, header value or password of this run"
        may_be_one = (
            may_be_one
            or any(pattern.search(piece) is not None for pattern in _IN_FILES)
            or _BEARER_IN_FILES.search(piece.lower()) is not None
        )
    return "holds something that looks like a key or a token" if may_be_one else None


def credentials(named: Iterable[tuple[str, str]]) -> set[str]:
    """Of values by their names those that mean themselves wherever they are found."""
    return {part for pair in named for name, part in _parts(*pair) if _is_credential(part, name)}


def names_secret(name: str) -> bool:
    """Whether what has that name is a secret, whatever it looks like."""
    return _TELLS.search(name) is not None


def _is_credential(value: str, name: str) -> bool:
    """A word, a number, a URL or a sentence isn't one."""
    mixed = any(each.isdigit() for each in value) and any(each.isalpha() for each in value)
    if names_secret(name):
        return mixed and len(value) >= SHORTEST
    return mixed and len(value) >= 16 and "://" not in value and " " not in value.removeprefix("Bearer ")


def _password(url: str) -> str:
    """Of a proxy, however it is written: without a scheme, or with signs in it that should be escaped. Who is named
    without one may be a token."""
    user, colon, password = url.partition("://")[2 if "://" in url else 0].rpartition("@")[0].partition(":")
    return unquote(password if colon else user)


def _without_last_word(text: str) -> str:
    """What was cut in the middle may be half a secret, which no pattern knows."""
    end = len(text)
    while end and text[end - 1] not in _WORD_ENDS:
        end -= 1
    return text[:end]
