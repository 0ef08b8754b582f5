"""Open arrivals: how many were due, how many came, how far from their times; and latency from when they were due.

From due is what a user saw who came when he meant to: a target that stands still makes those wait who come meanwhile,
and a generator that waits with it would hide them (coordinated omission).
"""

from typing import Any, Final

import pandas as pd

from loadtest.events.kinds import TO_THE_ROOM, Outcome, Step
from reports.data.frames import Run
from reports.data.measures import counts, quantile, quantiles
from reports.sections.sessions import first_ok

FOREVER_NS: Final = 2**62
LOST: Final = "worker_lost"
"""Why arrivals are missing that neither became sessions nor were dropped: their load process died with them."""


def setup_from_due(run: Run) -> pd.DataFrame:
    """Sessions that were set up: value (s from when they were due to connect's end) and t_ns (connect's end)."""
    return _from_due(run, first_ok(run, Step.CONNECT)["t_ns"])


def first_step_from_due(run: Run) -> pd.DataFrame:
    """The same to the end of their first step: the mint, or the create where a backend mints."""
    first = run.steps[run.steps["step"].isin(TO_THE_ROOM)].drop_duplicates("session").set_index("session")
    return _from_due(run, first.loc[first["outcome"] == Outcome.OK, "t_ns"])


def _from_due(run: Run, ended_ns: "pd.Series[Any]") -> pd.DataFrame:
    due_ns = run.sessions["due_ns"].reindex(ended_ns.index)
    return pd.DataFrame({"t_ns": ended_ns, "value": ((ended_ns - due_ns) / 1e9).astype("float64")})


def latencies(run: Run) -> dict[str, Any]:
    """For `sessions` of report.json: setup_from_due and first_step_from_due. `censored`: cut off by the end of the run
    before they were set up; they have no number, and would have had a long one."""
    setup = setup_from_due(run)
    cut = run.sessions[run.sessions["censored"] | run.sessions["outcome"].isna()]
    return {
        "setup_from_due": {
            "count": len(setup),
            "censored": int((~cut.index.isin(setup.index)).sum()),
            **quantiles(setup["value"]),
        },
        "first_step_from_due": (lambda rows: {"count": len(rows), **quantiles(rows["value"])})(
            first_step_from_due(run)
        ),
    }


def plan(run: Run) -> pd.DataFrame:
    """The stages as one process told them; all tell the same."""
    return run.stages[run.stages["file"] == run.stages["file"].min()] if len(run.stages) else run.stages


def _came(run: Run) -> pd.DataFrame:
    """The sessions that are arrivals: all but those of callers who call again."""
    return run.sessions[~run.sessions["again"]]


def unaccounted(run: Run) -> int:
    """Arrivals that were due and of which no journal says what became of them. A run that ended early is not asked: an
    engine that has lost its load process ends early, but the run goes on."""
    told = plan(run)
    ends = run.files.loc[run.files["role"] != "engine", "finish"].dropna()
    if not len(told) or told["arrivals"].isna().any() or not len(ends) or not (ends == "completed").all():
        return 0
    return max(0, int(told["arrivals"].sum()) - len(_came(run)) - len(run.drops))


def section(run: Run, *, planned_s: float | None = None) -> dict[str, Any] | None:
    """`arrivals` of report.json; None for a closed population. `planned_s`: length of the plan, where it is known.

    scheduled: due over the whole run (null where that was not planned ahead). planned_per_s, achieved_per_s: over the
    steady stages. due_error: how much later than due sessions started; seconds.
    """
    told = plan(run)
    if not len(told) or told["rate"].isna().all():
        return None
    came = _came(run)
    late_s = ((came["started_ns"] - came["due_ns"]).dropna() / 1e9).astype("float64")
    scheduled = None if told["arrivals"].isna().any() else int(told["arrivals"].sum())
    planned, achieved = _rates(run, told, planned_s)
    return {
        "scheduled": scheduled,
        "started": len(came),
        "dropped": len(run.drops) + unaccounted(run),
        "dropped_by": counts(run.drops["reason"]) | ({LOST: lost} if (lost := unaccounted(run)) else {}),
        "planned_per_s": planned,
        "achieved_per_s": achieved,
        "due_error": {"p50_s": quantile(late_s, 0.5), "p99_s": quantile(late_s, 0.99), "max_s": quantile(late_s, 1.0)},
    }


def _rates(run: Run, told: pd.DataFrame, planned_s: float | None) -> tuple[float | None, float | None]:
    """Arrivals and starts per second of the steady stages. The last one ends with the plan, or where its length isn't
    known with the last thing that was due."""
    sessions = _came(run)
    due_ns = pd.concat([sessions["due_ns"].dropna(), run.drops["due_ns"]]).astype("int64")
    starts = sessions["started_ns"].dropna().astype("int64")
    if not len(due_ns):
        return None, None
    begins_ns = told["t_ns"].astype("int64").tolist()
    plan_ends_ns = None if planned_s is None else begins_ns[0] + round(planned_s * 1e9)
    ends_ns = [*begins_ns[1:], plan_ends_ns]
    length_s = arrivals = came = 0.0
    for (_, stage), end_ns in zip(told.iterrows(), ends_ns, strict=True):
        if not stage["steady"]:
            continue
        begin_ns = int(stage["t_ns"])
        expected = stage["arrivals"]
        inside = due_ns[(due_ns >= begin_ns) & (due_ns < (end_ns or FOREVER_NS))]
        if end_ns is None:
            gap_ns = (int(inside.max()) - begin_ns) / max(1, len(inside) - 1) if len(inside) > 1 else 1e9
            end_ns = int(inside.max() + gap_ns) if len(inside) else begin_ns
        length_s += (end_ns - begin_ns) / 1e9
        arrivals += float(expected) if pd.notna(expected) else len(inside)
        came += float(((starts >= begin_ns) & (starts < end_ns)).sum())
    if not length_s:
        return None, None
    return round(arrivals / length_s, 6), round(came / length_s, 6)
