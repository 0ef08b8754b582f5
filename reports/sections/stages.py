"""Was the generator fit in each stage of the plan? As a search judges it (`loadtest.criteria.stage_health`)."""

from typing import Any

import numpy as np
import pandas as pd

from loadtest.criteria import stage_health
from loadtest.events.kinds import DropReason, Fault, GeneratorFailed, HealthSampled, IterationDropped
from reports.data.frames import Run
from reports.sections.arrivals import plan
from reports.sections.generator import warm_health
from reports.sections.sessions import active

_OPTIONAL = ("pacing_p99_ns", "pool_wait_p99_ns", "steal_percent", "open_files", "files_limit")


def section(run: Run) -> list[dict[str, Any]]:
    """`stages` of report.json: name, at_s, duration_s, users, rate, steady, and `generator` with its outcome, why, and
    what 95 % of the stage's seconds stayed under."""
    told = plan(run)
    if not len(told):
        return []
    begins_ns = told["t_ns"].astype("int64").tolist()
    health, line = warm_health(run), active(run)
    rows = []
    for (_, stage), begin_ns, end_ns in zip(told.iterrows(), begins_ns, [*begins_ns[1:], run.end_ns], strict=True):
        drops = run.drops[run.drops["due_ns"].between(begin_ns, end_ns, inclusive="left")]
        faults = run.faults[run.faults["t_ns"].between(begin_ns, end_ns, inclusive="left")]
        found = stage_health.judge(
            [_sample(row) for row in _rows(_within(health, begin_ns, end_ns))],
            faults=[
                GeneratorFailed(t_ns=row["t_ns"], fault=Fault(row["fault"]), process=row["process"])
                for row in _rows(faults)
            ],
            drops=[(_drop(row), _at(line, row["t_ns"])) for row in _rows(drops)],
            users=int(stage["users"]),
        )
        rows.append(
            {
                "name": str(stage["stage"]),
                "at_s": round((begin_ns - run.start_ns) / 1e9, 3),
                "duration_s": round((end_ns - begin_ns) / 1e9, 3),
                "users": int(stage["users"]),
                "rate": None if pd.isna(stage["rate"]) else float(stage["rate"]),
                "steady": bool(stage["steady"]),
                "generator": found.as_dict(),
            }
        )
    return rows


def _within(health: pd.DataFrame, begin_ns: int, end_ns: int) -> pd.DataFrame:
    """Samples whose second lies in the stage; a stage of less than a second has none."""
    return health[(health["t_ns"] - 1_000_000_000 >= begin_ns) & (health["t_ns"] <= end_ns)]


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _sample(row: dict[str, Any]) -> HealthSampled:
    known: dict[str, Any] = {name: None if pd.isna(row[name]) else row[name] for name in _OPTIONAL}
    for name in ("open_files", "files_limit"):
        known[name] = None if known[name] is None else int(known[name])
    return HealthSampled(
        t_ns=row["t_ns"], wall_ns=0, source=row["source"], process=row["process"], lag_p99_ns=row["lag_p99_ns"],
        lag_max_ns=row["lag_max_ns"], cpu_percent=row["cpu_percent"], rss_bytes=row["rss_bytes"],
        events_lost=row["events_lost"], **known,
    )  # fmt: skip


def _drop(row: dict[str, Any]) -> IterationDropped:
    return IterationDropped(t_ns=row["t_ns"], due_ns=row["due_ns"], scenario="", reason=DropReason(row["reason"]))


def _at(line: pd.DataFrame, t_ns: int) -> int:
    place = int(np.searchsorted(line["t_ns"], t_ns, side="right")) - 1
    return int(line["active"].iloc[place]) if place >= 0 else 0
