"""The values of knobs: how the text after `KEY=` becomes a latency, a fault, a number (TWIN.md#knobs)."""

import dataclasses
import math
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

Reader = Callable[[str], Any]
"""Makes a value of a knob's text, or raises ValueError with what it must be."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same duration."""

    seconds: float = 0.0

    def draw(self, chance: random.Random) -> float:
        """Seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any duration between two, equally likely."""

    lowest_s: float
    highest_s: float

    def draw(self, chance: random.Random) -> float:
        """Seconds."""
        return chance.uniform(self.lowest_s, self.highest_s)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """exp(N(mu, sigma)) seconds."""

    mu: float
    sigma: float

    def draw(self, chance: random.Random) -> float:
        """Seconds."""
        return chance.lognormvariate(self.mu, self.sigma)


Duration = Fixed | Uniform | LogNormal


@dataclass(frozen=True, slots=True)
class Fault:
    """What a share (0 to 1) of the occasions gets instead of what it should: an HTTP status or a name."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """The twin stands still, `at_s` seconds after its start, for `for_s` seconds."""

    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Knob:
    """What `--help` and the reader know of one knob."""

    key: str
    read: Reader
    form: str
    """How a value is written."""
    help: str


def knob(key: str, default: Any, read: Reader, form: str, text: str) -> Any:
    """A dataclass field that is a knob. `form` shows a value's spelling, `text` says in a line what it does."""
    return dataclasses.field(default=default, metadata={"knob": Knob(key, read, form, text)})


def one_of(*allowed: str) -> Reader:
    """One of these words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


def yes_or_no(text: str) -> bool:
    """A switch."""
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def number(lowest: float, highest: float) -> Reader:
    """A number in a closed range."""

    def read(text: str) -> float:
        return _number(text, lowest, highest)

    return read


def integer(lowest: int, highest: int) -> Reader:
    """A whole number in a closed range."""

    def read(text: str) -> int:
        value = _number(text, lowest, highest)
        if not value.is_integer():
            raise ValueError("must be a whole number")
        return int(value)

    return read


def optional(read: Reader) -> Reader:
    """What `read` accepts, or `none`."""
    return lambda text: None if text == "none" else read(text)


def duration(text: str) -> Duration:
    """`fixed:S`, `uniform:A,B` or `lognormal:MU,SIGMA`."""
    kind, _, rest = text.partition(":")
    first, comma, second = rest.partition(",")
    if kind == "fixed" and not comma:
        return Fixed(_number(first, 0, 3600))
    if kind == "uniform" and comma:
        lowest_s = _number(first, 0, 3600)
        return Uniform(lowest_s, _number(second, lowest_s, 3600))
    if kind == "lognormal" and comma:
        return LogNormal(_number(first, -20, 8), _number(second, 0, 5))
    raise ValueError("must be fixed:SECONDS, uniform:FROM,TO or lognormal:MU,SIGMA")


def faults(names: Collection[str], *, statuses: bool | str) -> Reader:
    """`NAME:SHARE[,NAME:SHARE…]`; with `statuses`, any HTTP status from 400 to 599 is a name too, or stands for the one
    that `statuses` is."""

    def read(text: str) -> tuple[Fault, ...]:
        found = tuple(_fault(each.strip(), names, statuses=statuses) for each in text.split(","))
        if sum(fault.share for fault in found) > 1:
            raise ValueError("the shares add up to more than 1")
        return found

    return read


def freeze_at(text: str) -> Freeze:
    """`AT,FOR`, both in seconds."""
    at, comma, length = text.partition(",")
    if not comma:
        raise ValueError("must be AT,FOR in seconds")
    return Freeze(_number(at, 0, 86_400), _number(length, 0, 3600))


def _fault(text: str, names: Collection[str], *, statuses: bool | str) -> Fault:
    name, colon, share = text.partition(":")
    if not colon:
        raise ValueError(f"must be {'NAME' if names else 'STATUS'}:SHARE")
    if name not in names:
        if not statuses:
            raise ValueError(f"must begin with one of {', '.join(names)}")
        if not (name.isdecimal() and 400 <= int(name) <= 599):
            listed = f" or one of {', '.join(names)}" if names else ""
            raise ValueError(f"must begin with a status from 400 to 599{listed}")
        name = statuses if isinstance(statuses, str) else name
    return Fault(name, _number(share, 0, 1))


def _number(text: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        raise ValueError(f"must be a number from {lowest:g} to {highest:g}")
    return value
