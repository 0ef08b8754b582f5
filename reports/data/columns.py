"""Events → columns of packed numbers, without a Python object kept for any event.

A million sessions are 35 million events: as objects 10 GB, as packed numbers of what the reports read 0.8 GB, which
pandas takes over as they are. Words and texts become the numbers of their first appearance.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd


class Holds(Enum):
    """What a column holds, and what becomes of it."""

    STAMP = auto()  # ns of the monotonic clock: int64, moved to the run's time base
    INT = auto()  # int64
    SMALL = auto()  # int16
    NUMBER = auto()  # float64, NaN where not observed; a time in ns is exact up to 104 days
    FLAG = auto()  # bool
    WORD = auto()  # of a small set: a category
    TEXT = auto()  # str
    SAME = auto()  # int64: equal for equal texts, and the text forgotten
    SESSION = auto()  # int32: number of the session, its row in `Run.sessions`


_PACKED: Final = {
    Holds.STAMP: "q",
    Holds.INT: "q",
    Holds.SMALL: "h",
    Holds.NUMBER: "d",
    Holds.FLAG: "b",
    Holds.WORD: "h",
    Holds.TEXT: "i",
    Holds.SAME: "q",
    Holds.SESSION: "i",
}

FAILURE: Final = {"failed_step": Holds.WORD, "kind": Holds.WORD, "code": Holds.WORD, "detail": Holds.TEXT}
"""Columns of an event's flattened failure."""
_NAN: Final = float("nan")
_OF_FAILURE: Final = {"failed_step": "step", "kind": "kind", "code": "code", "detail": "detail"}


class Numbers(dict[Any, int]):
    """Texts by the number of their first appearance; None is -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.texts: list[str] = []

    def __missing__(self, text: Any) -> int:
        number = self[text] = len(self.texts)
        self.texts.append(str(text))  # of an enum's member the word: members would not compare as words
        return number


class Columns:
    """The columns of one kind of event: fields and properties by their names, a failure flattened, and `file`, the
    number of the journal."""

    def __init__(self, kind: type[msgspec.Struct], holds: Mapping[str, Holds], sessions: Numbers) -> None:
        self._holds: dict[str, Holds] = {**holds, "file": Holds.SMALL}
        self._packed = {name: array(_PACKED[what]) for name, what in self._holds.items()}
        self._numbers = {
            name: sessions if what is Holds.SESSION else Numbers()
            for name, what in self._holds.items()
            if what in (Holds.SESSION, Holds.WORD, Holds.TEXT)
        }
        fields = kind.__struct_fields__
        self._derived = [
            (name, what) for name, what in holds.items() if isinstance(getattr(kind, name, None), property)
        ]
        self._failure_at = fields.index("failure") if "failure" in fields else None
        self._plain = [(name, what, fields.index(name)) for name, what in holds.items() if name in fields]

    def add(self, events: Sequence[Any], file: int) -> None:
        """More rows: events of the kind, from that journal. Raises OverflowError, and then nothing is added, where one
        has a number that no process of ours could have measured."""
        fields = list(zip(*map(msgspec.structs.astuple, events), strict=True))
        more = [(name, self._coded(name, what, fields[place])) for name, what, place in self._plain]
        for name, what in self._derived:
            more.append((name, self._coded(name, what, [getattr(event, name) for event in events])))
        if self._failure_at is not None:
            more += self._of_failures(fields[self._failure_at])
        more.append(("file", [file] * len(events)))
        # From a list and not one by one: half the time.
        packed = [(self._packed[name], array(self._packed[name].typecode, values)) for name, values in more]
        for column, values in packed:
            column.extend(values)

    def _coded(self, name: str, what: Holds, values: Sequence[Any]) -> Sequence[Any]:
        if (numbers := self._numbers.get(name)) is not None:
            if what is Holds.WORD and values.count(values[0]) == len(values):  # most are of one purpose, one outcome …
                return [numbers[values[0]]] * len(values)
            return list(map(numbers.__getitem__, values))
        if what is Holds.SAME:
            return list(map(hash, values))
        if what is Holds.NUMBER:
            return [_NAN if value is None else value for value in values]
        return values

    def _of_failures(self, failures: Sequence[Any]) -> Iterator[tuple[str, list[int]]]:
        failed = failures.count(None) < len(failures)
        for name, field in _OF_FAILURE.items():
            numbers = self._numbers[name]
            codes = [-1] * len(failures)
            if failed:
                codes = [-1 if failure is None else numbers[getattr(failure, field)] for failure in failures]
            yield name, codes

    def frame(self, shift_ns: Sequence[int]) -> pd.DataFrame:
        """All rows as a table, once: the packed numbers are given away. `shift_ns`: by journal, what brings its stamps
        to the run's time base."""
        files = np.frombuffer(self._packed["file"], dtype=np.int16)
        columns: dict[str, Any] = {}
        for name, what in self._holds.items():
            packed = self._packed.pop(name)
            values = np.frombuffer(packed, dtype=packed.typecode) if len(packed) else np.empty(0, packed.typecode)
            if what is Holds.STAMP and any(shift_ns):
                values = values + np.asarray(shift_ns, dtype=np.int64)[files]
            columns[name] = self._column(name, what, values)
        return pd.DataFrame(columns, copy=False)

    def _column(self, name: str, what: Holds, values: Any) -> Any:
        if what is Holds.FLAG:
            return values.astype(bool)
        if what is Holds.WORD:
            texts = self._numbers[name].texts
            small = values.astype(np.int8) if len(texts) < 127 else values
            return pd.Categorical.from_codes(small, categories=pd.Index(texts, dtype="str"))
        if what is Holds.TEXT:
            found = np.array([*self._numbers[name].texts, None], dtype=object)  # number -1 is the last one
            return pd.array(found[values], dtype="str")
        return values
