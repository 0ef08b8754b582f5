"""Lines that a journal holds twice, wherever they stand in it. What they say counts twice, so the run is to say it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from loadtest.events.kinds import GeneratorFailed, Observed, RemainsChanged, RuleChecked
from loadtest.journal import PassedOver

MAY_BE_EQUAL: Final = (Observed, RuleChecked, RemainsChanged, GeneratorFailed)
"""Of these a moment may have two that say the same."""

_TELLING: Final = ("t_ns", "session", "step", "file")
"""Columns in which hardly two rows are the same. Sessions in step share their stamps, by the hundred thousand."""


def tell(frames: Mapping[type, pd.DataFrame], files: Sequence[str], passed: PassedOver) -> None:
    """Name to `passed` each row that is equal to one before it, journal and all. `files`: names of the journals by
    their numbers."""
    for kind in frames.keys() - set(MAY_BE_EQUAL):
        rows = frames[kind]
        stamps = np.sort(rows["t_ns"].to_numpy())  # by one column first: by all it would take seconds and gigabytes
        shared = stamps[1:][stamps[1:] == stamps[:-1]]
        if not len(shared):
            continue
        places = np.flatnonzero(rows["t_ns"].isin(shared))
        few = [name for name in _TELLING if name in rows]
        suspects = rows.iloc[places[rows[few].iloc[places].duplicated(keep=False)]]
        for file in suspects.loc[suspects.duplicated(), "file"]:
            passed.add(files[file], f"a line stands twice ({_name(kind)})")


def _name(kind: type) -> str:
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]
