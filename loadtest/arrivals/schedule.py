"""When sessions start: arithmetic on offsets from the start of the run, no clock inside.

A `Shape` says how much load there is at any moment. Its levels are users of a closed population, or arrivals per
second. All chance is seeded, so that every process of a run works out the same schedule and takes its own share of it.
"""

import codecs
import csv
import io
import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from loadtest.system import disk

_Row = tuple[int, list[str]]
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")

WARM_UP: Final = "warm_up"
"""Name of the spans that no verdict reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the run in which the level goes from one value to another in a straight line.

    `steady`: its level is held, so that what is measured in it belongs to that level.
    """

    name: str
    duration_s: float
    start: float
    end: float
    steady: bool = True

    @property
    def area(self) -> float:
        """Level times seconds: how many arrivals it has, where levels are rates."""
        return (self.start + self.end) / 2 * self.duration_s


@dataclass(frozen=True, slots=True)
class Shape:
    """Spans one after the other, from offset `begins_s` on."""

    spans: tuple[Span, ...]
    begins_s: float = 0.0

    @property
    def peak(self) -> float:
        return max((max(span.start, span.end) for span in self.spans), default=0.0)

    def placed(self) -> Iterator[tuple[float, Span]]:
        """Each span with the offset of its start."""
        at_s = self.begins_s
        for span in self.spans:
            yield at_s, span
            at_s += span.duration_s

    def level(self, at_s: float) -> float:
        """At an offset; 0 before the first span and from the end of the last one on."""
        for start_s, span in self.placed():
            if start_s <= at_s < start_s + span.duration_s:
                return span.start + (span.end - span.start) * (at_s - start_s) / span.duration_s
        return 0.0

    def first_above(self, level: float, from_s: float) -> float | None:
        """The first offset, not before `from_s`, at which the level is at least `level`, which is above 0; None: there
        is none."""
        for start_s, span in self.placed():
            lo_s, hi_s = max(start_s, from_s), start_s + span.duration_s
            if lo_s >= hi_s:
                continue
            slope = (span.end - span.start) / span.duration_s
            if span.start + slope * (lo_s - start_s) >= level:
                return lo_s
            if slope > 0 and (at_s := start_s + (level - span.start) / slope) < hi_s:
                return at_s
        return None

    def arrivals(self, *, poisson_seed: str | None = None) -> Iterator[float]:
        """Offsets of all arrivals of a shape whose levels are rates: evenly spaced, or a Poisson process."""
        gaps = _exponential(poisson_seed) if poisson_seed is not None else itertools.repeat(1.0)
        wanted = 0.0 if poisson_seed is None else next(gaps)
        passed = 0.0
        for start_s, span in self.placed():
            # The last arrival of a span must not fall on the next one's first by an error of rounding.
            while wanted - passed < span.area - 1e-9:
                yield start_s + _offset_of(span, max(0.0, wanted - passed))
                wanted += next(gaps)
            passed += span.area


def _exponential(seed: str) -> Iterator[float]:
    chance = random.Random(seed)
    while True:
        yield chance.expovariate(1.0)


def _offset_of(span: Span, area: float) -> float:
    """How far into the span so much of its area has passed."""
    slope = (span.end - span.start) / span.duration_s
    root = math.sqrt(max(0.0, span.start**2 + 2 * slope * area))
    return 2 * area / (span.start + root) if area else 0.0


def held(level: float, *, ramp_s: float, duration_s: float) -> tuple[Span, ...]:
    """Up to the level within `ramp_s`, then held."""
    spans = [Span(name="ramp", duration_s=ramp_s, start=0, end=level, steady=False)] if ramp_s else []
    if duration_s > ramp_s:
        spans.append(Span(name="steady", duration_s=duration_s - ramp_s, start=level, end=level))
    return tuple(spans)


def ramp(level: float, *, duration_s: float) -> tuple[Span, ...]:
    """From nothing to the level over the whole time."""
    return (Span(name="ramp", duration_s=duration_s, start=0, end=level, steady=False),)


def steps(level: float, *, count: int, duration_s: float) -> tuple[Span, ...]:
    """Up to the level in equal steps of equal length."""
    levels = [level * number / count for number in range(1, count + 1)]
    return tuple(
        Span(name=f"step {number}", duration_s=duration_s / count, start=at, end=at)
        for number, at in enumerate(levels, start=1)
    )


def spike(level: float, *, peak: float, duration_s: float) -> tuple[Span, ...]:
    """The level, but for the middle tenth of the time, which has the peak."""
    around = Span(name="before the spike", duration_s=0.45 * duration_s, start=level, end=level)
    return (
        around,
        Span(name="spike", duration_s=0.1 * duration_s, start=peak, end=peak),
        Span(name="after the spike", duration_s=0.45 * duration_s, start=level, end=level),
    )


def with_warm_up(spans: Iterable[Span], warm_up_s: float) -> tuple[Span, ...]:
    """The same load; its first `warm_up_s` are spans called WARM_UP, which no verdict reads."""
    found: list[Span] = []
    left_s = warm_up_s
    for span in spans:
        cut_s = min(left_s, span.duration_s)
        left_s -= cut_s
        middle = span.start + (span.end - span.start) * cut_s / span.duration_s
        if cut_s > 0:
            found.append(Span(name=WARM_UP, duration_s=cut_s, start=span.start, end=middle, steady=False))
        if cut_s < span.duration_s:
            found.append(replace(span, duration_s=span.duration_s - cut_s, start=middle))
    return tuple(found)


def read_trace(path: Path) -> list[float]:
    """Start times in s, the first column of a CSV file, a heading allowed; shifted so that the first one is 0. What
    spreadsheets make is read as well: byte-order marks, UTF-16, semicolons or tabs, and then commas in numbers.

    Raises OSError, and ValueError with a sentence.
    """
    text = _text(disk.read_named(path))
    by_sign = ((sign, _rows(text, sign)) for sign in ";\t" if sign in text)
    delimiter, rows = next(
        ((sign, rows) for sign, rows in by_sign if all(len(cells) > 1 for _, cells in rows)), (",", _rows(text, ","))
    )
    has_heading = bool(rows) and rows[0][1][0][0] not in "+-.,0123456789"
    heading, rows = (len(rows[0][1]) if has_heading else None), rows[has_heading:]
    if delimiter == ",":
        rows = _with_decimals(rows, heading)
    starts_s: list[float] = []
    for number, (cell, *_) in rows:
        try:
            at_s = float(cell if delimiter == "," else cell.replace(",", "."))
        except ValueError:
            raise ValueError(f"line {number}: {cell!r} is not a number of seconds") from None
        if not math.isfinite(at_s):
            raise ValueError(f"line {number}: {cell!r} is not a number of seconds")
        starts_s.append(at_s)
    if not starts_s:
        raise ValueError("holds no start time")
    starts_s.sort()
    return [round(at_s - starts_s[0], 6) for at_s in starts_s]


def _rows(text: str, delimiter: str) -> list[_Row]:
    """Those that begin with something. Raises ValueError."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        stripped = ((number, [cell.strip() for cell in row]) for number, row in enumerate(rows, start=1))
        return [(number, row) for number, row in stripped if row and row[0]]
    except csv.Error as error:
        raise ValueError(f"not a CSV file: {error}") from error


def _with_decimals(rows: list[_Row], heading: int | None) -> list[_Row]:
    """Rows between whose cells commas are, where a comma may be a number's as well. `heading`: how many columns have
    one. Under a heading of one column it is; where nothing tells, nothing is guessed. Raises ValueError."""
    lengths = [len(cells) - (not cells[-1]) for _, cells in rows]  # a line may end in a comma
    cut = [
        (number, cells, length)
        for (number, cells), length in zip(rows, lengths, strict=True)
        if length > (heading or 1) and _WHOLE.fullmatch(cells[0]) and cells[1].isdecimal()
    ]
    if not cut or (heading is None and len(cut) < len(rows) and len(set(lengths)) == 1):
        return rows
    if heading == 1 and max(lengths) == 2 and all(cells[1:2] == [""] or cells[-1].isdecimal() for _, cells in rows):
        return [(number, [".".join(filter(None, cells))]) for number, cells in rows]
    number, (whole, rest, *_), _ = cut[0]
    raise ValueError(
        f"line {number}: is {whole},{rest} one number, or two columns? write {whole}.{rest}, put semicolons between"
        " columns, or give each column a heading"
    )


def _text(content: bytes) -> str:
    """Raises ValueError."""
    try:
        return content.decode("utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("not a text in UTF-8") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One ticket of an open plan: its place in the schedule of the whole run, and when it is due."""

    index: int
    due_s: float


def share(due_s: Iterable[float], *, process: int, processes: int, first_index: int = 0) -> Iterator[Arrival]:
    """Every `processes`-th arrival of the one schedule, so that each process knows its own without being told."""
    return (
        Arrival(index=first_index + place, due_s=at_s)
        for place, at_s in enumerate(due_s)
        if place % processes == process
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPopulation:
    """Users with one session at a time each; the shape says how many of them are let in.

    A user has a place in [0, users): his number, plus a phase in [0, 1) that spreads users inside their share of a ramp
    and over the pacing. He is let in while the level is at his place or above. With `pacing_s` his sessions start at
    `(phase + n) * pacing_s` of the run, whenever he was let in: so each stretch has the share of them that its length
    is of the pacing. A start that was missed because the session before took longer is skipped, not caught up. Without
    pacing they start as soon as the last one ended.
    """

    shape: Shape
    pacing_s: float | None

    def first_s(self, place: float, from_s: float = 0.0) -> float | None:
        """Offset of the first session after `from_s` was reached; None: there is no room for him any more."""
        while (room_s := self.shape.first_above(max(place, 1e-9), from_s)) is not None and self.pacing_s is not None:
            beats = math.ceil(room_s / self.pacing_s - place % 1 - 1e-9)
            beat_s = max(room_s, (place % 1 + beats) * self.pacing_s)
            if self.shape.first_above(max(place, 1e-9), beat_s) == beat_s:
                return beat_s
            from_s = beat_s
        return room_s

    def next_s(self, place: float, due_s: float, now_s: float) -> float | None:
        """Offset of the session after the one that was due at `due_s`; None: there is no room for him any more."""
        return self.first_s(place, self.beat_s(due_s, now_s))

    def beat_s(self, due_s: float, now_s: float) -> float:
        """The earliest offset of the session after the one that was due at `due_s`, whether or not there is room."""
        if self.pacing_s is None:
            return now_s
        return due_s + (max(0, math.floor((now_s - due_s) / self.pacing_s)) + 1) * self.pacing_s
