"""How deep a value of JSON nests: what goes through a deeper one by itself would run out of stack."""

from typing import Any


def is_deep(value: Any, most: int) -> bool:
    """Whether lists and objects lie in each other beyond `most` levels."""
    level: list[dict[Any, Any] | list[Any]] = [[value]]
    for _ in range(most + 1):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
