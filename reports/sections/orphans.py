"""Sessions that outlived their tear-down: why, for how long, and what that costs."""

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from loadtest.config.keys.scenario import ABSENCE_S, absence_words
from loadtest.config.settings import Settings
from loadtest.events.kinds import Gone, Remains, RemainsReason
from loadtest.prices.table import prices
from reports.data.frames import Run
from reports.data.run_settings import absences_s
from reports.sections.sessions import LEFT_WORDS, Left

PRICE_TAG: Final = "usd_per_session_minute"


def section(run: Run, settings: Settings | None, *, tags: Mapping[str, Any]) -> dict[str, Any]:
    """`teardown.orphans` of report.json: who lived on after its end, those that a sweep removed later included.

    causes: by `Left`: count, swept, seconds (together), longest_s. A life after the tear-down is counted from the
    delete that failed, the look that showed the session alive, its engine's last word, or the create that was never
    answered, until the sweep that removed it; where nothing did, `user_absent_timeout` of its own scenario is taken to
    have ended it (`until_absent_timeout`), so those seconds are an estimate. absent_timeout_s: the longest of these,
    absent_timeout: all of them in words; the service's own where settings are lacking. price: usd,
    usd_per_session_minute (both None where nobody gave a price), as_of, source.
    """
    asked_s = absences_s(run, settings).fillna(ABSENCE_S)
    rows = lives(run, timeouts_s=asked_s / ((settings and settings.target.clock_scale) or 1.0))
    waited_s = asked_s[rows.index[~rows["swept"]]] if len(rows) else asked_s
    distinct_s = waited_s.unique().tolist() or [float(ABSENCE_S)]
    causes = {}
    for cause in LEFT_WORDS:
        of_cause = rows[rows["cause"] == cause]
        causes[cause.value] = {
            "count": len(of_cause),
            "swept": int(of_cause["swept"].sum()),
            "seconds": round(float(of_cause["seconds"].sum()), 3),
            "longest_s": round(float(of_cause["seconds"].max()), 3) if len(of_cause) else None,
        }
    seconds = round(float(rows["seconds"].sum()), 3)
    price = _price(tags, settings)
    per_minute = price[PRICE_TAG]
    usd = 0.0 if not seconds else None if per_minute is None else round(seconds / 60 * per_minute, 6)
    return {
        "count": len(rows),
        "seconds": seconds,
        "until_absent_timeout": int((~rows["swept"]).sum()),
        "absent_timeout_s": max(distinct_s),
        "absent_timeout": absence_words(distinct_s),
        "causes": causes,
        "price": {"usd": usd, **price, "estimate": True},
    }


def lives(run: Run, *, timeouts_s: "pd.Series[float]") -> pd.DataFrame:
    """A row per session that was ever left behind: cause (`Left`), swept, seconds. `timeouts_s`: by session, what ends
    it at last."""
    sessions = run.sessions
    swept = (
        run.remains[run.remains["reason"] == RemainsReason.SWEPT]
        .drop_duplicates("session", keep="last")
        .set_index("session")
    )
    before = run.remains[run.remains["reason"] != RemainsReason.SWEPT].sort_values("t_ns", kind="stable")
    last = before.drop_duplicates("session", keep="last").set_index("session")
    alive = sessions.index[sessions["gone"] == Gone.STILL_ALIVE]
    last = last[(last["remains"] != Remains.NOTHING) | last.index.isin(alive)]
    if run.being_written:
        last = last[~last.index.isin(sessions.index[sessions["outcome"].isna()])]
    cause = pd.Series(str(Left.DELETE_NEVER_SENT), index=last.index, dtype="str")
    cause[last["remains"] == Remains.DOUBTFUL] = Left.CREATE_UNANSWERED
    cause[last["reason"] == RemainsReason.DELETE_FAILED] = Left.DELETE_FAILED
    cause[(last["reason"] == RemainsReason.STILL_ALIVE) | cause.index.isin(alive)] = Left.STILL_ALIVE
    # A session whose delete was never sent lived on from the moment that its engine fell silent.
    silent_ns = sessions["end_ns"].reindex(last.index).astype("Int64")
    begin_ns = last["t_ns"].astype("Int64").where(cause != Left.DELETE_NEVER_SENT, silent_ns)
    was_swept = pd.Series(last.index.isin(swept.index), index=last.index)
    swept_ns = swept["t_ns"].reindex(last.index).astype("Int64")
    seconds = (
        ((swept_ns - begin_ns) / 1e9).astype("float64").where(was_swept, timeouts_s.reindex(last.index)).clip(lower=0)
    )
    return pd.DataFrame({"cause": cause, "swept": was_swept, "seconds": seconds})


def _price(tags: Mapping[str, Any], settings: Settings | None) -> dict[str, Any]:
    """What a minute costs: the operator's own price from a tag, or that of the run's table. None: not known."""
    try:
        own = float(tags.get(PRICE_TAG, "nan"))
    except (TypeError, ValueError):
        own = math.nan
    if math.isfinite(own) and own >= 0:
        return {PRICE_TAG: own, "as_of": None, "source": f"tag {PRICE_TAG}"}
    avatar = (prices() if settings is None else settings.cost.table).avatar
    as_of = None if avatar.as_of is None else avatar.as_of.isoformat()
    return {PRICE_TAG: avatar.per_minute, "as_of": as_of, "source": avatar.source}
