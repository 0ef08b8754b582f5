"""A run's journals → what `loadtest.forecast.plan` needs to know of its sessions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from loadtest import journal
from loadtest.config.scenario import ANSWERED
from loadtest.config.settings import Settings
from loadtest.forecast.costing import talk_of
from loadtest.forecast.plan import Measured, Memory, Range
from loadtest.language import disk
from loadtest.language.errors import ConfigError
from loadtest.language.events import LOAD, Mark, Observed, Outcome
from loadtest.prices.table import Prices, prices
from loadtest.prices.talk import Talk
from reports.data import frames, run_settings
from reports.data.frames import Run
from reports.sections.costs.lives import lives
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
        talks=_talks(run, run_dir, settings_of(run_dir)),
        limit=_limit(run_dir),
    )


def prices_of(run_dir: Path) -> Prices:
    """The table that the run was told, or ours."""
    settings = settings_of(run_dir)
    return prices() if settings is None else settings.cost.table


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


def _talks(run: Run, run_dir: Path, settings: Settings | None) -> tuple[tuple[float, Talk], ...]:
    """Of each scenario, its share of the sessions that went well, and its mean session."""
    sessions = run.sessions[run.sessions["outcome"] == Outcome.OK]
    scenario_of = dict(zip(sessions["id"], sessions["scenario"].astype("str"), strict=True))
    lived_s = lives(run)["lived_s"]
    spoken = _speech_s(run_dir, scenario_of)
    talks = []
    for name, of_it in sessions.groupby(sessions["scenario"].astype("str")):
        turns = run.turns[run.turns["session"].isin(of_it.index) & run.turns["turn_kind"].isin(ANSWERED)]
        count = round(len(turns) / len(of_it))
        user_s, avatar_s = (seconds / len(of_it) / max(1, count) for seconds in spoken.get(str(name), (0.0, 0.0)))
        scenario = None if settings is None else settings.scenario_of(str(name))
        said, mean_s = [(user_s, avatar_s)] * count, float(lived_s[of_it.index].mean())
        if settings is None or scenario is None:
            talk = Talk(model=None, transcriber=None, turns=said, lived_s=mean_s)
        else:
            talk = talk_of(settings, scenario, said, mean_s)
        talks.append((len(of_it) / len(sessions), talk))
    return tuple(talks)


def _span_s(run: Run) -> float:
    return (run.end_ns - run.start_ns) / 1e9


def _speech_s(run_dir: Path, scenario_of: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """By scenario, how long users and avatars spoke, all sessions together: from the first voiced frame of a turn to
    the last."""
    began: dict[tuple[str, int | None, bool], int] = {}
    spoken_ns: dict[str, list[int]] = {}
    for path in journal.journals(run_dir):
        for events in journal.batches(path):
            for event in events:
                if type(event) is not Observed or event.purpose != LOAD or event.session not in scenario_of:
                    continue
                is_user = event.mark in (Mark.SPEECH_START, Mark.SPEECH_END)
                key = (event.session, event.turn, is_user)
                if event.mark in (Mark.SPEECH_START, Mark.FIRST_AUDIO):
                    began.setdefault(key, event.t_ns)
                elif event.mark in (Mark.SPEECH_END, Mark.LAST_AUDIO) and key in began:
                    sides = spoken_ns.setdefault(scenario_of[event.session], [0, 0])
                    sides[not is_user] += event.t_ns - began.pop(key)
    return {name: (user_ns / 1e9, avatar_ns / 1e9) for name, (user_ns, avatar_ns) in spoken_ns.items()}


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
