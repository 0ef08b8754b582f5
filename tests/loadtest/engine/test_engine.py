"""What an engine makes of a ticket."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loadtest.budget.reserving import Budget
from loadtest.config.settings import Settings
from loadtest.engine import engine as engines
from loadtest.engine.engine import Engine
from loadtest.events.kinds import DropReason, Event, IterationDropped, Outcome
from loadtest.journal import Journal
from loadtest.session.converse import Place
from loadtest.session.ticket import Ticket


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
