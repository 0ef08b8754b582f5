"""Lengths of time as people write them: `60s`, `10m`, `1h30m`, `500ms`, or a plain number of seconds."""

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
WRITTEN = r"^(\d+(\.\d+)?(ms|s|m|h))+$|^\d+(\.\d+)?$"
"""What editors may know of it: parse_s takes a little more."""


def parse_s(text: object) -> float:
    """Seconds. Raises ValueError with a sentence for anything else than a length of time >= 0."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    else:
        written = str(text).strip().lower()
        parts = _PART.findall(written)
        if parts and "".join(number + unit for number, unit in parts) == written:
            seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
        else:
            try:
                seconds = float(written)
            except ValueError:
                raise ValueError(f"{text!r} is not a length of time such as 60s, 10m or 1h30m") from None
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text!r} is not a length of time >= 0")
    return seconds


def in_words(seconds: float) -> str:
    """As `parse_s` reads it: `60s`, `5m`, `1h`."""
    if seconds and seconds % 3600 == 0:
        return f"{seconds / 3600:g}h"
    return f"{seconds / 60:g}m" if seconds > 60 and seconds % 60 == 0 else f"{seconds:g}s"
