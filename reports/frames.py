"""Journals → a few typed pandas frames, in one pass. Everything else in `reports` reads these and nothing else.

Stamps (`…_ns`) are on one time base for the whole run (`reports.clocks`); `Run.since_start_s` makes plot times of them.
Closed sets are categories; what was not observed is a gap (NA), never zero.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pandas as pd

from loadtest import journal
from loadtest.events import (
    LOAD,
    Event,
    GeneratorFailed,
    GoneChecked,
    HealthSampled,
    IterationDropped,
    Observed,
    Remains,
    RemainsChanged,
    RunAborted,
    RunFinished,
    RunStarted,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    StageStarted,
    StepFinished,
)
from reports.clocks import Anchors

SWEEP: Final = "sweep"
"""Role of the files that `avaload sweep` adds afterwards; they settle sessions and are no part of the run's time."""

NS: Final = "int64"
MAYBE_NS: Final = "Int64"
WORD: Final = "category"
TEXT: Final = "str"
_FAILURE: Final = {"failed_step": WORD, "kind": WORD, "code": WORD, "detail": TEXT}

_COLUMNS: Final[dict[type, dict[str, str]]] = {
    SessionStarted: {
        "t_ns": NS, "session": TEXT, "purpose": WORD, "scenario": WORD, "user": "int64", "due_ns": NS,
    },
    SessionFinished: {
        "t_ns": NS, "session": TEXT, "purpose": WORD, "scenario": WORD, "started_ns": NS, "due_ns": NS,
        "outcome": WORD, "ended_by": WORD, "gone": WORD, "censored": "bool", **_FAILURE,
    },
    StepFinished: {
        "t_ns": NS, "session": TEXT, "purpose": WORD, "step": WORD, "started_ns": NS, "outcome": WORD,
        "turn": "Int64", "attempt": "int64", "http_status": "Int64", "server_ns": MAYBE_NS,
        "pool_wait_ns": MAYBE_NS, "lag_ns": MAYBE_NS, "first_audio_ns": MAYBE_NS,
        "turn_kind": WORD, "barge_in_ns": MAYBE_NS, "censored": "bool", **_FAILURE,
    },
    Observed: {"t_ns": NS, "session": TEXT, "purpose": WORD, "mark": WORD, "turn": "Int64", "lag_ns": MAYBE_NS},
    SecretMinted: {
        "t_ns": NS, "session": TEXT, "purpose": WORD, "fingerprint": TEXT, "ttl_s": "int64",
        "expires_at_s": "int64", "wall_ns": NS,
    },
    RemainsChanged: {
        "t_ns": NS, "session": TEXT, "purpose": WORD, "remains": WORD, "reason": WORD, "avaturn_session_id": TEXT,
    },
    GoneChecked: {
        "t_ns": NS, "session": TEXT, "purpose": WORD, "gone": WORD, "deleted_ns": NS, "looks": "int64",
        "http_status": "Int64",
    },
    StageStarted: {"t_ns": NS, "stage": TEXT, "users": "int64", "steady": "bool"},
    IterationDropped: {"t_ns": NS, "purpose": WORD, "due_ns": NS, "scenario": WORD, "reason": WORD},
    HealthSampled: {
        "t_ns": NS, "source": WORD, "process": "int64", "lag_p99_ns": NS, "lag_max_ns": NS,
        "cpu_percent": "float64", "rss_bytes": "int64", "sessions_active": "int64", "pacing_p99_ns": MAYBE_NS,
        "pool_wait_p99_ns": MAYBE_NS, "gc_pause_max_ns": MAYBE_NS, "events_lost": "int64",
    },
    GeneratorFailed: {"t_ns": NS, "fault": WORD, "process": "int64", "detail": TEXT},
    RunAborted: {
        "t_ns": NS, "slo": TEXT, "indicator": TEXT, "count": "int64", "beyond": "int64", "window_s": "float64",
    },
}  # fmt: skip
"""Event → columns of its frame, named and typed as in `loadtest.events`, a failure flattened. `file` comes on top."""

_DURATIONS: Final = ("server_ns", "pool_wait_ns", "lag_ns", "first_audio_ns", "barge_in_ns", "lag_p99_ns", "lag_max_ns",
                     "pacing_p99_ns", "pool_wait_p99_ns", "gc_pause_max_ns", "wall_ns")  # fmt: skip
"""Columns in ns that are no stamps of the monotonic clock: never shifted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as frames. A row per event, except `sessions` (a row per session, indexed by its id) and `files`.

    files: name, role, host, process, incarnation, last_ns, finish (reason of RunFinished; NA: truncated).
    sessions: purpose, scenario, started_ns, due_ns, outcome (NA: unfinished), failed_step, kind, code, detail,
    ended_by, gone, censored, end_ns (its end, or the last word of its engine), remains and reason (the last word),
    avaturn_session_id. `end_ns` of the run is the last thing that happened in it; a later sweep doesn't count.
    """

    run_id: str
    scenario: str
    wall_start_ns: int
    start_ns: int
    end_ns: int
    being_written: bool
    files: pd.DataFrame
    sessions: pd.DataFrame
    steps: pd.DataFrame
    marks: pd.DataFrame
    secrets: pd.DataFrame
    remains: pd.DataFrame
    looks: pd.DataFrame
    stages: pd.DataFrame
    drops: pd.DataFrame
    health: pd.DataFrame
    faults: pd.DataFrame
    aborts: pd.DataFrame

    @property
    def turns(self) -> pd.DataFrame:
        """The rows of `steps` that are turns of a conversation."""
        return self.steps[self.steps["step"] == "turn"]

    @property
    def truncated(self) -> pd.DataFrame:
        """The files whose writer never said its last word."""
        return self.files[self.files["finish"].isna()]

    def since_start_s(self, t_ns: "pd.Series[Any]") -> "pd.Series[float]":
        """Stamps as seconds after the run's start."""
        return (t_ns - self.start_ns) / 1e9

    def load_only(self) -> "Run":
        """Without the sessions that were made to provoke something: what service levels read."""

        def load(rows: pd.DataFrame) -> pd.DataFrame:
            return rows[rows["purpose"] == LOAD]

        sessions = load(self.sessions)
        return replace(
            self,
            sessions=sessions,
            steps=load(self.steps),
            marks=load(self.marks),
            secrets=load(self.secrets),
            # A sweep doesn't know why a session was made: its rows carry the default purpose.
            remains=self.remains[self.remains["session"].isin(sessions.index)],
            looks=load(self.looks),
            drops=load(self.drops),
        )


def load(run_dir: Path) -> Run:
    """All journals of a run directory.

    Raises JournalError, one line: no journals there, not ours, of another schema, or of more than one run.
    """
    # Asked first: a writer that finishes while we read leaves whole files, never a "truncated" one that isn't.
    being_written = not journal.wait_until_closed(run_dir, timeout_s=0)
    rows: dict[type, list[tuple[Any, ...]]] = {cls: [] for cls in _COLUMNS}
    anchors = Anchors()
    files: list[tuple[Any, ...]] = []
    first: RunStarted | None = None
    for path in sorted(journal.paths(run_dir), key=lambda path: SWEEP in path.name):
        if (file := _read(path)) is None:
            continue
        started = file.started
        if started.role != SWEEP:  # a sweep of a copied directory may call the run by the directory's new name
            first = first or started
            if started.run_id != first.run_id:
                raise journal.JournalError(f"{path.name}: belongs to run {started.run_id}, not to {first.run_id}")
        anchors.add(started, [event for event in file.events if isinstance(event, HealthSampled)])
        number = len(files)
        for event in file.events:
            if (kept := rows.get(type(event))) is not None:
                kept.append((*_ROW[type(event)](event), number))
        last = file.events[-1]
        finish = last.reason if isinstance(last, RunFinished) else None
        files.append(
            (path.name, started.role, started.host, started.boot_id, started.process, started.incarnation,
             started.t_ns, last.t_ns, finish)
        )  # fmt: skip
    if first is None:
        raise journal.JournalError(f"{run_dir}: holds no journal; is it a run directory?")

    table = pd.DataFrame(
        files, columns=["name", "role", "host", "boot_id", "process", "incarnation", "started_ns", "last_ns", "finish"]
    ).astype({"finish": TEXT})
    shift_ns = pd.Series([anchors.shift_ns((host, boot)) for host, boot in zip(table.host, table.boot_id, strict=True)])
    table[["started_ns", "last_ns"]] = table[["started_ns", "last_ns"]].add(shift_ns, axis=0)
    frames = {cls: _frame(columns, rows.pop(cls), shift_ns) for cls, columns in _COLUMNS.items()}
    start_ns = int(table["started_ns"].min())
    return Run(
        run_id=first.run_id,
        scenario=first.scenario,
        wall_start_ns=start_ns + anchors.wall_offset_ns((first.host, first.boot_id)),
        start_ns=start_ns,
        end_ns=_end_ns(frames, start_ns),
        being_written=being_written,
        files=table,
        sessions=_sessions(frames, table),
        steps=frames[StepFinished],
        marks=frames[Observed],
        secrets=frames[SecretMinted],
        remains=frames[RemainsChanged].sort_values("t_ns", kind="stable"),
        looks=frames[GoneChecked],
        stages=frames[StageStarted].sort_values("t_ns"),
        drops=frames[IterationDropped],
        health=frames[HealthSampled],
        faults=frames[GeneratorFailed],
        aborts=frames[RunAborted],
    )


def _read(path: Path) -> journal.JournalFile | None:
    """None for a file whose writer was killed before its first line was whole."""
    with path.open("rb") as file:
        if not file.readline().endswith(b"\n"):
            return None
    try:
        return journal.read(path)
    except journal.JournalError as error:
        text = str(error)
        raise journal.JournalError(text if text.startswith(path.name) else f"{path.name}: {text}") from error


def _row(cls: type, columns: Iterable[str]) -> Callable[[Event], tuple[Any, ...]]:
    """What takes an event apart, in the order of its columns."""
    if "kind" not in columns:
        return attrgetter(*columns)
    plain = attrgetter(*(column for column in columns if column not in _FAILURE))

    def with_failure(event: Event) -> tuple[Any, ...]:
        assert isinstance(event, StepFinished | SessionFinished)
        failure = event.failure
        if failure is None:
            return (*plain(event), None, None, None, None)
        return (*plain(event), failure.step, failure.kind, failure.code, failure.detail)

    return with_failure


_ROW: Final = {cls: _row(cls, columns) for cls, columns in _COLUMNS.items()}


def _frame(columns: dict[str, str], rows: list[tuple[Any, ...]], shift_ns: "pd.Series[int]") -> pd.DataFrame:
    dtypes = {**columns, "file": "int64"}
    frame = pd.DataFrame(
        {name: _column([row[place] for row in rows], dtype) for place, (name, dtype) in enumerate(dtypes.items())}
    )
    if shift_ns.any():
        shift = frame["file"].map(shift_ns)
        for name, dtype in columns.items():
            if dtype == NS and name not in _DURATIONS:
                frame[name] += shift
    return frame


def _column(values: list[Any], dtype: str) -> "pd.Series[Any]":
    if dtype == WORD:  # through plain text: categories made of enum members would not compare as words
        return pd.Series([None if value is None else str(value) for value in values], dtype=TEXT).astype(WORD)
    return pd.Series(values, dtype=dtype)


def _sessions(frames: dict[type, pd.DataFrame], files: pd.DataFrame) -> pd.DataFrame:
    started = frames[SessionStarted].drop_duplicates("session").set_index("session")
    # The load process says engine_died for a session in flight; where the engine itself had the last word, that counts.
    finished = frames[SessionFinished]
    finished = finished.assign(hearsay=finished["file"].map(files["role"]) != "engine")
    finished = finished.sort_values(["hearsay", "t_ns"], kind="stable").drop_duplicates("session")
    finished = finished.set_index("session").drop(columns=["hearsay"])
    changes = frames[RemainsChanged].sort_values("t_ns", kind="stable")
    last = changes.drop_duplicates("session", keep="last").set_index("session")
    ids = changes.dropna(subset=["avaturn_session_id"]).drop_duplicates("session").set_index("session")
    looks = frames[GoneChecked].sort_values("t_ns").drop_duplicates("session", keep="last").set_index("session")

    sessions = pd.DataFrame(index=started.index.union(finished.index).union(last.index, sort=False))
    sessions.index.name = "session"
    for column in ("purpose", "scenario"):
        texts = [frame[column].astype(TEXT).reindex(sessions.index) for frame in (started, finished)]
        sessions[column] = texts[0].fillna(texts[1])
    sessions["purpose"] = sessions["purpose"].fillna(LOAD).astype(WORD)
    file = started["file"].reindex(sessions.index)
    file = file.fillna(last["file"].reindex(sessions.index)).fillna(finished["file"].reindex(sessions.index))
    for ours, other in (("t_ns", "started_ns"), ("due_ns", "due_ns")):
        stamp = started[ours].astype(MAYBE_NS).reindex(sessions.index)
        sessions[other] = stamp.fillna(finished[other].astype(MAYBE_NS).reindex(sessions.index))
    for column in ("outcome", "ended_by", "gone", "censored", *_FAILURE):
        sessions[column] = finished[column].reindex(sessions.index)
    sessions["gone"] = looks["gone"].astype(TEXT).reindex(sessions.index).fillna(sessions["gone"].astype(TEXT))
    sessions["censored"] = sessions["censored"].eq(True)
    finished_ns = finished["t_ns"].astype(MAYBE_NS).reindex(sessions.index)
    sessions["end_ns"] = finished_ns.fillna(file.astype("int64").map(files["last_ns"]).astype(MAYBE_NS))
    sessions["remains"] = last["remains"].astype(TEXT).reindex(sessions.index).fillna(Remains.NOTHING.value)
    sessions["reason"] = last["reason"].astype(TEXT).reindex(sessions.index)
    sessions["avaturn_session_id"] = ids["avaturn_session_id"].reindex(sessions.index)
    return sessions


def _end_ns(frames: dict[type, pd.DataFrame], start_ns: int) -> int:
    last = [int(rows["t_ns"].max()) for cls, rows in frames.items() if len(rows) and cls is not RemainsChanged]
    return max([start_ns, *last])
