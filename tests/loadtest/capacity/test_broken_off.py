"""A search goes no further than its generator: what broke in one stage is missing from all that come after it."""

import itertools

import msgspec
import pytest

from loadtest.capacity.facts import Facts
from loadtest.capacity.limit import Limit, limit, verdicts
from loadtest.capacity.search import Found
from loadtest.capacity.stages import Stages
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    Event,
    Failure,
    Fault,
    GeneratorFailed,
    Outcome,
    RunFinished,
    SessionFinished,
    StageStarted,
    Step,
)
from tests.loadtest.capacity.simulated import Target

LEVELS = (5, 10, 20)


def stages_of(target: Target | None = None) -> list[list[Event]]:
    """The events of three stages of six seconds, which a target without a limit holds."""
    target = target or Target(seed=1, alive_s=0.5)
    return [
        target.stage(f"{number} grow", level, open_=False, settle_s=1, hold_s=6)
        for number, level in enumerate(LEVELS, 1)
    ]


def folded(*events: Event, stages: list[list[Event]] | None = None) -> tuple[list[Facts], list[Found], Limit]:
    fold = Stages(())
    for event in sorted(itertools.chain(*(stages or stages_of()), events), key=lambda event: event.t_ns):
        fold.add(event)
    facts = fold.facts()
    return facts, verdicts(facts, bounds_latency=False), limit(facts, bounds_latency=False, processes=2, unit="users")


def middle_ns(stage: int) -> int:
    """Of what is held of it."""
    _, begin, end = (event.t_ns for event in stages_of()[stage] if isinstance(event, StageStarted))
    return (begin + end) // 2


def fault(stage: int, which: Fault) -> GeneratorFailed:
    return GeneratorFailed(t_ns=middle_ns(stage), fault=which, process=-1, detail="load process 1")


def test_without_a_fault_every_level_is_held() -> None:
    assert folded()[1] == [Found.PASSED] * 3


@pytest.mark.parametrize("which", [Fault.WORKER_LOST, Fault.BUG, Fault.DISK_FULL, Fault.EVENTS_LOST, Fault.SLEPT])
def test_after_a_fault_that_lasts_no_level_is_judged_any_more(which: Fault) -> None:
    facts, found, answer = folded(fault(1, which))
    assert found == [Found.PASSED, Found.INVALID, Found.INVALID]
    assert [each.is_last for each in facts] == [False, True, True]
    assert facts[2].health.because == ("the run broke off", f"{which.value}: load process 1")
    assert (answer.kind, answer.passing and answer.passing.level) == ("generator", 5)
    assert answer.sentence == "the run broke off before the limit was found; 5 users were held"


@pytest.mark.parametrize("which", [Fault.ENGINE_DIED, Fault.OWN_LIMIT])
def test_a_fault_of_one_stage_leaves_the_next_one_to_be_judged(which: Fault) -> None:
    facts, found, _ = folded(fault(1, which))
    assert found == [Found.PASSED, Found.INVALID, Found.PASSED]
    assert not any(each.is_last for each in facts)


@pytest.mark.parametrize("reason", ["orphaned", "interrupted", "disk_full"])
def test_a_stage_that_a_process_of_ours_did_not_see_the_end_of_is_not_judged(reason: str) -> None:
    """All of its events are told at its beginning, and what was cut is in no rate."""
    _, found, answer = folded(RunFinished(t_ns=middle_ns(2), reason=reason))
    assert found == [Found.PASSED, Found.PASSED, Found.INVALID]
    assert answer.sentence == "the run broke off before the limit was found; 10 users were held"


def test_the_end_of_a_whole_search_is_no_fault() -> None:
    stages = stages_of()
    assert folded(RunFinished(t_ns=stages[-1][-1].t_ns, reason="completed"), stages=stages)[1] == [Found.PASSED] * 3


def failing_as(kind: Kind, code: Code, event: Event) -> Event:
    if not isinstance(event, SessionFinished):
        return event
    failure = Failure(step=Step.CONNECT, kind=kind, code=code)
    return msgspec.structs.replace(event, outcome=Outcome.FAILED, failure=failure)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Kind.OWN_LIMIT, Code.OPEN_FILES), (Kind.BUG, Code.BUG), (Kind.ENGINE_DIED, Code.ENGINE_DIED)],
)
def test_a_level_does_not_hold_because_no_objective_counts_what_we_failed(kind: Kind, code: Code) -> None:
    first, second, third = stages_of()
    facts, found, _ = folded(stages=[first, [failing_as(kind, code, event) for event in second], third])
    assert found == [Found.PASSED, Found.INVALID, Found.PASSED]
    failed = facts[1].failed
    assert facts[1].health.because[0] == f"{failed} sessions failed by a fault of ours ({kind.value})"
