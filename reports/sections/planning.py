"""A run's journals → what `loadtest.capacity.plan` needs to know of its sessions."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.capacity.plan import Measured, Range
from loadtest.language import disk, journal
from loadtest.language.errors import ConfigError
from loadtest.language.events import LOAD, Mark, Observed, Outcome
from reports.data import frames
from reports.data.frames import Run
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
    per_process = health.groupby("file")
    # In the seconds in which it had something to do: an idle second says nothing about sessions.
    engines = health[(health["source"] == "engine") & (health["sessions_active"] > 0)]
    active = float(engines.groupby("file")["sessions_active"].mean().sum())
    busy = health[health["t_ns"].between(engines["t_ns"].min(), engines["t_ns"].max())] if len(engines) else health
    user_s, avatar_s = _speech_s(run_dir)
    return Measured(
        length_s=Range(mean, max(0.0, mean - 1.96 * error), mean + 1.96 * error),
        active=max(active, 1e-3) if len(engines) else float(len(good) * mean / max(1e-9, _span_s(run))),
        cpu_percent=float(busy.groupby("file")["cpu_percent"].mean().sum()),
        rss_bytes=float(per_process["rss_bytes"].max().sum()),
        processes=max(1, int((run.files["role"] == "load").sum())),
        user_speech_s=user_s / len(good),
        avatar_speech_s=avatar_s / len(good),
        turns=len(run.turns) / len(good),
        limit=_limit(run_dir),
    )


def _span_s(run: Run) -> float:
    return (run.end_ns - run.start_ns) / 1e9


def _speech_s(run_dir: Path) -> tuple[float, float]:
    """How long users and avatars spoke, all sessions together: from the first voiced frame of a turn to the last."""
    began: dict[tuple[str, int | None, bool], int] = {}
    spoken_ns = {True: 0, False: 0}
    for path in journal.journals(run_dir):
        for events in journal.batches(path):
            for event in events:
                if type(event) is not Observed or event.purpose != LOAD:
                    continue
                key = (event.session, event.turn, event.mark in (Mark.SPEECH_START, Mark.SPEECH_END))
                if event.mark in (Mark.SPEECH_START, Mark.FIRST_AUDIO):
                    began.setdefault(key, event.t_ns)
                elif event.mark in (Mark.SPEECH_END, Mark.LAST_AUDIO) and key in began:
                    spoken_ns[key[2]] += event.t_ns - began.pop(key)
    return spoken_ns[True] / 1e9, spoken_ns[False] / 1e9


def _limit(run_dir: Path) -> dict[str, Any] | None:
    """What a search found, if the run was one and its report is there."""
    try:
        report = json.loads(disk.read(run_dir / "report.json"))
    except (OSError, ValueError):
        return None
    found = report.get("capacity")
    return found if isinstance(found, dict) else None
