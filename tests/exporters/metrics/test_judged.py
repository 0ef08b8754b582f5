"""How a run stands, as metrics."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporters.metrics import catalogue as c
from exporters.metrics import judged
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.exposition import OPENMETRICS, PLAIN, exposition
from exporters.metrics.snapshot import SEPARATOR, Snapshot, merged
from loadtest.criteria.objectives import Judge, Objectives, Standing, State
from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Failure, Outcome, Step, StepFinished
from tests.exporters.metrics.test_prometheus import openmetrics, plain, value
from tests.exporters.traces.script import S, run_started, session

MET, MISSED, OPEN = State.MET, State.MISSED, State.OPEN


def of(*slos_and_standings: tuple[Slo, Standing], so_far: Snapshot | None = None) -> dict[str, dict[str, object]]:
    """By metric without its prefix: by objective."""
    slos, standings = zip(*slos_and_standings, strict=True)
    found = judged.snapshot(slos, standings, ("valid", ""), so_far or {})
    return {
        metric.name.removeprefix("avaload_objective_"): {
            key.split(SEPARATOR)[0]: value for key, value in found[metric.name].items()
        }
        for metric in (c.OBJECTIVE_BOUND, c.OBJECTIVE_OBSERVED, c.OBJECTIVE_MET)
    }


def counted(*, slos: list[Slo] | None = None) -> Snapshot:
    """Two scenarios of ten sessions each, whose mint takes 0.1 s and whose first audio comes after 0.8 s."""
    aggregate = Aggregate(["support", "sales"], slos=slos or [])
    for number in range(1, 21):
        for event in session(number, scenario="support" if number <= 10 else "sales"):
            aggregate.add(event)
    return aggregate.snapshot()


def test_shares_counts_and_numbers_a_minute_are_what_has_been_counted() -> None:
    share = Slo(name="failing", indicator="session.failed_rate", max=0.01)
    count = Slo(name="left", indicator="session.leaked", max=0)
    a_minute = Slo(name="dry", indicator="media.underruns_per_minute", max=1.5)
    assert of(
        (share, Standing(state=MISSED, count=50, beyond=2)),
        (count, Standing(state=MET, count=0, beyond=0)),
        (a_minute, Standing(state=MISSED, count=120_000, beyond=6)),
    ) == {
        "bound": {"failing": 0.01, "left": 0, "dry": 1.5},
        "observed": {"failing": 0.04, "left": 0, "dry": 3},
        "met": {"failing": 0, "left": 1, "dry": 0},
    }


def test_too_few_samples_are_neither_met_nor_missed() -> None:
    slo = Slo(name="failing", indicator="turn.failed_rate", max=0.01)
    assert of((slo, Standing(state=OPEN, count=0, beyond=0))) == {
        "bound": {"failing": 0.01},
        "observed": {},
        "met": {},
    }


@pytest.mark.parametrize(
    ("indicator", "bound", "low", "high"),
    [
        ("mint.p95", 0.1, 0.07, 0.1),
        ("turn.time_to_first_audio.p50", 0.8, 0.7, 0.8),
        ("session.setup.p95", 0.7, 0.45, 0.7),
    ],
)
@pytest.mark.parametrize("scenario", [None, "sales"])
def test_a_quantile_is_read_from_the_runs_buckets_and_lies_on_the_true_side_of_its_bound(
    indicator: str, bound: float, low: float, high: float, scenario: str | None
) -> None:
    slo = Slo(name="quick", indicator=indicator, max=bound, scenario=scenario)
    found = of((slo, Standing(state=MET, count=20, beyond=0)), so_far=counted(slos=[slo]))
    seconds = found["observed"]["quick"]
    assert isinstance(seconds, float)
    assert low < seconds <= high


@pytest.mark.parametrize(
    "slo",
    [
        Slo(name="x", indicator="mint.max", max=1),  # buckets only know where it lies
        Slo(name="x", indicator="mint.p95", max=1, window_s=10),  # the run's buckets aren't the window's
        Slo(name="x", indicator="session.setup_from_due.p95", max=1),  # no histogram has it
        Slo(name="x", indicator="teardown.time_to_gone.p95", max=1, scenario="sales"),  # nor by scenario
        Slo(name="x", indicator="mint.p95", max=1, scenario="nobody"),
    ],
    ids=lambda slo: f"{slo.indicator} {slo.window_s} {slo.scenario}",
)
def test_what_is_not_known_is_not_there(slo: Slo) -> None:
    found = of((slo, Standing(state=MET, count=20, beyond=0)), so_far=counted())
    assert found == {"bound": {"x": 1}, "observed": {}, "met": {"x": 1}}


def test_one_state_of_the_generator_is_true_at_a_time() -> None:
    for now in ("valid", "suspect", "invalid"):
        found = merged([Aggregate(["support"]).snapshot(), judged.snapshot([], [], (now, "why"), {})])
        assert found[c.GENERATOR_STATE.name] == {"valid": 0, "suspect": 0, "invalid": 0} | {now: 1}


def test_both_formats_show_it_and_any_name() -> None:
    name = f'a "b"{SEPARATOR}\\ c'
    slo = Slo(name=name, indicator="session.failed_rate", max=0.01)
    stands = judged.snapshot([slo], [Standing(state=MET, count=3, beyond=0)], ("suspect", ""), {})
    for read, kind in ((openmetrics, OPENMETRICS), (plain, PLAIN)):
        shown = read(exposition(merged([counted(), stands]), kind).decode())
        labels = {"objective": 'a "b" \\ c', "indicator": "session.failed_rate"}
        assert value(shown, "avaload_objective_bound", **labels) == 0.01
        assert value(shown, "avaload_objective_met", **labels) == 1
        assert value(shown, "avaload_generator_state", state="suspect") == 1


def test_the_run_tells_its_tags_in_one_label_of_bounded_length() -> None:
    for tags, told in (({"build": "7", "branch": "main"}, "build=7,branch=main"), ({"x": "y" * 600}, "x=" + "y" * 498)):
        aggregate = Aggregate(["support"], tags=tags)
        aggregate.add(run_started())
        (key,) = aggregate.snapshot()[c.RUN_INFO.name]
        assert key.split(SEPARATOR)[-1] == told


def answered(number: int, first_audio_s: float, **changes: Any) -> list[Event]:
    """A session whose turn was answered after so long, changed; its delete was tried twice, the second time in 9 s."""
    found: list[Event] = []
    for event in session(number):
        if isinstance(event, StepFinished) and event.step is Step.TURN:
            event = replace(event, first_audio_ns=round(first_audio_s * S), **changes)
        if isinstance(event, StepFinished) and event.step is Step.DELETE:
            failure = Failure(step=Step.DELETE, kind=Kind.TIMEOUT, code=Code.TIMEOUT)
            found.append(replace(event, outcome=Outcome.FAILED, failure=failure))
            event = replace(event, t_ns=event.started_ns + 9 * S, attempt=2)
        found.append(event)
    return found


def test_what_is_observed_live_is_of_the_samples_that_the_objective_is_of() -> None:
    slos = [
        Slo(name="quick", indicator="turn.time_to_first_audio.p50", max=1.0),
        Slo(name="apart", indicator="turn.talk_over.p50", max=0.4),
        Slo(name="deleted", indicator="delete.p50", max=1.0),
    ]
    cut = Failure(step=Step.TURN, kind=Kind.PROTOCOL, code=Code.ANSWER_CUT)
    ours = Failure(step=Step.TURN, kind=Kind.BUG, code=Code.BUG)
    aggregate = Aggregate(["support"], slos=slos)
    objectives = Objectives(slos)
    for number in range(1, 17):
        if number <= 4:
            events = answered(number, 0.5, talk_over_ns=S // 5)
        elif number <= 10:
            events = answered(number, 5, talk_over_ns=S // 5, outcome=Outcome.FAILED, failure=cut)
        else:
            events = answered(number, 5, talk_over_ns=3 * S, outcome=Outcome.FAILED, failure=ours)
        for event in events:
            aggregate.add(event)
            objectives.add(event)
    judge = Judge(slos)
    judge.hear(0, objectives.value(S), now_ns=S)
    standings = judge.standings(now_ns=S)
    so_far = aggregate.snapshot()
    found = judged.snapshot(slos, standings, ("valid", ""), so_far)[c.OBJECTIVE_OBSERVED.name]
    observed = {key.split(SEPARATOR)[0]: value for key, value in found.items()}
    assert observed.keys() == {"quick", "apart"}, "every first delete failed, and how long another took is no sample"
    assert isinstance(observed["quick"], float)
    assert 0.45 < observed["quick"] <= 0.7
    assert isinstance(observed["apart"], float)
    assert 0.0 < observed["apart"] <= 0.2
    counts = {
        key: [sum(series[:-1]) for series in so_far[metric.name].values() if isinstance(series, list)]
        for key, metric in (("quick", c.FIRST_AUDIO), ("apart", c.TALK_OVER))
    }
    assert counts == {"quick": [4], "apart": [10]}
    samples = {slo.name: standing.count for slo, standing in zip(slos, standings, strict=True)}
    assert samples == {"quick": 4, "apart": 10, "deleted": 0}
    failed = so_far[c.STEP_DURATION.name][SEPARATOR.join(("support", "delete", "failed"))]
    assert isinstance(failed, list)
    assert sum(failed[:-1]) == 16
    assert so_far[c.ANSWERS_BY_AGE.name]["under 1 min"] == 4
    assert so_far[c.WAITED_BY_AGE.name]["under 1 min"] == 2.0
