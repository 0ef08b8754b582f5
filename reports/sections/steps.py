"""How long each step and each turn took. Quantiles are of those that succeeded, counts of all that were finished."""

from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.criteria.slo import TAKING
from loadtest.errors.kinds import Kind
from loadtest.events.kinds import STEPS, Mark, Outcome, Step
from reports.data.frames import Run
from reports.data.measures import counts, failed_rate, judged, quantiles, seconds
from reports.data.taking import taken

TAINTED_MS: Final = 10
"""An event loop later than this may have stamped late."""


def section(run: Run) -> dict[str, dict[str, Any]]:
    """`steps` of report.json: count (ok and failed), failed, cancelled, failures by kind, quantiles in s of ok ones.

    delete is its first attempts; `retries` counts the others. A retry's time is not the target's answer to a user.
    """
    found: dict[str, dict[str, Any]] = {}
    for step in STEPS:
        rows = run.steps[run.steps["step"] == step]
        found[step.value] = _step(rows[rows["attempt"] == 1])
        if step is Step.DELETE:
            found[step.value]["retries"] = int((rows["attempt"] > 1).sum())
    return found


def _step(rows: pd.DataFrame) -> dict[str, Any]:
    failed = rows[rows["outcome"] == Outcome.FAILED]
    return {
        "count": _count(rows),
        "failed": len(failed),
        "cancelled": int((rows["outcome"] == Outcome.CANCELLED).sum()),
        "failed_rate": failed_rate(rows),
        "failures": counts(failed["kind"]),
        **quantiles(durations_s(rows)),
    }


def _count(rows: pd.DataFrame) -> int:
    """Those that came to an end of their own."""
    return int((rows["outcome"] != Outcome.CANCELLED).sum())


def durations_s(rows: pd.DataFrame) -> "pd.Series[float]":
    """Lengths of the steps that succeeded; one that failed has no length, only an end."""
    good = rows[rows["outcome"] == Outcome.OK]
    return (good["t_ns"] - good["started_ns"]) / 1e9


def turns(run: Run) -> dict[str, Any]:
    """`turns` of report.json. time_to_first_audio: end of the user's speech to the first audible sample, ok turns.

    barge_in: from the user's speech over the avatar to its last audible frame, whatever came after; `censored` ones
    never fell silent and have no number. dead_air: the longest silence inside each answer of an ok turn that was heard
    out, 0 where none was as long as 240 ms. answered_early_by_line: the line had a hole before the early answer, so
    that either side may have heard the end of a speech: cancelled, and in no rate. undecided: all of which nobody knows
    whose fault they are, by kind. `tainted`: a stamp was taken while our event loop was late by more than TAINTED_MS.
    """
    rows = run.turns
    failed = rows[rows["outcome"] == Outcome.FAILED]
    early = failed["kind"] == Kind.ANSWERED_EARLY
    undecided = counts(rows[rows["outcome"] == Outcome.CANCELLED]["kind"])
    to_judge = judged(rows)
    first_audio_s = seconds(rows[rows["outcome"] == Outcome.OK]["first_audio_ns"])
    barge_in_s = seconds(rows["barge_in_ns"])
    dead_air_s = seconds(rows[rows["outcome"] == Outcome.OK]["dead_air_ns"])
    tainted = rows["lag_ns"] > TAINTED_MS * 1_000_000
    return {
        "count": _count(rows),
        "failed": len(failed),
        "cancelled": int((rows["outcome"] == Outcome.CANCELLED).sum()),
        "failed_rate": failed_rate(rows),
        "failures": counts(failed["kind"]),
        "answered_early": int(early.sum()),
        "answered_early_by_line": undecided.get(Kind.ANSWERED_EARLY, 0),
        "undecided": undecided,
        "answered_early_rate": round(float(early.sum() / len(to_judge)), 9) if len(to_judge) else None,
        "tainted": int(tainted.fillna(False).sum()),
        "by_kind": {
            str(kind): {"count": _count(of_kind), "failed": int((of_kind["outcome"] == Outcome.FAILED).sum())}
            for kind, of_kind in rows.groupby("turn_kind", observed=True)
        },
        "transcripts": _transcripts(run),
        "time_to_first_audio": {"count": len(first_audio_s), **quantiles(first_audio_s)},
        "barge_in": {
            "count": len(barge_in_s),
            "censored": int(rows["censored"].sum()),
            **quantiles(barge_in_s),
        },
        "dead_air": {"count": len(dead_air_s), **quantiles(dead_air_s)},
        "taking": _taking(run),
        "by_language": _by_language(run),
    }


def _turn_ids(rows: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """A number for each turn of each session: where sessions are millions, a merge by both would take a gigabyte."""
    found: np.ndarray[Any, np.dtype[np.int64]] = rows["session"].to_numpy(np.int64) << 31
    found += rows["turn"].fillna(-1).to_numpy(np.int64)
    return found


def _taking(run: Run) -> dict[str, Any]:
    """Who spoke when: of each rate how many turns say something of it, in how many it was so, and the share. talk_over:
    for how long both were heard at once, in turns that are to be answered. Self-interruptions are told by the minutes
    for which sessions listened, too."""
    found: dict[str, Any] = {what: _rate(run.turns, what) for what in TAKING}
    heard_s = float(run.media["heard_ns"].sum()) / 1e9
    stopped = found["self_interruption"]
    stopped["per_minute"] = round(stopped["count"] * 60 / heard_s, 9) if heard_s else None
    talk_over_s = seconds(judged(run.turns)["talk_over_ns"])
    return found | {"talk_over": {"count": len(talk_over_s), **quantiles(talk_over_s)}}


def _by_language(run: Run) -> dict[str, Any]:
    """The rates of `taking` of the turns in which each language was spoken; empty where there is one, or none is
    known."""
    languages = run.turns["language"].dropna().astype("str").unique().tolist()
    found: dict[str, Any] = {}
    for language in sorted(languages) if len(languages) > 1 else ():
        of_it = run.turns[run.turns["language"] == language]
        found[language] = {what: _rate(of_it, what) for what in TAKING}
    return found


def _rate(turns: pd.DataFrame, what: str) -> dict[str, Any]:
    rows = taken(turns, what)
    return {
        "of": len(rows),
        "count": int(rows.sum()),
        "rate": round(float(rows.mean()), 9) if len(rows) else None,
    }


def _transcripts(run: Run) -> dict[str, int]:
    """How many came, to how many answered turns none came (TR-1, TR-2), and how many are unassigned: of one of two
    turns, and nobody knows of which. Each of those may be what a turn of its session lacks, so it is not missing
    there. Their texts are not looked at."""
    columns = ["session", "turn", "outcome", "first_audio_ns", "started_ns"]
    turns = run.steps.loc[run.steps["step"] == Step.TURN, columns]
    answered = turns[(turns["outcome"] == Outcome.OK) & turns["first_audio_ns"].notna()][["session", "turn"]]
    first_ns = turns.groupby("session")["started_ns"].min()
    found: dict[str, int] = {}
    for side, mark in (("user", Mark.USER_TRANSCRIPT), ("avatar", Mark.AVATAR_TRANSCRIPT)):
        rows = run.marks.loc[run.marks["mark"] == mark, ["t_ns", "session", "turn"]]
        silent = ~np.isin(_turn_ids(answered), _turn_ids(rows))
        # What is said before the first turn is of none: a greeting.
        unassigned = rows[rows["turn"].isna() & (rows["t_ns"] >= rows["session"].map(first_ns))]
        lacking = answered["session"][silent].value_counts()
        lacking = lacking.sub(unassigned["session"].value_counts(), fill_value=0).clip(lower=0)
        found |= {side: len(rows), f"turns_without_{side}": int(lacking.sum()), f"unassigned_{side}": len(unassigned)}
    return found | {"failed": int((run.marks["mark"] == Mark.TRANSCRIPT_FAILED).sum())}
