"""What a process says of itself."""

import asyncio
import socket
import time

import pytest
import uvloop

from loadtest.engine.health import Health
from loadtest.system import clock

BLOCKED_S = 0.2
TURNS = 3
"""Of the loop: what is answered wakes one task, and that another."""


async def lags_of_an_answer_that_waited() -> tuple[int, int]:
    """Told of what an answer wakes that came while the loop was stopped, at least; and once a look was in time."""
    health, loop = Health(source="engine", process=0), asyncio.get_running_loop()
    looking = asyncio.ensure_future(health.watch_loop())
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    told = list[int]()

    async def answered() -> None:
        await loop.sock_recv(ours, 1)
        for _ in range(TURNS):
            told.append(health.lag_ns)
            await asyncio.sleep(0)

    answer = asyncio.ensure_future(answered())
    with ours, theirs:
        await asyncio.sleep(0.05)
        theirs.send(b"x")
        time.sleep(BLOCKED_S)  # noqa: ASYNC251  # that is the stop
        await answer
        while health.lag_ns >= BLOCKED_S / 2 * 1e9:  # until a look was in time
            await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.wait({looking})
    return min(told), health.lag_ns


def test_what_waited_while_the_loop_was_stopped_is_told_to_be_so_late() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        waited_ns, after_ns = runner.run(lags_of_an_answer_that_waited())
    # Its look was due at most one PROBE_S after the stop began.
    assert waited_ns >= (BLOCKED_S - 0.011) * 1e9
    assert 0 <= after_ns < BLOCKED_S / 2 * 1e9


def test_a_loop_that_nobody_looks_at_yet_is_not_told_to_be_late() -> None:
    assert Health(source="engine", process=0).lag_ns == 0


def test_a_machine_that_slept_is_told_once_for_each_sleep_of_over_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s = [1000.0]  # before we were started
    monkeypatch.setattr(clock, "slept_ns", lambda: int(slept_s[0] * 1e9))
    health, told = Health(source="engine", process=0), list[float]()
    for more_s in (0.0, 0.9, 599.1, 0.0, 7.5):
        slept_s[0] += more_s
        told.append(health.slept_s())
    assert told == [0, 0, 600, 0, 7.5]


def test_a_clock_that_counts_no_sleep_tells_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert clock.slept_ns() == 0
