"""Whether answers get slower as a session grows older: times to first audio by the turn's number and by the session's
age, and the drift of each session."""

from collections.abc import Sequence
from math import comb
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.criteria.trend import LEAST
from loadtest.events.kinds import Outcome, Step
from reports.data.frames import Run
from reports.data.measures import quantile, quantiles

TURNS_FROM: Final = (1, 2, 3, 4, 6, 11, 21, 51, 101, 201)
"""First turn of each row, counted from 1; a row ends before the next one."""
MINUTES_FROM: Final = (0, 1, 2, 5, 10, 15, 30, 45, 60)
"""The same of a session's age, in minutes since it was connected."""
_SAMPLES_OF_AN_INTERVAL: Final = 6
"""Of fewer no 95 % interval of their median can be told."""


def section(run: Run) -> dict[str, Any]:
    """`age` of report.json, of answered turns. by_turn and by_minute: rows with from and until (None: open),
    count, quantiles in s; rows without turns are left out. drift: seconds that a minute adds in a session with at
    least three answers, by a least-squares line; the median over sessions with its 95 % interval (None: too few)."""
    answered = _answered(run)
    per_session = _drifts(answered)
    low, high = interval_of_median(per_session.to_numpy())
    return {
        "by_turn": _rows(answered, answered["number"], TURNS_FROM),
        "by_minute": _rows(answered, answered["minutes"], MINUTES_FROM),
        "drift": {
            "sessions": len(per_session),
            "median_s_per_minute": quantile(per_session, 0.5),
            "low_s_per_minute": low,
            "high_s_per_minute": high,
        },
    }


def drifts(run: Run) -> "pd.Series[float]":
    """By session, as `loadtest.criteria.trend.Trend` has it: seconds a minute."""
    return _drifts(_answered(run))


def _drifts(answered: pd.DataFrame) -> "pd.Series[float]":
    by_session = answered.groupby("session")
    x = answered["started_ns"] - by_session["started_ns"].transform("min")
    table = pd.DataFrame({"session": answered["session"], "x": x / 60e9, "y": answered["heard_s"]})
    table = table.assign(xx=table["x"] ** 2, xy=table["x"] * table["y"])
    sums = table.groupby("session")[["x", "y", "xx", "xy"]].sum().assign(count=table.groupby("session").size())
    spread = sums["count"] * sums["xx"] - sums["x"] ** 2
    kept = sums[(sums["count"] >= LEAST) & (spread > 0)]
    return (kept["count"] * kept["xy"] - kept["x"] * kept["y"]) / spread[kept.index]


def interval_of_median(values: Any) -> tuple[float | None, float | None]:
    """Between which of the ordered values the median lies, 19 times of 20, however they are spread: by the binomial
    distribution of how many lie below it. (None, None) of fewer than six."""
    ordered = np.sort(np.asarray(values, dtype=float))
    count = len(ordered)
    if count < _SAMPLES_OF_AN_INTERVAL:
        return None, None
    if count > 1000:  # the normal distribution is as good, and its numbers stay small
        place = int(count / 2 - 0.98 * count**0.5)
    else:
        place, likely = 0, 1
        while (likely + comb(count, place + 1)) / 2**count <= 0.025:
            place += 1
            likely += comb(count, place)
    return round(float(ordered[place]), 9), round(float(ordered[count - 1 - place]), 9)


def _answered(run: Run) -> pd.DataFrame:
    """Turns that were answered and heard: session, started_ns, heard_s, number (from 1), minutes of the session."""
    turns = run.turns[(run.turns["outcome"] == Outcome.OK) & run.turns["first_audio_ns"].notna()]
    connects = run.steps[(run.steps["step"] == Step.CONNECT) & (run.steps["outcome"] == Outcome.OK)]
    connected_ns = connects.drop_duplicates("session").set_index("session")["t_ns"]
    minutes = (turns["started_ns"] - turns["session"].map(connected_ns)) / 60e9
    return pd.DataFrame(
        {
            "session": turns["session"],
            "started_ns": turns["started_ns"],
            "heard_s": turns["first_audio_ns"].astype("int64") / 1e9,
            "number": turns["turn"].astype("int64") + 1,
            "minutes": minutes.clip(lower=0),
        }
    )


def _rows(answered: pd.DataFrame, place: "pd.Series[Any]", edges: Sequence[int]) -> list[dict[str, Any]]:
    which = np.searchsorted(edges, place.to_numpy(dtype=float), side="right") - 1
    rows = []
    for number, begin in enumerate(edges):
        values = answered["heard_s"][which == number]
        if len(values):
            until = edges[number + 1] if number + 1 < len(edges) else None
            rows.append({"from": begin, "until": until, "count": len(values), **quantiles(values)})
    return rows
