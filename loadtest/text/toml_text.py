"""TOML that a person wrote: read, or a sentence that says what is wrong with it and what to write instead."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from loadtest.errors.exceptions import ConfigError
from loadtest.system import disk

_KEY_AND_COLON: Final = re.compile(r"""\s*["']?[\w.-]+["']?\s*:(\s|$)""")
_DEEPEST: Final = 100
"""Tables in tables: what reads them does so by recursion."""
_BARE_WORD: Final = re.compile(r"=\s*(?!true\b|false\b|inf\b|nan\b)[A-Za-z_/~.]")


def read(path: Path, *, where: Callable[[], str] | None = None) -> tuple[dict[str, Any], str]:
    """The document of a file that somebody named, and its text. Raises ConfigError. `where`: what is said
    besides of one that isn't there."""
    try:
        return parse(disk.read_named(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: {error.strerror}{where() if where is not None else ''}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(raw: bytes) -> tuple[dict[str, Any], str]:
    """The document and its text. Raises ValueError with a sentence."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not valid TOML: {_no_text(raw, error.start)}") from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not valid TOML: {error}{_instead(text, str(error))}") from None
    except RecursionError:
        raise ValueError("not valid TOML: it is nested too deep") from None
    if found := flaw(tree):
        raise ValueError(found)
    return tree, text


def flaw(tree: dict[str, Any]) -> str | None:
    """What TOML allows, and nobody means."""
    level: list[Any] = [tree]
    for _ in range(_DEEPEST + 1):
        inside = [value for each in level for value in (each.values() if isinstance(each, dict) else each)]
        if any(isinstance(value, str) and "\0" in value for value in inside):
            return "a text in it holds a NUL (\\u0000), which no path and no name can have"
        if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in inside):
            return "a whole number in it has more than 64 bits"
        level = [value for value in inside if isinstance(value, dict | list)]
        if not level:
            return None
    return f"it is nested too deep: more than {_DEEPEST} tables in each other"


def _no_text(raw: bytes, at: int) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "it is in UTF-16; save it as UTF-8"
    if b"\0" in raw[:4096]:
        return "it is no text"
    number = raw[:at].count(b"\n") + 1
    return f"line {number} is not in UTF-8; save it as UTF-8"


def _instead(text: str, said: str) -> str:
    """What to write, where that can be told from the line."""
    begin = text.lstrip()[:1]
    if begin == "<":
        return "; it is HTML or XML"
    if begin in ("{", "[") and _is_json(text):
        return "; it is JSON: in TOML it would be `[load]` and, below, `users = 3`"
    found = re.search(r"at line (\d+)", said)
    line = text.splitlines()[int(found[1]) - 1 : int(found[1])] if found else text.splitlines()[-1:]
    written = line[0] if line else ""
    if re.search(r"[“”„‘’«»]", written):
        return '; quotes are straight: "…"'
    if _KEY_AND_COLON.match(written):
        return "; a key is followed by =, not by :"
    if "twice" in said:
        return "; all keys of a table stand below one header"
    if said.startswith("Cannot overwrite"):
        return "; a key is given once"
    if _BARE_WORD.search(written):
        return '; text stands in quotes: "…"'
    return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
