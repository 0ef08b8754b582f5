"""Which exit code a run gets, and that the worst wins: 5, 130, 4, 3, 0."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.criteria.slo import Slo
from loadtest.events.kinds import Event, Fault, GeneratorFailed, GoneChecked, Remains
from reports.verdict.objective_words import describe
from tests.reports import journals as j

MISSED = Slo(name="create is quick", indicator="create.max", max=0.1)
MET = Slo(name="create is quick", indicator="create.max", max=0.2)


def leaked(number: int) -> list[Event]:
    """A good session until its delete, which fails."""
    whole = j.good_session(number, 1)
    return [*whole[:-4], j.remains(number, 12, Remains.LEAKED, "delete_failed"), whole[-1]]


def judged(
    run_dir: Path, *, left: bool = False, stopped: bool = False, invalid: bool = False, missed: bool = False
) -> Any:
    events = [*j.good_session(1, 1), *(leaked(2) if left else [])]
    if invalid:
        events.append(GeneratorFailed(t_ns=j.at(9), fault=Fault.WORKER_LOST, process=1))
    j.write_file(run_dir, events, finish="interrupted" if stopped else "completed")
    return j.reported(run_dir, slos=[MISSED if missed else MET])["verdict"]


@pytest.mark.parametrize(
    ("troubles", "exit_code", "outcome"),
    [
        ((), 0, "pass"),
        (("missed",), 3, "fail"),
        (("invalid",), 4, "invalid"),
        (("invalid", "missed"), 4, "invalid"),
        (("stopped",), 130, "invalid"),
        (("stopped", "invalid", "missed"), 130, "invalid"),
        (("left",), 5, "fail"),
        (("left", "stopped", "invalid", "missed"), 5, "fail"),
    ],
)
def test_the_worst_trouble_gives_the_exit_code(
    run_dir: Path, troubles: tuple[str, ...], exit_code: int, outcome: str
) -> None:
    verdict = judged(run_dir, **dict.fromkeys(troubles, True))
    assert (verdict["exit_code"], verdict["outcome"]) == (exit_code, outcome)


def test_a_run_without_trouble_says_what_held(run_dir: Path) -> None:
    assert judged(run_dir)["reasons"] == [
        "the objective was met, 5 rules held, nothing was left behind, 1 of 1 session completed",
    ]


def test_objectives_that_held_are_counted_in_words(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    slos = [Slo(name=str(bound), indicator="create.max", max=bound) for bound in (1, 2, 3)]
    assert j.reported(run_dir)["verdict"]["reasons"][0].startswith("both objectives were met, ")
    assert j.reported(run_dir, slos=slos)["verdict"]["reasons"][0].startswith("all 3 objectives were met, ")


def test_reasons_come_in_the_order_of_their_weight(run_dir: Path) -> None:
    assert judged(run_dir, left=True, stopped=True, invalid=True, missed=True)["reasons"] == [
        "1 session left behind: delete failed",
        "stopped by hand after 12.2 s: the numbers cover only what had run by then",
        "the generator's numbers can't be trusted: a worker was lost",
        "objective missed: create is quick (create.max): 200 ms, wanted at most 100 ms",
    ]


def test_causes_of_what_was_left_are_told_apart(run_dir: Path) -> None:
    never_deleted = j.good_session(3, 1)[:-5]
    j.write_file(run_dir, [*leaked(1), *leaked(2), *never_deleted], finish=None)

    verdict = j.reported(run_dir)["verdict"]

    assert verdict["reasons"][0] == (
        "3 sessions left behind: 2 delete failed, 1 never deleted, because the engine died"
    )


def test_an_objective_that_saw_nothing_is_neither_met_nor_missed_and_the_run_shows_nothing(run_dir: Path) -> None:
    whole = j.good_session(1, 1, first_audio_s=(0.5,))
    j.write_file(run_dir, [event for event in whole if not isinstance(event, GoneChecked)])
    gone = Slo(name="gone", indicator="teardown.time_to_gone.p95", max=5)

    report = j.reported(run_dir, slos=[gone])

    assert (report["slos"][0]["outcome"], report["slos"][0]["observed"]) == ("not_enough_samples", None)
    assert (report["verdict"]["outcome"], report["verdict"]["exit_code"]) == ("invalid", 4)
    assert describe(report["slos"][0]) == (
        "not enough samples: gone (teardown.time_to_gone.p95): 0 deletes, it takes 20, wanted at most 5 s"
    )


def test_a_default_objective_that_saw_nothing_is_left_out(run_dir: Path) -> None:
    talkless = [event for event in j.good_session(1, 1) if getattr(event, "turn", None) is None]
    j.write_file(run_dir, talkless)

    report = j.reported(run_dir)

    assert [slo["indicator"] for slo in report["slos"]] == ["session.failed_rate"]
    assert report["verdict"]["exit_code"] == 0


def test_the_objectives_of_settings_json_are_judged_and_others_may_take_their_place(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    (run_dir / "settings.json").write_text(
        '{"scenario": {"name": "n", "slo": [{"name": "margin", "indicator": "secret.margin.min", "min": 600}]}}'
    )

    own = j.reported(run_dir)
    again = j.reported(run_dir, slos=[Slo(name="margin", indicator="secret.margin.min", min=599)])

    assert [(slo["name"], slo["bound"], slo["outcome"]) for slo in own["slos"]] == [("margin", "min", "fail")]
    assert [(slo["objective"], slo["observed"], slo["outcome"]) for slo in again["slos"]] == [(599, 599.3, "pass")]
