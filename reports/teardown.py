"""Do sessions end when they should: deleted, and proved gone."""

from typing import Any

import pandas as pd

from loadtest.events import EndedBy, Gone
from reports import caps, orphans
from reports.frames import Run
from reports.measures import counts, quantiles


def times_to_gone_s(run: Run) -> "pd.Series[float]":
    """From the confirmed delete to the look that proved the end. Late by up to one interval between looks."""
    proved = run.looks[run.looks["gone"] == Gone.CONFIRMED]
    return (proved["t_ns"] - proved["deleted_ns"]) / 1e9


def section(run: Run, everything: Run, settings: dict[str, Any]) -> dict[str, Any]:
    """`teardown` of report.json: deleted = confirmed_gone + unconfirmed + still_alive + not_checked.

    still_alive stays counted when a sweep removed the session later: the target's answer was wrong all the same.
    time_to_gone_by: by what ended the session. `everything`: the run with its probes, which see caps that load sessions
    don't; `settings`: `scenario` of settings.json, and `tags` for a price.
    """
    deleted = run.remains[run.remains["reason"] == "deleted"]["session"].drop_duplicates()
    gone = counts(run.sessions["gone"].reindex(pd.Index(deleted)))
    ended_by = counts(run.sessions["ended_by"])
    times_s = times_to_gone_s(run)
    ending = run.sessions["ended_by"].reindex(run.looks.loc[times_s.index, "session"]).to_numpy()
    session = settings.get("session") or {}
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
        "orphans": orphans.section(
            run, absent_timeout_s=session.get("user_absent_timeout"), tags=settings.get("tags") or {}
        ),
        "caps": caps.section(everything, settings),
    }
