"""JSON that a stranger has sent."""

import json
from typing import Any, Final

_DEEPEST: Final = 200
"""Nobody says more; what can be read in one place may be too deep to be written in another."""


def parsed(text: bytes | str) -> Any:
    """The value. Raises ValueError for what is none, or nested without an end."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if is_deep(value, _DEEPEST):
        raise ValueError("nested too deeply")
    return value


def is_deep(value: Any, most: int) -> bool:
    """Whether lists and objects are in it beyond `most` levels."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return most == 0 or any(is_deep(each, most - 1) for each in inner)
