"""Whatever a target sends: its session is a named failure of its own, or none the worse, and is deleted."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
import uvloop

from loadtest.language.events import Event, Observed, Remains, SessionFinished
from tests.hostile.around_answers import AROUND
from tests.hostile.in_rooms import ROOM
from tests.hostile.over_http import HTTP
from tests.hostile.scripts import NO_ANSWER, Hostile
from tests.hostile.target import engine, served, settings

DEADLINE_S = 30.0
AT_MOST_WRITTEN = 2_100
"""Events of a session: 2,000 messages and what every session has."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """picows writes a line of its log for each broken frame."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def played(hostile: Hostile) -> list[Event]:
    """The events of one session with that target, as its journal holds them."""

    async def script() -> list[Event]:
        async with served(hostile.scripts, hostile.room) as target, engine(settings(target.url)) as (play, _lags):
            async with asyncio.timeout(DEADLINE_S):
                return await play()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(script())


@pytest.mark.parametrize("hostile", [*HTTP, *AROUND, *ROOM], ids=lambda hostile: hostile.name)
def test_a_hostile_target_is_told_by_name_and_its_session_is_deleted(hostile: Hostile) -> None:
    events = played(hostile)
    finished = events[-1]
    assert isinstance(finished, SessionFinished)
    told = None if finished.failure is None else f"{finished.failure.kind}/{finished.failure.code}"
    allowed = hostile.told if isinstance(hostile.told, tuple) else (hostile.told,)
    assert told in [NO_ANSWER if each is None else each for each in allowed]
    expected = Remains.DOUBTFUL if hostile.leaves else Remains.LEAKED if hostile.stays else Remains.NOTHING
    assert finished.remains is expected
    assert len(events) < AT_MOST_WRITTEN
    if finished.failure is not None:
        assert len(finished.failure.detail) <= 300


def test_messages_beyond_those_that_are_written_are_counted() -> None:
    flood = next(hostile for hostile in ROOM if hostile.name == "room: 10,000 messages")
    events = played(flood)
    marks = [event.mark for event in events if isinstance(event, Observed)]
    assert marks.count("avatar_transcript") == 2_000
    assert marks.count("messages_cut") == 1
    unwritten = [getattr(event, "messages_unwritten", 0) for event in events]
    assert 0 < max(unwritten) <= 8_000
