"""What can be sent by HTTP, found out before anything is started. No value is quoted: it may be a secret."""

import ipaddress
import math
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

NO_URL: Final = "is not an http(s) URL with a host"


def flaw_of_key(key: str) -> str | None:
    """Why no service has made such a key; None: it may be one."""
    if any(sign.isspace() or not sign.isprintable() for sign in key):
        return "holds a line break, a blank or a control character; was it copied whole, and nothing else?"
    if not key.isascii():
        return "holds a sign that is not ASCII, such as a curly quote"
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'":
        return "is in quotes: leave them out"
    return None


def flaw_of_value(value: str) -> str | None:
    """Why it can't be sent as a header's value; None: it can."""
    if any(not sign.isprintable() and sign != "\t" for sign in value):
        return "holds a line break or a control character"
    if not value.isascii():
        return "holds a sign that is not ASCII, such as a curly quote"
    if value != value.strip():
        return "begins or ends with a blank"
    return None


def blank_in(url: str) -> str | None:
    """What a parser of URLs would pass over in silence."""
    return "holds a blank or a line break" if any(sign.isspace() for sign in url) else None


def flaw_of_url(url: str) -> str | None:
    """Why nothing can be called there, or should; None: it is an http(s) URL."""
    if flaw := blank_in(url):
        return flaw
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return NO_URL
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or any(sign in parts.netloc for sign in "{\\")
    ):
        return NO_URL
    if parts.username is not None or parts.password is not None:
        return "a URL with a user name or password in it would end up in reports"
    return None


def host_name(given: str) -> str:
    """A host's name or address as it is compared with a URL's. Raises ValueError for anything else."""
    bare = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        if re.fullmatch(r"[\w.-]{1,253}", given) is None:
            raise ValueError("is not the name of a host: leave out scheme, user, port and path") from None
    return bare.lower()


def checked_json(tree: Any) -> Any:
    """The tree as it is, if it can be sent as JSON. Raises ValueError with a sentence for each value that can't."""
    if flaws := list(_flaws_of_json(tree, "")):
        raise ValueError("\n".join(flaws))
    return tree


def _flaws_of_json(tree: Any, place: str) -> Iterator[str]:
    match tree:
        case dict():
            for key, value in tree.items():
                yield from _flaws_of_json(value, f"{place}.{key}" if place else str(key))
        case list() | tuple():
            for number, value in enumerate(tree, start=1):
                yield from _flaws_of_json(value, f"{place}[{number}]")
        case float() if not math.isfinite(tree):
            yield f"{place}: JSON has no such number"
        case str() | bool() | int() | float() | None:
            return
        case _:
            yield f"{place}: JSON has no dates and no times; write it as text, in quotes"
