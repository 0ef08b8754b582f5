"""What was left behind: for how long, at what price, and which caps of the target were seen at work."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import EndedBy, Event, Gone, Outcome, Remains, RuleChecked, RuleOutcome, Step
from reports.data import frames, run_settings
from reports.sections import caps
from tests.reports import journals as j

CREATED = 6
"""So many of a good session's first events end with its answered create."""


def left(number: int) -> list[Event]:
    """Its delete fails at 12 s."""
    return [
        *j.good_session(number, 1)[:CREATED],
        j.failed_step(number, Step.DELETE, 11.9, 12, Kind.REJECTED, Code.HTTP_5XX),
        j.remains(number, 12, Remains.LEAKED, "delete_failed"),
        j.finished(number, 1, 12, outcome=Outcome.FAILED, remains=Remains.LEAKED),
    ]


def one_of_each() -> list[Event]:
    alive = j.good_session(3, 1)[:-2]
    return [
        *left(1),
        *left(2),
        *alive,
        j.look(3, 12, 17, Gone.STILL_ALIVE),
        j.remains(3, 17, Remains.LEAKED, "still_alive"),
        j.finished(3, 1, 17, outcome=Outcome.FAILED, gone=Gone.STILL_ALIVE, remains=Remains.LEAKED),
        *j.good_session(4, 1)[:4],  # its create was never answered
        *j.good_session(5, 1)[:CREATED],  # its engine died: no delete was sent
        *j.good_session(6, 1),
    ]


def settings(run_dir: Path, **more: Any) -> None:
    prices = {"avatar": {"per_minute": 0.1, "as_of": "2026-11-22", "source": "contract"}}
    scenario = {"name": "s", "session": {"user_absent_timeout": 10}, "cost": {"prices": prices}}
    (run_dir / "settings.json").write_text(json.dumps({"scenario": scenario} | more))


def orphans(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = j.reported(run_dir)["teardown"]["orphans"]
    return found


def test_causes_are_told_apart_and_each_life_is_counted_in_seconds(run_dir: Path) -> None:
    settings(run_dir)
    j.write_file(run_dir, one_of_each(), finish=None)
    sweep = [j.remains(1, 100, Remains.NOTHING, "swept"), j.remains(3, 47, Remains.NOTHING, "swept")]
    j.write_file(run_dir, sweep, role="sweep", started_s=40, finished_s=101)

    found = orphans(run_dir)

    assert {cause: (row["count"], row["swept"], row["seconds"]) for cause, row in found["causes"].items()} == {
        "delete_failed": (2, 1, 88.0 + 10.0),  # one swept at 100 s, one left to the absence timeout
        "delete_never_sent": (1, 0, 10.0),
        "still_alive": (1, 1, 30.0),
        "create_unanswered": (1, 0, 10.0),
    }
    assert found["causes"]["delete_failed"]["longest_s"] == 88.0
    assert (found["count"], found["seconds"], found["until_absent_timeout"]) == (5, 148.0, 3)


def test_the_price_is_an_estimate_with_a_date(run_dir: Path) -> None:
    settings(run_dir)
    j.write_file(run_dir, left(1))
    price = orphans(run_dir)["price"]
    assert (price["usd"], price["estimate"]) == (round(10 / 60 * price["usd_per_session_minute"], 6), True)
    assert (price["as_of"], price["source"]) == ("2026-11-22", "contract")


def test_without_a_price_the_time_is_told_and_no_money(run_dir: Path) -> None:
    j.write_file(run_dir, left(1))
    found = orphans(run_dir)
    assert (found["seconds"] > 0, found["price"]["usd"], found["price"]["usd_per_session_minute"]) == (True, None, None)


@pytest.mark.parametrize(("tag", "usd"), [("0.6", 0.1), ("much", 0.016667), ("-1", 0.016667), ("nan", 0.016667)])
def test_a_tag_gives_the_price_of_ones_own_contract(run_dir: Path, tag: str, usd: float) -> None:
    settings(run_dir, tags={"usd_per_session_minute": tag})
    j.write_file(run_dir, left(1))
    assert orphans(run_dir)["price"]["usd"] == usd


def test_a_clean_run_has_no_orphans(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    found = orphans(run_dir)
    assert (found["count"], found["seconds"], found["price"]["usd"]) == (0, 0.0, 0.0)


def test_time_to_gone_is_told_by_way_of_ending(run_dir: Path) -> None:
    other = j.good_session(2, 1, gone_s=0.7)[:-1]
    end = j.finished(2, 1, 13, ended_by=EndedBy.UNEXPECTED, gone=Gone.CONFIRMED)
    j.write_file(run_dir, [*j.good_session(1, 1), *other, end])
    by = j.reported(run_dir)["teardown"]["time_to_gone_by"]
    assert {cause: (row["count"], row["max_s"]) for cause, row in by.items()} == {
        "delete": (1, 0.3),
        "user_absent_timeout": (0, None),
        "max_duration": (0, None),
        "unexpected": (1, 0.7),
    }


def test_caps_are_told_beside_what_was_seen_of_them(run_dir: Path) -> None:
    settings(run_dir)
    long = j.good_session(1, 1)[:-1]
    check = RuleChecked(
        t_ns=j.at(40), session=j.sid(3), rule="TD-3", outcome=RuleOutcome.PASS, detail="gone after 10.4 s",
        purpose="probe:TD-3",
    )  # fmt: skip
    refused = [
        j.started(2, 5),
        j.failed_step(2, Step.CREATE, 5, 5.2, Kind.REJECTED, Code.LIMITS_EXCEEDED),
        j.finished(2, 5, 5.3, outcome=Outcome.FAILED),
    ]
    j.write_file(run_dir, [*long, j.finished(1, 1, 12.2, ended_by=EndedBy.MAX_DURATION), *refused, check])

    absence, duration, concurrency = j.reported(run_dir)["teardown"]["caps"]

    assert (absence["declared"], absence["observed"]) == (10, None)
    assert absence["probes"] == [{"rule": "TD-3", "outcome": "pass", "detail": "gone after 10.4 s"}]
    assert (duration["declared"], duration["default"], duration["observed"], duration["cases"]) == (None, 3600, 10.5, 1)
    assert (concurrency["observed"], concurrency["cases"]) == (2, 1)


@pytest.mark.parametrize(
    ("caller", "cases", "how"),
    [
        (
            {"cut_after_s": 3.0},
            1,
            "1 session had ended when a caller whose line was cut came back; only a probe sees how soon",
        ),
        ({}, 2, "load sessions never leave their room before their delete: only a probe can see this cap"),
    ],
)
def test_callers_whose_line_is_cut_do_leave_their_room(
    caller: dict[str, float], cases: int, how: str, run_dir: Path
) -> None:
    told = {"settings": {"name": "support-call", "caller": caller}}
    (run_dir / "settings.json").write_text(json.dumps(told))
    absent = {"ended_by": EndedBy.USER_ABSENT_TIMEOUT}
    events = [*j.good_session(1, 1)[:-1], j.finished(1, 1, 13, **absent)]
    events += [*j.good_session(2, 1, purpose="probe:TD-3")[:-1], j.finished(2, 1, 13, purpose="probe:TD-3", **absent)]
    j.write_file(run_dir, events)
    absence, *_ = caps.section(frames.load(run_dir), run_settings.read(run_dir).settings)
    assert (absence["cases"], absence["how"]) == (cases, how)
