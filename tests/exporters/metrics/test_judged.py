"""How a run stands, as metrics."""

import pytest

from exporters.metrics import catalogue as c
from exporters.metrics import judged
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.exposition import OPENMETRICS, PLAIN, exposition
from exporters.metrics.snapshot import SEPARATOR, Snapshot, merged
from loadtest.criteria.objectives import Standing, State
from loadtest.criteria.slo import Slo
from tests.exporters.metrics.test_prometheus import openmetrics, plain, value
from tests.exporters.traces.script import run_started, session

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
