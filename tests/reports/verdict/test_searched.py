"""What a search for the limit is called in the end: its answer, unless its generator broke on the way to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.capacity.limit import LimitKind
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Fault, GeneratorFailed, Outcome, RunFinished, StageStarted, Step
from tests.loadtest.capacity.simulated import Target
from tests.reports import journals as j


def written(path: Path, stages: list[Event], *more: Event, **options: Any) -> Path:
    (path / "settings.json").write_text(json.dumps({"scenario": {"capacity": {"by": "users"}, "load": {"users": 64}}}))
    j.write_file(path, [*stages, *more], **options)
    return path


def stages(target: Target, *levels: int) -> list[Event]:
    return [
        event
        for number, level in enumerate(levels, 1)
        for event in target.stage(f"{number} grow", level, open_=False, settle_s=1, hold_s=5)
    ]


def held() -> list[Event]:
    return stages(Target(seed=1, alive_s=0.5), 2, 4)


def judged(path: Path) -> tuple[int, list[str], list[str]]:
    report = j.reported(path)
    return report["verdict"]["exit_code"], report["generator"]["invalid_because"], report["verdict"]["reasons"]


def test_a_search_whose_generator_was_fit_passes(run_dir: Path) -> None:
    assert judged(written(run_dir, held()))[:2] == (0, [])


def test_what_broke_of_the_generator_makes_a_search_invalid_as_it_does_a_run(run_dir: Path) -> None:
    lost = GeneratorFailed(t_ns=held()[-1].t_ns, fault=Fault.WORKER_LOST, process=-1, detail="load process 1")
    code, because, reasons = judged(written(run_dir, held(), lost))
    assert (code, because) == (4, ["a worker was lost (load process 1)"])
    assert reasons[0] == "the generator's numbers can't be trusted: a worker was lost (load process 1)"


@pytest.mark.parametrize(
    ("role", "options", "because"),
    [
        ("engine", {"finish": "orphaned"}, "an engine lost its load process and stopped early"),
        ("load", {"finish": None}, "journals cut short because their process was killed"),
        ("engine", {"tail": b"what can't be read\n"}, "passed over in the journals, since it can't be read"),
    ],
)
def test_a_search_with_holes_in_its_journals_is_invalid(
    run_dir: Path, role: str, options: dict[str, Any], because: str
) -> None:
    code, told, _ = judged(written(run_dir, held(), role=role, **options))
    assert (code, [each[: len(because)] for each in told]) == (4, [because])


def test_an_engine_that_died_in_one_stage_is_no_hole_in_the_others(run_dir: Path) -> None:
    died = GeneratorFailed(t_ns=1, fault=Fault.ENGINE_DIED, process=0)
    assert judged(written(run_dir, held(), died, finish=None))[:2] == (0, [])


def test_a_search_whose_time_was_up_says_so(run_dir: Path) -> None:
    capacity = j.reported(written(run_dir, stages(Target(seed=1, alive_s=0.5), 5, 10)))["capacity"]
    assert capacity["sentence"] == "no limit was found up to 10 users; time was up (--give-up)"


def test_a_search_that_somebody_ended_blames_no_time(run_dir: Path) -> None:
    path = written(run_dir, stages(Target(seed=1, alive_s=0.5), 5, 10), finish="interrupted")
    assert j.reported(path)["capacity"]["sentence"] == "no limit was found up to 10 users"


@pytest.mark.parametrize(("reason", "code"), [("completed", 4), ("interrupted", 130)])
def test_a_level_that_the_end_of_the_run_cut_makes_the_search_invalid_unless_somebody_ended_it(
    run_dir: Path, reason: str, code: int
) -> None:
    rest_ns = max(event.t_ns for event in held() if isinstance(event, StageStarted))
    cut = RunFinished(t_ns=rest_ns - 10**9, reason=reason)
    found, because, _ = judged(written(run_dir, held(), cut, finish=reason))
    assert (found, because) == (code, [] if code == 130 else ["the run broke off"])


def test_a_quota_of_one_is_an_answer_though_no_level_could_hold(run_dir: Path) -> None:
    """The one user's next session is not due within the stage, so that the level can't be judged."""
    refused = stages(Target(seed=1, quota=1, alive_s=0.5), 5, 2)
    idle = Target(seed=1, _now_s=60).stage("3 bisect", 1, open_=False, settle_s=1, hold_s=5)
    path = written(run_dir, [*refused, *(event for event in idle if isinstance(event, StageStarted))])
    capacity = j.reported(path)["capacity"]
    assert (capacity["kind"], capacity["quota"]["number"], capacity["max_passing"]) == (LimitKind.QUOTA, 1, None)
    assert capacity["sentence"].startswith("a quota of exactly 1 session at once; above it sessions are refused")
    code, _, reasons = judged(path)
    assert (code, reasons[0].partition(",")[0]) == (0, "no objective was judged")


def test_a_search_that_never_reached_its_target_says_nothing_of_it(run_dir: Path) -> None:
    failed = j.failed_step(1, Step.MINT, 0, 0.01, Kind.TRANSPORT, Code.CONNECT_FAILED)
    ended = j.finished(1, 0, 0.01, outcome=Outcome.FAILED, failure=failed.failure)
    told = [
        StageStarted(t_ns=j.at(at_s), stage=name, users=1, steady=name == "1 grow")
        for at_s, name in ((-2, "settle 1 grow"), (-1, "1 grow"), (5, "rest 1 grow"))
    ]
    code, _, reasons = judged(written(run_dir, [*told, j.started(1, 0), failed, ended]))
    assert code == 4
    assert reasons[0].startswith("the target was never reached, so nothing is known of it: no connection could be made")
