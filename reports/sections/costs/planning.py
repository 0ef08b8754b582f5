"""A run's journals → what `loadtest.forecast.plan` needs to know of its sessions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import Outcome
from loadtest.forecast.plan import Measured, Memory, Range
from loadtest.prices.table import Prices, over, prices
from loadtest.prices.talk import Talk
from loadtest.system import disk
from reports.data import frames, run_settings
from reports.data.frames import Run
from reports.sections.costs.talks import said, talks
from reports.sections.generator import warm_health


def measured(run_dir: Path) -> Measured:
    """Raises ConfigError where the run says too little, JournalError where it can't be read."""
    run = frames.load(run_dir).load_only()
    good = run.sessions[run.sessions["outcome"] == Outcome.OK]
    length_s = ((good["end_ns"] - good["started_ns"]) / 1e9).astype("float64")
    if len(length_s) < 2:
        raise ConfigError(f"{run_dir}: fewer than two sessions went well: nothing to plan with")
    mean, error = float(length_s.mean()), float(length_s.std(ddof=1) / np.sqrt(len(length_s)))
    health = warm_health(run)
    if not len(health):
        raise ConfigError(f"{run_dir}: too short to say what a session costs; let it run for some seconds")
    # In the seconds in which it had something to do: an idle second says nothing about sessions.
    engines = health[(health["source"] == "engine") & (health["sessions_active"] > 0)]
    active = float(engines.groupby("file")["sessions_active"].mean().sum())
    busy = health[health["t_ns"].between(engines["t_ns"].min(), engines["t_ns"].max())] if len(engines) else health
    processes = max(1, int((run.files["role"] == "load").sum()))
    return Measured(
        length_s=Range(mean, max(0.0, mean - 1.96 * error), mean + 1.96 * error),
        active=max(active, 1e-3) if len(engines) else float(len(good) * mean / max(1e-9, _span_s(run))),
        cpu_percent=float(busy.groupby("file")["cpu_percent"].mean().sum()),
        memory=_memory(run.health, processes),
        processes=processes,
        talks=_talks(run, settings_of(run_dir)),
        limit=_limit(run_dir),
    )


def prices_of(run_dir: Path, own: Mapping[str, Any]) -> Prices:
    """The table that the run was told, or ours; with these rows over it."""
    settings = settings_of(run_dir)
    return prices(over(own, {} if settings is None else settings.cost.prices))


def settings_of(run_dir: Path) -> Settings | None:
    """None where nothing can be read of them."""
    return run_settings.read(run_dir).settings


def _memory(health: pd.DataFrame, processes: int) -> Memory:
    """A line through the seconds of each engine: what it takes with no session, and for each. What the others take,
    they take whatever goes on."""
    engines = health[health["source"] == "engine"]
    others = float(health[health["source"] != "engine"].groupby("file")["rss_bytes"].max().sum())
    fixed, slopes = [], []
    for _, rows in engines.groupby("file"):
        active, rss = rows["sessions_active"].astype("float64"), rows["rss_bytes"].astype("float64")
        slope = 0.0
        if active.max() > active.min():
            # Memory is not given back: what counts is the most that so many sessions ever took.
            peaks = rss.groupby(active).max()
            slope = max(0.0, float(np.polyfit(peaks.index.to_numpy(), peaks.to_numpy(), 1)[0]))
        slopes.append(slope)
        fixed.append(max(0.0, float(rss.max()) - slope * float(active.max())))
    own = float(np.mean(fixed)) if fixed else 0.0
    return Memory(own + others / processes, float(np.mean(slopes)) if slopes else 0.0)


def _talks(run: Run, settings: Settings | None) -> tuple[tuple[float, Talk], ...]:
    """Of those that went well: which share of them had so many answers in which scenario, and their mean talk."""
    sessions = run.sessions[run.sessions["outcome"] == Outcome.OK]
    of_all = said(run).loc[sessions.index]
    found = []
    for name, of_it in of_all.groupby(sessions["scenario"].astype("str")):
        scenario = None if settings is None else settings.scenario_of(str(name))
        found += [(count / len(sessions), talk) for count, talk in talks(of_it, settings, scenario)]
    return tuple(found)


def _span_s(run: Run) -> float:
    return (run.end_ns - run.start_ns) / 1e9


def _limit(run_dir: Path) -> dict[str, Any] | None:
    """What a search found, if the run was one and its report is there."""
    try:
        found = disk.read_object(run_dir / "report.json").get("capacity")
    except (OSError, ValueError):
        return None
    match found:
        case {
            "by": str(),
            "unit": str(),
            "max_passing": None | {"level": int() | float()},
            "quota": None | {"exact": bool(), "number": int() | float(), "what": str()},
        }:
            return found
    return None
