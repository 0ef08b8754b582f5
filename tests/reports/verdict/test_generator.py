"""When the instrument is valid, suspect or invalid, at each threshold and on both sides of it."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    DropReason,
    Event,
    Fault,
    GeneratorFailed,
    IterationDropped,
    Outcome,
    StageStarted,
    Step,
)
from reports.data import frames
from reports.sections import generator
from tests.reports import journals as j


def section(run_dir: Path, *events: Event, finish: str | None = "completed") -> dict[str, Any]:
    j.write_file(run_dir, [*j.good_session(1, 1), *events], finish=finish)
    return generator.section(frames.load(run_dir).load_only())


def seconds_of(**more: Any) -> list[Event]:
    return [j.health(t_s, **more) for t_s in range(2, 22)]


@pytest.mark.parametrize(
    ("health", "outcome"),
    [
        ({"lag_p99_s": 0.010}, "valid"),
        ({"lag_p99_s": 0.011}, "suspect"),
        ({"lag_p99_s": 0.050}, "suspect"),
        ({"lag_p99_s": 0.051}, "invalid"),
        ({"pacing_p99_ns": 20_000_000}, "valid"),
        ({"pacing_p99_ns": 21_000_000}, "suspect"),
        ({"pacing_p99_ns": 900_000_000}, "suspect"),
        ({"cpu_percent": 90.0}, "valid"),
        ({"cpu_percent": 91.0}, "suspect"),
        ({"lag_p99_s": 0.5, "source": "hub"}, "valid"),
    ],
)
def test_a_run_of_bad_seconds_decides(run_dir: Path, health: dict[str, Any], outcome: str) -> None:
    assert section(run_dir, *seconds_of(**health))["outcome"] == outcome


@pytest.mark.parametrize(
    ("wait_s", "outcome"), [(0.010, "valid"), (0.011, "suspect"), (0.100, "suspect"), (0.101, "invalid")]
)
def test_waiting_for_our_own_connections_decides(run_dir: Path, wait_s: float, outcome: str) -> None:
    calls = [j.step(n, Step.MINT, 1, 2, pool_wait_ns=j.ns(wait_s)) for n in range(2, 300)]
    found = section(run_dir, *calls)
    assert (found["outcome"], found["pool_wait_p99_s"]) == (outcome, wait_s)


@pytest.mark.parametrize(
    ("lag_s", "outcome"), [(0.010, "valid"), (0.011, "suspect"), (0.050, "suspect"), (0.051, "invalid")]
)
def test_ends_that_were_stamped_late_decide(run_dir: Path, lag_s: float, outcome: str) -> None:
    calls = [j.step(n, Step.MINT, 1, 2, lag_ns=j.ns(lag_s)) for n in range(2, 300)]
    found = section(run_dir, *calls)
    assert (found["outcome"], found["stamp_lag_p99_s"]) == (outcome, lag_s)


def test_one_bad_second_in_an_hour_is_forgiven_and_shown(run_dir: Path) -> None:
    found = section(run_dir, *[j.health(t_s) for t_s in range(2, 3600)], j.health(1000, lag_p99_s=0.4))
    assert (found["outcome"], found["engine_lag_p99_s"], found["engine_lag_max_s"]) == ("valid", 0.001, 0.8)


@pytest.mark.parametrize(("source", "what"), [("engine", "an engine"), ("hub", "a load process")])
def test_a_process_that_once_stood_still_for_long_makes_a_run_suspect(run_dir: Path, source: str, what: str) -> None:
    found = section(run_dir, *seconds_of(), j.health(30, lag_max_ns=j.ns(1.0), source=source))
    assert found["suspect_because"] == []
    found = section(run_dir, *seconds_of(), j.health(30, lag_max_ns=j.ns(20.0), source=source))
    assert found["suspect_because"] == [f"{what} stood still for 20 s"]


def test_each_process_is_given_two_seconds_to_find_its_feet(run_dir: Path) -> None:
    j.write_file(run_dir, [j.health(31, lag_p99_s=9), j.health(32, lag_p99_s=0.003)], incarnation=1, started_s=30)
    found = section(run_dir, j.health(1.9, lag_p99_s=9))
    assert found["engine_lag_p99_s"] == 0.003


def test_what_was_never_sampled_is_unknown_and_not_zero(run_dir: Path) -> None:
    found = section(run_dir)
    unknown = ("hub_lag_p99_s", "engine_lag_p99_s", "pacing_error_p99_s", "gc_pause_max_s", "cpu_percent_max")
    assert [found[name] for name in unknown] == [None] * len(unknown)


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_voids_the_run_but_that_of_a_view(run_dir: Path, fault: Fault) -> None:
    found = section(run_dir, GeneratorFailed(t_ns=j.at(5), fault=fault, process=0))
    outcome = "suspect" if fault is Fault.SINK_FAILED else "invalid"
    assert (found["outcome"], found["faults"]) == (outcome, {fault.value: 1})


def test_a_sleep_is_told_once_though_every_engine_tells_it(run_dir: Path) -> None:
    told = [GeneratorFailed(t_ns=j.at(5), fault=Fault.SLEPT, process=n, detail="for 600 s") for n in range(2)]
    assert section(run_dir, *told)["invalid_because"] == ["a machine of the run slept (for 600 s)"]


def test_steal_and_open_files_make_a_run_suspect(run_dir: Path) -> None:
    found = section(run_dir, *seconds_of(steal_percent=25.0, open_files=900, files_limit=1024))
    assert found["suspect_because"] == [
        "25 % of the machine's CPU time went to other guests",
        "900 of 1,024 open files",
    ]
    assert (found["open_files_max"], found["open_files_limit"], found["steal_percent_p95"]) == (900, 1024, 25)


def test_events_that_a_view_lost_are_counted_and_suspect(run_dir: Path) -> None:
    found = section(run_dir, j.health(0.5, events_lost=2), j.health(9, events_lost=3))
    assert (found["outcome"], found["events_lost"], found["sink_errors"]) == ("suspect", 5, 5)


def test_a_bug_of_ours_voids_the_run(run_dir: Path) -> None:
    why = j.failure(Step.CONVERSE, Kind.BUG, Code.BUG)
    found = section(run_dir, j.started(2, 1), j.finished(2, 1, 2, outcome=Outcome.FAILED, failure=why))
    assert found["invalid_because"] == ["1 session hit a bug of avaload itself"]


@pytest.mark.parametrize(
    ("finish", "because"),
    [
        ("completed", []),
        ("orphaned", ["an engine lost its load process and stopped early"]),
        (None, ["journals cut short because their process was killed: 1 of 1 (host-a-engine-0-0.jsonl)"]),
    ],
)
def test_how_a_journal_ends_decides(run_dir: Path, finish: str | None, because: list[str]) -> None:
    assert section(run_dir, finish=finish)["invalid_because"] == because


def test_the_journal_of_a_sweep_that_was_killed_voids_nothing(run_dir: Path) -> None:
    j.write_file(run_dir, [], role="sweep", started_s=99, finish=None)
    assert section(run_dir)["outcome"] == "valid"


@pytest.mark.parametrize(
    ("users", "t_s", "reason", "outcome"),
    [
        (1, 5, DropReason.LATE, "valid"),  # one session of one user runs: the target is busy
        (3, 5, DropReason.LATE, "suspect"),  # one of three
        (1, 30, DropReason.NO_USER, "suspect"),  # nothing runs
        (1, 30, DropReason.MAX_SESSIONS, "valid"),  # as the operator wanted
    ],
)
def test_drops_are_ours_where_the_target_was_not_busy(
    run_dir: Path, users: int, t_s: float, reason: DropReason, outcome: str
) -> None:
    stage = StageStarted(t_ns=j.at(0), stage="all", users=users, steady=True)
    drop = IterationDropped(t_ns=j.at(t_s), due_ns=j.at(t_s), scenario="support-call", reason=reason)
    assert section(run_dir, stage, drop)["outcome"] == outcome


def test_limits_of_this_machine_are_named_with_how_many_sessions_met_them(run_dir: Path) -> None:
    why = j.failure(Step.CONNECT, Kind.OWN_LIMIT, Code.OPEN_FILES, "open files: no more")
    failed = [j.finished(n, 1, 2, outcome=Outcome.FAILED, failure=why) for n in (2, 3)]
    started = [j.started(n, 1) for n in (2, 3)]
    told = [
        GeneratorFailed(t_ns=j.at(2), fault=Fault.OWN_LIMIT, process=0, detail=detail)
        for detail in ("open files: no more", "memory: MemoryError()", "memory: MemoryError()")
    ]
    found = section(run_dir, *started, *failed, *told)
    assert found["invalid_because"] == [
        "a limit of this machine: open files, met by 2 sessions (open files: no more)",
        "a limit of this machine: memory: MemoryError()",
    ]
