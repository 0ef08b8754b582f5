import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    Event,
    Outcome,
    Remains,
    RemainsChanged,
    RuleChecked,
    SessionFinished,
    SessionStarted,
)
from loadtest.probes import running
from loadtest.probes.bench.bench import Bench, Ground, NotTestedError, Probe
from loadtest.probes.bench.wire import Answer
from loadtest.secrecy.redact import redact
from loadtest.session.ticket import Ticket
from tests.loadtest.fakes import FakeControl, forever, refused
from tests.loadtest.probes.doubles import answer, findings, ground

Script = Callable[[Bench], Awaitable[None]]
TICKET = Ticket(number=0, user=0, iteration=0, due_ns=0, purpose="probe:TD-1")


def play(monkeypatch: pytest.MonkeyPatch, on: Ground, script: Script, **more: Any) -> None:
    probe = Probe(rules=("TD-1", "TD-5"), run=script, **more)
    monkeypatch.setattr(running, "BY_LEAD", {"TD-1": probe})
    asyncio.run(running.run_probe(on, TICKET))


async def create_and_judge(bench: Bench) -> None:
    async with bench.subject() as subject:
        await subject.new()
        bench.judge("TD-1", True, "as it should be")


def test_every_rule_of_a_probe_gets_a_finding_also_one_that_it_said_nothing_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control, events = FakeControl(), list[Event]()

    play(monkeypatch, ground(control, events), create_and_judge)

    assert findings(events) == [("TD-1", "pass"), ("TD-5", "not_tested")]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NotTestedError("nobody was there"), "nobody was there"),
        (StepError(Kind.TIMEOUT, Code.TIMEOUT, "no answer"), "could not be tried: timeout/timeout no answer"),
    ],
)
def test_what_could_not_be_tried_is_not_tested_and_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    control, events = FakeControl(), list[Event]()

    async def fails(bench: Bench) -> None:
        async with bench.subject() as subject:
            await subject.new()
            raise error

    play(monkeypatch, ground(control, events), fails)

    assert findings(events) == [("TD-1", "not_tested"), ("TD-5", "not_tested")]
    assert {event.detail for event in events if isinstance(event, RuleChecked)} == {why}
    assert control.alive == set()


def test_a_session_of_a_probe_is_in_the_journal_before_it_can_exist_and_deleted_whatever_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control, events = FakeControl(), list[Event]()

    async def breaks(bench: Bench) -> None:
        async with bench.subject() as subject:
            await subject.new()
            raise RuntimeError("a bug of ours")

    with pytest.raises(RuntimeError):
        play(monkeypatch, ground(control, events), breaks)

    changes = [(event.remains, event.reason) for event in events if isinstance(event, RemainsChanged)]
    assert changes == [
        (Remains.DOUBTFUL, "create_sent"),
        (Remains.LEAKED, "create_answered"),
        (Remains.NOTHING, "deleted"),
    ]
    assert control.alive == set()
    assert {event.purpose for event in events if isinstance(event, SessionStarted)} == {"probe:TD-1"}
    (last,) = [event for event in events if isinstance(event, SessionFinished)]
    assert (last.outcome, last.remains) == (Outcome.FAILED, Remains.NOTHING)


def test_a_cancelled_probe_deletes_and_says_that_it_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    control, events = FakeControl(), list[Event]()

    async def waits(bench: Bench) -> None:
        async with bench.subject() as subject:
            await subject.new()
            await forever()

    async def cut() -> None:
        probe = Probe(rules=("TD-1",), run=waits)
        monkeypatch.setattr(running, "BY_LEAD", {"TD-1": probe})
        task = asyncio.ensure_future(running.run_probe(ground(control, events), TICKET))
        while "av-1" not in control.alive:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut())

    assert control.alive == set()
    assert [event.detail for event in events if isinstance(event, RuleChecked)] == ["cut off by the end of the run"]


def test_a_create_that_ought_to_be_refused_and_is_not_is_deleted_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control, events = FakeControl(), list[Event]()
    statuses = []

    async def attempts(bench: Bench) -> None:
        for body in ({"max_duration": 59}, {"max_duration": 60}):
            async with bench.subject() as subject:
                statuses.append((await subject.attempt(body)).status)

    play(monkeypatch, ground(control, events), attempts)

    assert statuses == [422, 200]
    assert control.alive == set()
    reasons = [event.reason for event in events if isinstance(event, RemainsChanged)]
    assert reasons == ["create_sent", "create_refused", "create_sent", "create_answered", "deleted"]


def test_the_token_of_a_session_that_ought_to_have_been_refused_is_a_secret_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control, events, answered = FakeControl(), list[Event](), "zq7Kd0vTtW3mXy9LpB"
    on = ground(control, events)

    async def create(_body: Any, **_more: Any) -> Answer:
        control.alive.add("av-1")
        return answer(200, session_id="av-1", token=answered)

    monkeypatch.setattr(on.wire, "create", create)

    async def attempts(bench: Bench) -> None:
        async with bench.subject() as subject:
            await subject.attempt({})
            assert redact(f"said {answered} again") == "said [redacted] again"

    play(monkeypatch, on, attempts)

    assert control.alive == set()


def test_each_create_of_a_probe_takes_a_place_in_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    control, events = FakeControl(), list[Event]()

    async def two(bench: Bench) -> None:
        for _ in range(2):
            async with bench.subject() as subject:
                await subject.new()

    play(monkeypatch, ground(control, events, places=1), two)

    assert control.calls.count("create") == 1
    assert findings(events) == [("TD-1", "not_tested"), ("TD-5", "not_tested")]


@pytest.mark.parametrize(
    ("settings", "more", "why"),
    [
        ({"probes": {"once": True}}, {"lasts_s": 3600}, "lasts 60 min: needs --slow"),
        ({}, {"alone": True}, "other sessions would disturb it: only in `avaload probe`"),
    ],
)
def test_a_probe_that_may_not_run_here_creates_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    control, events = FakeControl(), list[Event]()

    play(monkeypatch, ground(control, events, **settings), create_and_judge, **more)

    assert control.calls == []
    assert [event.detail for event in events if isinstance(event, RuleChecked)] == [why, why]


def test_on_a_faster_clock_a_long_probe_is_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    control, events = FakeControl(), list[Event]()

    play(monkeypatch, ground(control, events, clock=100), create_and_judge, lasts_s=3600)

    assert ("TD-1", "pass") in findings(events)


def test_those_that_want_to_be_alone_wait_until_the_others_have_ended() -> None:
    async def scene() -> list[str]:
        on, order = ground(FakeControl(), []), list[str]()

        async def crowd() -> None:
            async with on.turn(alone=False):
                await asyncio.sleep(1.1)
                order.append("crowd")

        async def hermit() -> None:
            async with on.turn(alone=True):
                order.append("hermit")

        await asyncio.gather(hermit(), crowd())
        return order

    assert asyncio.run(scene()) == ["crowd", "hermit"]


def test_a_probe_that_found_no_place_beside_the_others_is_run_once_more_when_they_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control, events = FakeControl(create=[refused(429), None]), list[Event]()

    play(monkeypatch, ground(control, events, probes={"once": True}), create_and_judge)

    assert control.calls.count("create") == 2
    assert ("TD-1", "pass") in findings(events)
    assert control.alive == set()


def test_what_the_operator_says_of_the_targets_clock_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    control, events = FakeControl(), list[Event]()

    play(
        monkeypatch,
        ground(control, events, clock=100, target={"clock_scale": 1}),
        create_and_judge,
        lasts_s=3600,
    )

    assert findings(events) == [("TD-1", "not_tested"), ("TD-5", "not_tested")]
