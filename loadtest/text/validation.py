"""What a target sends, checked where it enters: whatever it is, it is the target's, and does no harm from here on.

Behind these functions text is Unicode of a bounded length and numbers are finite and in the range of what they stand
for. What isn't becomes a StepError, never an exception of Python's: a session that fails so is a failed session of the
target, which is deleted and followed by a pause like any other.
"""

import ipaddress
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlsplit

import msgspec

from loadtest.errors.causes import own_limit
from loadtest.errors.exceptions import HarnessError, StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.system.nesting import is_deep

MAX_TOKEN: Final = 16_384
"""Characters of a secret or token: it is sent as a header, and no server takes a longer one."""
MAX_ID: Final = 1_024
"""Characters of a session's id: it is sent as a part of a URL."""
MAX_DELETABLE: Final = 16_384
"""Of one that is too long and could still be deleted by."""
MAX_QUOTED: Final = 60_000
"""Of one as it stands in a URL, which the clients take up to 65,536 characters of."""
MAX_ADDRESS: Final = 8_192
MAX_DEPTH: Final = 100
"""Of JSON within JSON: these services nest five deep, and what takes a value apart later must not run out of stack."""
MAX_PARTS: Final = 20_000
"""Lists and objects in one JSON value, counted by the brackets in it, those in its texts included. These services send
some dozens; a MiB of small ones takes 150 ms to be read."""
MAX_JSON: Final = 1 << 20
"""Characters of JSON. What these services say has some kB."""
LATEST_S: Final = 253_402_300_799
"""Unix time of the end of the year 9999: the last that dates can say."""
_MOST: Final = 1 << 62

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_USUAL_ADDRESS = re.compile(
    r"[a-z]{2,5}://(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?(?:/[\x21-\x7e]*)?"
)
"""The form that nearly all have: what is written so needs not to be taken apart."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """For code that takes apart what a target sent, or hands it on to a library: whatever is raised there becomes a
    StepError that says `what` could not be used."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        if own_limit(error) is not None:
            raise
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} can't be used ({type(error).__name__})") from error


@contextmanager
def field(name: str) -> Iterator[None]:
    """For what reads that field of an answer: the StepError that is raised there says so."""
    try:
        yield
    except StepError as error:
        error.field = name
        raise


def is_unicode(text: str) -> bool:
    """Whether it has no half of a character: UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def json_object(body: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object (RFC 8259: no NaN, no Infinity, UTF-8). Raises StepError that says `what` it was to be."""
    value = json_value(body, what)
    if not isinstance(value, dict):
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is no JSON object")
    return value


def json_value(body: bytes | str, what: str) -> Any:
    """Any JSON value. Raises StepError."""
    if len(body) > MAX_JSON:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} has more than {MAX_JSON >> 20} MiB")
    opened = _opened(body)
    try:
        if opened > MAX_PARTS:
            raise RecursionError
        value = _parsed(body)
        if opened > MAX_DEPTH and is_deep(value, MAX_DEPTH):
            raise RecursionError
    except RecursionError as error:
        told = f"{what} nests too deep, or has more than {MAX_PARTS} lists and objects"
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told) from error
    except ValueError as error:
        raise StepError(Kind.PROTOCOL, Code.BAD_JSON, f"{what} is not JSON") from error
    return value


def _parsed(body: bytes | str) -> Any:
    """Raises ValueError and RecursionError."""
    try:
        return _strict(body)
    except (ValueError, RecursionError):  # it takes less than `json` does, and says less of why
        text = body if isinstance(body, str) else body.decode(json.detect_encoding(body))
        return _decode(text.removeprefix("\ufeff"))


def _opened(body: bytes | str) -> int:
    """How many lists and objects begin in it, at most."""
    if isinstance(body, str):
        return body.count("[") + body.count("{")
    return body.count(b"[") + body.count(b"{")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
_strict = msgspec.json.Decoder().decode
"""In a tenth of the time: what it takes is what `json` makes of it."""


def plain(value: Any) -> str:
    """A JSON value as text: a text as it is, a number as it is written, nothing for everything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else ""


def token(value: Any, what: str) -> str:
    """A secret or token, which will be a header's value. Raises StepError where it can't be."""
    if not isinstance(value, str) or not value:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is missing or no text")
    if len(value) > MAX_TOKEN:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} has {len(value)} characters")
    if _VISIBLE_ASCII.fullmatch(value) is None:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} has characters that no header can hold")
    return value


def session_id(value: Any, what: str) -> tuple[str, StepError | None]:
    """An id to delete by, and what is wrong with it (None: nothing). Raises StepError where there is none that could be
    put into a URL: what was created, if anything was, can't be deleted then."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return str(value), StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is a number, no text")
    if not isinstance(value, str) or not value:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is missing or no text")
    if value in (".", "..") or len(value) > MAX_DELETABLE or _SURROGATE.search(value) is not None or _is_long(value):
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} can't be a part of a URL")
    if len(value) > MAX_ID:
        return value, StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} has {len(value)} characters")
    if _CONTROL.search(value) is not None:
        return value, StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} has control characters")
    return value, None


def _is_long(value: str) -> bool:
    """Whether no client would send a URL with it: of other letters than ASCII's a part has up to twelve for each."""
    return len(value) > MAX_ID and len(quote(value, safe="")) > MAX_QUOTED


def salvaged_id(body: bytes, key: str) -> str | None:
    """The plain text behind that key in JSON that is broken, cut or too long."""
    found = re.search(rb'"%b"\s{0,9}:\s{0,9}"([A-Za-z0-9_.:\-]{1,1024})"' % re.escape(key.encode()), body)
    return None if found is None or found[1] in (b".", b"..") else found[1].decode("ascii")


def address(value: Any, what: str) -> str:
    """A URL with a host. Raises StepError."""
    if not isinstance(value, str) or not value:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is missing or no text")
    if len(value) > MAX_ADDRESS or _CONTROL.search(value) is not None or " " in value:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is no URL")
    if _USUAL_ADDRESS.fullmatch(value) is not None:
        return value
    try:
        parts = urlsplit(value)
        is_whole = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError as error:  # a port above 65535, half a bracket, a label that no name can have
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is no URL") from error
    if not is_whole:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is no URL with a host")
    return value


def unix_s(value: Any, what: str) -> int:
    """A time in whole unix seconds, up to the year 9999; 1.0 is one, too. Raises StepError."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST_S:
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, f"{what} is missing or no time in unix seconds")
    return value


def http_date_s(date: str) -> int | None:
    """An HTTP date as unix seconds, in any form that a recipient has to take (RFC 9110 5.6.7). One that names no zone
    is UTC, too. None: it is none."""
    try:
        told = parsedate_to_datetime(date[:64])
        value = int((told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return value if 0 <= value <= LATEST_S else None


def stamp_s(value: Any) -> float | None:
    """A time in unix seconds, with fractions or without; None: it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LATEST_S else None


def whole_number(text: str) -> int | None:
    """A header's number, of ns or of whatever is counted; None: it is none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 19:
        return None
    value = int(text)
    return value if value <= _MOST else None


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine itself. A name other than `localhost` never is: it would be resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_at_daily(url: str) -> bool:
    """Whether the URL is that of a Daily room."""
    parts = urlsplit(url)
    return parts.scheme == "https" and f".{parts.hostname}".endswith(".daily.co")
