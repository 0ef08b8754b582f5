"""Numbers as people read them, the same on a terminal, on every page and in every sentence."""

from collections.abc import Sequence, Sized
from typing import assert_never

from loadtest.criteria.slo import PER_MINUTE, RATIOS, Unit


def amount(value: float | None, unit: str) -> str:
    """A number as people read it: three significant digits and its unit."""
    if value is None:
        return "not observed"
    known = Unit(unit)
    match known:
        case Unit.COUNT:
            return f"{value:,.0f}"
        case Unit.SHARE:
            return f"{_three_digits(value * 100)} %"
        case Unit.DRIFT:
            return f"{'+' if value > 0 else ''}{amount(value, Unit.SECONDS)} a minute"
        case Unit.PER_MINUTE:
            return f"{_three_digits(value)} a minute"
        case Unit.SECONDS:
            if value and abs(value) < 0.9995e-3:
                return f"{_three_digits(value * 1e6)} µs"
            if value and abs(value) < 0.9995:
                return f"{_three_digits(value * 1e3)} ms"
            return f"{_three_digits(value)} s"
        case _:
            assert_never(known)


def counted(count: int, unit: str) -> str:
    """How many samples: of what is told a minute, how many minutes they are."""
    return f"{_three_digits(count / RATIOS[PER_MINUTE])} min" if unit == PER_MINUTE else f"{count:,}"


def bound(is_least: bool, value: float, unit: str) -> str:
    """What an objective asks for."""
    return f"{'≥' if is_least else '≤'} {amount(value, unit)}"


def load_words(value: float, unit: str, verb: tuple[str, str] | None = None) -> str:
    """A load and its unit, which is of more than one: `1 user`, `20 users`, `2.5 arrivals/s`. `verb`: of one, of
    several."""
    is_one = value == 1 and not unit.endswith("/s")
    words = f"{value:,g} {unit.removesuffix('s') if is_one else unit}"
    return words if verb is None else f"{words} {verb[0] if is_one else verb[1]}"


def plural(count: int, word: str = "session") -> str:
    """A count and its noun."""
    return f"{count:,} {word if count == 1 else plural_of(word)}"


def plural_of(word: str) -> str:
    """More than one of it: of the words that we use."""
    return f"{word}es" if word.endswith(("s", "sh", "ch", "x")) else f"{word}s"


def more(items: Sized, most: int, where: str = "report.json") -> list[str]:
    """What stands below the first `most` of a list or a table: how many more there are, and where; nothing of none."""
    left_out = len(items) - most
    return [f"and {left_out:,} more, in {where}"] if left_out > 0 else []


def cut(sentences: Sequence[str], most: int, where: str = "report.json") -> list[str]:
    """The first `most`, and a last one that says how many more there are, and where."""
    return [*sentences[:most], *more(sentences, most, where)]


def _three_digits(value: float) -> str:
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if digits else text).replace("-", "−")
