"""Was the instrument itself healthy? Asked before any number is read: valid, suspect or invalid.

Health comes a sample a second from each process. A run's figure is the 95th percentile of its seconds, without each
process's first two: one second of garbage collection must not void an hour, one in twenty must. What a bad second did
to the numbers is judged apart and exactly, by how late the steps' own ends were stamped.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.stage_health import (
    FILES_SHARE,
    IDLE_SHARE,
    INVALID_LAG_NS,
    INVALID_POOL_NS,
    OF_ITS_STAGE,
    SECONDS_SHARE,
    SUSPECT_CPU_PERCENT,
    SUSPECT_LAG_NS,
    SUSPECT_PACING_NS,
    SUSPECT_POOL_NS,
    SUSPECT_STEAL_PERCENT,
)
from loadtest.criteria.words import amount, asked, plural
from loadtest.errors.causes import LIMITS
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Fault
from loadtest.events.vocabulary import USED_UP
from loadtest.journal import PassedOver
from reports.data.frames import Run
from reports.data.measures import counts, quantile, seconds
from reports.sections.sessions import active

WARM_UP_S: Final = 2.0
_SHOWN: Final = 5

SUSPECT_ENGINE_LAG_S: Final = SUSPECT_LAG_NS / 1e9
INVALID_ENGINE_LAG_S: Final = INVALID_LAG_NS / 1e9
SUSPECT_POOL_WAIT_S: Final = SUSPECT_POOL_NS / 1e9
INVALID_POOL_WAIT_S: Final = INVALID_POOL_NS / 1e9
SUSPECT_PACING_S: Final = SUSPECT_PACING_NS / 1e9
SUSPECT_STOP_S: Final = 1.0
"""An engine that stood still for longer, even once, let callers fall silent and deadlines pass; a load process let
nobody begin."""

_LOAD_ROLES: Final = ("engine", "load", "master")
_FAULTS: Final = {
    Fault.ENGINE_DIED: "an engine died",
    Fault.WORKER_LOST: "a worker was lost",
    Fault.EVENTS_LOST: "events were lost before they reached a journal",
    Fault.DRAIN_TIMEOUT: "sessions in flight did not end in their time",
    Fault.JOURNAL_MISSING: "a journal of another host is missing or not whole",
    Fault.DISK_FULL: "disk full: the run was stopped and its sessions deleted",
    Fault.SLEPT: "a machine of the run slept",
    Fault.BUG: "a bug of avaload itself: sessions are missing from the load",
}
"""Faults that make a run invalid, in words. SINK_FAILED costs a view, not the truth: it only counts."""


def section(run: Run, *, missing: Sequence[str] = (), probed: bool = False, searched: bool = False) -> dict[str, Any]:
    """`generator` of report.json; invalid_because and suspect_because are sentences, the worst first.

    engine_lag_p99_s, hub_lag_p99_s, pacing_error_p99_s: what 99 % of a second stayed under, in 95 % of the seconds.
    stamp_lag_p99_s: how late the ends of steps were stamped. pool_wait_p99_s: over the calls. `…_max`: true maxima.
    `missing`: journals that should be there, in words. `probed`: active checks ran, so there may be no load session.
    `searched`: what spoils a stage alone is left out, for the stages of a search say it themselves.
    """
    warm = warm_health(run)
    engine, hub = warm[warm["source"] == "engine"], warm[warm["source"] == "hub"]
    lost = int(run.health["events_lost"].sum())
    sink_faults = int((run.faults["fault"] == Fault.SINK_FAILED).sum())
    figures: dict[str, Any] = {
        "hub_lag_p99_s": _sustained_s(hub["lag_p99_ns"]),
        "hub_lag_max_s": quantile(seconds(hub["lag_max_ns"]), 1.0),
        "engine_lag_p99_s": _sustained_s(engine["lag_p99_ns"]),
        "engine_lag_max_s": quantile(seconds(engine["lag_max_ns"]), 1.0),
        "stamp_lag_p99_s": quantile(seconds(run.steps["lag_ns"]), 0.99),
        "pacing_error_p99_s": _sustained_s(engine["pacing_p99_ns"]),
        "pool_wait_p99_s": _pool_wait_s(run, engine),
        "gc_pause_max_s": quantile(seconds(warm["gc_pause_max_ns"]), 1.0),
        "start_lateness_p99_s": _start_lateness_s(run),
        "cpu_percent_max": quantile(warm["cpu_percent"], 1.0),
        "cpu_percent_p95": quantile(warm["cpu_percent"], SECONDS_SHARE),
        "rss_bytes_max": _whole(warm["rss_bytes"].max()),
        "steal_percent_p95": quantile(warm["steal_percent"].dropna(), SECONDS_SHARE),
        "open_files_max": _whole(warm["open_files"].max()),
        "open_files_limit": _whole(warm["files_limit"].min()),
        "sink_errors": sink_faults + lost,
        "events_lost": lost,
        "faults": counts(run.faults["fault"]),
        "truncated": _truncated(run),
    }
    strained = [] if searched else _strained(run, figures)
    invalid = [*_broken(run, figures, searched=searched), *strained, *missing, *_unread(run.passed_over)]
    suspect = _suspect_because(run, figures)
    if not len(run.sessions) and not probed:
        invalid.insert(0, "no session was started")
    return {
        "outcome": "invalid" if invalid else "suspect" if suspect else "valid",
        **figures,
        "invalid_because": invalid,
        "suspect_because": suspect,
    }


def warm_health(run: Run) -> pd.DataFrame:
    """The samples of processes that have found their feet."""
    born_ns = run.health["file"].map(run.files["started_ns"])
    return run.health[run.health["t_ns"] - born_ns >= WARM_UP_S * 1e9]


def _sustained_s(per_second_ns: "pd.Series[Any]") -> float | None:
    return quantile(seconds(per_second_ns), SECONDS_SHARE)


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _pool_wait_s(run: Run, engine: pd.DataFrame) -> float | None:
    """Exact, from the calls; where no call says it, from the seconds."""
    exact = quantile(seconds(run.steps["pool_wait_ns"]), 0.99)
    return _sustained_s(engine["pool_wait_p99_ns"]) if exact is None else exact


def _start_lateness_s(run: Run) -> float | None:
    return quantile(seconds(run.sessions["started_ns"] - run.sessions["due_ns"]), 0.99)


def _truncated(run: Run) -> list[str]:
    """Names of the journals without a last word. A sweep's journal is no part of the measurement."""
    truncated = run.truncated
    return [str(name) for name in truncated[truncated["role"].isin(_LOAD_ROLES)]["name"]]


def _broken(run: Run, figures: dict[str, Any], *, searched: bool) -> list[str]:
    """What is missing from a run, whatever its figures are. In a search, an engine that died did so in one stage."""
    because: list[str] = []
    for fault, words in _FAULTS.items():
        if searched and fault in OF_ITS_STAGE:
            continue
        found = run.faults[run.faults["fault"] == fault]
        if len(found):
            detail = next((f" ({text})" for text in found["detail"].dropna() if text), "")
            times = "" if fault in (Fault.DISK_FULL, Fault.SLEPT) else _times(len(found))  # each process says it
            because.append(f"{words}{times}{detail}")
    engines = set(run.files[run.files["role"] == "engine"]["name"]) if searched else set()
    if truncated := [name for name in figures["truncated"] if name not in engines]:
        names = ", ".join(truncated[:3]) + (" …" if len(truncated) > 3 else "")
        faults = set(run.faults["fault"])
        cause = "their disk was full" if Fault.DISK_FULL in faults else "their process was killed"
        cause = "their process failed" if Fault.BUG in faults else cause
        words = "still being written" if run.being_written else f"cut short because {cause}"
        because.append(f"journals {words}: {len(truncated)} of {len(run.files)} ({names})")
    orphans = int((run.files["finish"] == "orphaned").sum())
    if orphans:
        because.append(f"an engine lost its load process{_times(orphans)} and stopped early")
    bugs = int((run.sessions["kind"] == Kind.BUG).sum())
    if bugs:
        because.append(f"{plural(bugs)} hit a bug of avaload itself")
    return because


def _strained(run: Run, figures: dict[str, Any]) -> list[str]:
    """What the generator could not carry."""
    because = _own_limits(run)
    because += _above(figures, "engine_lag_p99_s", "event loop lag", INVALID_ENGINE_LAG_S)
    because += _above(figures, "stamp_lag_p99_s", "lateness of our own time stamps", INVALID_ENGINE_LAG_S)
    because += _above(figures, "pool_wait_p99_s", "waiting for our own connections", INVALID_POOL_WAIT_S)
    return because


def _own_limits(run: Run) -> list[str]:
    """Limits of our own machine by name: those that sessions met, the most frequent first, and all others."""
    sessions = run.sessions[run.sessions["kind"] == Kind.OWN_LIMIT]
    told = run.faults[run.faults["fault"] == Fault.OWN_LIMIT]["detail"].dropna()
    because = []
    for code, count in counts(sessions["code"]).items():
        name = LIMITS[Code(code)]
        of_it = told.str.startswith(name)
        because.append(f"a limit of this machine: {name}, met by {plural(count)}{_first(told[of_it])}")
        told = told[~of_it]
    return because + [f"a limit of this machine: {detail}" for detail in dict.fromkeys(told)]


def _first(details: "pd.Series[Any]") -> str:
    return next((f" ({text})" for text in details), "")


def _suspect_because(run: Run, figures: dict[str, Any]) -> list[str]:
    because: list[str] = []
    because += _above(figures, "engine_lag_p99_s", "event loop lag", SUSPECT_ENGINE_LAG_S, INVALID_ENGINE_LAG_S)
    because += _above(
        figures, "stamp_lag_p99_s", "lateness of our own time stamps", SUSPECT_ENGINE_LAG_S, INVALID_ENGINE_LAG_S
    )
    because += _above(
        figures, "pool_wait_p99_s", "waiting for our own connections", SUSPECT_POOL_WAIT_S, INVALID_POOL_WAIT_S
    )
    because += _above(figures, "pacing_error_p99_s", "lateness of sent audio", SUSPECT_PACING_S)
    for name, what in (("engine_lag_max_s", "an engine"), ("hub_lag_max_s", "a load process")):
        stopped_s = figures[name]
        if stopped_s is not None and stopped_s > SUSPECT_STOP_S:
            because.append(f"{what} stood still for {amount(stopped_s, SECONDS, SUSPECT_STOP_S)}")
    cpu = figures["cpu_percent_p95"]
    if cpu is not None and cpu > SUSPECT_CPU_PERCENT:
        because.append(f"a process used {cpu:.0f} % of a core or more in one second of twenty")
    steal = figures["steal_percent_p95"]
    if steal is not None and steal > SUSPECT_STEAL_PERCENT:
        because.append(f"{steal:.0f} % of the machine's CPU time went to other guests")
    files, limit = figures["open_files_max"], figures["open_files_limit"]
    if files is not None and limit is not None and files > FILES_SHARE * limit:
        because.append(f"{files:,} of {limit:,} open files")
    if figures["sink_errors"]:
        lost = plural(figures["sink_errors"], "event")
        because.append(f"{lost} or batches did not reach a live view (the journals have them)")
    idle = _drops_while_idle(run)
    if idle:
        because.append(f"{plural(idle, 'iteration')} dropped while the target was not busy")
    return because


def _above(figures: dict[str, Any], name: str, words: str, bound_s: float, other_bound_s: float = np.inf) -> list[str]:
    value_s = figures[name]
    if value_s is None or not bound_s < value_s <= other_bound_s:
        return []
    return [f"{words}: p99 {amount(value_s, SECONDS, bound_s)}, more than {asked(bound_s, SECONDS)}"]


def _drops_while_idle(run: Run) -> int:
    """Drops that the plan didn't ask for, at moments when few of the stage's users were in a session."""
    ours = run.drops[~run.drops["reason"].isin(USED_UP)]
    if not len(ours):
        return 0
    line = active(run)
    at = np.searchsorted(line["t_ns"], ours["t_ns"], side="right") - 1
    busy = np.where(at >= 0, line["active"].to_numpy()[at], 0) if len(line) else np.zeros(len(ours))
    stage = np.searchsorted(run.stages["t_ns"], ours["t_ns"], side="right") - 1
    users = np.where(stage >= 0, run.stages["users"].to_numpy()[stage], 0) if len(run.stages) else np.zeros(len(ours))
    return int(((busy == 0) | (busy < IDLE_SHARE * users)).sum())


def _unread(passed: PassedOver) -> list[str]:
    """A sentence for what was passed over, if anything was."""
    if not passed.count:
        return []
    rest = passed.count - len(passed.first[:_SHOWN])
    shown = "; ".join(passed.first[:_SHOWN]) + (f"; and {rest} more" if rest else "")
    return [f"passed over in the journals, since it can't be read: {shown}"]


def _times(count: int) -> str:
    return "" if count == 1 else f" ({count} times)"
