"""Open arrivals in the report: what was due, what came, latency from due, and the generator's fitness by stage."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.config.run_dir import Written
from loadtest.criteria.slo import DEFAULT_SLOS
from loadtest.events.kinds import DropReason, Event, IterationDropped, Outcome, StageStarted
from reports.build import judge
from reports.data import frames
from tests.reports import journals as j


def stage(at_s: float, name: str, *, rate: float | None, arrivals: int | None, steady: bool = True) -> StageStarted:
    return StageStarted(t_ns=j.at(at_s), stage=name, users=4, steady=steady, rate=rate, arrivals=arrivals)


def dropped(due_s: float, t_s: float, reason: DropReason = DropReason.NO_USER) -> IterationDropped:
    return IterationDropped(t_ns=j.at(t_s), due_ns=j.at(due_s), scenario="support-call", reason=reason)


def late_session(number: int, due_s: float, late_s: float) -> list[Event]:
    _, *rest = j.good_session(number, due_s + late_s)
    return [j.started(number, due_s + late_s, due_s=due_s), *rest]


def report(run_dir: Path, *events: Event, **how: Any) -> dict[str, Any]:
    j.write_file(run_dir, events, **how)
    return judge(frames.load(run_dir), Written(), DEFAULT_SLOS)


def test_latency_from_due_shows_the_wait_that_latency_from_start_hides(tmp_path: Path) -> None:
    sessions = [event for n in range(10) for event in late_session(n, n, 4.0 if n >= 5 else 0.0)]
    found = report(tmp_path, stage(0, "steady", rate=1, arrivals=10), *sessions)
    assert found["sessions"]["setup"]["max_s"] == pytest.approx(0.8)
    assert found["sessions"]["setup_from_due"]["p50_s"] == pytest.approx(2.8)
    assert found["sessions"]["setup_from_due"]["max_s"] == pytest.approx(4.8)
    assert found["sessions"]["first_step_from_due"]["max_s"] == pytest.approx(4.1)
    assert found["arrivals"]["due_error"]["max_s"] == pytest.approx(4.0)


def test_sessions_cut_off_before_they_were_set_up_are_counted(tmp_path: Path) -> None:
    cut = [
        j.started(7, 55, due_s=52),
        j.finished(7, 55, 60, due_ns=j.at(52), outcome=Outcome.CANCELLED, censored=True),
    ]
    found = report(tmp_path, *j.good_session(1, 1), *cut)
    assert found["sessions"]["setup_from_due"]["count"] == 1
    assert found["sessions"]["setup_from_due"]["censored"] == 1


def test_planned_and_achieved_rates_are_of_the_steady_part(tmp_path: Path) -> None:
    sessions = [event for n in range(24) for event in j.good_session(n, n * 0.5)]
    plan = [stage(0, "ramp", rate=0, arrivals=4, steady=False), stage(2, "steady", rate=2, arrivals=20)]
    found = report(tmp_path, *plan, *sessions)["arrivals"]
    assert (found["scheduled"], found["started"], found["dropped"]) == (24, 24, 0)
    assert found["planned_per_s"] == found["achieved_per_s"] == 2


def test_arrivals_of_a_lost_process_are_counted_as_dropped(tmp_path: Path) -> None:
    events = [stage(0, "steady", rate=1, arrivals=5), *j.good_session(1, 0), *j.good_session(2, 1), dropped(2, 3)]
    j.write_file(tmp_path, [], role="load")
    found = report(tmp_path, *events)
    assert found["arrivals"]["dropped"] == 3
    assert found["arrivals"]["dropped_by"] == {"no_user": 1, "worker_lost": 2}


def test_a_caller_who_calls_again_is_no_further_arrival_and_hides_none_that_was_lost(tmp_path: Path) -> None:
    events = [
        stage(0, "steady", rate=1, arrivals=4),
        *(event for n in range(3) for event in j.good_session(n, n)),
        msgspec.structs.replace(j.started(7, 3), again=True),
        *j.good_session(7, 3)[1:],
    ]
    j.write_file(tmp_path, [], role="load")
    found = report(tmp_path, *events)
    assert (found["arrivals"]["started"], found["arrivals"]["dropped_by"]) == (3, {"worker_lost": 1})
    assert (found["arrivals"]["planned_per_s"], found["arrivals"]["achieved_per_s"]) == (1.333333, 1)
    assert found["sessions"]["started"] == 4


def test_what_a_killed_load_process_left_is_counted_though_its_engine_ended_before_the_run(tmp_path: Path) -> None:
    plan = [stage(0, "steady", rate=1, arrivals=5)]
    j.write_file(tmp_path, plan, role="load", process=0)
    j.write_file(tmp_path, plan, role="load", process=1, finish=None)
    j.write_file(tmp_path, j.good_session(1, 0), process=0)
    j.write_file(tmp_path, j.good_session(2, 1), process=1, finish="orphaned")
    found = j.reported(tmp_path)["arrivals"]
    assert (found["scheduled"], found["started"], found["dropped_by"]) == (5, 2, {"worker_lost": 3})


def test_a_run_that_was_cut_short_is_not_asked_for_what_never_came_due(tmp_path: Path) -> None:
    events = [stage(0, "steady", rate=1, arrivals=50), *j.good_session(1, 0)]
    assert report(tmp_path, *events, finish="interrupted")["arrivals"]["dropped"] == 0


def test_a_closed_population_has_no_arrivals(tmp_path: Path) -> None:
    assert report(tmp_path, stage(0, "steady", rate=None, arrivals=None), *j.good_session(1, 0))["arrivals"] is None


def test_each_stage_is_judged_by_its_own_seconds(tmp_path: Path) -> None:
    lags_s = [0.001] * 10 + [0.080] * 10 + [0.015] * 10
    samples = [j.health(2.5 + second, lag_p99_s=lag_s) for second, lag_s in enumerate(lags_s)]
    plan = [stage(at_s, name, rate=1, arrivals=9) for at_s, name in ((2, "one"), (12, "two"), (22, "three"))]
    found = report(tmp_path, *plan, *samples, *j.good_session(1, 3))["stages"]
    assert [(row["name"], row["generator"]["outcome"]) for row in found] == [
        ("one", "valid"), ("two", "invalid"), ("three", "suspect"),
    ]  # fmt: skip
    assert found[1]["generator"]["because"] == ["event loop lag: p99 80 ms"]
    assert [row["duration_s"] for row in found[:2]] == [10, 10]


def test_drops_are_ours_only_while_few_users_were_busy(tmp_path: Path) -> None:
    idle, busy = dropped(5, 5), dropped(20, 20)
    sessions = [event for n in range(3) for event in j.good_session(n, 15)]
    plan = [stage(2, "idle", rate=1, arrivals=2), stage(14, "busy", rate=1, arrivals=2)]
    found = report(tmp_path, *plan, idle, busy, *sessions, j.health(4), j.health(18))["stages"]
    assert [row["generator"]["drops_while_idle"] for row in found] == [1, 0]
    assert found[0]["generator"]["because"] == ["1 iteration dropped while the target was not busy"]


def test_steal_and_open_files_make_a_stage_suspect(tmp_path: Path) -> None:
    plan = [stage(2, "one", rate=1, arrivals=1)]
    samples = [j.health(4 + n, steal_percent=25.0, open_files=900, files_limit=1024) for n in range(3)]
    found = report(tmp_path, *plan, *samples, *j.good_session(1, 3))["stages"][0]["generator"]
    assert found["outcome"] == "suspect"
    assert found["because"] == ["25 % of the machine's CPU time went to other guests", "900 of 1024 open files"]
