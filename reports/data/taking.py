"""How the turns of a run were taken, row by row: the same that `loadtest.criteria.samples` says of one event."""

from typing import Final

import pandas as pd

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import AnswerEnd, Outcome
from reports.data.measures import judged

WORDS: Final = {
    "response": "turns that were answered",
    "premature": "answered before the user had finished",
    "yield": "barge-ins after which the avatar fell silent",
    "false_stop": "stopped by a sound that asks for nothing",
    "self_interruption": "answers that interrupted themselves",
    "cut": "answers that broke off",
    "unasked": "turns with an answer to nobody",
}
"""Each of TAKING for people."""
_READ: Final = (
    *("outcome", "kind", "code", "first_audio_ns", "barge_in_ns", "censored"),
    *("talk_over_ns", "went_on", "unasked", "answer"),
)


def taken(turns: pd.DataFrame, what: str) -> "pd.Series[bool]":
    """Of the turns (`Run.turns`) that say something of it, whether it was so; by their index."""
    rows = judged(turns[list(_READ)])
    early, good = rows["kind"] == Kind.ANSWERED_EARLY, rows["outcome"] == Outcome.OK
    if what in ("response", "premature"):
        asked = rows["talk_over_ns"].notna()
        if what == "premature":
            return early[asked]
        asked &= rows["code"] != Code.NOT_SILENCED
        return (rows["first_audio_ns"].notna() | early | good)[asked]
    if what == "yield":
        return rows["barge_in_ns"].notna()[rows["barge_in_ns"].notna() | rows["censored"].astype(bool)]
    if what == "false_stop":
        return (rows["went_on"] == "False")[rows["went_on"].notna()]
    if what == "unasked":
        return rows["unasked"] > 0
    ends = {"self_interruption": AnswerEnd.SELF_INTERRUPTED, "cut": AnswerEnd.CUT}
    return (rows["answer"] == ends[what])[rows["answer"].notna()]
