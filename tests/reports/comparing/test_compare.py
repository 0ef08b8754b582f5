"""`avaload compare` and the baseline of a report: what counts as worse, what can't be compared, and what is written."""

import contextlib
import errno
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.cli import main
from loadtest.config.run_dir import Written, read_written
from loadtest.config.settings import Settings
from loadtest.criteria.words import amount
from loadtest.errors.exceptions import ConfigError, HarnessError
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
from loadtest.journal import Journal
from loadtest.system import disk
from reports.build import build
from reports.comparing import compare_runs, compare_settings, compare_stats
from reports.comparing.compare import compare, contrast, percent
from reports.comparing.compare_runs import Measured, check_baseline
from reports.formats import compare_pages, render_html, settings_rows, terminal
from reports.verdict.samples import Samples
from tests.reports import journals as j

PLAN: dict[str, Any] = {
    "name": "support-call",
    "load": {"users": 20, "duration": 60.0},
    "target": {"room": "websocket"},
    "realtime": {"model": "gpt-realtime"},
    "conversation": {"turns": [{"kind": "say"}]},
}
SESSIONS = 60


def sessions(*, slower: float = 1.0, failing: int = 0, seed: int = 1, first_s: float = 0.0) -> list[Event]:
    """SESSIONS sessions a second apart; creates spread by σ 0.1 around 200 ms × `slower`, the first `failing` fail."""
    spread = np.exp(np.random.default_rng(seed).normal(0, 0.1, SESSIONS))
    events: list[Event] = []
    for number in range(SESSIONS):
        whole = j.good_session(number, first_s + number, create_s=0.2 * slower * float(spread[number]))
        if number < failing:
            failed = j.failed_step(number, Step.CREATE, number, number + 0.1, Kind.REJECTED, Code.RATE_LIMITED)
            end = j.finished(number, number, number + 1, outcome=Outcome.FAILED, failure=failed.failure)
            whole = [whole[0], failed, end]
        events += whole
    return events


def written(path: Path, events: list[Event], *, plan: dict[str, Any] | None = None, **more: Any) -> Path:
    j.write_file(path, events, run_id=path.name)
    settings = {"run_id": path.name, "scenario": PLAN if plan is None else plan, "git_revision": "abc", **more}
    (path / "settings.json").write_text(json.dumps(settings))
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("base") / "before", sessions())


@pytest.fixture(scope="module")
def before(base: Path) -> Measured:
    return replace(compare_runs.load(base), name="before")


def row(comparison: dict[str, Any], measure: str) -> dict[str, Any]:
    return next(row for row in comparison["measures"] if row["measure"] == measure)


def test_a_slower_create_is_a_regression_and_says_by_how_much(base: Path, tmp_path: Path) -> None:
    compared = compare([base], [written(tmp_path / "now", sessions(slower=1.2, seed=2))])
    assert (compared["outcome"], compared["exit_code"]) == ("regression", 3)
    create = row(compared, "create")
    assert create["verdict"] == "worse"
    assert create["low"] < 0.2 < create["high"]
    assert create["low"] > create["margin"] == pytest.approx(0.015)
    assert create["base"]["count"] == create["new"]["count"] == SESSIONS
    assert compared["regressions"][0].startswith("create is slower by ")
    assert all(row["verdict"] == "no_change" for row in compared["measures"] if row["measure"] != "create")


def test_the_same_build_is_no_change_and_says_how_little_would_have_been_seen(base: Path, tmp_path: Path) -> None:
    compared = compare([base], [written(tmp_path / "now", sessions(seed=3))])
    assert (compared["outcome"], compared["exit_code"], compared["regressions"]) == ("no_change", 0, [])
    assert 0.05 < row(compared, "create")["smallest_seen"] < 0.12
    assert "smallest change that would have been seen (19 times of 20): mint " in compare_pages.reasons(compared)[0]


def test_what_is_slow_by_chance_ends_late_and_is_not_a_target_that_became_slow(tmp_path: Path) -> None:
    """50 sessions a second for 10 s: in the order of their ends, the last of them are the slow ones."""
    slow_s = np.random.default_rng(5).lognormal(-1.2, 0.67, 500)
    whole = [each for n in range(500) for each in j.good_session(n, n / 50, create_s=float(slow_s[n]))]
    run = compare_runs.load(written(tmp_path / "run", sorted(whole, key=lambda event: event.t_ns)))
    assert list(run.samples["create"].values) == pytest.approx(list(slow_s))
    assert not compare_stats.blocks(run.samples["create"]).in_time


def test_a_faster_build_is_an_improvement(base: Path, tmp_path: Path) -> None:
    compared = compare([base], [written(tmp_path / "now", sessions(slower=0.8, seed=2))])
    assert (compared["outcome"], compared["exit_code"]) == ("improvement", 0)
    assert compared["improvements"][0].startswith("create is faster by ")


def test_a_change_below_a_millisecond_is_not_the_targets(tmp_path: Path) -> None:
    sides = [
        written(tmp_path / name, [event for number in range(40) for event in j.good_session(number, number, mint_s=s)])
        for name, s in (("a", 0.0020), ("b", 0.0028), ("c", 0.0050))
    ]
    assert compare([sides[0]], [sides[1]])["outcome"] == "no_change"
    assert compare([sides[0]], [sides[2]])["regressions"][0].startswith("mint is slower by 150 %")


def test_a_change_of_a_turn_within_a_frame_of_audio_is_not_the_targets(tmp_path: Path) -> None:
    """Frames come 20 ms apart on either side: sessions that all start at once share a phase, and so an error."""
    sides = [
        written(tmp_path / name, [each for n in range(40) for each in j.good_session(n, n, first_audio_s=(s, s))])
        for name, s in (("a", 0.100), ("b", 0.119), ("c", 0.125))
    ]
    within = compare([sides[0]], [sides[1]])
    assert (within["outcome"], row(within, "turn.time_to_first_audio")["margin"]) == ("no_change", pytest.approx(0.2))
    assert compare([sides[0]], [sides[2]])["regressions"] == [
        "turn.time_to_first_audio is slower by 25 % (+25 % to +25 %): 100 ms → 125 ms, more than the margin of 20 %"
    ]


def test_failures_that_are_new_are_told_and_more_of_them_is_a_regression(base: Path, tmp_path: Path) -> None:
    compared = compare([base], [written(tmp_path / "now", sessions(failing=12))])
    assert compared["failures"] == {"new": [{"failure": "create: rejected/rate_limited", "count": 12}], "gone": []}
    assert "create fails more often: 12 of 60, 0 of 60 before" in compared["regressions"]
    few = compare([base], [written(tmp_path / "few", sessions(failing=1))])
    assert few["failures"]["new"] == [{"failure": "create: rejected/rate_limited", "count": 1}]
    assert few["outcome"] == "no_change"


def test_a_build_whose_sessions_all_fail_before_anything_is_timed_is_a_regression(base: Path, tmp_path: Path) -> None:
    refused: list[Event] = []
    for n in range(SESSIONS):
        mint = j.failed_step(n, Step.MINT, n, n + 0.1, Kind.REJECTED, Code.HTTP_5XX)
        refused += [j.started(n, n), mint, j.finished(n, n, n + 0.2, outcome=Outcome.FAILED, failure=mint.failure)]
    compared = compare([base], [written(tmp_path / "now", refused)])
    assert {row["verdict"] for row in compared["measures"]} == {"too_few"}
    assert (compared["outcome"], compared["exit_code"]) == ("regression", 3)
    assert compared["not_comparable_because"] == []
    assert compare_pages.reasons(compared)[:5] == [
        "mint fails more often: 60 of 60, 0 of 60 before",
        "session fails more often: 60 of 60, 0 of 60 before",
        "1 failure of a kind that the base had not: mint: rejected/http_5xx (60)",
        "rules that changed: EXP-5 pass → not_tested, EXP-8 pass → not_tested, TD-1 pass → not_tested, TD-5 pass →"
        " not_tested",
        "no step or turn has 20 sessions that began in 3 different seconds",
    ]


def test_a_generator_that_was_invalid_says_nothing_of_failures_either(base: Path, tmp_path: Path) -> None:
    lost = GeneratorFailed(t_ns=j.at(9), fault=Fault.WORKER_LOST, process=1)
    compared = compare([base], [written(tmp_path / "now", [*sessions(failing=SESSIONS), lost])])
    assert (compared["outcome"], compared["exit_code"], compared["regressions"]) == ("not_comparable", 4, [])


def test_only_the_steady_part_and_load_sessions_count(base: Path, tmp_path: Path) -> None:
    ramp = [StageStarted(t_ns=j.at(t_s), stage=str(t_s), users=1, steady=t_s > 0) for t_s in (0, 10)]
    slow = [event for number in range(100, 109) for event in j.good_session(number, number - 100, create_s=0.9)]
    probes = [e for n in range(200, 240) for e in j.good_session(n, n - 150, create_s=0.9, purpose="probe:TD-1")]
    now = written(tmp_path / "now", [*ramp, *slow, *probes, *sessions(seed=4, first_s=10)])
    compared = compare([base], [now])
    assert compared["outcome"] == "no_change"
    assert row(compared, "create")["new"]["count"] == SESSIONS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "sales"}, "now: scenario sales, but support-call in "),
        ({"load": {"users": 40, "duration": 60.0}}, "now: load.users is 40, not 20"),
        ({"conversation": {"turns": [{"kind": "silence"}]}}, "now: conversation.turns[1].kind is silence, not say"),
        ({"target": {"room": "none"}}, "now: target.room is none, not websocket"),
        ({"caller": {"noise_dbfs": -50.0}}, "now: caller.noise_dbfs is -50, and was not set"),
        ({"caller": {"cut_after_s": 2.0}}, "now: caller.cut_after_s is 2, and was not set"),
        ({"probes": {"share": 0.5}}, "now: probes.share is 0.5, not 0"),
    ],
)
def test_runs_of_different_plans_are_not_comparable(
    change: dict[str, Any], why: str, base: Path, tmp_path: Path
) -> None:
    now = written(tmp_path / "now", sessions(slower=2), plan=PLAN | change)
    compared = compare([base], [now])
    assert (compared["outcome"], compared["exit_code"], compared["regressions"]) == ("not_comparable", 4, [])
    assert any(why in reason for reason in compared["not_comparable_because"])


def test_callers_of_a_mix_are_compared_by_scenario(tmp_path: Path) -> None:
    sides = []
    for name, caller in (("quiet", {}), ("loud", {"noise_dbfs": -40.0})):
        plan = PLAN | {"mix": [{"name": "support", "realtime": {"model": "gpt-realtime"}, "caller": caller}]}
        del plan["realtime"], plan["conversation"]
        sides.append(written(tmp_path / name, sessions(), plan=plan))
    why = compare(sides[:1], sides[1:])["not_comparable_because"]
    assert [each.partition(": ")[2] for each in why] == ["mix.support.caller.noise_dbfs is -40, and was not set"]


def test_which_checks_ran_beside_is_told(tmp_path: Path) -> None:
    sides = [
        written(tmp_path / name, sessions(), plan=PLAN | {"probes": {"share": 0.1, "slow": slow}})
        for name, slow in (("a", False), ("b", True))
    ]
    compared = compare(sides[:1], sides[1:])
    assert compared["outcome"] == "no_change"
    assert compared["settings"] == [{"key": "probes.slow", "base": "False", "new": "True", "default_changed": False}]


SAYS: dict[str, Any] = {"kind": "say"}
LONG = "You are an assistant of the Example company in Berlin and answer in short sentences. "


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            {"conversation": {"turns": [SAYS, SAYS, {"kind": "barge_in", "after_s": 1.5}]}},
            {"conversation": {"turns": [SAYS, SAYS, {"kind": "barge_in", "after_s": 2.5}]}},
            ["conversation.turns[3].after_s is 2.5, not 1.5"],
        ),
        (
            {"load": {"stages": [{"users": 5, "duration": 60.0}, {"users": 10, "duration": 60.0}]}},
            {"load": {"stages": [{"users": 5, "duration": 60.0}, {"users": 20, "duration": 60.0}]}},
            ["load.stages[2].users is 20, not 10"],
        ),
        (
            {"load": {"trace": [each / 2 for each in range(99)]}},
            {"load": {"trace": [each / 2 for each in range(40)]}},
            ["load.trace is 40 values, not 99 values"],
        ),
        (
            {"load": {"trace": [each / 2 for each in range(99)]}},
            {"load": {"trace": [*(each / 2 for each in range(98)), 77.0]}},
            ["load.trace is …, 47.5, 48.0, 48.5, 77.0], not …, 47.5, 48.0, 48.5, 49.0]"],
        ),
    ],
    ids=["a turn", "a stage", "lengths", "a number"],
)
def test_what_differs_of_a_plan_is_told_where_it_differs(
    old: dict[str, Any], new: dict[str, Any], told: list[str]
) -> None:
    plans = [Settings.model_validate(PLAN | side) for side in (old, new)]
    lines = compare_settings.other_plan(*plans)
    assert [line for line in lines if not line.startswith("load.users")] == told


def test_long_texts_are_told_from_before_their_first_difference() -> None:
    told = [
        Written(settings=Settings.model_validate(PLAN | {"realtime": {"model": "m", "instructions": LONG + end}}))
        for end in ("Never lie.", "Be polite.")
    ]
    (row,) = compare_settings.differences(*told)
    assert row == {
        "key": "realtime.instructions",
        "base": "…in short sentences. Never lie.",
        "new": "…in short sentences. Be polite.",
        "default_changed": False,
    }


def test_a_plan_that_differs_in_all_is_told_in_ten_lines() -> None:
    plans = [
        Settings.model_validate(PLAN | {"conversation": {"turns": [turn] * 30}}) for turn in (SAYS, {"kind": "pause"})
    ]
    lines = compare_settings.other_plan(*plans)
    assert len(lines) == 11
    assert lines[-1].endswith(" more, in settings.json")


def test_a_run_that_differs_from_the_first_of_its_own_side_is_named(before: Measured) -> None:
    now = replace(before, name="now")
    other = Settings.model_validate(PLAN | {"realtime": {"model": "gpt-realtime-mini"}})
    mini = replace(before, name="mini", written=replace(before.written, settings=other))
    for base_runs, new_runs, first in (([before, mini], [now], "before"), ([before], [now, mini], "now")):
        compared = contrast(base_runs, new_runs)
        told = f"mini: not as {first}, of the same side: realtime.model gpt-realtime → gpt-realtime-mini"
        assert [note for note in compared["notes"] if "of the same side" in note] == [told]
        assert compared["settings"] == []


def dropped(count: int, reason: DropReason) -> list[Event]:
    return [
        IterationDropped(t_ns=j.at(n), due_ns=j.at(n), scenario="support-call", reason=reason) for n in range(count)
    ]


def test_a_run_that_was_less_load_than_was_asked_for_is_no_baseline(tmp_path: Path) -> None:
    small = written(tmp_path / "small", [*sessions(), *dropped(5, DropReason.NO_USER)])
    report = j.reported(written(tmp_path / "now", sessions(slower=1.3, seed=2)), baseline=small)
    assert (report["baseline"]["outcome"], report["verdict"]["exit_code"]) == ("not_comparable", 4)
    assert report["baseline"]["not_comparable_because"] == [
        f"{tmp_path.name}/small: 5 of 65 arrivals never became sessions: our own pool of users was too small"
        " (--max-users); it was not the load asked for"
    ]


@pytest.mark.parametrize(
    ("base_is", "new_is", "slower", "outcome"),
    [
        ("too little", None, 1.5, "not_comparable"),
        ("too little", None, 0.5, "not_comparable"),
        (None, "too little", 0.5, "not_comparable"),
        (None, "too little", 1.0, "not_comparable"),
        (None, "too little", 1.5, "regression"),  # with less load it should have been faster
        (None, None, 0.5, "improvement"),
    ],
)
def test_less_load_than_was_asked_for_blames_and_praises_nobody_but_what_is_worse_with_it(
    base_is: str | None, new_is: str | None, slower: float, outcome: str, before: Measured
) -> None:
    was = replace(of_create(before, 60, 0.2), lighter=base_is)
    now = replace(of_create(before, 60, 0.2 * slower), name="now", lighter=new_is)
    compared = contrast([was], [now])
    assert compared["outcome"] == outcome
    assert bool(compared["regressions"]) == (outcome == "regression")
    assert bool(compared["improvements"]) == (outcome == "improvement")
    light = [f"{run.name}: {run.lighter}" for run in (was, now) if run.lighter]
    told = compared["not_comparable_because"] if outcome == "not_comparable" else compared["notes"]
    assert set(told) >= set(light)


def test_a_target_that_was_never_reached_is_blamed_for_nothing(base: Path, tmp_path: Path) -> None:
    nobody: list[Event] = []
    for n in range(SESSIONS):
        mint = j.failed_step(n, Step.MINT, n, n + 0.1, Kind.TRANSPORT, Code.CONNECT_FAILED)
        nobody += [j.started(n, n), mint, j.finished(n, n, n + 0.2, outcome=Outcome.FAILED, failure=mint.failure)]
    compared = compare([base], [written(tmp_path / "now", nobody)])
    assert (compared["outcome"], compared["exit_code"], compared["regressions"]) == ("not_comparable", 4, [])
    assert compared["not_comparable_because"] == [
        f"{tmp_path.name}/now: the target was never reached, so nothing is known of it: no connection could be made:"
        " mint went wrong"
    ]


def test_only_arrivals_that_we_let_go_ourselves_make_less_load(tmp_path: Path) -> None:
    spared = written(tmp_path / "spared", [*sessions(), *dropped(5, DropReason.MAX_SESSIONS)])
    assert compare_runs.load(spared).lighter is None


def test_a_run_whose_journals_are_not_all_there_is_compared_with_nothing(tmp_path: Path) -> None:
    plan = PLAN | {"load": {"users": 20, "duration": 60.0, "processes": 2}}
    lacking = written(tmp_path / "lacking", sessions(), plan=plan)
    j.write_file(lacking, [], role="load", run_id="lacking")
    run = compare_runs.load(lacking)
    assert run.generator == "invalid"
    assert run.generator_why == ["load process 1: no journal of its load and its engine"]


def test_rules_of_both_sides_are_judged_today_whatever_a_report_of_then_says(tmp_path: Path) -> None:
    before = written(tmp_path / "before", sessions())
    told_then = {"rules": [{"id": "TD-1", "outcome": "fail"}, {"id": "OLD-1", "outcome": "fail"}]}
    (before / "report.json").write_text(json.dumps(told_then))
    rules = compare_runs.load(before).rules
    assert (rules["TD-1"], "OLD-1" in rules) == ("pass", False)
    assert rules == {row["id"]: row["outcome"] for row in j.reported(before)["rules"]}


NOT_COMPARED = {"name", "tags", "capacity", "waive", "output", "distribution", "cost", "slo"}
"""What names, judges, pays and watches: no user meets it."""


def test_no_part_of_the_settings_is_forgotten_by_comparisons() -> None:
    plan = Settings.model_validate(PLAN)
    compared = {*compare_settings._plan(plan), *compare_settings._free(Written(settings=plan)), "mix"}
    assert compared >= set(Settings.model_fields) - NOT_COMPARED


def test_what_else_differs_is_told_and_is_no_obstacle(base: Path, tmp_path: Path) -> None:
    plan = PLAN | {"realtime": {"model": "gpt-realtime-mini"}, "load": {"users": 20, "duration": 1234567.5}}
    host = {"name": ["no text"]}
    compared = compare([base], [written(tmp_path / "now", sessions(), plan=plan, git_revision="def", host=host)])
    assert compared["outcome"] == "no_change"
    assert compared["settings"] == [
        {"key": "realtime.model", "base": "gpt-realtime", "new": "gpt-realtime-mini", "default_changed": False},
        {"key": "load.duration", "base": "60", "new": "1234567.5", "default_changed": False},
        {"key": "git_revision", "base": "abc", "new": "def", "default_changed": False},
        {"key": "host.name", "base": "not set", "new": "['no text']", "default_changed": False},
    ]


@pytest.mark.parametrize(
    "told", [{}, {"defaults": {"realtime": {"model": "gpt-realtime"}}}], ids=["by nobody", "by the run"]
)
@pytest.mark.parametrize("model", ["gpt-realtime-2.1", "gpt-realtime-mini"])
def test_a_default_that_changed_between_two_versions_is_named(model: str, told: dict[str, Any], tmp_path: Path) -> None:
    was = written(tmp_path / "was", sessions(), plan=PLAN | {"realtime": {"model": "gpt-realtime"}}, **told)
    now = written(
        tmp_path / "now", sessions(), plan=PLAN | {"realtime": {"model": model}},
        defaults={"realtime": {"model": "gpt-realtime-2.1"}},
    )  # fmt: skip
    compared = compare([was], [now])
    (row,) = compared["settings"]
    assert row["default_changed"] is (model == "gpt-realtime-2.1")
    named = [note for note in compared["notes"] if "a default of avaload changed" in note]
    assert named == (
        ["a default of avaload changed between the two: realtime.model was gpt-realtime and is gpt-realtime-2.1"]
        if row["default_changed"]
        else []
    )


def test_an_invalid_generator_says_nothing_about_the_target(base: Path, tmp_path: Path) -> None:
    lost = GeneratorFailed(t_ns=j.at(9), fault=Fault.WORKER_LOST, process=1)
    compared = compare([base], [written(tmp_path / "now", [*sessions(slower=2), lost])])
    assert compared["outcome"] == "not_comparable"
    assert "its generator was invalid: a worker was lost" in compared["not_comparable_because"][0]


def test_too_few_samples_say_nothing(base: Path, tmp_path: Path) -> None:
    few = [event for number in range(5) for event in j.good_session(number, number)]
    compared = compare([base], [written(tmp_path / "now", few)])
    assert compared["not_comparable_because"] == ["no step or turn has 20 sessions that began in 3 different seconds"]


def test_sessions_of_one_burst_are_one_sample_however_alike_they_are(base: Path, tmp_path: Path) -> None:
    """They met the same queue. The next run's burst meets another one, and both builds are equal."""
    sides = [
        written(tmp_path / name, [e for n in range(24) for e in j.good_session(n, 0.6 + n / 50, create_s=create_s)])
        for name, create_s in (("a", 0.0187), ("b", 0.0301))
    ]
    compared = compare([sides[0]], [sides[1]])
    assert (compared["outcome"], compared["regressions"]) == ("not_comparable", [])
    assert compared["not_comparable_because"] == ["no step or turn has 20 sessions that began in 3 different seconds"]
    assert "| create | | | | | too few, or too near in time (24 and 24 samples) | |" in compare_pages.table(compared)


def test_turns_of_one_burst_are_one_sample_however_long_their_answers_are(tmp_path: Path) -> None:
    """A turn ends with its answer, which is up to five seconds long; all began within one second."""
    sides = []
    for name, wait_s in (("a", 0.5), ("b", 0.8)):
        events: list[Event] = []
        for n in range(24):
            begin_s = 3.0 + n / 50
            turn = j.step(n, Step.TURN, begin_s, begin_s + 2 + wait_s + n / 5, turn=0, first_audio_ns=j.ns(wait_s))
            events += [j.started(n, 0.6 + n / 50), turn, j.finished(n, 0.6 + n / 50, 12)]
        sides.append(written(tmp_path / name, events))
    compared = compare(sides[:1], sides[1:])
    assert (compared["outcome"], compared["regressions"]) == ("not_comparable", [])
    assert row(compared, "turn.time_to_first_audio")["verdict"] == "too_few"


def rules_of(measured: Measured, **outcomes: str) -> Measured:
    return replace(measured, rules={name.replace("_", "-"): outcome for name, outcome in outcomes.items()})


def test_a_rule_that_passed_and_fails_is_a_regression(before: Measured) -> None:
    now = replace(before, name="now")
    compared = contrast(
        [rules_of(before, EXP_1="pass", TD_1="fail", TR_1="not_tested", INT_4="pass")],
        [
            rules_of(now, EXP_1="fail", TD_1="pass", TR_1="fail", INT_4="pass"),
            rules_of(now, EXP_1="pass", TD_1="pass", INT_4="pass"),
        ],
    )
    assert compared["regressions"] == ["rule EXP-1 fails and passed before"]
    assert compared["improvements"] == ["rule TD-1 passes and failed before"]
    assert [(row["id"], row["base"], row["new"]) for row in compared["rules"]] == [
        ("EXP-1", "pass", "fail"),
        ("TD-1", "fail", "pass"),
        ("TR-1", "not_tested", "fail"),
    ]


def test_a_run_cant_be_compared_with_itself_or_while_it_is_written(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there twice"):
        compare([base], [base.parent / "." / base.name])
    now = written(tmp_path / "now", sessions())
    with Journal(next((now / "journal").iterdir())), pytest.raises(ConfigError, match="still being written"):
        compare([base], [now])


@pytest.mark.parametrize(("ways", "odd"), [(("official", "lean"), 1), (("lean", "official"), 1), (("lean", None), 1)])
def test_runs_with_and_without_the_official_clients_are_refused_in_one_line(
    ways: tuple[str | None, str | None], odd: int, tmp_path: Path
) -> None:
    """None: of a version that had one way alone."""
    runs = []
    for number, http in enumerate(ways):
        target = PLAN["target"] if http is None else {**PLAN["target"], "http": http}
        runs.append(written(tmp_path / f"run-{number}", sessions(), plan=PLAN | {"target": target}))
    with pytest.raises(ConfigError) as caught:
        compare([runs[0]], [runs[1]])
    (problem,) = caught.value.problems
    assert problem.endswith("not comparable")
    assert f"run-{odd}: went by --http {ways[odd] or 'official'}, but " in problem
    with pytest.raises(ConfigError, match=r"target\.http is"):
        build(runs[1], baseline=runs[0])


def test_runs_of_one_way_are_compared_and_the_report_says_which(tmp_path: Path) -> None:
    plan = PLAN | {"target": {**PLAN["target"], "http": "lean"}}
    runs = [written(tmp_path / name, sessions(), plan=plan) for name in ("before", "now")]
    report = build(runs[1], baseline=runs[0])
    assert (report["http"], report["baseline"]["outcome"]) == ("lean", "no_change")
    for name in ("report.md", "report.html"):
        assert "calls lean, without the official clients" in (runs[1] / name).read_text()
    assert '<property name="http" value="lean"' in (runs[1] / "junit.xml").read_text()
    assert "http:    lean, without the official clients" in terminal.render(report, runs[1])


def test_the_report_holds_a_regression_against_the_run(base: Path, tmp_path: Path) -> None:
    now = written(tmp_path / "now", sessions(slower=1.3))
    report = build(now, baseline=base)
    assert (report["verdict"]["outcome"], report["verdict"]["exit_code"]) == ("fail", 3)
    assert report["verdict"]["reasons"][0].startswith("worse than the baseline: create is slower by 30 %")
    assert report["baseline"]["base"][0]["run_id"] == "before"
    text = (now / "report.md").read_text()
    assert "### Since the baseline `before`: ❌ regression" in text
    create = next(row for row in report["baseline"]["measures"] if row["measure"] == "create")
    before, after = (amount(create[which]["mean_s"], "s") for which in ("base", "new"))
    assert f"| create | {before} | {after} |" in text
    assert before != after
    assert "worse than the baseline" in (now / "junit.xml").read_text()


def test_the_report_for_a_pull_request_says_how_often_what_failed_before_and_after(base: Path, tmp_path: Path) -> None:
    now = written(tmp_path / "now", sessions(failing=30))
    build(now, baseline=base)
    text = (now / "report.md").read_text()
    assert "| fails | base | new | |" in text
    assert "| 0 of 60 | 30 of 60 | **more often** |" in text
    assert len(text.splitlines()) < 100


def test_a_baseline_of_the_settings_is_used_and_one_that_is_not_there_makes_the_run_invalid(
    base: Path, tmp_path: Path
) -> None:
    """A run that was slower than its baseline passes nowhere, whoever judges it again without it."""
    now = written(tmp_path / "now", sessions(slower=1.3), plan=PLAN | {"output": {"baseline": str(base)}})
    report = j.reported(now)
    assert (report["baseline"]["outcome"], report["verdict"]["exit_code"]) == ("regression", 3)
    nowhere = tmp_path / "nowhere"
    gone = written(tmp_path / "gone", sessions(slower=1.3), plan=PLAN | {"output": {"baseline": str(nowhere)}})
    report = j.reported(gone)
    assert (report["verdict"]["outcome"], report["verdict"]["exit_code"]) == ("invalid", 4)
    why = f"can't be compared with the baseline: {tmp_path.name}/nowhere: is not there"
    assert report["verdict"]["reasons"][0] == why
    told = dict(settings_rows.rows(read_written(gone)))["settings.output.baseline"]
    assert told == f"{tmp_path.name}/nowhere"


def test_a_baseline_is_refused_before_anything_is_started(base: Path, tmp_path: Path) -> None:
    check_baseline(base, plan=Settings.model_validate(PLAN | {"target": {"room": "auto"}}))  # not known before the run
    with pytest.raises(ConfigError) as caught:
        check_baseline(base, plan=Settings.model_validate(PLAN | {"name": "sales", "load": {"users": 40}}))
    assert caught.value.problems == [
        f"--baseline {base}: not comparable: scenario is sales, not support-call",
        f"--baseline {base}: not comparable: load.users is 40, not 20",
    ]
    with pytest.raises(ConfigError, match="holds no journal"):
        check_baseline(tmp_path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("written", "is still being written"),
        ("no journal", "holds no journal"),
        ("settings", "settings.json: can't be"),
    ],
)
def test_a_baseline_that_cant_be_read_after_the_load_costs_neither_report_nor_verdict(
    damage: str, told: str, tmp_path: Path
) -> None:
    before = written(tmp_path / "before", sessions())
    now = written(tmp_path / "now", sessions(), plan=PLAN | {"output": {"baseline": str(before)}})
    (file,) = (before / "journal").iterdir()
    with contextlib.ExitStack() as writing:
        if damage == "written":
            writing.enter_context(Journal(file))
        elif damage == "no journal":
            file.write_bytes(file.read_bytes()[1:200])
        else:
            (before / "settings.json").write_text("{")
        report = build(now)
        with pytest.raises(HarnessError):
            build(now, baseline=before)
    (why,) = report["baseline"]["not_comparable_because"]
    assert told in why
    assert str(tmp_path.parent) not in why
    assert (report["verdict"]["outcome"], report["verdict"]["exit_code"]) == ("invalid", 4)
    assert f"can't be compared with the baseline: {why}" in report["verdict"]["reasons"]
    for page in ("report.md", "report.html"):
        assert "before" in (now / page).read_text()
    assert json.loads((now / "report.json").read_text())["baseline"]["base"][0]["sessions"] is None


def test_what_is_missed_fails_a_run_whose_baseline_cant_be_read(tmp_path: Path) -> None:
    before = written(tmp_path / "before", sessions())
    (before / "settings.json").write_text("{")
    missed = {"name": "creates", "indicator": "create.p50", "max": 0.1}
    plan = PLAN | {"output": {"baseline": str(before)}, "slo": [missed]}
    report = j.reported(written(tmp_path / "now", sessions(), plan=plan))
    assert (report["verdict"]["exit_code"], report["baseline"]["outcome"]) == (3, "not_comparable")


def test_a_run_that_is_being_written_is_refused_as_a_baseline_before_the_start(tmp_path: Path) -> None:
    before = written(tmp_path / "before", sessions())
    with Journal(next((before / "journal").iterdir())), pytest.raises(ConfigError, match="still being written"):
        check_baseline(before)


SEARCHED = "a search for the limit, whose figures are of many levels"


def test_a_search_is_compared_with_nothing(base: Path, tmp_path: Path) -> None:
    """A target that carries more is driven higher, and would be called slower."""
    plan = PLAN | {"capacity": {"by": "users"}}
    search = written(tmp_path / "search", sessions(slower=1.2, seed=2), plan=plan)
    compared = compare([base], [search])
    assert (compared["exit_code"], compared["regressions"]) == (4, [])
    assert [why.partition(": ")[2] for why in compared["not_comparable_because"]] == [SEARCHED]
    with pytest.raises(ConfigError) as caught:
        check_baseline(search, plan=Settings.model_validate(PLAN))
    assert caught.value.problems == [f"--baseline {search}: {SEARCHED}"]
    with pytest.raises(ConfigError) as caught:
        check_baseline(base, plan=Settings.model_validate(plan))
    assert caught.value.problems == [f"--baseline {base}: nothing is held against it by {SEARCHED}"]


EVIL = "<script>alert('x')</script>|b"


def test_the_pages_escape_what_comes_from_a_run_and_say_what_the_numbers_say(base: Path, tmp_path: Path) -> None:
    evil = PLAN | {"name": EVIL}
    sides = [written(tmp_path / str(s), sessions(slower=s), plan=evil) for s in (1.0, 1.2)]
    compared = compare([sides[0]], [sides[1]])
    page = tmp_path / "out" / "compare.html"
    assert compare_pages.write(compared, tmp_path / "out") == page
    html, markdown = page.read_text(), (tmp_path / "out" / "compare.md").read_text()
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == json.loads(json.dumps(compared))
    assert "<script" not in html + markdown
    assert "REGRESSION" in html
    assert "http" not in html.replace("http-equiv", "")
    assert markdown.startswith("## ❌ regression: &lt;script>")
    create = next(line for line in markdown.splitlines() if line.startswith("| create |"))
    assert "| **slower** |" in create
    assert percent(row(compared, "create")["change"]) in create


def test_a_run_that_takes_no_file_costs_no_verdict(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    now = written(tmp_path / "now", sessions(slower=1.3, seed=2))
    monkeypatch.setattr(disk, "replace_all", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, said = main(["compare", str(base), "--to", str(now)]), capsys.readouterr()

    (page,) = tmp_path.glob("avaload-now-*/compare.html")
    assert code == 3
    assert said.out.startswith("compared: regression\n  - create is slower by 3")
    assert said.out.endswith(f"report:  {page}\n")
    assert said.err == (
        f"avaload: {now}: Read-only file system: the comparison is in {page.parent}; --out names another directory\n"
    )


def test_pages_of_a_comparison_go_into_no_file(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["compare", str(base), "--to", str(base), "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"avaload: --out {tmp_path / 'file'}: is no directory\n"


def test_a_change_is_written_as_people_read_it() -> None:
    assert [percent(change) for change in (0.1234, -0.05, 0.0, None)] == ["+12 %", "−5.0 %", "+0.0 %", "–"]


def test_a_run_that_has_too_little_for_its_baseline_is_neither_worse_nor_passed(base: Path, tmp_path: Path) -> None:
    now = written(tmp_path / "now", sessions()[:200], plan=PLAN | {"output": {"baseline": str(base)}})
    report = j.reported(now)
    assert (report["baseline"]["outcome"], report["baseline"]["regressions"]) == ("not_comparable", [])
    assert (report["verdict"]["outcome"], report["verdict"]["exit_code"]) == ("invalid", 4)
    why = "no step or turn has 20 sessions that began in 3 different seconds"
    assert f"can't be compared with the baseline: {why}" in report["verdict"]["reasons"]


@pytest.mark.parametrize(
    ("mean", "tails", "word"),
    [
        ("worse", {"p95": "worse"}, "slower"),
        ("no_change", {"p95": "worse", "p99": "worse"}, "slower at p95 and p99"),
        ("better", {"p99": "worse"}, "faster, but slower at p99"),
        ("better", {"p95": "not_worse"}, "faster"),
        ("no_change", {"p95": "not_worse"}, "no change seen"),
    ],
)
def test_a_measure_has_one_word_and_one_change_on_every_page(
    mean: str, tails: dict[str, str], word: str, before: Measured
) -> None:
    compared = contrast([before], [replace(before, name="now", run_id="now")])
    create = row(compared, "create")
    create |= {"verdict": mean, "change": 0.123}
    for name, quantile in create["quantiles"].items():
        quantile["verdict"] = tails.get(name, "shown")
    table = "\n".join(compare_pages.table(compared))
    baseline = render_html._environment().get_template("baseline.html.j2").render(report={"baseline": compared})
    for page, begins, ends in (
        (table, "| create |", "\n"),
        (compare_pages.html(compared), ">create</th>", "</tr>"),
        (baseline, ">create</th>", "</tr>"),
    ):
        line = page.partition(begins)[2].partition(ends)[0]
        assert word in re.split(r" ?[<>|*]+ ?", line)
        assert "+12 %" in line


def of_create(whole: Measured, count: int, create_s: float) -> Measured:
    """A run of so many creates around so long, and of no other step."""
    numbers = np.arange(count)
    values = create_s * np.exp(np.random.default_rng(count).normal(0, 0.2, count))
    others = {name: each.where(slice(0)) for name, each in whole.samples.items()}
    return replace(
        whole, samples=others | {"create": Samples(numbers, values, numbers, began_ns=numbers * 1_000_000_000)}
    )


def test_base_and_change_give_new_however_many_samples_each_run_has(before: Measured) -> None:
    """Runs of a side weigh the same in the change, so they do in the figures beside it."""
    was, now = ([of_create(before, *run) for run in side] for side in ([(1000, 1), (100, 2)], [(100, 1), (1000, 2)]))
    create = row(contrast(was, now), "create")
    assert [create[side]["count"] for side in ("base", "new")] == [1100, 1100]
    assert create["base"]["mean_s"] == pytest.approx(2**0.5, rel=0.03)
    for name, change in {"mean": create, **create["quantiles"]}.items():
        now_s = create["base"][f"{name}_s"] * (1 + change["change"])
        assert create["new"][f"{name}_s"] == pytest.approx(now_s, abs=1e-8), name


def test_a_quantile_of_one_run_is_the_one_that_its_report_has(before: Measured) -> None:
    run = of_create(before, 25, 1.0)
    create = row(contrast([run], [run]), "create")
    assert create["new"]["p95_s"] == pytest.approx(float(np.quantile(run.samples["create"].values, 0.95)), abs=1e-9)
