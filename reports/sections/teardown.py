"""Do sessions end when they should: deleted, and proved gone."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from loadtest.config.settings import Settings
from loadtest.events.kinds import EndedBy, Gone, RemainsReason
from reports.data.frames import Run
from reports.data.measures import counts, quantiles
from reports.sections import caps, orphans


def times_to_gone_s(run: Run) -> "pd.Series[float]":
    """From the confirmed delete to the look that proved the end. Late by up to one interval between looks."""
    proved = run.looks[run.looks["gone"] == Gone.CONFIRMED]
    return (proved["t_ns"] - proved["deleted_ns"]) / 1e9


def section(run: Run, everything: Run, settings: Settings | None, *, tags: Mapping[str, Any]) -> dict[str, Any]:
    """`teardown` of report.json: deleted = confirmed_gone + unconfirmed + still_alive + not_checked.

    still_alive stays counted when a sweep removed the session later: the target's answer was wrong all the same.
    time_to_gone_by: by what ended the session. `everything`: the run with its probes, which see caps that load sessions
    don't; `settings`: None where nothing is known of what was promised; `tags`: may hold a price.
    """
    deleted = run.remains[run.remains["reason"] == RemainsReason.DELETED]["session"].drop_duplicates()
    gone = counts(run.sessions["gone"].reindex(pd.Index(deleted)))
    ended_by = counts(run.sessions["ended_by"])
    times_s = times_to_gone_s(run)
    ending = run.sessions["ended_by"].reindex(run.looks.loc[times_s.index, "session"]).to_numpy()
    return {
        "deleted": len(deleted),
        "confirmed_gone": gone.get(Gone.CONFIRMED, 0),
        "unconfirmed": gone.get(Gone.UNCONFIRMED, 0),
        "still_alive": gone.get(Gone.STILL_ALIVE, 0),
        "not_checked": len(deleted) - sum(gone.values()),
        "time_to_gone": quantiles(times_s),
        "time_to_gone_by": {
            cause.value: {"count": int((ending == cause).sum()), **quantiles(times_s[ending == cause])}
            for cause in EndedBy
        },
        "ended_by": {cause.value: ended_by.get(cause, 0) for cause in EndedBy},
        "orphans": orphans.section(run, settings, tags=tags),
        "caps": caps.section(everything, settings),
    }
