"""The file of a recording, whoever made it: read, and held to the form that recordings have."""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from loadtest.twin import json_text
from loadtest.twin.recorder.contract import CREDENTIALS, DEEPEST, PROTOCOLS, REQUEST_HEADERS, VERSION, Line

_MOST_READ: Final = 64 << 20


class ContractError(Exception):
    """The file is no recording; the message is one line."""


def read(path: Path) -> list[Line]:
    """The lines of a recording, without the first. Whoever made the file: no line leads to another host, or is of
    another form than recordings have. Raises ContractError."""
    try:
        lines = [json.loads(line) for line in _content(path).splitlines()]
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ContractError(f"{path}: not a recording: a line is not JSON") from None
    if not lines or not isinstance(lines[0], dict) or lines[0].get("contract") != VERSION:
        raise ContractError(f"{path}: not a recording of version {VERSION}")
    for number, line in enumerate(lines[1:], 2):
        if not _is_sound(line):
            raise ContractError(f"{path}: not a recording: line {number} is of no known kind")
    return lines[1:]


def _content(path: Path) -> str:
    """Of a plain file, which nobody waits for. Raises OSError and ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        content = file.read(_MOST_READ + 1)
    if len(content) > _MOST_READ:
        raise OSError(errno.EFBIG, f"larger than {_MOST_READ >> 20} MiB")
    return content.decode()


Check = Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int)


def _is_status(value: Any) -> bool:
    """None: there was no answer."""
    return value is None or _is_count(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(name) and _is_text(each) for name, each in value.items())


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_names_if_any(value: Any) -> bool:
    return value is ... or _are_names(value)


def _are_protocols_if_any(value: Any) -> bool:
    return value is ... or (_are_names(value) and set(PROTOCOLS) >= set(value))


def _is_query(value: Any) -> bool:
    return isinstance(value, dict) and not json_text.is_deep(value, DEEPEST)


def _is_path(value: Any) -> bool:
    """Behind an authority it stays a path: `@example.org/` would make another host of it."""
    return _is_text(value) and value.startswith("/")


def _is_request_headers(value: Any) -> bool:
    return _are_texts(value) and set(REQUEST_HEADERS) >= value.keys()


def _are_credentials(value: Any) -> bool:
    return _are_texts(value) and value.keys() <= CREDENTIALS


_REQUEST: Final[Mapping[str, Check]] = {
    "service": ("openai", "avaturn").__contains__,
    "path": _is_path,
    "query": _is_query,
    "headers": _is_request_headers,
    "credentials": _are_credentials,
}
_KINDS: Final[tuple[tuple[str, Mapping[str, Check]], ...]] = (
    ("method", {"exchange": _is_count, **_REQUEST, "method": lambda value: _is_text(value) and value.isalpha()}),
    ("exchange", {"status": _is_status, "headers": _are_names}),
    ("path", {"socket": _is_count, **_REQUEST, "protocols": _are_protocols_if_any}),
    ("from", {"socket": _is_count, "from": ("client", "service").__contains__, "type": _is_text}),
    ("ended_by", {"socket": _is_count, "ended_by": _is_text, "code": _is_count}),
    ("status", {"socket": _is_count, "status": _is_status, "headers": _are_names_if_any}),
)
"""By the first of these words that a line has, what it must have."""


def _is_sound(line: Any) -> bool:
    if not isinstance(line, dict) or json_text.is_deep(line, DEEPEST) or not isinstance(line.get("shape", {}), dict):
        return False
    checks = next((checks for word, checks in _KINDS if word in line), None)
    return checks is not None and all(check(line.get(word, ...)) for word, check in checks.items())
