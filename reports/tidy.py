"""A run as tidy tables: a row for each thing that was observed, documented columns, units in their names.

Ids are text, times are UTC, durations seconds; what was not observed is NA. `reports.data.frames` reads the journals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from loadtest.config.keys.scenario import KINDS
from loadtest.config.run_dir import Written
from loadtest.criteria.words import plural
from loadtest.events.kinds import STEPS, AnswerEnd, Step
from reports.data import frames, run_settings
from reports.data.frames import Run
from reports.sections import hosts
from reports.verdict import rules as rule_rows

TEXT: Final = "str"
NAME: Final = "category"
TIME: Final = "datetime64[ns, UTC]"
FIGURE: Final = "Float64"
NUMBER: Final = "Int64"
FLAG: Final = "bool"


class Column(NamedTuple):
    """What a column holds. `dtype` is pandas' name: `category` is a text of which there are few."""

    dtype: str
    holds: str


COLUMNS: Final[dict[str, dict[str, Column]]] = {
    "sessions": {
        "session": Column(TEXT, "id, which is its trace id"),
        "scenario": Column(NAME, "name"),
        "purpose": Column(NAME, "load, or probe:RULE"),
        "due_at": Column(TIME, "when it should have begun"),
        "started_at": Column(TIME, "when it began"),
        "duration_s": Column(FIGURE, "to its end; NA: unfinished"),
        "outcome": Column(NAME, "ok, failed, cancelled; NA: unfinished"),
        "failed_step": Column(NAME, "step that failed"),
        "kind": Column(NAME, "kind of the failure"),
        "code": Column(NAME, "code of the failure"),
        "detail": Column(TEXT, "what was said of it"),
        "ended_by": Column(NAME, "what ended it"),
        "gone": Column(NAME, "whether it was proved gone"),
        "censored": Column(FLAG, "cut off by the end of the run"),
        "remains": Column(NAME, "nothing, doubtful or leaked"),
    },
    "steps": {
        "session": Column(TEXT, "id"),
        "scenario": Column(NAME, "name"),
        "purpose": Column(NAME, "load, or probe:RULE"),
        "step": Column(NAME, ", ".join(STEPS)),
        "attempt": Column(NUMBER, "a delete may be tried again"),
        "started_at": Column(TIME, "when it began"),
        "duration_s": Column(FIGURE, "how long it took"),
        "outcome": Column(NAME, "ok, failed, cancelled"),
        "kind": Column(NAME, "kind of the failure"),
        "code": Column(NAME, "code of the failure"),
        "detail": Column(TEXT, "what was said of it"),
        "pool_wait_s": Column(FIGURE, "waited in our own pool"),
        "lag_s": Column(FIGURE, "our own loop was so late"),
    },
    "turns": {
        "session": Column(TEXT, "id"),
        "scenario": Column(NAME, "name"),
        "purpose": Column(NAME, "load, or probe:RULE"),
        "turn": Column(NUMBER, "number within the session, from 0"),
        "turn_kind": Column(NAME, ", ".join(KINDS)),
        "started_at": Column(TIME, "when it began"),
        "duration_s": Column(FIGURE, "how long it took"),
        "outcome": Column(NAME, "ok, failed, cancelled"),
        "kind": Column(NAME, "kind of the failure"),
        "code": Column(NAME, "code of the failure"),
        "time_to_first_audio_s": Column(FIGURE, "from the user's last voiced frame to the avatar's first audible one"),
        "barge_in_s": Column(FIGURE, "from the user's speech to the avatar's silence"),
        "line_s": Column(FIGURE, "what the caller's own line added, both ways; in no other column"),
        "censored": Column(FLAG, "the avatar did not fall silent within the limit"),
        "dead_air_s": Column(FIGURE, "longest silence inside the answer; 0: none of 240 ms"),
        "answer": Column(NAME, ", ".join(AnswerEnd)),
        "talk_over_s": Column(FIGURE, "both were heard at once for so long"),
        "unasked": Column(NUMBER, "answers to nobody since the turn before"),
        "clip": Column(NAME, "what the user said, by its name"),
        "language": Column(NAME, "in which it was said; NA: not told"),
    },
    "rules": {
        "rule": Column(TEXT, "id in docs/contract.md"),
        "group": Column(NAME, "part of the contract"),
        "outcome": Column(NAME, "pass, fail, not_tested, characterised, waived"),
        "cases": Column(NUMBER, "how many were looked at"),
        "violations": Column(NUMBER, "how many broke it"),
        "summary": Column(TEXT, "a sentence"),
        "standing": Column(NAME, "binding, assumed, open"),
    },
    "secrets": {
        "session": Column(TEXT, "id"),
        "scenario": Column(NAME, "name"),
        "minted_at": Column(TIME, "when it was answered"),
        "ttl_s": Column(FIGURE, "lifetime asked for"),
        "lives_s": Column(FIGURE, "lifetime granted; NA: the clocks disagree"),
        "expires_at": Column(TIME, "by the provider's clock"),
    },
    "health": {
        "at": Column(TIME, "when it was sampled"),
        "source": Column(NAME, "engine, or hub (Locust's process)"),
        "process": Column(NUMBER, "number of the load process"),
        "lag_p99_s": Column(FIGURE, "lateness of its loop, p99 of a second"),
        "lag_max_s": Column(FIGURE, "the same, at most"),
        "cpu_percent": Column(FIGURE, "of one core"),
        "rss_bytes": Column(NUMBER, "memory"),
        "sessions_active": Column(NUMBER, "open at that moment"),
        "pacing_p99_s": Column(FIGURE, "lateness of sent sound"),
    },
}
"""Table → column → what it holds."""
ROWS: Final = {
    "sessions": "session, with its outcome and what it left behind",
    "steps": "step of a session, a repeated delete included",
    "turns": "turn of a conversation",
    "rules": "rule of the contract",
    "secrets": "client secret",
    "health": "second of each of our own processes",
}
"""What each has a row for."""
_NAMED: Final = 3
"""So many of the journals that lack their end are named."""
_DTYPES: Final = {table: {name: each.dtype for name, each in columns.items()} for table, columns in COLUMNS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The tables of a run; `COLUMNS` says what they hold. `gaps`: why they don't hold all of it, a sentence each."""

    sessions: pd.DataFrame
    steps: pd.DataFrame
    turns: pd.DataFrame
    rules: pd.DataFrame
    secrets: pd.DataFrame
    health: pd.DataFrame
    gaps: Sequence[str] = ()

    def tables(self) -> dict[str, pd.DataFrame]:
        """By name."""
        return {name: getattr(self, name) for name in COLUMNS}


def read(run_dir: Path) -> Frames:
    """All tables of a run directory. Raises JournalError, one line, where no journal can be read, and ConfigError for
    broken settings."""
    run = frames.load(run_dir)
    written = run_settings.read(run_dir)
    files = hosts.files(run, hosts.section(run_dir), processes=run_settings.processes(written.settings))
    steps = run.steps[run.steps["step"] != Step.TURN]
    return Frames(
        sessions=_chosen("sessions", _sessions(run)),
        steps=_chosen("steps", _of_session(run, steps)),
        turns=_chosen("turns", _of_session(run, run.turns)),
        rules=_chosen("rules", _rules(run_dir, written)),
        secrets=_chosen("secrets", _secrets(run)),
        health=_chosen("health", _health(run)),
        gaps=tuple(_gaps(run, files)),
    )


def _gaps(run: Run, files: dict[str, Any]) -> Iterator[str]:
    """Why the tables don't hold all of the run. `files`: of `hosts.files`."""
    truncated = files["truncated"]
    if run.being_written:
        yield "the run is still being written: more will follow"
    elif truncated:
        names = ", ".join(truncated[:_NAMED]) + (" …" if len(truncated) > _NAMED else "")
        yield f"journals without their writer's last word: {len(truncated)} of {len(run.files)} ({names})"
    yield from files["missing"]
    if run.away:
        yield f"journals of other hosts are not all here: up to {plural(len(run.away))} went on there"
    if unread := run.passed_over.line():
        yield unread


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
        duration_s=_seconds((rows["end_ns"] - rows["started_ns"]).mask(rows["outcome"].isna())),
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
        dead_air_s=_seconds(rows["dead_air_ns"]),
        talk_over_s=_seconds(rows["talk_over_ns"]),
        line_s=_seconds(rows["line_ns"]),
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


def _rules(run_dir: Path, written: Written) -> pd.DataFrame:
    rows = pd.DataFrame(rule_rows.section(run_dir, written))
    return rows.rename(columns={"id": "rule"})


def _chosen(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(COLUMNS[table])].reset_index(drop=True).astype(_DTYPES[table])
