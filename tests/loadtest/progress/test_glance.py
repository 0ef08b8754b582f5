"""A run at a glance is read from what /metrics shows: no second count, and small enough for one write to a pipe."""

import select

import msgspec

from exporters.metrics.aggregate import Aggregate
from loadtest.criteria.objectives import Standing, State
from loadtest.criteria.stage_health import MAX_BECAUSE
from loadtest.criteria.statements import RULES
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Outcome, Remains, Step
from loadtest.progress.glance import MOST_FAILURES, Glance, Glances, Times
from tests.reports import journals as j


def looked(glances: Glances, aggregate: Aggregate, elapsed_s: float, **snapshot: object) -> Glance:
    return glances.look(
        aggregate.snapshot(**snapshot),  # type: ignore[arg-type]
        elapsed_s=elapsed_s,
        waiting_for=None,
        begun=True,
        fitness=("valid", ""),
        objectives=[],
    )


def fed(aggregate: Aggregate, events: list[Event]) -> Aggregate:
    for event in events:
        aggregate.add(event)
    return aggregate


def failing(number: int) -> list[Event]:
    """A session whose turn got no answer, and whose delete failed."""
    why = j.failure(Step.TURN, Kind.NO_RESPONSE, Code.NO_ANSWER)
    return [
        *j.good_session(number, 1)[:-6],
        j.failed_step(number, Step.TURN, 2, 3, kind=Kind.NO_RESPONSE, code=Code.NO_ANSWER, turn=0),
        j.failed_step(number, Step.CONVERSE, 2, 3, kind=Kind.NO_RESPONSE, code=Code.NO_ANSWER),
        j.finished(number, 1, 4, outcome=Outcome.FAILED, failure=why, remains=Remains.LEAKED),
    ]


def test_it_says_what_the_aggregate_has_counted() -> None:
    aggregate, glances = Aggregate(["support-call"]), Glances()
    looked(glances, aggregate, 0)
    fed(aggregate, [*j.good_session(1, 1), *j.good_session(2, 1), *j.good_session(3, 2)[:4], *failing(4)])
    doubtful = j.finished(3, 2, 3, outcome=Outcome.FAILED, remains=Remains.DOUBTFUL)
    now = looked(glances, fed(aggregate, [doubtful]), 4, rule_violations={"EXP-1": 2, "TD-1": 0})
    assert (now.started, now.ok, now.failed, now.leaked, now.doubtful) == (4, 2, 2, 1, 1)
    assert now.rates == (1.0, 1.0)
    assert now.setup == Times(count=3, p50_s=0.85, p95_s=0.985, first_s=0.01, last_s=60.0)
    assert now.first_audio.count == 5
    assert now.rules_broken == ("EXP-1",)


def test_what_the_generator_failed_is_no_failure_of_the_targets() -> None:
    why = j.failure(Step.MINT, Kind.OWN_LIMIT, Code.OPEN_FILES)
    ours: list[Event] = [j.started(2, 1), j.finished(2, 1, 2, outcome=Outcome.FAILED, failure=why)]
    now = looked(Glances(), fed(Aggregate(["support-call"]), [*j.good_session(1, 1), *ours, *failing(3)]), 1)
    assert (now.ok, now.failed, now.generator_failed) == (1, 1, 1)
    assert ("mint", "own_limit", "open_files", 1) in now.failures


def test_a_failed_turn_is_told_once_and_not_as_its_conversation_too() -> None:
    now = looked(Glances(), fed(Aggregate(["support-call"]), failing(1)), 1)
    assert now.failures == (("turn", "no_response", "no_answer", 1),)


def test_times_are_of_the_last_ten_seconds_alone() -> None:
    aggregate, glances = Aggregate(["support-call"]), Glances()
    fed(aggregate, j.good_session(1, 1, connect_s=40))
    for second in range(10):
        assert looked(glances, aggregate, second).setup.count == 0 if second else True
    fed(aggregate, j.good_session(2, 1))
    assert looked(glances, aggregate, 10).setup.count == 1
    for second in range(11, 20):
        assert looked(glances, aggregate, second).setup.count == 1
    assert looked(glances, aggregate, 20).setup.count == 0


def test_a_scenario_that_is_called_like_an_outcome_is_no_outcome() -> None:
    aggregate = Aggregate(["failed"])
    fed(aggregate, j.good_session(1, 1))
    now = looked(Glances(), aggregate, 1)
    assert (now.ok, now.failed) == (1, 0)


def test_the_longest_line_is_one_write_to_a_pipe() -> None:
    aggregate = Aggregate(["support-call"])
    for code in Code:
        aggregate._series.failed("converse", j.failure(Step.CONVERSE, Kind.ANSWERED_EARLY, code))
        aggregate._series.failed("connect", j.failure(Step.CONNECT, Kind.ANSWERED_EARLY, code))
    now = Glances().look(
        aggregate.snapshot(rule_violations=dict.fromkeys(RULES, 10**9)),
        elapsed_s=10**6 + 0.123,
        waiting_for="w" * 200,
        begun=True,
        fitness=("invalid", "\N{SNOWMAN}" * MAX_BECAUSE),
        objectives=[Standing(state=State.MISSED, count=10**9, beyond=10**9)] * 500,
    )
    assert len(msgspec.json.encode(now)) < select.PIPE_BUF
    assert len(now.failures) == MOST_FAILURES
    assert now.more_failures == 2 * len(Code) - MOST_FAILURES
    assert msgspec.json.decode(msgspec.json.encode(now), type=Glance) == now
