"""Whatever a target sends: its session is a named failure of its own, or none the worse, and is deleted."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from loadtest.events.kinds import Event, Observed, Remains, SessionFinished
from loadtest.services.cookies import MAX_CLIENT_BYTES
from tests.hostile.around_answers import AROUND
from tests.hostile.in_rooms import ROOM
from tests.hostile.over_http import HTTP
from tests.hostile.scripts import NO_ANSWER, TIMEOUT, Hostile
from tests.hostile.target import SECRET, Target, answer, engine, listening, served, settings

DEADLINE_S = 30.0
AT_MOST_WRITTEN = 2_100
"""Events of a session: 2,000 messages and what every session has."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """picows writes a line of its log for each broken frame."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that says to come later is asked again no more often than others."""
    monkeypatch.setattr("loadtest.session.owned.DELETE_PATIENCE_S", 0.0)


def played(hostile: Hostile, http: str = "official") -> list[Event]:
    """The events of one session with that target, as its journal holds them."""
    waits = hostile.leaves or hostile.stays or TIMEOUT in (hostile.told or ())
    timeout_s = 1.0 if waits else 5.0  # what isn't about time has time: the machine may be busy

    async def script() -> list[Event]:
        async with (
            served(hostile.scripts, hostile.room) as target,
            engine(settings(target.url, timeout_s=timeout_s, http=http)) as (play, _lags),
        ):
            async with asyncio.timeout(DEADLINE_S):
                return await play()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(script())


WAYS = ("official", "lean")
CASES = [
    *(pytest.param(hostile, http, id=f"{hostile.name}, {http}") for hostile in (*HTTP, *AROUND) for http in WAYS),
    *(pytest.param(hostile, "official", id=hostile.name) for hostile in ROOM),
]


@pytest.mark.parametrize(("hostile", "http"), CASES)
def test_a_hostile_target_is_told_by_name_and_its_session_is_deleted(hostile: Hostile, http: str) -> None:
    events = played(hostile, http)
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


class Baker(Target):
    """New cookies with every answer, none of which is ever taken back."""

    baked = 0
    longest = 0

    async def _answer(self, verb: bytes, path: bytes, fields: dict[bytes, bytes], *rest: Any) -> bool:
        self.longest = max(self.longest, len(fields.get(b"cookie", b"")))
        self.baked += 10
        cookies = "".join(f"set-cookie: c{self.baked + each}={'x' * 1_000}; Path=/\r\n" for each in range(10))
        created = {"session_id": f"av-{self.baked}", "token": f"token-{self.baked}"}
        self.scripts = {
            "mint": answer(SECRET, headers=cookies),
            "create": answer(created, status="201 Created", headers=cookies),
        }
        return await super()._answer(verb, path, fields, *rest)


@pytest.mark.parametrize("http", WAYS)
def test_cookies_that_a_target_sets_anew_with_every_answer_make_no_request_longer_than_servers_take(http: str) -> None:
    target = Baker({})

    async def script() -> list[Event]:
        async with listening(target), engine(settings(target.url, http=http)) as (play, _lags):
            return [(await play())[-1] for _ in range(4)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ends = runner.run(script())
    assert [getattr(end, "remains", None) for end in ends] == [Remains.NOTHING] * 4
    assert 7_000 < target.longest <= MAX_CLIENT_BYTES
