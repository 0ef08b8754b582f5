"""Numbers as people read them, the same on a terminal, on every page and in every sentence."""

from collections.abc import Sequence, Sized
from typing import Final, assert_never

from loadtest.criteria.slo import PER_MINUTE, RATIOS, Unit

_MOST_DIGITS: Final = 15
"""Behind the point: more a float doesn't have."""


def amount(value: float | None, unit: str, *beside: float) -> str:
    """A number as people read it: three significant digits and its unit.

    More digits where three would say of a share that it is none or all, and where the number stands `beside` others,
    its bounds, and would look as if it were on the other side of one, or the same.
    """
    if value is None:
        return "not observed"
    return _with_unit(value, unit, beside)


def asked(value: float, unit: str) -> str:
    """A number that somebody wrote, with all of its digits: a bound."""
    return _with_unit(value, unit, written=True)


def counted(count: int, unit: str) -> str:
    """How many samples: of what is told a minute, how many minutes they are."""
    return f"{_digits(count / RATIOS[PER_MINUTE])} min" if unit == PER_MINUTE else f"{count:,}"


def bound(is_least: bool, value: float, unit: str) -> str:
    """What an objective asks for."""
    return f"{'≥' if is_least else '≤'} {asked(value, unit)}"


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


def _with_unit(value: float, unit: str, beside: Sequence[float] = (), *, written: bool = False) -> str:
    factor, words = _scale(value, Unit(unit))
    apart = [each * factor for each in beside]
    if unit in RATIOS:
        apart += [0.0, 100.0] if unit == Unit.SHARE else [0.0]
    if written:
        text = f"{value * factor:,.12g}"
    elif unit == Unit.COUNT:
        text = f"{value:,.0f}"
    else:
        text = _digits(value * factor, apart)
    return f"{'+' if unit == Unit.DRIFT and value > 0 else ''}{text.replace('-', '−')}{words}"


def _scale(value: float, unit: Unit) -> tuple[float, str]:
    """What it is multiplied by, and the words behind it."""
    match unit:
        case Unit.COUNT:
            return 1, ""
        case Unit.SHARE:
            return 100, " %"
        case Unit.PER_MINUTE:
            return 1, " a minute"
        case Unit.SECONDS | Unit.DRIFT:
            a_minute = " a minute" if unit is Unit.DRIFT else ""
            if value and abs(value) < 0.9995e-3:
                return 1e6, f" µs{a_minute}"
            if value and abs(value) < 0.9995:
                return 1e3, f" ms{a_minute}"
            return 1, f" s{a_minute}"
        case _:
            assert_never(unit)


def _digits(value: float, apart: Sequence[float] = ()) -> str:
    """Three significant digits; more, until what is printed is less than, equal to or more than each of `apart` as the
    value itself is."""
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    value, *apart = (float(f"{each:.15g}") for each in (value, *apart))  # without the noise of a multiplication
    while digits < _MOST_DIGITS and any(_side(round(value, digits), each) != _side(value, each) for each in apart):
        digits += 1
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def _side(value: float, of: float) -> int:
    return (value > of) - (value < of)
