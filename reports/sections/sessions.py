"""How many sessions there were, how they ended, and what they left behind."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.capacity.facts import OWN_LATENESS, OWN_POOL
from loadtest.criteria.slo import DROPPED
from loadtest.criteria.words import plural
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import DropReason, Gone, Mark, Outcome, Remains, RemainsReason, Step
from reports.data.frames import Run
from reports.data.measures import counts, failed_rate, quantiles


class Left(StrEnum):
    """Why a session is left behind, or may be. The CERTAIN ones are "leaked", and a sweep can delete them."""

    DELETE_FAILED = "delete_failed"
    STILL_ALIVE = "still_alive"  # the delete was answered, and the session seen alive after it
    DELETE_NEVER_SENT = "delete_never_sent"  # created, then its engine died
    CREATE_UNANSWERED = "create_unanswered"  # doubtful: no id came back
    WORKER_LOST = "worker_lost"  # unknown: the rest of its journal did not come home from another host


CERTAIN = (Left.DELETE_FAILED, Left.STILL_ALIVE, Left.DELETE_NEVER_SENT)
LEFT_WORDS: Final = {
    Left.DELETE_FAILED: "delete failed",
    Left.STILL_ALIVE: "seen alive after the delete",
    Left.DELETE_NEVER_SENT: "never deleted, because the engine died",
    Left.CREATE_UNANSWERED: "create not answered, or with a server error",
}
"""For people, of one session or of several. What a lost worker left is told by its host."""


def left_behind(run: Run) -> "pd.Series[Any]":
    """Session → `Left`, for those that are not settled by the last word of any journal, a later sweep's included.

    While a run is being written, a created session without a failed delete is in flight, not left behind.
    """
    sessions = run.sessions
    remains, reason = sessions["remains"], sessions["reason"]
    alive = (sessions["gone"] == Gone.STILL_ALIVE) & (reason != "swept")
    leaked = (remains == Remains.LEAKED) | alive
    in_flight = sessions["outcome"].isna() if run.being_written else pd.Series(False, index=sessions.index)
    left = pd.Series(None, index=sessions.index, dtype="str")
    left[leaked & ~in_flight] = Left.DELETE_NEVER_SENT
    left[leaked & (reason == RemainsReason.DELETE_FAILED)] = Left.DELETE_FAILED
    left[alive | (leaked & (reason == RemainsReason.STILL_ALIVE))] = Left.STILL_ALIVE
    left[(remains == Remains.DOUBTFUL) & ~in_flight] = Left.CREATE_UNANSWERED
    unsettled = left.isin([Left.DELETE_NEVER_SENT, Left.CREATE_UNANSWERED]) & sessions["id"].isin(run.away)
    left[unsettled] = Left.WORKER_LOST
    return left.dropna()


def active(run: Run) -> pd.DataFrame:
    """Sweep line: columns t_ns, active (sessions that run from t_ns on). Of one instant, ends come before starts."""
    known = run.sessions[["started_ns", "end_ns"]].dropna()
    stamps = np.concatenate([known[name].astype("int64") for name in ("started_ns", "end_ns")])
    step = np.concatenate([np.ones(len(stamps) // 2, dtype=int), -np.ones(len(stamps) // 2, dtype=int)])
    order = np.lexsort((step, stamps))
    return pd.DataFrame({"t_ns": stamps[order], "active": step[order].cumsum()})


def setup(run: Run) -> pd.DataFrame:
    """Sessions that were set up, columns setup_s (mint's start, or create's where a backend mints, to connect's end)
    and t_ns (connect's end)."""
    began, ended = first_ok(run, Step.MINT)["started_ns"], first_ok(run, Step.CONNECT)["t_ns"]
    created = first_ok(run, Step.CREATE)["started_ns"]
    began = pd.concat([began, created[~created.index.isin(began.index)]])
    both = pd.concat([began, ended], axis=1, join="inner")
    return pd.DataFrame({"setup_s": (both["t_ns"] - both["started_ns"]) / 1e9, "t_ns": both["t_ns"]})


def first_ok(run: Run, step: Step) -> pd.DataFrame:
    """A row per session whose step succeeded, indexed by the session: started_ns, t_ns."""
    good = (run.steps["step"] == step) & (run.steps["outcome"] == Outcome.OK)
    rows = run.steps.loc[good, ["session", "started_ns", "t_ns"]]
    return rows.drop_duplicates("session").set_index("session")


def section(run: Run, left: "pd.Series[Any]") -> dict[str, Any]:
    """`sessions` of report.json.

    completed, failed, cancelled, censored and unfinished are disjoint and add up to started. failed holds the
    generator's failures too (engine_died, bug); failed_rate charges the target's alone.
    """
    sessions = run.sessions
    outcome = sessions["outcome"]
    cancelled = outcome == Outcome.CANCELLED
    setup_s, at_once = setup(run)["setup_s"], active(run)["active"]
    return {
        "started": len(sessions),
        "completed": int((outcome == Outcome.OK).sum()),
        "failed": int((outcome == Outcome.FAILED).sum()),
        "cancelled": int((cancelled & ~sessions["censored"]).sum()),
        "censored": int((cancelled & sessions["censored"]).sum()),
        "unfinished": int(outcome.isna().sum()),
        "dropped": len(run.drops),
        "dropped_by": counts(run.drops["reason"]),
        "leaked": int(left.isin(CERTAIN).sum()),
        "doubtful": int((left == Left.CREATE_UNANSWERED).sum()),
        "unknown": int((left == Left.WORKER_LOST).sum()),
        "left_behind": counts(left),
        "swept": swept(run),
        "unconfirmed": int((sessions["gone"] == Gone.UNCONFIRMED).sum()),
        "messages_cut": int((run.marks["mark"] == Mark.MESSAGES_CUT).sum()),
        "peak_active": int(at_once.max()) if len(at_once) else 0,
        "failed_rate": failed_rate(sessions),
        "setup": {"count": len(setup_s), **quantiles(setup_s)},
    }


def swept(run: Run) -> int:
    """Sessions that a sweep settled: left behind once, and no longer."""
    return int(((run.sessions["reason"] == RemainsReason.SWEPT) & (run.sessions["remains"] == Remains.NOTHING)).sum())


def unreached(failures: Sequence[Mapping[str, Any]]) -> str | None:
    """Why a run in which nothing was answered says nothing of its target, if it never got through to it. That may be
    the target, the network, a proxy, a certificate or a wrong address. `failures`: all that there were."""
    own = [row for row in failures if row["kind"] != Kind.CANCELLED]
    if not own or any(row["code"] != Code.CONNECT_FAILED for row in own):
        return None
    why = f": {own[0]['detail']}" if own[0]["detail"] else ""
    return f"the target was never reached, so nothing is known of it: no connection could be made{why}"


def lighter(started: int, dropped_by: Mapping[str, int]) -> str | None:
    """Why a run was not the load that was asked for: too many of its arrivals were let go by ourselves."""
    no_user, late = (dropped_by.get(reason, 0) for reason in (DropReason.NO_USER, DropReason.LATE))
    due = started + sum(dropped_by.values())
    if no_user + late <= DROPPED.objective * due:
        return None
    why = OWN_POOL if no_user >= late else OWN_LATENESS
    return f"{no_user + late:,} of {plural(due, 'arrival')} never became sessions: {why}; it was not the load asked for"


def failures(run: Run) -> list[dict[str, Any]]:
    """What failed, the most frequent first, by step, kind and code, with the id of an example.

    `steps`: how often it ended a step, a turn or an attempt of a delete. `sessions`: how often it was the first failure
    of a session. They differ: a delete that is tried again need not fail its session, and a session that is alive after
    its delete fails without a step of its own.
    """
    key = ["step", "kind", "code"]
    # A turn that was cancelled may say why, and has not failed.
    failed = run.steps[run.steps["kind"].notna() & (run.steps["outcome"] == Outcome.FAILED)]
    first = run.sessions[run.sessions["kind"].notna()].reset_index().rename(columns={"failed_step": "step"})
    both = pd.concat([rows[[*key, "session", "detail"]].astype("str") for rows in (first, failed)])
    both = both.sort_values("detail", key=lambda detail: detail == "", kind="stable")  # an example that says something
    examples = both.drop_duplicates(key).set_index(key)
    sizes = {
        name: rows.astype(dict.fromkeys(key, "str")).groupby(key).size().reindex(examples.index, fill_value=0)
        for name, rows in (("sessions", first), ("steps", failed))
    }
    rows = [
        {
            **dict(zip(key, map(str, words), strict=True)),
            "sessions": int(sizes["sessions"][words]),
            "steps": int(sizes["steps"][words]),
            "example": str(run.sessions.loc[int(examples.loc[words, "session"]), "id"]),
            "detail": str(examples.loc[words, "detail"]),
        }
        for words in examples.index
    ]
    return sorted(rows, key=lambda row: (-row["sessions"], -row["steps"], row["step"], row["kind"], row["code"]))


def evidence(run: Run, left: "pd.Series[Any]", *, at_most: int = 20) -> dict[str, list[str]]:
    """Ids of sessions to look at, by why; each list cut to the first `at_most` (the counts are in `section`)."""
    sessions = run.sessions
    found = {
        "leaked": left[left.isin(CERTAIN)].index,
        "doubtful": left[left == Left.CREATE_UNANSWERED].index,
        "unknown": left[left == Left.WORKER_LOST].index,
        "failed": sessions.index[sessions["outcome"] == Outcome.FAILED],
        "unconfirmed": sessions.index[sessions["gone"] == Gone.UNCONFIRMED],
        "unfinished": sessions.index[sessions["outcome"].isna()],
    }
    return {why: sessions.loc[numbers[:at_most], "id"].tolist() for why, numbers in found.items()}
