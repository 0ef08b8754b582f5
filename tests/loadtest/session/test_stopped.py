"""Our own loop stands still while something is waited for: what came meanwhile is read before it is missed."""

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from loadtest.config.settings import Target
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Kind
from loadtest.events.kinds import Event, Outcome, Step, StepFinished
from loadtest.session import waiting as waiting_module
from loadtest.session.owned import Steps
from loadtest.session.ports import Call
from loadtest.session.record import Record
from loadtest.session.waiting import Waiting
from loadtest.system.clock import now_ns

DEADLINE_S = 0.1
STOPPED_S = 0.4
LATE_NS = int((STOPPED_S - DEADLINE_S) * 1e9)


def on_a_loop(scene: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene)


async def answer(*, sent: bool) -> None:
    """Comes, if it is sent, while the loop stands still, as it does at once; and wakes one task after another."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        if sent:
            loop.call_soon(theirs.send, b"x")
        loop.call_soon(time.sleep, STOPPED_S)
        await loop.sock_recv(ours, 1)
        for _ in range(3):
            await asyncio.sleep(0)


async def step(events: list[Event], *, sent: bool) -> None:
    record = Record(emit=events.append, lag_ns=lambda: 0, scenario="test", purpose="load")

    async def work(_call: Call, _span: str) -> None:
        await answer(sent=sent)

    await Steps(record, Target(create_timeout_s=DEADLINE_S)).timed(Step.CREATE, work)


def test_an_answer_that_came_while_we_stood_still_is_no_timeout_and_is_told_with_how_late_we_were() -> None:
    events = list[Event]()
    on_a_loop(step(events, sent=True))
    (finished,) = [event for event in events if isinstance(event, StepFinished)]
    assert finished.outcome is Outcome.OK
    assert finished.lag_ns is not None
    assert finished.lag_ns >= LATE_NS


def test_an_answer_that_did_not_come_is_a_timeout_after_as_much_time_again_told_with_how_late_we_were() -> None:
    events = list[Event]()
    with pytest.raises(StepError):
        on_a_loop(step(events, sent=False))
    (finished,) = [event for event in events if isinstance(event, StepFinished)]
    assert finished.failure is not None
    assert finished.failure.kind is Kind.TIMEOUT
    assert finished.t_ns - finished.started_ns >= (STOPPED_S + DEADLINE_S) * 1e9
    assert finished.lag_ns is not None
    assert finished.lag_ns >= LATE_NS


def test_frames_that_came_while_we_stood_still_are_no_dead_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "STALLED_NS", LATE_NS)
    waiting = Waiting()
    waiting.last_frame_ns = now_ns()

    async def hear() -> None:
        await answer(sent=True)
        waiting.last_frame_ns = now_ns()

    async def scene() -> None:
        hearing = asyncio.ensure_future(hear())
        assert await waiting.until(hearing.done, DEADLINE_S)

    on_a_loop(scene())
