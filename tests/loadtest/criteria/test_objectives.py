"""Service levels while the run goes on: what is counted, in which window, and when it is enough to stop."""

import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.criteria.objectives import DELIVERY_NS, SILENT_NS, Breach, Counts, Judge, Objectives, breach
from loadtest.criteria.slo import COUNT, INDICATORS, SECONDS, Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    AnswerEnd,
    DropReason,
    Event,
    Failure,
    Gone,
    GoneChecked,
    IterationDropped,
    MediaMeasured,
    Outcome,
    Remains,
    RunAborted,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)
from reports.data import frames
from reports.verdict.gates import judge as judge_journals
from reports.verdict.gates import observed
from reports.verdict.samples import samples, steady_ns, within
from tests.reports import journals as j

KINDS = (Kind.TIMEOUT, Kind.ANSWERED_EARLY, Kind.ENGINE_DIED, Kind.BUG)


def stages(*changes: tuple[float, bool]) -> list[Event]:
    return [StageStarted(t_ns=j.at(t_s), stage=f"{t_s}", users=1, steady=steady) for t_s, steady in changes]


def rough_session(chance: random.Random, number: int) -> list[Event]:
    """A session in which any step may have failed, by anybody's fault, or been cancelled, of either scenario."""
    events: list[Event] = []
    scenario, gone = chance.choice(["support", "sales"]), chance.choice([Gone.CONFIRMED, Gone.UNCONFIRMED])
    answers_s = tuple(chance.uniform(0.3, 2) for _ in range(chance.choice([2, 3, 5])))
    for event in j.good_session(
        number, chance.uniform(0, 50), create_s=chance.uniform(0.1, 2), first_audio_s=answers_s
    ):
        outcome = chance.choices([Outcome.OK, Outcome.FAILED, Outcome.CANCELLED], [8, 2, 1])[0]
        failed = Failure(
            step=Step.TURN, kind=chance.choice(KINDS), code=chance.choice([Code.TIMEOUT, Code.NOT_SILENCED])
        )
        changes: dict[str, Any] = {}
        if isinstance(event, StepFinished | SessionFinished):
            changes = {"outcome": outcome, "failure": failed if outcome is Outcome.FAILED else None}
        if isinstance(event, StepFinished) and event.step is Step.DELETE:
            changes["attempt"] = chance.choice([1, 1, 1, 2])
        if isinstance(event, StepFinished) and event.step is Step.TURN:
            changes["barge_in_ns"] = chance.choice([None, 400_000_000])
            changes["dead_air_ns"] = chance.choice([None, 0, 700_000_000])
            changes["talk_over_ns"] = chance.choice([None, 0, 300_000_000])
            changes["censored"] = chance.random() < 0.2
            changes["answer"] = chance.choice([None, *AnswerEnd])
            changes["went_on"] = chance.choice([None, True, False])
            changes["unasked"] = chance.choice([0, 0, 2])
            changes["first_audio_ns"] = chance.choice([None, 800_000_000])
        if isinstance(event, SessionFinished | GoneChecked):
            changes |= {"gone": gone}
        if isinstance(event, SessionStarted | SessionFinished):
            changes["scenario"] = scenario
        if number % 7 == 0:
            changes["purpose"] = "probe:TD-1"
        if isinstance(event, SessionFinished) and chance.random() < 0.9:
            events.append(heard(chance, number, event.t_ns - 1, changes.get("purpose", event.purpose)))
        events.append(replace(event, **changes))
    return events


def heard(chance: random.Random, number: int, t_ns: int, purpose: str) -> MediaMeasured:
    """Of a session that may have heard no speech, in a room that may number no packets."""
    spoke = chance.random() < 0.8
    return MediaMeasured(
        t_ns=t_ns,
        session=j.sid(number),
        frames=chance.randint(1, 3000),
        underruns=chance.choice([0, 0, 0, 3]),
        stalled_ns=0,
        gap_max_ns=chance.randint(2, 90) * 10_000_000 if spoke else None,
        packets_lost=chance.choice([None, 0, 40]),
        heard_ns=chance.choice([None, chance.randint(20, 60_000) * 1_000_000 + 7]),
        jitter_ns=chance.randint(0, 10**9) if spoke else None,
        purpose=purpose,
    )


@pytest.mark.parametrize("scenario", [None, "sales"])
def test_the_fold_takes_the_same_samples_as_the_report(scenario: str | None, tmp_path: Path) -> None:
    chance = random.Random(7)
    events = [event for number in range(1, 120) for event in rough_session(chance, number)]
    events += [
        IterationDropped(t_ns=j.at(t_s), due_ns=j.at(t_s), scenario="sales", reason=DropReason.LATE) for t_s in (9, 30)
    ]
    events = stages((0, False), (10, True), (40, False), (45, True)) + sorted(events, key=lambda event: event.t_ns)
    j.write_file(tmp_path, events)
    bounds = {SECONDS: 0.5, COUNT: 1}
    slos = [
        Slo(name=name, indicator=name, max=bounds.get(unit, 0.1), scenario=scenario)
        for name, unit in INDICATORS.items()
    ]
    fold = Objectives(slos)
    for event in events:
        fold.add(event)
    counted = fold.value(j.at(60))["slots"]

    run = frames.load(tmp_path).load_only()
    steady = steady_ns(run)
    assert steady == [(j.at(10), j.at(40)), (j.at(45), 2**62)]
    seen = 0
    for slo, slots in zip(slos, counted, strict=True):
        found = samples(run, slo.measure, scenario=scenario)
        if slo.unit != COUNT:
            found = found.where(within(found.t_ns, steady))
        beyond = sum(map(slo.beyond, found.values)) if slo.is_ranked else int(found.values.sum())
        assert slots == ([[0, found.count, beyond]] if len(found) else []), slo.indicator
        assert slo.unit != COUNT or observed(slo, found) == beyond, slo.indicator
        seen += bool(slots)
    assert seen > 62  # nothing is leaked or doubtful here, and those counts alone


def test_what_is_left_behind_is_counted_unless_an_engine_died_with_it() -> None:
    slos = [Slo(name=name, indicator=f"session.{name}", max=0) for name in ("leaked", "doubtful")]
    fold = Objectives(slos)
    died = Failure(step=Step.CONVERSE, kind=Kind.ENGINE_DIED, code=Code.ENGINE_DIED)
    for event in (
        j.finished(1, 1, 2, remains=Remains.LEAKED, outcome=Outcome.FAILED),
        j.finished(2, 1, 2, remains=Remains.DOUBTFUL, outcome=Outcome.FAILED),
        j.finished(3, 1, 2, remains=Remains.LEAKED, outcome=Outcome.FAILED, failure=died),
    ):
        fold.add(event)
    assert fold.value(j.at(3))["slots"] == [[[0, 1, 1]], [[0, 1, 1]]]
    assert breach(slos, [fold.value(j.at(3))]) == Breach(slo=slos[0], count=1, beyond=1)


def creates(*times: tuple[float, float], number: int = 1) -> list[Event]:
    """A session and its creates: when each ended, in seconds, and how long it took."""
    steps = [j.step(number, Step.CREATE, end_s - took_s, end_s) for end_s, took_s in times]
    return [j.started(number, 0), *steps]


def counted(slo: Slo, events: list[Event], *, now_s: float) -> Counts:
    fold = Objectives([slo])
    for event in [*stages((0, False), (10, True)), *events]:
        fold.add(event)
    return fold.value(j.at(now_s) + DELIVERY_NS)


SLOW = Slo(name="create", indicator="create.max", max=1.0, window_s=10, abort=True)


@pytest.mark.parametrize(
    ("end_s", "now_s", "broken"),
    [
        (9.9, 25.0, False),  # in the ramp
        (10.2, 19.9, False),  # the first window isn't over
        (10.2, 20.0, True),
        (15.2, 25.0, True),
        (21.0, 21.2, False),  # its slot isn't over
        (21.0, 21.5, True),
    ],
)
def test_a_window_is_judged_once_it_is_over_and_lies_in_the_steady_part(
    end_s: float, now_s: float, broken: bool
) -> None:
    value = counted(SLOW, creates((end_s, 2.0)), now_s=now_s)
    assert breach([SLOW], [value]) == (Breach(slo=SLOW, count=1, beyond=1) if broken else None)


def test_what_has_slid_out_of_the_window_counts_no_longer() -> None:
    rate = Slo(name="n", indicator="create.p50", max=1.0, window_s=10, abort=True)
    slow = [(10.1 + index / 10, 2.0) for index in range(5)]
    quick = [(19 + index / 10, 0.1) for index in range(9)]
    early, late = (counted(rate, creates(*slow, *quick), now_s=now_s) for now_s in (20.0, 40.0))
    assert breach([rate], [early]) is None  # 9 of 14 are quick
    assert breach([rate], [counted(rate, creates(*slow, *quick[:3]), now_s=20.0)]) is not None
    assert breach([rate], [late]) is None


def test_a_window_across_a_stage_that_is_not_steady_is_not_judged() -> None:
    fold = Objectives([SLOW])
    for event in [*stages((0, True), (8, False), (12, True)), *creates((7.0, 2.0), (13.0, 2.0))]:
        fold.add(event)
    assert breach([SLOW], [fold.value(j.at(21.9))]) is None
    assert breach([SLOW], [fold.value(j.at(22.5) + DELIVERY_NS)]) == Breach(slo=SLOW, count=1, beyond=1)


def test_the_folds_of_several_processes_add_up_and_the_slowest_decides_how_far_they_got() -> None:
    p95 = Slo(name="n", indicator="create.p95", max=1.0, window_s=10, abort=True)
    quick = [(12 + index / 100, 0.1) for index in range(7)]
    first = counted(p95, creates((11.0, 2.0), *quick), now_s=20)
    second = counted(p95, creates((11.0, 2.0), *quick), now_s=20)
    behind = counted(p95, [], now_s=12)
    assert breach([p95], [first]) is None  # one of 8 could be one of 20
    assert breach([p95], [first, second]) == Breach(slo=p95, count=16, beyond=2)
    assert breach([p95], [first, second, behind]) is None
    assert breach([p95], []) is None


def test_without_a_window_all_of_the_steady_part_so_far_is_judged() -> None:
    rate = Slo(name="n", indicator="create.failed_rate", max=0.1, abort=True)
    bad = [j.failed_step(1, Step.CREATE, 11, 12) for _ in range(2)]
    good = creates(*[(13, 0.1)] * 18)
    assert breach([rate], [counted(rate, [*good, *bad], now_s=14)]) is None
    assert breach([rate], [counted(rate, [*good, *bad, bad[0]], now_s=14)]) == Breach(slo=rate, count=21, beyond=3)


def test_memory_does_not_grow_with_the_run() -> None:
    fold = Objectives([SLOW])
    for event in stages((0, True)):
        fold.add(event)
    for number in range(2000):
        for event in [j.started(number, number), *creates((number, 0.1), number=number)[1:], j.finished(number, 0, 1)]:
            fold.add(event)
        fold.value(j.at(number))
    assert len(fold.value(j.at(2000))["slots"][0]) <= 80
    assert fold._running == {}


def test_a_silent_process_no_longer_holds_up_the_others_and_what_it_counted_stays() -> None:
    p95 = Slo(name="n", indicator="create.p95", max=1.0, window_s=10, abort=True)
    judge = Judge([p95])
    quick = [(12 + index / 100, 0.1) for index in range(7)]
    now_ns = j.at(20)
    judge.hear(0, counted(p95, creates((11.0, 2.0), *quick), now_s=13), now_ns=now_ns)
    assert judge.look(now_ns=now_ns) is None
    later_ns = now_ns + SILENT_NS
    assert judge.look(now_ns=later_ns) is None  # nobody speaks: nothing is known
    judge.hear(1, counted(p95, creates((11.0, 2.0), *quick), now_s=20), now_ns=later_ns)
    assert judge.look(now_ns=later_ns) == RunAborted(
        t_ns=later_ns, slo="n", indicator="create.p95", count=16, beyond=2, window_s=10
    )


MEANT: list[dict[str, Any]] = [
    {"indicator": "session.failed_rate", "max": 0.05},
    {"indicator": "session.failed_rate", "max": 0.05, "window_s": 10},
    {"indicator": "create.failed_rate", "max": 0.0, "window_s": 20},
    {"indicator": "create.p95", "max": 1.8},
    {"indicator": "create.p95", "max": 1.8, "window_s": 10},
    {"indicator": "create.p50", "max": 1.1, "window_s": 10},
    {"indicator": "session.failed", "max": 3},
    {"indicator": "media.packet_loss", "max": 0.01},
    {"indicator": "media.packet_loss", "max": 0.01, "window_s": 10},
    {"indicator": "media.underruns_per_minute", "max": 1.5},
    {"indicator": "media.underruns_per_minute", "max": 1.5, "window_s": 10},
    {"indicator": "media.gap.max", "max": 0.85},
]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_called_broken_while_a_run_goes_on_is_broken_in_its_report(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    events = [event for number in range(1, chance.randint(4, 60)) for event in rough_session(chance, number)]
    events = stages((0, False), (10, True)) + sorted(events, key=lambda event: event.t_ns)
    j.write_file(tmp_path, [*events, j.health(61)])
    run = frames.load(tmp_path).load_only()
    found = set()
    for meant in MEANT:
        slo = Slo(name="n", **meant)
        fold = Objectives([slo])
        for event in events:
            fold.add(event)
        broken = breach([slo], [fold.value(j.at(60))]) is not None
        outcome = judge_journals(run, [slo], planned_s=60)[0]["outcome"]
        assert not broken or outcome == "fail", (slo, outcome)
        found.add(broken)
    assert True in found
