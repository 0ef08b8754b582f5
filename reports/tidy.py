"""A run as tidy tables: a row for each thing that was observed, documented columns, units in their names.

Ids are text, times are UTC, durations seconds; what was not observed is NA. `reports.data.frames` reads the journals.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from loadtest.config.scenario import KINDS
from loadtest.language.events import Step
from reports.data import frames, run_settings
from reports.data.frames import Run
from reports.verdict import rules as rule_rows

COLUMNS: Final[dict[str, dict[str, str]]] = {
    "sessions": {
        "session": "id, which is its trace id",
        "scenario": "name",
        "purpose": "load, or probe:RULE",
        "due_at": "when it should have begun",
        "started_at": "when it began",
        "duration_s": "to its end",
        "outcome": "ok, failed, cancelled; NA: unfinished",
        "failed_step": "step that failed",
        "kind": "kind of the failure",
        "code": "code of the failure",
        "detail": "what was said of it",
        "ended_by": "what ended it",
        "gone": "whether it was proved gone",
        "censored": "cut off by the end of the run",
        "remains": "nothing, doubtful or leaked",
    },
    "steps": {
        "session": "id",
        "scenario": "name",
        "purpose": "load, or probe:RULE",
        "step": ", ".join(Step),
        "attempt": "a delete may be tried again",
        "started_at": "when it began",
        "duration_s": "how long it took",
        "outcome": "ok, failed, cancelled",
        "kind": "kind of the failure",
        "code": "code of the failure",
        "detail": "what was said of it",
        "pool_wait_s": "waited in our own pool",
        "lag_s": "our own loop was so late",
    },
    "turns": {
        "session": "id",
        "scenario": "name",
        "purpose": "load, or probe:RULE",
        "turn": "number within the session, from 0",
        "turn_kind": ", ".join(KINDS),
        "started_at": "when it began",
        "duration_s": "how long it took",
        "outcome": "ok, failed, cancelled",
        "kind": "kind of the failure",
        "code": "code of the failure",
        "time_to_first_audio_s": "from the user's last voiced frame to the avatar's first audible one",
        "barge_in_s": "from the user's speech to the avatar's silence",
        "censored": "the avatar did not fall silent within the limit",
    },
    "rules": {
        "rule": "id in docs/contract.md",
        "group": "part of the contract",
        "outcome": "pass, fail, not_tested, characterised, waived",
        "cases": "how many were looked at",
        "violations": "how many broke it",
        "summary": "a sentence",
        "standing": "binding, assumed, open",
    },
    "secrets": {
        "session": "id",
        "scenario": "name",
        "minted_at": "when it was answered",
        "ttl_s": "lifetime asked for",
        "lives_s": "lifetime granted; NA: the clocks disagree",
        "expires_at": "by the provider's clock",
    },
    "health": {
        "at": "when it was sampled",
        "source": "engine, or hub (Locust's process)",
        "process": "number of the load process",
        "lag_p99_s": "lateness of its loop, p99 of a second",
        "lag_max_s": "the same, at most",
        "cpu_percent": "of one core",
        "rss_bytes": "memory",
        "sessions_active": "open at that moment",
        "pacing_p99_s": "lateness of sent sound",
    },
}
"""Table → column → what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The tables of a run; `COLUMNS` says what they hold."""

    sessions: pd.DataFrame
    steps: pd.DataFrame
    turns: pd.DataFrame
    rules: pd.DataFrame
    secrets: pd.DataFrame
    health: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """By name."""
        return {name: getattr(self, name) for name in COLUMNS}


def read(run_dir: Path) -> Frames:
    """All tables of a run directory. Raises JournalError, one line, where no journal can be read."""
    run = frames.load(run_dir)
    steps = run.steps[run.steps["step"] != "turn"]
    return Frames(
        sessions=_chosen("sessions", _sessions(run)),
        steps=_chosen("steps", _of_session(run, steps)),
        turns=_chosen("turns", _of_session(run, run.turns)),
        rules=_chosen("rules", _rules(run_dir)),
        secrets=_chosen("secrets", _secrets(run)),
        health=_chosen("health", _health(run)),
    )


def _utc(run: Run, stamps_ns: "pd.Series[Any]") -> "pd.Series[Any]":
    """The run's stamps as times of day."""
    wall_ns = stamps_ns.astype("Int64") + (run.wall_start_ns - run.start_ns)
    return pd.to_datetime(wall_ns, unit="ns", utc=True)


def _seconds(stamps_ns: "pd.Series[Any]") -> "pd.Series[float]":
    return stamps_ns.astype("Float64") / 1e9


def _sessions(run: Run) -> pd.DataFrame:
    rows = run.sessions
    return rows.assign(
        session=rows["id"],
        due_at=_utc(run, rows["due_ns"]),
        started_at=_utc(run, rows["started_ns"]),
        duration_s=_seconds(rows["end_ns"] - rows["started_ns"]),
    )


def _of_session(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """With the id and scenario of their session instead of its number."""
    sessions = run.sessions.loc[rows["session"]]
    return rows.assign(
        session=sessions["id"].to_numpy(),
        scenario=sessions["scenario"].to_numpy(),
        started_at=_utc(run, rows["started_ns"]),
        duration_s=_seconds(rows["t_ns"] - rows["started_ns"]),
        pool_wait_s=_seconds(rows["pool_wait_ns"]),
        lag_s=_seconds(rows["lag_ns"]),
        turn=rows["turn"].astype("Int64"),
        time_to_first_audio_s=_seconds(rows["first_audio_ns"]),
        barge_in_s=_seconds(rows["barge_in_ns"]),
    )


def _secrets(run: Run) -> pd.DataFrame:
    rows = run.secrets
    sessions = run.sessions.loc[rows["session"]]
    return rows.assign(
        session=sessions["id"].to_numpy(),
        scenario=sessions["scenario"].to_numpy(),
        minted_at=_utc(run, rows["t_ns"]),
        lives_s=rows["lives_s"].astype("Float64"),
        expires_at=pd.to_datetime(rows["expires_at_s"], unit="s", utc=True, errors="coerce"),
    )


def _health(run: Run) -> pd.DataFrame:
    rows = run.health
    return rows.assign(
        at=_utc(run, rows["t_ns"]),
        lag_p99_s=_seconds(rows["lag_p99_ns"]),
        lag_max_s=_seconds(rows["lag_max_ns"]),
        pacing_p99_s=_seconds(rows["pacing_p99_ns"]),
    )


def _rules(run_dir: Path) -> pd.DataFrame:
    rows = pd.DataFrame(rule_rows.section(run_dir, run_settings.read(run_dir)))
    return rows.rename(columns={"id": "rule"})


def _chosen(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(COLUMNS[table])].reset_index(drop=True)
