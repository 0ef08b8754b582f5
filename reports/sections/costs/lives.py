"""For how long sessions lived at the target, which is what the avatar's minutes are of."""

import pandas as pd

from loadtest.events.kinds import Remains, RemainsReason
from reports.data.frames import Run

_LAST_WORDS = (RemainsReason.DELETED, RemainsReason.DELETE_FAILED, RemainsReason.STILL_ALIVE)


def lives(run: Run) -> pd.DataFrame:
    """A row per session: lived_s, and open: it may live on.

    From the create's answer to the confirmed delete; 0 where no create was answered. One that is open is counted until
    the delete that failed, the look that showed it alive, or its engine's last word. What it lived after that, and
    whether a create without an answer made a session at all, is told by `reports.sections.orphans`.
    """
    ours = run.remains[run.remains["reason"] != RemainsReason.SWEPT].sort_values("t_ns", kind="stable")
    created = ours[ours["reason"] == RemainsReason.CREATE_ANSWERED].drop_duplicates("session").set_index("session")
    last = ours.drop_duplicates("session", keep="last").set_index("session")
    told_ns = last["t_ns"].astype("Int64").where(last["reason"].isin(_LAST_WORDS))
    ended_ns = told_ns.reindex(run.sessions.index).fillna(run.sessions["end_ns"].astype("Int64"))
    lived_ns = ended_ns - created["t_ns"].astype("Int64").reindex(run.sessions.index)
    is_open = (last["remains"] != Remains.NOTHING).reindex(run.sessions.index, fill_value=False)
    return pd.DataFrame({"lived_s": lived_ns.fillna(0).astype("float64").clip(lower=0) / 1e9, "open": is_open})
