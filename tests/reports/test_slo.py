"""Objectives: what may be asked, and every problem at once."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import ConfigError
from loadtest.events import StepFinished
from loadtest.slo import DEFAULT_SLOS, INDICATORS, SHARE, Slo, load_slos, parse_slo, parse_slos
from reports import frames
from reports.build import judge
from reports.verdict import observed
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
        ({"indicator": "create.p95", "max": "1s"}, "slo: max must be a number, not '1s'"),
        ({"indicator": "create.p95", "max": True}, "slo: max must be a number, not True"),
        ({"indicator": "create.p95", "max": float("nan")}, "slo: max must be a number, not nan"),
        ({"indicator": "turn.failed_rate", "max": 5}, "slo: max must be a share between 0 and 1, not 5"),
        ({"indicator": "create.p95", "max": 1, "name": " "}, "slo: name must be a text, not ' '"),
        ({"indicator": "create.p95", "max": 1, "windw": "1m"}, "slo: unknown key 'windw' (did you mean window?)"),
        ({"indicator": "create.p95", "max": 1, "window": 0}, "slo: window must be longer than nothing"),
        ({"indicator": "create.p95", "max": 1, "abort": "yes"}, "slo: abort must be true or false, not 'yes'"),
    ],
)
def test_bad_input_is_one_clear_line(table: object, problem: str) -> None:
    assert problems_of(table) == [problem]


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


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (None, ["slo.toml: can't be read: No such file or directory"]),
        ("[[slo]", ["slo.toml: is not TOML: "]),
        ("", ["slo.toml: holds no [[slo]] table"]),
        ("slo = 3", ["slo.toml: slo: must be a list of tables ([[slo]])"]),
        ("[load]\n[[slo]]\nmax = 1", ["slo.toml: unknown key 'load'", "slo.toml: slo[1]: indicator is missing"]),
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
)
def test_an_objective_survives_being_written_as_a_table(
    indicator: str, bound: float, side: str, window: float | None, abort: bool
) -> None:
    slo = Slo(name="n", indicator=indicator, window_s=window, abort=abort, **{side: bound})
    assert parse_slo(slo.table()) == slo


def test_a_bound_that_is_just_reached_is_met() -> None:
    at_most = Slo(name="n", indicator="mint.p50", max=1.0)
    at_least = Slo(name="n", indicator="secret.margin.min", min=1.0)
    assert [at_most.met(1.0), at_most.met(1.001), at_least.met(1.0), at_least.met(0.999)] == [True, False, True, False]


def test_every_indicator_that_may_be_asked_for_is_observed_in_a_whole_run(run_dir: Path) -> None:
    session = [
        replace(event, barge_in_ns=j.ns(0.4)) if isinstance(event, StepFinished) and event.turn == 1 else event
        for event in j.good_session(1, 1)
    ]
    j.write_file(run_dir, session)
    values = observed(judge(frames.load(run_dir), {}, DEFAULT_SLOS))
    assert set(values) == set(INDICATORS)
    assert [name for name, value in values.items() if value is None] == []
    assert all(values[name] == 0 for name, unit in INDICATORS.items() if unit == SHARE)
