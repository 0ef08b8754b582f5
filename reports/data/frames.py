"""Journals → a few typed pandas frames, in one pass. Everything else in `reports` reads these and nothing else.

Stamps (`…_ns`) are on one time base for the whole run (`reports.data.clocks`); `Run.since_start_s` makes plot times.
Closed sets are categories; what was not observed is a gap (NA), never zero. A session is a number everywhere, the
index of `Run.sessions`, whose column `id` is what people and journals call it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, get_args

import pandas as pd

from loadtest import journal
from loadtest.events.kinds import (
    LOAD,
    ClockCompared,
    Event,
    GeneratorFailed,
    GoneChecked,
    HealthSampled,
    IterationDropped,
    LineMeasured,
    Mark,
    MediaMeasured,
    Observed,
    Remains,
    RemainsChanged,
    RemainsReason,
    RuleChecked,
    RunAborted,
    RunFinished,
    RunStarted,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)
from reports.data import repeated
from reports.data.away import away
from reports.data.clocks import Anchors
from reports.data.columns import FAILURE, Columns, Holds, Numbers
from reports.data.speech import Speech

SWEEP: Final = "sweep"
"""Role of the files that `avaload sweep` adds afterwards; they settle sessions and are no part of the run's time."""

KEPT_MARKS: Final = frozenset((Mark.USER_TRANSCRIPT, Mark.AVATAR_TRANSCRIPT, Mark.TRANSCRIPT_FAILED, Mark.MESSAGES_CUT))
"""Marks that a section reads. All of them would be two thirds of all rows."""

STAMP, INT, NUMBER, FLAG = Holds.STAMP, Holds.INT, Holds.NUMBER, Holds.FLAG
SMALL, WORD, TEXT, SAME, SESSION = Holds.SMALL, Holds.WORD, Holds.TEXT, Holds.SAME, Holds.SESSION
_OF_SESSION: Final = {"t_ns": STAMP, "session": SESSION, "purpose": WORD}

_COLUMNS: Final[dict[type, dict[str, Holds]]] = {
    SessionStarted: {**_OF_SESSION, "scenario": WORD, "due_ns": STAMP, "again": FLAG},
    SessionFinished: {
        **_OF_SESSION, "scenario": WORD, "started_ns": STAMP, "due_ns": STAMP, "outcome": WORD, "ended_by": WORD,
        "gone": WORD, "censored": FLAG, **FAILURE,
    },
    StepFinished: {
        **_OF_SESSION, "step": WORD, "started_ns": STAMP, "outcome": WORD, "turn": NUMBER, "attempt": SMALL,
        "pool_wait_ns": NUMBER, "lag_ns": NUMBER, "first_audio_ns": NUMBER, "turn_kind": WORD, "barge_in_ns": NUMBER,
        "dead_air_ns": NUMBER, "censored": FLAG, "answer": WORD, "went_on": WORD, "talk_over_ns": NUMBER,
        "unasked": SMALL, "line_ns": NUMBER, "clip": TEXT, "language": WORD, **FAILURE,
    },
    Observed: {**_OF_SESSION, "mark": WORD, "turn": NUMBER},
    SecretMinted: {
        **_OF_SESSION, "fingerprint": SAME, "ttl_s": INT, "expires_at_s": INT, "wall_ns": INT, "provider_s": NUMBER,
        "lives_s": NUMBER,
    },
    RemainsChanged: {**_OF_SESSION, "remains": WORD, "reason": WORD},
    MediaMeasured: {
        **_OF_SESSION, "frames": INT, "underruns": INT, "stalled_ns": INT, "gap_max_ns": NUMBER,
        "packets_lost": NUMBER, "heard_ns": NUMBER, "jitter_ns": NUMBER, "ahead_ns": NUMBER,
    },
    LineMeasured: {
        **_OF_SESSION, "way": WORD, "packets": INT, "lost": INT, "held": INT, "delay_ns": INT, "delay_max_ns": INT,
        "underruns": INT, "stalled_ns": INT,
    },
    GoneChecked: {**_OF_SESSION, "gone": WORD, "deleted_ns": STAMP},
    RuleChecked: {**_OF_SESSION, "rule": WORD, "outcome": WORD, "detail": TEXT},
    StageStarted: {"t_ns": STAMP, "stage": TEXT, "users": INT, "steady": FLAG, "rate": NUMBER, "arrivals": NUMBER},
    IterationDropped: {"t_ns": STAMP, "purpose": WORD, "due_ns": STAMP, "scenario": WORD, "reason": WORD},
    HealthSampled: {
        "t_ns": STAMP, "source": WORD, "process": INT, "lag_p99_ns": INT, "lag_max_ns": INT, "cpu_percent": NUMBER,
        "rss_bytes": INT, "sessions_active": INT, "pacing_p99_ns": NUMBER, "pool_wait_p99_ns": NUMBER,
        "gc_pause_max_ns": NUMBER, "events_lost": INT, "steal_percent": NUMBER, "open_files": NUMBER,
        "files_limit": NUMBER,
    },
    GeneratorFailed: {"t_ns": STAMP, "fault": WORD, "process": INT, "detail": TEXT},
    RunAborted: {"t_ns": STAMP, "slo": TEXT, "indicator": TEXT, "count": INT, "beyond": INT, "window_s": NUMBER},
}  # fmt: skip
"""Event → columns of its frame, named as in `loadtest.events.kinds`, a failure flattened. `file` comes on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as frames. A row per event, except `sessions` (a row per session) and `files`.

    files: name, role, host, process, incarnation, last_ns, finish (reason of RunFinished; NA: truncated).
    sessions: id (32 hex digits, the trace id), purpose, scenario, started_ns, due_ns, again, outcome (NA: unfinished),
    failed_step, kind, code, detail, ended_by, gone, censored, end_ns (its end, or the last word of its engine), remains
    and reason (the last word). Its index is the session's number, and `session` in every other frame.
    marks: those of KEPT_MARKS alone. speech: `reports.data.speech.Speech.frame`. secrets.fingerprint: a number, equal
    for equal ones.
    `end_ns` of the run is the last thing that happened in it; a later sweep doesn't count.
    """

    run_id: str
    scenario: str
    away: frozenset[str]
    """Ids of sessions on other hosts whose journals did not all come home: over there it is known what became of
    them."""
    wall_start_ns: int
    start_ns: int
    end_ns: int
    being_written: bool
    files: pd.DataFrame
    sessions: pd.DataFrame
    steps: pd.DataFrame
    marks: pd.DataFrame
    speech: pd.DataFrame
    secrets: pd.DataFrame
    remains: pd.DataFrame
    looks: pd.DataFrame
    media: pd.DataFrame
    lines: pd.DataFrame
    checks: pd.DataFrame
    stages: pd.DataFrame
    drops: pd.DataFrame
    health: pd.DataFrame
    faults: pd.DataFrame
    aborts: pd.DataFrame
    passed_over: journal.PassedOver = field(default_factory=journal.PassedOver)
    """Files and lines that could not be read."""

    @property
    def turns(self) -> pd.DataFrame:
        """The rows of `steps` that are turns of a conversation."""
        return self.steps[self.steps["step"] == Step.TURN]

    @property
    def truncated(self) -> pd.DataFrame:
        """The files whose writer never said its last word."""
        return self.files[self.files["finish"].isna()]

    def since_start_s(self, t_ns: "pd.Series[Any]") -> "pd.Series[float]":
        """Stamps as seconds after the run's start."""
        return (t_ns - self.start_ns) / 1e9

    def load_only(self) -> "Run":
        """Without the sessions that were made to provoke something: what service levels read."""
        if (self.sessions["purpose"] == LOAD).all() and (self.drops["purpose"] == LOAD).all():
            return self  # of a million sessions a copy costs a gigabyte

        def load(rows: pd.DataFrame) -> pd.DataFrame:
            return rows[rows["purpose"] == LOAD]

        return self._part(load(self.sessions), load(self.drops), load)

    def of_scenario(self, name: str) -> "Run":
        """The sessions of one scenario of a mix."""
        sessions = self.sessions[self.sessions["scenario"] == name]

        def of(rows: pd.DataFrame) -> pd.DataFrame:
            return rows[rows["session"].isin(sessions.index)]

        return self._part(sessions, self.drops[self.drops["scenario"] == name], of)

    def _part(self, sessions: pd.DataFrame, drops: pd.DataFrame, of: Callable[[pd.DataFrame], pd.DataFrame]) -> "Run":
        return replace(
            self,
            sessions=sessions,
            steps=of(self.steps),
            marks=of(self.marks),
            speech=self.speech[self.speech.index.isin(sessions.index)],
            secrets=of(self.secrets),
            # A sweep doesn't know why a session was made: its rows carry the default purpose.
            remains=self.remains[self.remains["session"].isin(sessions.index)],
            looks=of(self.looks),
            media=of(self.media),
            lines=of(self.lines),
            checks=of(self.checks),
            drops=drops,
        )


def load(run_dir: Path) -> Run:
    """All journals of a run directory.

    What can't be read is passed over, and in `passed_over`. Raises JournalError, one line, where nothing can be.
    """
    # Asked first: a writer that finishes while we read leaves whole files, never a "truncated" one that isn't.
    being_written = not journal.wait_until_closed(run_dir, timeout_s=0)
    ids = Numbers()
    columns = {cls: Columns(cls, holds, ids) for cls, holds in _COLUMNS.items()}
    anchors, speech = Anchors(), Speech(ids)
    files: list[tuple[Any, ...]] = []
    first: RunStarted | None = None
    passed = journal.PassedOver()
    for path in sorted(journal.journals(run_dir, passed), key=lambda path: SWEEP in path.name):
        started, last = _read(path, columns, anchors, speech, passed, number=len(files))
        first = started if first is None and started.role != SWEEP else first
        finish = last.reason if isinstance(last, RunFinished) else None
        files.append(
            (path.name, started.role, started.host, started.boot_id, started.process, started.incarnation,
             started.t_ns, last.t_ns, finish)
        )  # fmt: skip
    if first is None:
        raise journal.JournalError(journal.not_a_run(run_dir))

    table = pd.DataFrame(
        files, columns=["name", "role", "host", "boot_id", "process", "incarnation", "started_ns", "last_ns", "finish"]
    ).astype({"finish": "str"})
    shift_ns = [anchors.shift_ns((host, boot)) for host, boot in zip(table.host, table.boot_id, strict=True)]
    table[["started_ns", "last_ns"]] = table[["started_ns", "last_ns"]].add(shift_ns, axis=0)
    frames = {cls: columns.pop(cls).frame(shift_ns) for cls in _COLUMNS}
    repeated.tell(frames, [row[0] for row in files], passed)
    ids.clear()  # a hundred bytes a session; the texts are enough from here on
    start_ns = int(table["started_ns"][table["role"] != SWEEP].min())
    return Run(
        run_id=first.run_id,
        scenario=first.scenario,
        away=away(run_dir),
        wall_start_ns=start_ns + anchors.wall_offset_ns((first.host, first.boot_id)),
        start_ns=start_ns,
        end_ns=_end_ns(frames, start_ns),
        being_written=being_written,
        files=table,
        sessions=_sessions(frames, table, ids.texts),
        steps=frames[StepFinished],
        marks=frames[Observed],
        speech=speech.frame(),
        secrets=frames[SecretMinted],
        remains=frames[RemainsChanged],
        looks=frames[GoneChecked],
        media=frames[MediaMeasured],
        lines=frames[LineMeasured],
        checks=frames[RuleChecked],
        stages=frames[StageStarted].sort_values("t_ns", kind="stable"),
        drops=frames[IterationDropped],
        health=frames[HealthSampled],
        faults=frames[GeneratorFailed],
        aborts=frames[RunAborted],
        passed_over=passed,
    )


def _read(
    path: Path,
    columns: dict[type, Columns],
    anchors: Anchors,
    speech: Speech,
    passed: journal.PassedOver,
    *,
    number: int,
) -> tuple[RunStarted, Event]:
    """Read a file into the columns. Returns its first and its last event."""
    started: RunStarted | None = None
    samples: list[Any] = []
    kinds: dict[type, list[Any]] = {cls: [] for cls in get_args(Event)}
    sort_in = {cls: events.append for cls, events in kinds.items()}
    for batch in journal.batches(path, passed):
        if started is None:
            assert isinstance(batch[0], RunStarted)
            started = batch[0]
        for event in batch:
            sort_in[event.__class__](event)
        marks = kinds[Observed].copy()
        kinds[Observed][:] = [event for event in marks if event.mark in KEPT_MARKS]
        samples += kinds[HealthSampled] + kinds[ClockCompared]
        for cls, events in kinds.items():
            if events and cls in columns:
                _add(columns[cls], events, number, path, passed)
        speech.add(marks, kinds[StepFinished], kinds[SessionFinished])
        for events in kinds.values():
            events.clear()
    speech.end_file()
    assert started is not None
    anchors.add(started, samples)
    return started, batch[-1]


def _add(columns: Columns, events: Sequence[Any], number: int, path: Path, passed: journal.PassedOver) -> None:
    """Into the columns, one by one where one of them has no place there."""
    try:
        columns.add(events, number)
    except OverflowError:
        if len(events) == 1:
            passed.add(path.name, f"{type(events[0]).__name__} with a number that nobody can have measured")
        for event in events if len(events) > 1 else ():
            _add(columns, [event], number, path, passed)


def _sessions(frames: dict[type, pd.DataFrame], files: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    started = frames[SessionStarted].drop_duplicates("session").set_index("session")
    # The load process says engine_died for a session in flight; where the engine itself had the last word, that counts.
    finished = frames.pop(SessionFinished)
    finished = finished.assign(hearsay=finished["file"].map(files["role"]) != "engine")
    finished = finished.sort_values(["hearsay", "t_ns"], kind="stable").drop_duplicates("session").set_index("session")
    # A sweep's word is the last, whatever its host's clock says.
    said = frames[RemainsChanged].assign(swept=frames[RemainsChanged]["reason"] == RemainsReason.SWEPT)
    said = said.sort_values(["swept", "t_ns"], kind="stable")[["session", "remains", "reason", "file"]]
    last = said.drop_duplicates("session", keep="last").set_index("session")
    looks = frames[GoneChecked].sort_values("t_ns").drop_duplicates("session", keep="last").set_index("session")

    sessions = pd.DataFrame({"id": pd.array(ids, dtype="str")}, index=pd.RangeIndex(len(ids), name="session"))
    for column in ("purpose", "scenario"):
        texts = [frame[column].astype("str").reindex(sessions.index) for frame in (started, finished)]
        sessions[column] = texts[0].fillna(texts[1]).astype("category")
    sessions["purpose"] = sessions["purpose"].astype("str").fillna(LOAD).astype("category")
    file = started["file"].reindex(sessions.index)
    file = file.fillna(last["file"].reindex(sessions.index)).fillna(finished["file"].reindex(sessions.index))
    for ours, other in (("t_ns", "started_ns"), ("due_ns", "due_ns")):
        stamp = started[ours].astype("Int64").reindex(sessions.index)
        sessions[other] = stamp.fillna(finished[other].astype("Int64").reindex(sessions.index))
    sessions["again"] = started["again"].reindex(sessions.index).eq(True)
    for column in ("outcome", "ended_by", "gone", "censored", *FAILURE):
        sessions[column] = finished[column].reindex(sessions.index)
    seen = looks["gone"].astype("str").reindex(sessions.index)
    sessions["gone"] = seen.fillna(sessions["gone"].astype("str")).astype("category")
    sessions["censored"] = sessions["censored"].eq(True)
    finished_ns = finished["t_ns"].astype("Int64").reindex(sessions.index)
    sessions["end_ns"] = finished_ns.fillna(file.map(files["last_ns"]).astype("Int64"))
    sessions["remains"] = last["remains"].astype("str").reindex(sessions.index).fillna(Remains.NOTHING.value)
    sessions["reason"] = last["reason"].reindex(sessions.index)
    return sessions.astype({"remains": "category"})


def _end_ns(frames: dict[type, pd.DataFrame], start_ns: int) -> int:
    last = [int(rows["t_ns"].max()) for cls, rows in frames.items() if len(rows) and cls is not RemainsChanged]
    return max([start_ns, *last])
