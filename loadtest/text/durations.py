"""Lengths of time as people write them: `60s`, `10m`, `1h30m`, `500ms`, or a plain number of seconds."""

import re

_LONGEST_S = 366 * 86_400
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
WRITTEN = r"^(\d+(\.\d+)?(ms|s|m|h))+$|^\d+(\.\d+)?$"
"""What editors may know of it: parse_s takes a little more."""


def parse_s(text: object) -> float:
    """Seconds. Raises ValueError with a sentence for anything else than a length of time >= 0, a year
    at most."""
    seconds: float
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = text
    else:
        written = str(text).strip().lower()
        parts = _PART.findall(written)
        if parts and "".join(number + unit for number, unit in parts) == written:
            seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
        else:
            try:
                seconds = float(written)
            except ValueError:
                given = repr(text) if isinstance(text, str) else text  # TOML's own times stand in no quotes
                said = f"{given} is not a length of time such as 60s, 10m or 1h30m"
                raise ValueError(said + _meant(written)) from None
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text!r} is not a length of time >= 0")
    if seconds > _LONGEST_S:
        raise ValueError("is longer than a year")
    return float(seconds)


def _meant(written: str) -> str:
    """` (did you mean 5m?)`, of units as other programs take them."""
    if clock := re.fullmatch(r"(\d+):(\d\d):(\d\d)", written):
        hours, minutes, seconds = map(int, clock.groups())
        return f" (did you mean {in_words(hours * 3600 + minutes * 60 + seconds)}?)"
    short = re.sub(r"\s", "", written)
    for letter, words in (("s", "seconds?|secs?"), ("m", "minutes?|mins?"), ("h", "hours?|hrs?")):
        short = re.sub(rf"(?<=\d)({words})(?![a-z])", letter, short)
    short = re.sub(r"^(\d+):(\d\d)$", r"\1m\2s", short)
    short = re.sub(r"^(\d+h\d+)$", r"\1m", short)
    return f" (did you mean {short}?)" if re.fullmatch(WRITTEN, short) else ""


def in_words(seconds: float) -> str:
    """As `parse_s` reads it: `60s`, `5m`, `1h`."""
    if seconds and seconds % 3600 == 0:
        return f"{seconds / 3600:g}h"
    return f"{seconds / 60:g}m" if seconds > 60 and seconds % 60 == 0 else f"{seconds:g}s"
