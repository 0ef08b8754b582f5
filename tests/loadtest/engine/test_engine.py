"""What an engine makes of a ticket."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loadtest.budget.reserving import Budget
from loadtest.config.settings import Settings
from loadtest.engine import engine as engines
from loadtest.engine.engine import Engine
from loadtest.events.kinds import (
    DropReason,
    Event,
    Fault,
    GeneratorFailed,
    IterationDropped,
    Outcome,
    Remains,
    RemainsChanged,
    RemainsReason,
)
from loadtest.journal import Journal, decode, encode
from loadtest.session.converse import Place
from loadtest.session.ticket import Ticket
from loadtest.system import clock
from tests.exporters.traces.script import run_started, session, session_id
from tests.loadtest.fakes import FakeControl, refused


class CutOff:
    """A session whose caller's line is cut for longer than it lives without him."""

    def __init__(self, *_: Any, goes_on: Place | None = None) -> None:
        self.cut_off = Place() if goes_on is None else None

    async def run(self) -> Outcome:
        return Outcome.OK


@pytest.mark.parametrize(("places", "dropped"), [(1, [DropReason.MAX_SESSIONS]), (2, [])])
def test_a_caller_whose_second_session_finds_no_place_is_told_as_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: int, dropped: list[DropReason]
) -> None:
    events = list[Event]()
    monkeypatch.setattr(engines, "Lifecycle", CutOff)
    ticket = Ticket(number=0, user=0, iteration=0, due_ns=0)
    around: Any = None
    with Journal(tmp_path / "a.jsonl") as file, Budget(tmp_path / "budget", sessions=places) as budget:
        engine = Engine(Settings(), process=0, file=file, budget=budget)
        monkeypatch.setattr(engine, "emit", events.append)
        assert budget.reserve() is None  # of the first one
        assert asyncio.run(engine._call(around, ticket)) is Outcome.OK
    drops = [event for event in events if isinstance(event, IterationDropped)]
    assert [each.reason for each in drops] == dropped
    assert all(each.due_ns > 0 for each in drops)


def test_a_machine_that_slept_is_a_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path / "a.jsonl") as file, Budget(tmp_path / "budget", sessions=None) as budget:
        engine = Engine(Settings(), process=0, file=file, budget=budget)
        slept_ns, events = clock.slept_ns(), list[Event]()
        monkeypatch.setattr(engine, "emit", events.append)
        monkeypatch.setattr(clock, "slept_ns", lambda: slept_ns + 600_000_000_000)
        engine._tell_sleep()
        engine._tell_sleep()
    (fault,) = [event for event in events if isinstance(event, GeneratorFailed)]
    assert (fault.fault, fault.detail) == (Fault.SLEPT, "for 600 s")


class Wire:
    """What the Locust process hears."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def event(self, line: bytes) -> bool:
        self.heard.append(decode(line))
        return True


def test_of_a_dead_engines_sessions_the_next_one_tells_what_became_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 was ended; 2 was deleted and not ended, 3's create is unanswered; 4 and 5 are there, one can't be deleted."""
    wire = Wire()
    left = [*session(2)[:-1], *session(3)[:4], *session(4)[:10], *session(5)[:10]]
    with Journal(tmp_path / "dead.jsonl") as dead:
        for event in (run_started(), *session(1), *left):
            dead.write(encode(event))
    control: Any = FakeControl(delete=[refused(401), 204])
    with Journal(tmp_path / "a.jsonl") as file, Budget(tmp_path / "budget") as budget:
        engine = Engine(Settings(), process=0, file=file, budget=budget)
        monkeypatch.setattr(engine, "_outbox", wire)
        asyncio.run(engine._sweep(control, tmp_path / "dead.jsonl"))
    told = [event for event in wire.heard if isinstance(event, RemainsChanged)]
    assert [(event.session, event.remains, event.reason) for event in told] == [
        (session_id(2), Remains.NOTHING, RemainsReason.DELETED),
        (session_id(3), Remains.DOUBTFUL, RemainsReason.CREATE_SENT),
        (session_id(5), Remains.NOTHING, RemainsReason.SWEPT),
        (session_id(4), Remains.LEAKED, RemainsReason.DELETE_FAILED),
    ]
    assert told[-1].target_session_id == "avaturn-4"
    written = [decode(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert written == told[2:]  # the others stand in the dead one's journal
