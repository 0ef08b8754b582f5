"""An objective in words: the same on a terminal, on the page, in Markdown and in JUnit."""

from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.criteria.slo import Slo
from loadtest.criteria.words import plural
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    DropReason,
    Event,
    IterationDropped,
    Outcome,
    RuleChecked,
    RuleOutcome,
    StageStarted,
    Step,
)
from reports.build import build
from reports.data import frames
from reports.verdict.gates import judge
from reports.verdict.objective_words import cells, describe, table, unseen
from reports.verdict.verdict import unshown
from tests.reports import journals as j

RATE = Slo(name="sessions that fail", indicator="session.failed_rate", max=0.01)


def failed(number: int, at_s: float, kind: Kind = Kind.REJECTED, code: Code = Code.HTTP_5XX) -> list[Event]:
    """A session whose first call failed."""
    why = j.failure(Step.MINT, kind, code)
    return [
        j.started(number, at_s),
        j.failed_step(number, Step.MINT, at_s, at_s + 0.1, kind=kind, code=code),
        j.finished(number, at_s, at_s + 0.2, outcome=Outcome.FAILED, failure=why),
    ]


def judged(path: Path, events: list[Event], slo: Slo, **options: Any) -> dict[str, Any]:
    j.write_file(path, events)
    return judge(frames.load(path).load_only(), [slo], **options)[0]


def test_what_six_good_sessions_could_not_have_seen_is_said_beside_the_rate(tmp_path: Path) -> None:
    row = judged(tmp_path, [event for n in range(1, 7) for event in j.good_session(n, n)], RATE)
    assert (row["outcome"], row["count"], row["beyond"], row["lower_bound"]) == ("pass", 6, 0, None)
    assert row["upper_bound"] == pytest.approx(0.393038)
    assert unseen(row) == "6 sessions, none failed: up to 39.3 % failing would have passed unseen"
    assert describe(row) == (
        "objective met: sessions that fail (session.failed_rate): 0 % of 6 sessions (could be up to 39.3 %), "
        "wanted at most 1 %"
    )
    assert cells(row)["samples"] == "6 (could be up to 39.3 %)"


def test_an_objective_that_was_missed_by_little_is_not_printed_as_met_exactly(tmp_path: Path) -> None:
    quick = Slo(name="quick", indicator="create.max", max=0.2)
    row = judged(tmp_path, j.good_session(1, 1, create_s=0.2004), quick)
    assert [cells(row)[name] for name in ("bound", "observed", "outcome")] == ["≤ 200 ms", "200.4 ms", "missed"]
    assert describe(row) == "objective missed: quick (create.max): 200.4 ms, wanted at most 200 ms"


def test_a_bound_that_the_samples_prove_is_not_said_to_be_open(tmp_path: Path) -> None:
    loose = Slo(name="n", indicator="session.failed_rate", max=0.4)
    row = judged(tmp_path, [event for n in range(1, 7) for event in j.good_session(n, n)], loose)
    assert (row["outcome"], unseen(row)) == ("pass", None)


def test_a_count_of_what_went_wrong_says_of_how_many_and_nothing_of_none(tmp_path: Path) -> None:
    left = Slo(name="left", indicator="session.leaked", max=0)
    row = judged(tmp_path / "one", j.good_session(1, 1), left)
    assert (row["outcome"], row["observed"], row["count"]) == ("pass", 0, 1)
    assert unseen(row) == "1 session, none left behind: up to 95 % left behind would have passed unseen"
    talk = Slo(name="talk", indicator="turn.failed", max=0)
    silent = [event for event in j.good_session(1, 1) if getattr(event, "turn", None) is None]
    row = judged(tmp_path / "silent", silent, talk)
    assert (row["outcome"], row["count"], row["needed"]) == ("not_enough_samples", 0, 1)


def test_a_failure_in_the_ramp_counts_where_the_steady_part_is_too_small_but_not_one_of_the_warm_up(
    tmp_path: Path,
) -> None:
    def plan(first: str) -> list[Event]:
        return [
            StageStarted(t_ns=j.at(0), stage=first, users=4, steady=False),
            StageStarted(t_ns=j.at(5), stage="steady", users=4, steady=True),
        ]

    sessions = [*failed(1, 1), *j.good_session(2, 1), *j.good_session(3, 2)]
    row = judged(tmp_path / "ramp", [*plan("ramp"), *sessions], RATE)
    assert (row["outcome"], row["judged_over"], row["count"], row["beyond"]) == ("fail", "run", 3, 1)
    assert row["note"] == (
        "the steady part had 2 of the 100 samples with which it would speak for the run; judged over all of it"
    )
    row = judged(tmp_path / "warm", [*plan("warm_up"), *sessions], RATE)
    assert (row["outcome"], row["judged_over"], row["count"]) == ("pass", "steady", 2)


def test_good_samples_of_the_ramp_mend_no_rate_that_the_steady_part_breaks(tmp_path: Path) -> None:
    plan = [
        StageStarted(t_ns=j.at(0), stage="ramp", users=4, steady=False),
        StageStarted(t_ns=j.at(20), stage="steady", users=4, steady=True),
    ]
    ramp = [event for number in range(1, 101) for event in j.good_session(number, 1)]
    loose = Slo(name="n", indicator="session.failed_rate", max=0.02)
    row = judged(tmp_path, [*plan, *ramp, *failed(101, 21), *j.good_session(102, 22)], loose)
    assert (row["outcome"], row["judged_over"], row["observed"]) == ("fail", "steady", 0.5)


def test_a_rate_in_windows_must_hold_over_the_run_where_the_steady_part_is_too_small(tmp_path: Path) -> None:
    plan = [
        StageStarted(t_ns=j.at(0), stage="ramp", users=4, steady=False),
        StageStarted(t_ns=j.at(5), stage="steady", users=4, steady=True),
    ]
    slo = Slo(name="n", indicator="session.failed_rate", max=0.01, window_s=5)
    row = judged(tmp_path, [*plan, *failed(1, 1), *j.good_session(2, 1)], slo, planned_s=15)
    assert (row["outcome"], row["judged_over"], row["observed"]) == ("fail", "run", 0.5)


def test_a_quantile_of_too_few_is_neither_met_nor_missed_unless_no_other_samples_could_mend_it(tmp_path: Path) -> None:
    events = [event for n in range(1, 9) for event in j.good_session(n, n, create_s=2.0 if n < 3 else 0.2)]
    loose, tight = (Slo(name="n", indicator="create.p95", max=bound) for bound in (3.0, 1.0))
    found = {bound.max: judged(tmp_path / str(bound.max), events, bound) for bound in (loose, tight)}
    assert {bound: row["outcome"] for bound, row in found.items()} == {3.0: "not_enough_samples", 1.0: "fail"}
    assert cells(found[3.0])["samples"] == "8 of 20"
    assert cells(found[3.0])["outcome"] == "not enough samples"
    assert "2 of only 8 creates beyond it" in describe(found[1.0])


@pytest.mark.parametrize(("statistic", "enough"), [("p50", 2), ("p90", 10), ("p95", 20), ("p99", 100), ("max", 1)])
def test_each_quantile_is_judged_from_its_number_of_samples_on(statistic: str, enough: int, tmp_path: Path) -> None:
    slo = Slo(name="n", indicator=f"mint.{statistic}", max=30)
    for count, outcome in ((enough - 1, "not_enough_samples"), (enough, "pass")):
        steps = [j.step(1, Step.MINT, 1, 2 + index / 1000) for index in range(count)]
        row = judged(tmp_path / str(count), [j.started(1, 1), *steps, j.finished(1, 1, 3)], slo)
        assert (row["outcome"], row["count"]) == (outcome, count)


def test_no_default_objective_makes_a_run_with_a_completed_session_invalid(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    assert j.reported(run_dir)["verdict"]["exit_code"] == 0


@pytest.mark.parametrize(
    ("kind", "code", "exit_code", "said"),
    [
        (Kind.REJECTED, Code.HTTP_5XX, 3, "objective missed: sessions that fail"),
        (Kind.TIMEOUT, Code.TIMEOUT, 3, "objective missed: sessions that fail"),
        (Kind.TRANSPORT, Code.CONNECTION_LOST, 3, "objective missed: sessions that fail"),
        (Kind.TRANSPORT, Code.CONNECT_FAILED, 4, "the target was never reached"),
    ],
)
def test_a_run_in_which_nothing_was_completed_is_the_targets_only_if_it_was_reached(
    kind: Kind, code: Code, exit_code: int, said: str, run_dir: Path
) -> None:
    j.write_file(run_dir, [*failed(1, 1, kind, code), *failed(2, 2, kind, code)])
    verdict = j.reported(run_dir)["verdict"]
    assert (verdict["exit_code"], verdict["reasons"][0].startswith(said)) == (exit_code, True)


def test_a_target_that_let_one_session_through_was_reached(run_dir: Path) -> None:
    j.write_file(run_dir, [*failed(1, 1, Kind.TRANSPORT, Code.CONNECT_FAILED), *j.good_session(2, 1)])
    report = j.reported(run_dir)
    assert (report["verdict"]["exit_code"], unshown(report)) == (3, [])


@pytest.mark.parametrize(("drops", "exit_code"), [(1, 0), (2, 4)])
def test_more_than_a_hundredth_of_the_arrivals_let_go_by_us_is_another_load(
    drops: int, exit_code: int, run_dir: Path
) -> None:
    let_go = [
        IterationDropped(t_ns=j.at(9), due_ns=j.at(8), scenario="support", reason=DropReason.NO_USER)
        for _ in range(drops)
    ]
    j.write_file(run_dir, [*(event for n in range(1, 101) for event in j.good_session(n, 1)), *let_go])
    verdict = j.reported(run_dir)["verdict"]
    assert verdict["exit_code"] == exit_code
    assert any("were met" in reason for reason in verdict["reasons"]) == (exit_code == 0)


def test_all_outputs_say_the_same_of_an_objective_and_of_a_rule_that_a_probe_tried(tmp_path: Path) -> None:
    seen = "a room is refused after 3.2 s, as it <should> be"
    finding = RuleChecked(
        t_ns=j.at(20), session="", rule="EXP-4", outcome=RuleOutcome.PASS, detail=seen, purpose="probe:EXP-4"
    )
    purpose = {"purpose": "probe:EXP-4"}
    probe = [j.started(9, 1, **purpose), finding, j.finished(9, 1, 4.5, **purpose)]
    j.write_file(tmp_path, [*j.good_session(1, 1), *probe])
    report = build(tmp_path, slos=[Slo(name="creates", indicator="create.p95", max=1)])
    row = report["slos"][0]
    words = ("creates (create.p95)", "1 of 20", "not enough samples")
    page = unescape((tmp_path / "report.html").read_text())
    for text in ((tmp_path / "report.md").read_text(), "\n".join(table(report["slos"]))):
        assert all(word in text for word in words), text
    assert all(word in page for word in ("create.p95", *words[1:]))
    assert seen in page
    cases = {
        case.get("name", "").split()[0]: case for case in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    }
    assert cases["creates"].findtext("error") == describe(row)
    assert cases["EXP-4"].get("time") == "3.500"
    assert seen in str(cases["EXP-4"].findtext("system-out"))
    assert cases["creates"].get("time") is None  # one sample of 20 is no measurement


def test_one_of_a_thing_is_one_and_of_some_words_more_are_spelt_otherwise() -> None:
    assert [plural(count, "iteration") for count in (0, 1, 2, 1200)] == [
        "0 iterations", "1 iteration", "2 iterations", "1,200 iterations",
    ]  # fmt: skip
    assert (plural(2, "load process"), plural(2, "batch"), plural(1)) == ("2 load processes", "2 batches", "1 session")
