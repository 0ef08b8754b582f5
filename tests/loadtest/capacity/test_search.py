"""The search for the limit against targets whose limit is known, in simulated time."""

import re
from dataclasses import dataclass, replace

import msgspec
import pytest

from loadtest.capacity.facts import Facts, Judged, as_row
from loadtest.capacity.limit import Limit, limit, verdicts, was_cut_short
from loadtest.capacity.search import Found, Purpose, Search
from loadtest.capacity.stages import Stages
from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    DropReason,
    Event,
    Failure,
    IterationDropped,
    Outcome,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)
from tests.loadtest.capacity.simulated import Target

SEEDS = range(3)
# All ten seeds, and the real twin: tests/benchmarks/capacity_search.py


@dataclass
class Result:
    stages: list[Facts]
    found: list[Found]
    limit: Limit


def searched(
    target: Target,
    *,
    open_: bool,
    start: float = 5,
    most: float = 1000,
    slos: tuple[Slo, ...] = (),
    stage_s: float = 6,
    cores: int | None = None,
) -> Result:
    fold, search = Stages(slos), Search(start=start, most=most, precision=0.05, whole=not open_)
    number = 0
    while (probe := search.next()) is not None:
        number += 1
        hold_s = 18 if probe.purpose is Purpose.SUSTAIN else stage_s
        name = f"{number} {probe.purpose.value}"
        for event in target.stage(name, probe.level, open_=open_, settle_s=2, hold_s=hold_s):
            fold.add(event)
        facts = fold.facts()
        assert len(facts) == number
        search.tell(verdicts(facts, bounds_latency=fold.bounds_latency)[-1])
        fold.forget()
    facts = fold.facts()
    unit = "arrivals/s" if open_ else "users"
    found = verdicts(facts, bounds_latency=fold.bounds_latency)
    return Result(facts, found, limit(facts, bounds_latency=fold.bounds_latency, processes=1, unit=unit, cores=cores))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_knee_of_arrivals_is_found_within_ten_percent(seed: int) -> None:
    result = searched(Target(seed=seed, slots=4, service_s=0.1), open_=True)
    passing, failing = result.limit.passing, result.limit.failing
    assert passing is not None
    assert failing is not None
    assert passing.level == pytest.approx(40, rel=0.1)
    assert passing.level < failing.level <= 44
    assert result.limit.sustained
    assert result.limit.kind == "knee"
    assert "no longer keeps up" in result.limit.sentence
    confidence = result.limit.confidence
    assert confidence is not None
    assert confidence["low"] <= 40 * 1.02
    assert confidence["high"] >= 40


@pytest.mark.parametrize("seed", SEEDS)
def test_a_knee_of_users_is_found_within_ten_percent(seed: int) -> None:
    # A user has a slot for 0.1 s of each round of 0.66 s: 27 of them keep four slots busy.
    target = Target(seed=seed, slots=4, service_s=0.1, alive_s=0.5)
    cycle_s = 0.1 + 0.5 + 0.05 + 3 * 0.004
    result = searched(target, open_=False, stage_s=12)
    assert result.limit.passing is not None
    assert result.limit.passing.level == pytest.approx(4 * cycle_s / 0.1, rel=0.1)
    assert result.limit.kind == "knee"
    assert result.limit.failing is not None
    assert result.limit.confidence is not None
    assert result.limit.confidence["high"] == result.limit.failing.level


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quota_is_the_kind_of_limit_with_its_exact_number(seed: int) -> None:
    for open_ in (True, False):
        result = searched(Target(seed=seed, quota=50, slots=40, service_s=0.05, alive_s=1.0), open_=open_)
        assert result.limit.kind == "quota"
        assert result.limit.quota is not None
        assert (result.limit.quota["what"], result.limit.quota["number"], result.limit.quota["exact"]) == (
            "sessions at once", 50, True,
        )  # fmt: skip
        assert "a quota of exactly 50 sessions at once" in result.limit.sentence
        assert result.limit.monotonic


def test_a_quota_is_named_though_one_level_was_slow_for_another_reason() -> None:
    result = searched(Target(seed=1, quota=50, slots=40, service_s=0.05, alive_s=1.0), open_=False)
    failing = result.limit.failing
    assert failing is not None
    stages = [replace(facts, setup_p95_s=3.4) if facts is failing else facts for facts in result.stages]
    found = limit(stages, bounds_latency=False, processes=1, unit="users")
    assert found.failing is not None
    assert found.failing.setup_p95_s == 3.4
    assert (found.kind, found.quota and found.quota["number"]) == ("quota", 50)


def test_a_latency_objective_breaks_before_the_target_stops_keeping_up() -> None:
    slo = Slo(name="quick create", indicator="create.p95", max=0.2)
    result = searched(Target(seed=1, slots=4, service_s=0.1, spread=0.5), open_=True, slos=(slo,))
    assert result.limit.failing is not None
    assert [broken.indicator for broken in result.limit.failing.broken] == ["create.p95"]
    assert re.match(r"quick create \(create\.p95\): \d+ ms, wanted", str(result.limit.broke_first))
    assert result.limit.passing is not None
    assert 30 <= result.limit.passing.level <= 42
    assert result.limit.passing.good >= 0.94 * result.limit.passing.offered


def test_a_target_without_a_limit_is_said_to_hold_the_highest_level() -> None:
    result = searched(Target(seed=1), open_=True, start=5, most=60)
    assert result.limit.kind == "none"
    assert result.limit.sentence == "no limit was found up to 60 arrivals/s"
    assert [facts.level for facts in result.stages] == [5, 10, 20, 40, 60, 60]
    assert result.stages[-1].purpose is Purpose.SUSTAIN


def test_a_generator_at_its_end_ends_the_search_and_says_how_many_would_be_needed() -> None:
    result = searched(Target(seed=1, lags_from=80), open_=True, cores=2)
    assert [facts.level for facts in result.stages] == [5, 10, 20, 40, 80, 80, 80]
    assert result.limit.kind == "generator"
    generator = result.limit.generator
    assert generator is not None
    assert generator["valid_up_to"] == 40
    assert generator["processes_needed"] == 2
    assert result.limit.sentence.endswith(
        "its figures are no good; about 2 load processes, 1 host like this one, would be needed for it"
    )


def test_a_target_that_never_holds_is_not_given_a_limit() -> None:
    result = searched(Target(seed=1, quota=0), open_=True)
    assert result.limit.passing is None
    assert result.limit.sentence.startswith("no level passed: already at ")


def told(outcomes: dict[float, Found], *, whole: bool = True, most: float = 1000) -> list[tuple[float, str]]:
    """What a search asks for where levels below `outcomes`' keys pass and others fail."""
    search = Search(start=10, most=most, precision=0.05, whole=whole)
    asked = []
    while (probe := search.next()) is not None:
        asked.append((probe.level, probe.purpose.value))
        search.tell(next((one for level, one in sorted(outcomes.items()) if probe.level < level), Found.FAILED))
    return asked


def test_the_search_doubles_then_halves_the_bracket_then_sustains() -> None:
    assert told({50.5: Found.PASSED}) == [
        (10, "grow"), (20, "grow"), (40, "grow"), (80, "grow"), (60, "bisect"), (50, "bisect"), (55, "bisect"),
        (52, "bisect"), (50, "sustain"),
    ]  # fmt: skip


def test_a_level_that_fails_narrowly_is_tried_once_more() -> None:
    asked = told({15: Found.PASSED, 25: Found.NARROWLY})
    assert asked[:3] == [(10, "grow"), (20, "grow"), (20, "again")]
    assert asked[-1] == (14, "sustain")


def test_a_first_level_that_fails_sends_the_search_down() -> None:
    assert [level for level, _ in told({3.5: Found.PASSED})][:4] == [10, 5, 2, 4]


def test_a_level_that_passed_but_does_not_last_is_given_up_for_a_lower_one() -> None:
    search = Search(start=10, most=1000, precision=0.05, whole=True)
    asked = []
    while (probe := search.next()) is not None:
        asked.append((probe.level, probe.purpose))
        lasting = probe.level <= (45 if probe.purpose is Purpose.SUSTAIN else 50)
        search.tell(Found.PASSED if lasting else Found.FAILED)
    assert asked[-1] == (45, Purpose.SUSTAIN) or asked[-1][0] <= 45
    assert asked[-1][1] is Purpose.SUSTAIN


def test_a_search_whose_sessions_are_used_up_says_so_and_what_was_held() -> None:
    target, fold = Target(seed=1), Stages(())
    for number, level in enumerate((5, 10), start=1):
        for event in target.stage(f"{number} grow", level, open_=True, settle_s=1, hold_s=5):
            fold.add(event)
    at_ns = max(facts.at_s for facts in fold.facts()) * 1e9
    begin_ns = min(event.t_ns for event in fold._told.values())
    late_ns = int(begin_ns + at_ns + 2e9)
    fold.add(IterationDropped(t_ns=late_ns, due_ns=late_ns, scenario="s", reason=DropReason.MAX_SESSIONS))
    found = limit(fold.facts(), bounds_latency=False, processes=1, unit="arrivals/s")
    assert found.kind == "generator"
    assert found.sentence == (
        "--max-sessions or --budget allowed no session more before the limit was found; 5 arrivals/s were held"
    )


def test_a_stage_in_which_no_session_began_says_that_it_was_too_short() -> None:
    """Users whose session lasts for longer than the stage: not the generator's fault, nor more hosts' business."""
    target, fold = Target(seed=1), Stages(())
    for number, level in enumerate((1, 2), start=1):
        for event in target.stage(f"{number} grow", level, open_=False, settle_s=1, hold_s=5):
            if number == 1 or isinstance(event, StageStarted):
                fold.add(event)
    found = limit(fold.facts(), bounds_latency=False, processes=1, unit="users")
    assert fold.facts()[-1].health.because[0] == "no session began in it: a longer --stage"
    assert found.sentence == "at 2 users no session began within the stage: a longer --stage; 1 user was held"


def judged_p95(*, beyond: int) -> Judged:
    met = beyond <= 5
    return Judged(
        name="quick create", indicator="create.p95", bound="max", objective=0.2, observed=0.19 if met else 0.21,
        unit="s", met=met, count=100, beyond=beyond,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("indicator", "unit", "bound", "objective", "at_most"),
    [
        ("create.p95", "s", "max", 0.2, 4),  # of 100 values the p95 lies between the 5th and the 6th longest
        ("create.max", "s", "max", 0.2, 0),
        ("session.failed_rate", "share", "max", 0.03, 3),
        ("session.failed", "count", "max", 3, 3),
    ],
)
def test_so_many_of_a_hundred_samples_may_lie_beyond_a_bound(
    indicator: str, unit: str, bound: str, objective: float, at_most: int
) -> None:
    asked = replace(judged_p95(beyond=0), indicator=indicator, unit=unit, bound=bound, objective=objective)
    assert [asked.breaks(beyond) for beyond in (at_most, at_most + 1)] == [False, True]


@pytest.mark.parametrize(("beyond", "surely"), [(0, True), (4, False)])
def test_a_latency_that_was_met_by_chance_widens_the_interval(beyond: int, *, surely: bool) -> None:
    target, fold = Target(seed=1), Stages(())
    for number, level in enumerate((10, 20, 40), start=1):
        for event in target.stage(f"{number} grow", level, open_=True, settle_s=1, hold_s=10):
            fold.add(event)
    sure, passed, failed = fold.facts()
    stages = [sure, replace(passed, slos=(judged_p95(beyond=beyond),)), replace(failed, slos=(judged_p95(beyond=60),))]
    found = limit(stages, bounds_latency=True, processes=1, unit="arrivals/s").confidence
    assert found is not None
    assert found["high"] == 40
    assert found["low"] == pytest.approx(20 if surely else 10, rel=0.1)


def test_a_stage_of_few_arrivals_says_that_nothing_is_seen_in_it_and_no_interval_is_below_nothing() -> None:
    target, fold = Target(seed=1, alive_s=20), Stages(())
    for number, level in enumerate((1, 2), start=1):
        for event in target.stage(f"{number} grow", level, open_=True, settle_s=22, hold_s=10):
            if isinstance(event, SessionFinished) and number == 2:
                failure = Failure(step=Step.CREATE, kind=Kind.TIMEOUT, code=Code.TIMEOUT)
                event = msgspec.structs.replace(event, outcome=Outcome.FAILED, failure=failure)
            fold.add(event)
    passed, _ = facts = fold.facts()
    found = limit(facts, bounds_latency=False, processes=1, unit="arrivals/s")
    assert (passed.offered, passed.is_blind) == (10, True)
    assert found.confidence is not None
    assert found.confidence["low"] == 0
    assert found.sentence.startswith("a knee between 1 and 2 arrivals/s: ")
    assert found.sentence.endswith("; too few arrivals to see whether it keeps up: a longer --stage")


def test_a_search_that_would_have_gone_on_is_told_from_one_that_was_over() -> None:
    target = Target(seed=1)
    whole = searched(target, open_=True, most=20)
    for stages, short in ((whole.stages, False), (whole.stages[:-1], True), (whole.stages[1:], False)):
        search = Search(start=5, most=20, precision=0.05, whole=False)
        assert was_cut_short(stages, search, bounds_latency=False) is short


def of_a_mix(target: Target, *, number: int, level: float, slow_s: float) -> list[Event]:
    """A stage whose sessions are of "quick" and "other" in turns; mints of the other take `slow_s`."""
    found: list[Event] = []
    for event in target.stage(f"{number} grow", level, open_=True, settle_s=1, hold_s=10):
        place = int(getattr(event, "session", "0"), 16) % 2
        if isinstance(event, SessionStarted | SessionFinished):
            event = msgspec.structs.replace(event, scenario=("quick", "other")[place])
        if isinstance(event, StepFinished) and event.step is Step.MINT and place:
            event = msgspec.structs.replace(event, started_ns=event.t_ns - int(slow_s * 1e9))
        found.append(event)
    return found


def test_an_objective_of_one_scenario_asks_nothing_of_the_sessions_of_another() -> None:
    slos = [
        Slo(name="quick", indicator="mint.p50", max=1.0, scenario="quick"),
        Slo(name="all", indicator="mint.p50", max=20.0),
        Slo(name="started", indicator="session.dropped_rate", max=0.2, scenario="quick"),
    ]
    fold = Stages(slos)
    for event in of_a_mix(Target(seed=1), number=1, level=4, slow_s=9):
        fold.add(event)
    begin_ns = max(event.t_ns for event in fold._told.values() if event.steady)
    for scenario, count in (("quick", 1), ("other", 19)):
        for _ in range(count):
            drop = IterationDropped(t_ns=begin_ns, due_ns=begin_ns, scenario=scenario, reason=DropReason.NO_USER)
            fold.add(drop)
    (facts,) = fold.facts()
    quick, together, started = facts.slos
    assert (facts.started, quick.count, together.count) == (40, 20, 40)
    assert (quick.scenario, quick.observed, quick.beyond, quick.met) == ("quick", 0.004, 0, True)
    assert (together.scenario, together.observed) == (None, pytest.approx(4.502, abs=1e-3))
    assert (started.count, started.beyond, started.met) == (21, 1, True)
    assert facts.good == facts.completed == 40, "a slow session of the other scenario is beyond no bound of its own"
    assert facts.goodput_per_s == facts.completed_per_s
    assert [slo["scenario"] for slo in as_row(facts)["slos"]] == ["quick", None, "quick"]


def test_an_objective_of_a_count_is_judged_in_each_stage_and_not_thrown_away() -> None:
    failing = Target(seed=1, fails_at_random=0.5, refusal=(Step.CREATE, Kind.TIMEOUT, Code.TIMEOUT))
    fold = Stages([Slo(name="no session fails", indicator="session.failed", max=0)])
    for event in failing.stage("1 grow", 4, open_=True, settle_s=1, hold_s=10):
        fold.add(event)
    (facts,) = fold.facts()
    (failed, _dropped) = facts.slos
    assert (failed.met, failed.observed, failed.beyond, failed.count) == (False, facts.failed, facts.failed, 40)
    assert facts.failed > 10
    assert verdicts([facts], bounds_latency=False) == [Found.FAILED]
    assert limit([facts], bounds_latency=False, processes=1, unit="arrivals/s").broke_first == (
        f"no session fails (session.failed): {facts.failed}, wanted at most 0"
    )


def test_a_count_of_what_went_wrong_says_nothing_of_a_stage_in_which_nothing_could() -> None:
    fold = Stages([Slo(name=name, indicator=name, max=0) for name in ("session.failed", "turn.failed")])
    for event in Target(seed=1).stage("1 grow", 4, open_=True, settle_s=1, hold_s=10):
        fold.add(event)
    failed, turns, _dropped = fold.facts()[0].slos
    assert [(slo.met, slo.count, str(slo.outcome)) for slo in (failed, turns)] == [
        (True, 40, "pass"), (True, 0, "not_enough_samples"),
    ]  # fmt: skip


def test_what_breaks_first_says_of_which_scenario() -> None:
    fold = Stages([Slo(name="soon", indicator="mint.p50", max=1.0, scenario="other")])
    for event in of_a_mix(Target(seed=1), number=1, level=4, slow_s=9):
        fold.add(event)
    found = limit(fold.facts(), bounds_latency=True, processes=1, unit="arrivals/s")
    assert found.broke_first == "soon (mint.p50 of other): 9 s, wanted at most 1 s"
    assert fold.facts()[0].good == 20
