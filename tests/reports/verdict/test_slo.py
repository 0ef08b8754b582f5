"""Objectives: what may be asked, and every problem at once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loadtest.criteria.slo import COUNT, INDICATORS, RANKS, RATIOS, TAKING, Slo, load_slos, parse_slo, parse_slos
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import STEPS, AnswerEnd, StepFinished
from reports.data import frames
from reports.verdict.gates import judge as gate
from tests.reports import journals as j


def problems_of(table: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_slo(table)
    return caught.value.problems


def test_a_whole_table_is_read() -> None:
    table = {"name": "first audio", "indicator": "turn.time_to_first_audio.p95", "max": 1.5, "window": "1m30s"}
    assert parse_slo(table | {"abort": True}) == Slo(
        name="first audio", indicator="turn.time_to_first_audio.p95", max=1.5, window_s=90.0, abort=True
    )


def test_an_objective_without_a_name_is_called_by_its_indicator() -> None:
    assert parse_slo({"indicator": "secret.margin.min", "min": 30}).name == "secret.margin.min"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("p95 < 1", "slo: must be a table"),
        ({"indicator": "crate.p95", "max": 1}, "slo: unknown indicator 'crate.p95' (did you mean create.p95?)"),
        ({"max": 1}, "slo: indicator is missing"),
        ({"indicator": "create.p95"}, "slo: needs exactly one of max and min"),
        ({"indicator": "create.p95", "max": 1, "min": 0}, "slo: needs exactly one of max and min"),
        ({"indicator": "create.p95", "max": "1s"}, "slo: max must be a number, not '1s' (did you mean 1?)"),
        ({"indicator": "create.p95", "max": True}, "slo: max must be a number, not true"),
        ({"indicator": "create.p95", "max": float("nan")}, "slo: max must be a number, not nan"),
        ({"indicator": "turn.failed_rate", "max": 5}, "slo: max must be a share between 0 and 1, not 5: 5 % is 0.05"),
        ({"indicator": "create.p95", "max": 1, "name": " "}, "slo: name must be a text, not ' '"),
        ({"indicator": "create.p95", "max": 1, "windw": "1m"}, "slo: unknown key 'windw' (did you mean window?)"),
        ({"indicator": "create.p95", "max": 1, "window": 0}, "slo: window must be longer than nothing"),
        ({"indicator": "session.leaked", "max": 0.5}, "slo: max must be a whole number, not 0.5"),
        (
            {"indicator": "session.completed", "min": 5, "abort": True},
            "slo: abort with the min of a count needs a window: every run begins at 0",
        ),
        ({"indicator": "create.p95", "max": 1, "scenario": 7}, "slo: scenario must be a name, not 7"),
        ({"indicator": "create.p95", "max": 1, "abort": "yes"}, "slo: abort must be true or false, not 'yes'"),
    ],
)
def test_bad_input_is_one_clear_line(table: object, problem: str) -> None:
    assert problems_of(table) == [problem]


def test_an_objective_of_a_scenario_that_is_not_in_the_run_is_bad_input() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_slo({"indicator": "create.p95", "max": 1, "scenario": "suport"}, scenarios=["support", "sales"])
    assert caught.value.problems == ["slo: unknown scenario 'suport' (did you mean support?)"]


@pytest.mark.parametrize(
    ("indicator", "bound", "enough"),
    [
        ("create.p50", 1, 2),
        ("create.p95", 1, 20),
        ("create.p99", 1, 100),
        ("create.max", 1, 1),
        ("secret.margin.min", 1, 1),
        ("create.p90", 1, 10),
        ("turn.failed_rate", 0.01, 1),
        ("turn.failed_rate", 0, 1),
        ("session.leaked", 3, 0),
    ],
)
def test_a_window_needs_as_many_samples_as_its_statistic(indicator: str, bound: float, enough: int) -> None:
    assert Slo(name="n", indicator=indicator, max=bound).enough == enough


@given(
    statistic=st.sampled_from(["p50", "p90", "p95", "p99", "max"]),
    values=st.lists(st.floats(min_value=0, max_value=2), min_size=1, max_size=150),
    side=st.sampled_from(["max", "min"]),
)
def test_what_counts_call_broken_is_broken_by_the_quantile_too(statistic: str, values: list[float], side: str) -> None:
    slo = Slo(name="n", indicator=f"create.{statistic}", **{side: 1.0})
    observed = float(np.quantile(values, float(RANKS[statistic])))
    if slo.broken(len(values), sum(map(slo.beyond, values)), more_to_come=True):
        assert not slo.met(observed)


def test_a_few_samples_break_an_objective_only_if_no_others_could_mend_it() -> None:
    p95 = Slo(name="n", indicator="create.p95", max=1.0)
    rate = Slo(name="n", indicator="session.failed_rate", max=0.01)
    assert [p95.broken(3, 1), p95.broken(3, 2), p95.broken(19, 1), p95.broken(40, 2)] == [False, True, False, False]
    assert [rate.broken(5, 1), rate.broken(200, 2), rate.broken(200, 3)] == [True, False, True]
    assert [rate.broken(5, bad, more_to_come=True) for bad in (1, 2)] == [False, True]


@pytest.mark.parametrize(
    ("bound", "enough"),
    [
        ({"max": 0.01}, 100),
        ({"max": 0.3}, 4),
        ({"max": 0}, 100),
        ({"max": 1}, 1),
        ({"min": 0.99}, 100),
        ({"min": 1}, 100),
    ],
)
def test_a_rate_of_the_steady_part_stands_alone_once_one_bad_sample_need_not_break_it(
    bound: dict[str, float], enough: int
) -> None:
    assert Slo(name="n", indicator="turn.failed_rate", **bound).stands_alone == enough


def test_all_problems_of_a_table_are_told_at_once() -> None:
    assert len(problems_of({"indicator": "x", "window": "soon", "abort": 1, "colour": "red"})) == 5


def test_all_problems_of_all_tables_are_told_at_once() -> None:
    good = {"name": "same", "indicator": "mint.p50", "max": 1}
    with pytest.raises(ConfigError) as caught:
        parse_slos([good, {"indicator": "mint.p50"}, good, 7])
    assert caught.value.problems == [
        "slo[2]: needs exactly one of max and min",
        "slo[4]: must be a table",
        "slo: two objectives have the name 'same'",
    ]


def test_a_file_of_objectives_is_read(tmp_path: Path) -> None:
    path = tmp_path / "slo.toml"
    path.write_text('[[slo]]\nindicator = "mint.p50"\nmax = 1\n[[slo]]\nindicator = "mint.max"\nmax = 2\n')
    assert [slo.indicator for slo in load_slos(path)] == ["mint.p50", "mint.max"]


def test_of_a_scenario_only_its_objectives_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('name = "x"\n[load]\nusers = "no number"\n[[slo]]\nindicator = "mint.p50"\nmax = 1\n')
    assert [slo.indicator for slo in load_slos(path, beside={"name", "load"})] == ["mint.p50"]
    path.write_text('nam = "x"\n[[slos]]\nindicator = "mint.p50"\n')
    with pytest.raises(ConfigError) as caught:
        load_slos(path, beside={"name", "load"})
    assert caught.value.problems == [
        f"{path}:1: unknown key 'nam' (did you mean name?)",
        f"{path}:2: unknown key 'slos' (did you mean slo?)",
        f"{path}: holds no [[slo]] table",
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (None, ["slo.toml: No such file or directory"]),
        ("[[slo]", ["slo.toml: not valid TOML: "]),
        ("", ["slo.toml: holds no [[slo]] table"]),
        ("slo = 3", ["slo.toml:1: slo: must be a list of tables ([[slo]])"]),
        ("[load]\n[[slo]]\nmax = 1", ["slo.toml:1: unknown key 'load'", "slo.toml:2: slo[1]: indicator is missing"]),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str | None, problems: list[str]) -> None:
    path = tmp_path / "slo.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_slos(path)
    for found, wanted in zip(caught.value.problems, problems, strict=True):
        assert wanted in found


@given(
    indicator=st.sampled_from(sorted(INDICATORS)),
    bound=st.floats(min_value=0, max_value=1),
    side=st.sampled_from(["max", "min"]),
    window=st.none() | st.floats(min_value=0.001, max_value=1e6),
    abort=st.booleans(),
    scenario=st.none() | st.just("support"),
)
def test_an_objective_survives_being_written_as_a_table(
    indicator: str, bound: float, side: str, window: float | None, abort: bool, scenario: str | None
) -> None:
    if INDICATORS[indicator] == COUNT:
        bound, abort = round(bound), abort and (side == "max" or window is not None)
    slo = Slo(name="n", indicator=indicator, window_s=window, abort=abort, scenario=scenario, **{side: bound})
    assert parse_slo(slo.table()) == slo


def test_a_bound_that_is_just_reached_is_met() -> None:
    at_most = Slo(name="n", indicator="mint.p50", max=1.0)
    at_least = Slo(name="n", indicator="secret.margin.min", min=1.0)
    assert [at_most.met(1.0), at_most.met(1.001), at_least.met(1.0), at_least.met(0.999)] == [True, False, True, False]


def test_every_indicator_that_may_be_asked_for_is_observed_in_a_whole_run(run_dir: Path) -> None:
    session = [
        replace(
            event,
            barge_in_ns=j.ns(0.4),
            dead_air_ns=j.ns(0.3),
            talk_over_ns=j.ns(0.4),
            answer=AnswerEnd.WHOLE,
            went_on=True,
        )
        if isinstance(event, StepFinished) and event.turn == 1
        else event
        for event in j.good_session(1, 1, first_audio_s=(0.8, 0.8, 0.8))
    ]
    told = {event.step for event in session if isinstance(event, StepFinished)}
    session[1:1] = [j.step(1, step, 1, 1.1) for step in STEPS if step not in told]
    sound = j.media(1, 11, gap_max_ns=j.ns(0.02), jitter_ns=j.ns(0.001), packets_lost=0)
    j.write_file(run_dir, [*session[:-1], sound, session[-1]])
    run = frames.load(run_dir).load_only()
    rows = gate(run, [Slo(name=indicator, indicator=indicator, max=1) for indicator in INDICATORS])
    assert [row["name"] for row in rows if row["observed"] is None] == []
    good = {f"turn.{what}_rate" for what, is_good in TAKING.items() if is_good}
    assert all(row["observed"] == (row["name"] in good) for row in rows if row["unit"] in RATIOS)
    counted = {row["name"]: row["observed"] for row in rows if row["unit"] == COUNT}
    assert {name: count for name, count in counted.items() if count} == {"session.started": 1, "session.completed": 1}
