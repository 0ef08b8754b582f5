"""Which sessions a page shows: all of a small run's troubled ones, of a large run's some of every kind, the slowest,
and a sample. What is left out is counted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.events.kinds import Gone, Outcome, Step
from reports.data.frames import Run
from reports.sections.sessions import CERTAIN, Left

MOST_FAILED: Final = 100
MOST_OF_A_KIND: Final = 20
"""Of every other sort of trouble."""
SLOWEST: Final = 5
SAMPLE: Final = 20
SLOW: Final = "slowest"
SAMPLED: Final = "sample"
_WORDS: Final = {
    "leaked": ("left behind", "sessions left behind"),
    "doubtful": ("doubtful", "doubtful sessions"),
    "unknown": ("unknown: its journal did not come home", "sessions of lost workers"),
    "failed": ("failed", "failed sessions"),
    "unconfirmed": ("not proved gone", "sessions not proved gone"),
    "unfinished": ("without an end", "sessions without an end"),
}
"""Sort of trouble → what is said of one, and of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """`numbers`: sessions in the order of the page. `why`: session → words. `left_out`: a sentence for each sort of
    which not all are shown. `waited_s`: session → time for which its calls and answers let it wait, together."""

    numbers: list[int]
    why: Mapping[int, list[str]]
    left_out: list[str]
    waited_s: Mapping[int, float]

    def is_sample(self, number: int) -> bool:
        """It was taken to have something to compare with."""
        return self.why[number] == [SAMPLED]


def chosen(run: Run, left: "pd.Series[Any]") -> Chosen:
    """Troubled ones first, then the slowest, then the sample; each in the order of time."""
    sessions = run.sessions
    outcome = sessions["outcome"]
    kinds = {
        "leaked": left.index[left.isin(CERTAIN)],
        "doubtful": left.index[left == Left.CREATE_UNANSWERED],
        "unknown": left.index[left == Left.WORKER_LOST],
        "failed": sessions.index[outcome == Outcome.FAILED],
        "unconfirmed": sessions.index[sessions["gone"] == Gone.UNCONFIRMED],
        "unfinished": sessions.index[outcome.isna()],
    }
    waited_s = _waited_s(run)
    why: dict[int, list[str]] = {}
    for kind, all_of_it in kinds.items():
        _note(why, _of_every_sort(sessions, all_of_it, MOST_FAILED if kind == "failed" else MOST_OF_A_KIND))
    left_out = []
    for kind, all_of_it in kinds.items():
        shown = [number for number in all_of_it.tolist() if number in why]
        _note(why, shown, _WORDS[kind][0])
        if len(shown) < len(all_of_it):
            left_out.append(f"{len(shown):,} of {len(all_of_it):,} {_WORDS[kind][1]} shown")
    good = sessions.index[outcome == Outcome.OK]
    slowest = good[np.argsort(-waited_s[good.to_numpy()], kind="stable")[:SLOWEST]]
    _note(why, slowest.tolist(), SLOW)
    rest = good.difference(pd.Index(list(why), dtype=good.dtype))
    picked = np.unique(np.linspace(0, len(rest) - 1, min(SAMPLE, len(rest))).round().astype(int))
    _note(why, rest[picked].tolist(), SAMPLED)
    begun = sessions.loc[list(why), "started_ns"].fillna(run.start_ns).astype("int64")

    def place(number: int) -> tuple[int, int]:
        first = why[number][0]
        return (2 if first == SAMPLED else 1 if first == SLOW else 0, int(begun[number]))

    numbers = sorted(why, key=place)
    return Chosen(
        numbers=numbers, why=why, left_out=left_out, waited_s={number: float(waited_s[number]) for number in numbers}
    )


def _note(why: dict[int, list[str]], numbers: Iterable[int], *words: str) -> None:
    for number in numbers:
        why.setdefault(number, []).extend(words)


def _of_every_sort(sessions: pd.DataFrame, numbers: "pd.Index[Any]", most: int) -> list[int]:
    """At most so many: the first of every step, kind and code, then the second of each …"""
    if len(numbers) <= most:
        found: list[int] = numbers.tolist()
        return found
    rows = sessions.loc[numbers, ["failed_step", "kind", "code"]]
    turn = rows.groupby(["failed_step", "kind", "code"], dropna=False, observed=True).cumcount()
    picked: list[int] = turn.sort_values(kind="stable").index[:most].tolist()
    return picked


def _waited_s(run: Run) -> np.ndarray[Any, Any]:
    """By a session's number: how long its calls took and its answers let the user wait, together. A conversation lasts
    as long as the scenario says: of it the waits for first audio count."""
    steps = run.steps
    step = steps["step"]
    lasted_ns = np.where(step == Step.CONVERSE, 0, steps["t_ns"].to_numpy() - steps["started_ns"].to_numpy())
    turn = (step == Step.TURN).to_numpy()
    lasted_ns = np.where(turn, np.nan_to_num(steps["first_audio_ns"].to_numpy(dtype=float)), lasted_ns)
    size = int(run.sessions.index.max()) + 1 if len(run.sessions) else 0
    found: np.ndarray[Any, Any] = np.bincount(steps["session"].to_numpy(), weights=lasted_ns, minlength=size) / 1e9
    return found
