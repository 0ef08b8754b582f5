"""What a Locust process owes others: its master what it has counted, its owner its progress and an end in time."""

import contextlib
import json
import logging
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gevent
import msgspec
from locust.env import Environment
from msgspec.structs import replace

from exporters.metrics.snapshot import Snapshot
from loadtest.config.environment import OWNER
from loadtest.criteria.objectives import Standing
from loadtest.criteria.stage_health import Fitness
from loadtest.load.conductor import LoadProcess
from loadtest.load.messages import BEGIN, DONE, FITNESS, OBJECTIVES, SNAPSHOT, STEER, STOP
from loadtest.progress.glance import Glances
from loadtest.system import clock

SNAPSHOT_S = 1.0

_log = logging.getLogger(__name__)


def hear_master(environment: Environment, process: LoadProcess) -> None:
    """From now on a worker begins, changes its load and stops when its master says so."""
    runner = environment.runner
    runner.register_message(BEGIN, lambda msg, **_: process.begin(msg.data["zero_ns"]))
    runner.register_message(STEER, lambda msg, **_: process.steer(msg.data))
    runner.register_message(STOP, lambda msg, **_: gevent.spawn(process.interrupt, msg.data["reason"]))


def report_to_master(environment: Environment, process: LoadProcess) -> None:
    """A worker's duty: ship cumulative snapshots until the process has ended, and end when the master is gone (Locust
    itself would notice that after a minute)."""
    runner, parent = environment.runner, os.getppid()
    while not process.wait_ended(SNAPSHOT_S):
        runner.send_message(SNAPSHOT, process.snapshot())
        runner.send_message(FITNESS, process.fitness)
        if process.judged and not process.stopping:
            runner.send_message(OBJECTIVES, process.objectives.value(clock.now_ns()))
        if os.getppid() != parent:
            _log.error("the master is gone: ending")
            process.interrupt("orphaned")
    runner.send_message(DONE, process.snapshot())
    while os.getppid() == parent:  # the master says "quit", unless it is killed before
        gevent.sleep(SNAPSHOT_S)
    runner.quit()


def on_owner_gone(
    action: Callable[[str], None],
    *,
    unless_said: str = "interrupted",
    obey: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Call `action` when the process that started us closes our stdin, or dies, with the reason: the last line that it
    wrote. A line that is a JSON object is an order and goes to `obey`. Nothing on a terminal or /dev/null."""
    if os.environ.get(OWNER) != "stdin":
        return

    def watch() -> None:
        reason, rest = unless_said, b""
        while True:
            readable, _, _ = select.select([sys.stdin], [], [], 1.0)
            if not readable:
                continue
            if not (said := os.read(sys.stdin.fileno(), 1024)):
                action(reason)
                return
            *lines, rest = (rest + said).split(b"\n")
            for line in lines:
                if not line.startswith(b"{"):
                    reason = line.decode().strip() or reason
                elif obey is not None:
                    obey(json.loads(line))

    gevent.spawn(watch)


class Conducted(Protocol):
    """What the process that owns a run can be asked: a load process alone, or a master."""

    def snapshot(self) -> Snapshot:
        """All metrics so far."""
        ...

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Whether the run is over and written, by then."""
        ...

    @property
    def waiting_for(self) -> str | None:
        """What the run can't begin without."""
        ...

    @property
    def begun(self) -> bool:
        """Whether users may start sessions."""
        ...

    @property
    def fitness(self) -> Fitness:
        """Of the generator in the last seconds, and why."""
        ...

    def standings(self) -> Sequence[Standing]:
        """How each objective stands."""
        ...


def tell_progress(run: Conducted, fd: int) -> None:
    """A line of JSON a second for whoever started us; a reader that is slow or gone costs nothing but the line."""
    os.set_blocking(fd, False)
    started_ns, glances, over = clock.now_ns(), Glances(), False
    while True:
        if (waiting_for := run.waiting_for) is not None:
            started_ns = clock.now_ns()
        now = glances.look(
            run.snapshot(),
            elapsed_s=(clock.now_ns() - started_ns) / 1e9,
            waiting_for=waiting_for,
            begun=run.begun,
            fitness=run.fitness,
            objectives=run.standings(),
        )
        with contextlib.suppress(OSError):
            os.write(fd, msgspec.json.encode(replace(now, over=over)) + b"\n")
        if over:
            return
        over = run.wait_ended(SNAPSHOT_S)
