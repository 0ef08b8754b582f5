"""Every number of report.json, of a run made by hand: six load sessions that ended in six ways, and a probe."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.config.run_dir import Written
from loadtest.criteria.slo import DEFAULT_SLOS
from loadtest.criteria.statements import RULES
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    AnswerEnd,
    DropReason,
    EndedBy,
    Event,
    Gone,
    IterationDropped,
    Outcome,
    Remains,
    StageStarted,
    Step,
    StepFinished,
)
from reports.build import build, judge
from reports.data import frames
from reports.sections import steps
from tests.reports import journals as j

SETTINGS = {
    "run_id": "20260921T141320Z-support-call",
    "started_at": "2026-09-21T14:13:20Z",
    "tags": {"team": "web"},
    "scenario": {"name": "support-call", "slo": [], "session": {"user_absent_timeout": 10}},
}
SKEW_S = 3
EARLY = j.failure(Step.TURN, Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY)


def opened(number: int, *, mint_s: float = 0.2, create_s: float = 0.2, fingerprint: str = "") -> list[Event]:
    """Session `number`, begun at `number` seconds, up to its answered create."""
    minted = number + mint_s
    return [
        j.started(number, number, due_s=number - 0.01 * number),
        j.step(number, Step.MINT, number, minted, pool_wait_ns=0, lag_ns=1_000_000 * number),
        j.secret(number, minted, fingerprint=fingerprint, skew_s=SKEW_S),
        j.remains(number, minted, Remains.DOUBTFUL, "create_sent"),
        j.step(number, Step.CREATE, minted, minted + create_s, pool_wait_ns=2_000_000),
        j.remains(number, minted + create_s, Remains.LEAKED, "create_answered"),
    ]


def turn(number: int, index: int, begin_s: float, first_audio_s: float) -> Event:
    return j.step(number, Step.TURN, begin_s, begin_s + 5, turn=index, first_audio_ns=j.ns(first_audio_s))


def talked(number: int, begin_s: float, waits_s: tuple[float, ...]) -> list[Event]:
    turns = [turn(number, index, begin_s + 5 * index, wait_s) for index, wait_s in enumerate(waits_s)]
    return [*turns, j.step(number, Step.CONVERSE, begin_s, begin_s + 10)]


def deleted(number: int, begin_s: float, *, delete_s: float = 0.05, attempt: int = 1) -> list[Event]:
    end_s = begin_s + delete_s
    return [
        j.step(number, Step.DELETE, begin_s, end_s, attempt=attempt),
        j.remains(number, end_s, Remains.NOTHING, "deleted"),
    ]


def two_that_completed() -> list[Event]:
    return [
        *opened(1, mint_s=0.1),
        j.step(1, Step.CONNECT, 1.3, 1.8),
        *talked(1, 1.8, (0.8, 1.2)),
        *deleted(1, 11.8),
        j.look(1, 11.85, 12.15),
        j.finished(1, 1, 12.15, ended_by=EndedBy.DELETE, gone=Gone.CONFIRMED),
        *opened(2, mint_s=0.3, create_s=0.4),
        j.step(2, Step.CONNECT, 2.7, 3.4),
        *talked(2, 3.4, (1.0, 2.0)),
        *deleted(2, 13.4, delete_s=0.15),
        j.look(2, 13.55, 14.05),
        j.finished(2, 2, 14.05, ended_by=EndedBy.DELETE, gone=Gone.CONFIRMED),
    ]


def one_whose_create_was_never_answered() -> list[Event]:
    why = j.failure(Step.CREATE, Kind.TIMEOUT, Code.TIMEOUT)
    return [
        *opened(3)[:4],
        j.failed_step(3, Step.CREATE, 3.3, 18.3, pool_wait_ns=2_000_000),
        j.finished(3, 3, 18.3, outcome=Outcome.FAILED, remains=Remains.DOUBTFUL, failure=why),
    ]


def one_whose_turns_failed() -> list[Event]:
    return [
        *opened(4),
        j.step(4, Step.CONNECT, 4.4, 4.9),
        j.failed_step(4, Step.TURN, 4.9, 9.9, Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY, turn=0),
        j.failed_step(4, Step.TURN, 9.9, 14.9, Kind.TRANSPORT, Code.MEDIA_STALLED, turn=1, first_audio_ns=j.ns(3)),
        j.failed_step(4, Step.CONVERSE, 4.9, 14.9, Kind.NO_RESPONSE, Code.NO_ANSWER),
        j.failed_step(4, Step.DELETE, 14.9, 15.0, Kind.REJECTED, Code.HTTP_5XX),
        *deleted(4, 15.5, attempt=2),
        j.look(4, 15.55, 20.55, Gone.UNCONFIRMED),
        j.finished(
            4, 4, 20.55, outcome=Outcome.FAILED, failure=EARLY, ended_by=EndedBy.DELETE, gone=Gone.UNCONFIRMED
        ),
    ]  # fmt: skip


def two_that_were_cancelled() -> list[Event]:
    return [
        *opened(5, fingerprint="shared"),
        j.step(5, Step.CONNECT, 5.4, 5.9),
        turn(5, 0, 5.9, 0.9),
        j.step(5, Step.TURN, 10.9, 12, turn=1, outcome=Outcome.CANCELLED, failure=EARLY),
        j.step(5, Step.CONVERSE, 5.9, 12, outcome=Outcome.CANCELLED),
        *deleted(5, 12),
        j.look(5, 12.05, 12.35),
        j.finished(5, 5, 12.35, outcome=Outcome.CANCELLED, censored=True, ended_by=EndedBy.DELETE, gone=Gone.CONFIRMED),
        *opened(6, fingerprint="shared"),
        j.step(6, Step.CONNECT, 6.4, 8, outcome=Outcome.CANCELLED),
        *deleted(6, 8),
        j.finished(6, 6, 8.05, outcome=Outcome.CANCELLED, ended_by=EndedBy.DELETE),
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run_dir: Path = tmp_path_factory.mktemp("run")
    (run_dir / "settings.json").write_text(json.dumps(SETTINGS))
    engine = [
        *two_that_completed(),
        *one_whose_create_was_never_answered(),
        *one_whose_turns_failed(),
        *two_that_were_cancelled(),
        *j.good_session(7, 6.5, mint_s=9.0, first_audio_s=(9.0,), purpose="probe:TD-1"),
        *(j.health(t_s, lag_p99_s=0.001 * t_s, pacing_p99_ns=5_000_000) for t_s in range(21)),
    ]
    load: list[Event] = [
        StageStarted(t_ns=j.at(0), stage="all", users=6, steady=True),
        IterationDropped(t_ns=j.at(7), due_ns=j.at(6), scenario="support-call", reason=DropReason.LATE),
        IterationDropped(
            t_ns=j.at(7), due_ns=j.at(6), scenario="support-call", reason=DropReason.LATE, purpose="probe:TD-1"
        ),
        *(j.health(t_s, source="hub", lag_p99_s=0.004, cpu_percent=50.0) for t_s in range(20)),
    ]
    j.write_file(run_dir, engine, finished_s=25)
    j.write_file(run_dir, load, role="load", finished_s=25)
    found = build(run_dir)
    assert json.loads((run_dir / "report.json").read_text()) == found
    return found


def test_the_head_names_the_run(report: dict[str, Any]) -> None:
    assert report["schema"] == 1
    assert report["run_id"] == "20260921T141320Z-support-call"
    assert report["scenario"] == "support-call"
    assert report["tags"] == {"team": "web"}
    assert report["started_at"] == "2026-09-21T14:13:20Z"
    assert report["duration_s"] == 26.55  # the probe's end; the last event, not the last line
    assert [row["id"] for row in report["rules"]] == list(RULES)
    assert report["capacity"] is None


def test_sessions_are_counted_once_by_how_they_ended(report: dict[str, Any]) -> None:
    from_due = ("setup_from_due", "first_step_from_due")  # tests/reports/sections/test_arrivals.py
    assert {name: value for name, value in report["sessions"].items() if name not in from_due} == {
        "started": 6,
        "completed": 2,
        "failed": 2,
        "cancelled": 1,
        "censored": 1,
        "unfinished": 0,
        "dropped": 1,
        "dropped_by": {"late": 1},
        "leaked": 0,
        "doubtful": 1,
        "unknown": 0,
        "left_behind": {"create_unanswered": 1},
        "swept": 0,
        "unconfirmed": 1,
        "messages_cut": 0,
        "peak_active": 6,
        "failed_rate": 0.5,
        "setup": {"count": 4, "p50_s": 0.9, "p90_s": 1.25, "p95_s": 1.325, "p99_s": 1.385, "max_s": 1.4},
    }


def test_steps_have_exact_quantiles_of_what_succeeded(report: dict[str, Any]) -> None:
    steps = report["steps"]

    assert steps["mint"] == {
        "count": 6, "failed": 0, "cancelled": 0, "failed_rate": 0.0, "failures": {},
        "p50_s": 0.2, "p90_s": 0.25, "p95_s": 0.275, "p99_s": 0.295, "max_s": 0.3,
    }  # fmt: skip
    assert steps["create"] == {
        "count": 6, "failed": 1, "cancelled": 0, "failed_rate": round(1 / 6, 9), "failures": {"timeout": 1},
        "p50_s": 0.2, "p90_s": 0.32, "p95_s": 0.36, "p99_s": 0.392, "max_s": 0.4,
    }  # fmt: skip
    assert steps["connect"] == {
        "count": 4, "failed": 0, "cancelled": 1, "failed_rate": 0.0, "failures": {},
        "p50_s": 0.5, "p90_s": 0.64, "p95_s": 0.67, "p99_s": 0.694, "max_s": 0.7,
    }  # fmt: skip
    assert steps["converse"] == {
        "count": 3, "failed": 1, "cancelled": 1, "failed_rate": round(1 / 3, 9), "failures": {"no_response": 1},
        "p50_s": 10.0, "p90_s": 10.0, "p95_s": 10.0, "p99_s": 10.0, "max_s": 10.0,
    }  # fmt: skip


def test_delete_is_its_first_attempts_and_counts_the_others(report: dict[str, Any]) -> None:
    assert report["steps"]["delete"] == {
        "count": 5, "failed": 1, "cancelled": 0, "failed_rate": 0.2, "failures": {"rejected": 1},
        "p50_s": 0.05, "p90_s": 0.12, "p95_s": 0.135, "p99_s": 0.147, "max_s": 0.15, "retries": 1,
    }  # fmt: skip


def test_turns_time_the_first_audio_of_those_that_were_answered(report: dict[str, Any]) -> None:
    assert report["turns"] == {
        "count": 7,
        "failed": 2,
        "cancelled": 1,
        "failed_rate": round(2 / 7, 9),
        "failures": {"answered_early": 1, "transport": 1},
        "answered_early": 1,
        "answered_early_by_line": 1,
        "undecided": {"answered_early": 1},
        "answered_early_rate": round(1 / 7, 9),
        "time_to_first_audio": {
            "count": 5, "p50_s": 1.0, "p90_s": 1.68, "p95_s": 1.84, "p99_s": 1.968, "max_s": 2.0,
        },
        "tainted": 0,
        "by_kind": {},
        "transcripts": {
            "user": 0, "turns_without_user": 5, "unassigned_user": 0,
            "avatar": 0, "turns_without_avatar": 5, "unassigned_avatar": 0, "failed": 0,
        },
        "barge_in": {
            "count": 0, "censored": 0, "p50_s": None, "p90_s": None, "p95_s": None, "p99_s": None, "max_s": None,
        },
        "dead_air": {"count": 0, "p50_s": None, "p90_s": None, "p95_s": None, "p99_s": None, "max_s": None},
        "taking": {
            **{
                what: {"of": 0, "count": 0, "rate": None}
                for what in ("response", "premature", "yield", "false_stop", "cut")
            },
            "unasked": {"of": 7, "count": 0, "rate": 0.0},
            "self_interruption": {"of": 0, "count": 0, "rate": None, "per_minute": None},
            "talk_over": {"count": 0, "p50_s": None, "p90_s": None, "p95_s": None, "p99_s": None, "max_s": None},
        },
        "by_language": {},
    }  # fmt: skip


def test_how_turns_were_taken_is_counted_of_the_turns_that_say_something_of_it(run_dir: Path) -> None:
    early = j.failure(Step.TURN, Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY)
    stopped = j.failure(Step.TURN, Kind.PROTOCOL, Code.STOPPED_BY_NOISE)
    on = {"outcome": Outcome.FAILED}
    turns: tuple[dict[str, Any], ...] = (
        {"talk_over_ns": 0, "first_audio_ns": j.ns(1), "answer": AnswerEnd.WHOLE},
        {"talk_over_ns": j.ns(0.6), "first_audio_ns": None, "failure": early, **on},
        {"talk_over_ns": j.ns(0.4), "barge_in_ns": j.ns(0.4), "first_audio_ns": j.ns(1), "unasked": 2},
        {"talk_over_ns": j.ns(3), "first_audio_ns": None, "censored": True, **on,
         "failure": j.failure(Step.TURN, Kind.PROTOCOL, Code.NOT_SILENCED)},
        {"talk_over_ns": 0, "first_audio_ns": None, **on,
         "failure": j.failure(Step.TURN, Kind.NO_RESPONSE, Code.NO_ANSWER)},
        {"first_audio_ns": None, "went_on": False, "failure": stopped, **on},
        {"first_audio_ns": None, "went_on": True, "answer": AnswerEnd.CUT, **on,
         "failure": j.failure(Step.TURN, Kind.PROTOCOL, Code.ANSWER_CUT)},
        {"talk_over_ns": 0, "first_audio_ns": j.ns(1), "answer": AnswerEnd.SELF_INTERRUPTED, **on,
         "failure": j.failure(Step.TURN, Kind.PROTOCOL, Code.SELF_INTERRUPTED)},
        {"talk_over_ns": j.ns(9), "answer": AnswerEnd.CUT, "outcome": Outcome.CANCELLED},
        {"talk_over_ns": 0, "first_audio_ns": None},  # answered, and the line has a share in when
    )  # fmt: skip
    events = [replace(turn, **facts) for turn, facts in zip(_turns(len(turns)), turns, strict=True)]
    j.write_file(run_dir, [*events, j.media(1, 60, heard_ns=j.ns(30))])
    found = steps.turns(frames.load(run_dir))["taking"]
    shares = {what: (row["count"], row["of"]) for what, row in found.items() if what != "talk_over"}
    assert shares == {
        "response": (5, 6),
        "premature": (1, 7),
        "yield": (1, 2),
        "false_stop": (1, 2),
        "self_interruption": (1, 3),
        "unasked": (1, 9),
        "cut": (1, 3),
    }
    assert found["self_interruption"]["per_minute"] == 2.0
    assert (found["talk_over"]["count"], found["talk_over"]["max_s"]) == (7, 3.0)


def test_turns_are_told_by_the_language_that_was_spoken_where_there_is_more_than_one(run_dir: Path) -> None:
    early = j.failure(Step.TURN, Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY)
    turns: tuple[dict[str, Any], ...] = (
        {"language": "de", "talk_over_ns": 0},
        {"language": "de", "talk_over_ns": 0, "first_audio_ns": None, "failure": early, "outcome": Outcome.FAILED},
        {"language": "fr", "talk_over_ns": 0},
        {"language": None, "talk_over_ns": 0},
    )
    events = [replace(turn, **facts) for turn, facts in zip(_turns(len(turns)), turns, strict=True)]
    j.write_file(run_dir, events)
    found = steps.turns(frames.load(run_dir))["by_language"]
    assert {language: rates["premature"] for language, rates in found.items()} == {
        "de": {"of": 2, "count": 1, "rate": 0.5},
        "fr": {"of": 1, "count": 0, "rate": 0.0},
    }
    assert found["fr"]["response"] == {"of": 1, "count": 1, "rate": 1.0}
    j.write_file(run_dir / "of one", events[:2])
    assert steps.turns(frames.load(run_dir / "of one"))["by_language"] == {}


def test_barge_in_counts_who_fell_silent_and_never_a_number_for_who_did_not(run_dir: Path) -> None:
    turns = (
        {"turn_kind": "barge_in", "barge_in_ns": j.ns(0.4), "lag_ns": 11_000_000},
        {"turn_kind": "barge_in", "barge_in_ns": j.ns(0.6), "lag_ns": 9_000_000},
        {"turn_kind": "barge_in", "censored": True},
    )
    j.write_file(run_dir, [replace(turn, **facts) for turn, facts in zip(_turns(3), turns, strict=True)])
    found = judge(frames.load(run_dir), Written(), DEFAULT_SLOS)["turns"]
    assert found["barge_in"] == {
        "count": 2, "censored": 1, "p50_s": 0.5, "p90_s": 0.58, "p95_s": 0.59, "p99_s": 0.598, "max_s": 0.6,
    }  # fmt: skip
    assert found["by_kind"] == {"barge_in": {"count": 3, "failed": 0}}
    assert found["tainted"] == 1


def test_turns_of_a_kind_are_counted_as_all_turns_are_without_cancelled_ones(run_dir: Path) -> None:
    facts = (
        {"turn_kind": "say"},
        {"turn_kind": "say", "outcome": Outcome.FAILED},
        {"turn_kind": "say", "outcome": Outcome.CANCELLED},
    )
    j.write_file(run_dir, [replace(turn, **each) for turn, each in zip(_turns(3), facts, strict=True)])
    found = steps.turns(frames.load(run_dir))
    assert (found["count"], found["failed"], found["cancelled"]) == (2, 1, 1)
    assert found["by_kind"] == {"say": {"count": 2, "failed": 1}}


def _turns(count: int) -> list[StepFinished]:
    session = j.good_session(1, 1, first_audio_s=(0.8,) * count)
    return [event for event in session if isinstance(event, StepFinished) and event.step is Step.TURN]


def test_secrets_have_their_age_at_each_use(report: dict[str, Any]) -> None:
    assert (
        report["secrets"].items()
        >= {
            "minted": 6,
            "reused": 1,
            "age_at_create": {"p50_s": 0.0, "max_s": 0.1},
            "age_at_connect": {"p50_s": 0.7, "max_s": 1.1},
            "min_margin_s": 598.9,
        }.items()
    )
    assert report["secrets"]["skew_s"] == pytest.approx(2.8, abs=1e-6)  # 3 s, less what whole seconds cut off


def test_teardown_adds_up_to_what_was_deleted(report: dict[str, Any]) -> None:
    assert (
        report["teardown"].items()
        >= {
            "deleted": 5,
            "confirmed_gone": 3,
            "unconfirmed": 1,
            "still_alive": 0,
            "not_checked": 1,
            "time_to_gone": {"p50_s": 0.3, "p90_s": 0.46, "p95_s": 0.48, "p99_s": 0.496, "max_s": 0.5},
            "ended_by": {"delete": 5, "user_absent_timeout": 0, "max_duration": 0, "unexpected": 0},
        }.items()
    )


def test_the_generator_is_described_without_its_first_seconds(report: dict[str, Any]) -> None:
    generator = report["generator"]
    assert generator["outcome"] == "suspect"
    assert generator["engine_lag_p99_s"] == pytest.approx(0.0191)  # seconds 2 … 20: 95 % of the way is 19.1
    assert generator["engine_lag_max_s"] == 0.04
    assert generator["hub_lag_p99_s"] == 0.004
    assert generator["stamp_lag_p99_s"] == pytest.approx(0.00595)  # 1 … 6 ms
    assert generator["pacing_error_p99_s"] == 0.005
    assert generator["pool_wait_p99_s"] == 0.002
    assert generator["start_lateness_p99_s"] == pytest.approx(0.0595)  # 10 … 60 ms
    assert generator["cpu_percent_max"] == 50.0
    assert generator["sink_errors"] == 0
    assert generator["suspect_because"] == ["event loop lag: p99 19.1 ms, more than 10 ms"]


def test_failures_are_counted_by_step_kind_and_code_with_an_example(report: dict[str, Any]) -> None:
    rows = [tuple(row.values()) for row in report["failures"]]
    assert rows == [
        ("create", "timeout", "timeout", 1, 1, j.sid(3), "create went wrong"),
        ("turn", "answered_early", "answered_early", 1, 1, j.sid(4), "turn went wrong"),
        ("converse", "no_response", "no_answer", 0, 1, j.sid(4), "converse went wrong"),
        ("delete", "rejected", "http_5xx", 0, 1, j.sid(4), "delete went wrong"),
        ("turn", "transport", "media_stalled", 0, 1, j.sid(4), "turn went wrong"),
    ]


def test_evidence_leads_to_the_sessions(report: dict[str, Any]) -> None:
    assert report["evidence"] == {
        "leaked": [],
        "doubtful": [j.sid(3)],
        "unknown": [],
        "failed": [j.sid(3), j.sid(4)],
        "unconfirmed": [j.sid(4)],
        "unfinished": [],
    }


def test_the_default_objectives_are_judged_when_none_are_given(report: dict[str, Any]) -> None:
    assert [(row["indicator"], row["outcome"], row["objective"], row["observed"]) for row in report["slos"]] == [
        ("session.failed_rate", "fail", 0.01, 0.5),
        ("turn.failed_rate", "fail", 0.01, round(2 / 7, 9)),
    ]


def test_the_verdict_says_why_in_order(report: dict[str, Any]) -> None:
    assert report["verdict"] == {
        "outcome": "fail",
        "exit_code": 3,
        "failing": 3,
        "told": 0,
        "reasons": [
            "objective missed: sessions that fail (session.failed_rate): 50 % of 4 sessions (could be up to 90.2 %), "
            "wanted at most 1 %",
            "objective missed: turns that fail (turn.failed_rate): 28.6 % of 7 turns (could be up to 65.9 %), wanted "
            "at most 1 %",
            "broken: rule EXP-5 (Every session has a fresh secret of its own): not so in 1 of 6 cases: its secret had "
            f"been used by another session; for example session {j.sid(6)}",
            "1 of 7 arrivals never became sessions: our own processes were too late; it was not the load asked for",
            "1 session doubtful: create was not answered, or with a server error; user_absent_timeout (10 s) ends them",
            "1 session deleted but not proved gone: the look after the delete showed neither",
            "1 iteration due and never started (1 late)",
            "1 session cut off by the end of the run, in no quantile of converse",
            "1 of 8 turns not judged, in no objective (1 answered_early): the caller's line, or an avatar that speaks "
            "by itself, may be why",
            "generator suspect: event loop lag: p99 19.1 ms, more than 10 ms",
        ],
    }
