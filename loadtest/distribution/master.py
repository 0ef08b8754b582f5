"""The Locust process that has no users: it merges what its workers ship and knows when all of them are done."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event as Signal
from locust.env import Environment

from exporters.log import Log
from exporters.metrics import catalogue as c
from exporters.metrics.snapshot import Snapshot, merged
from loadtest import journal
from loadtest.config.environment import SALT
from loadtest.config.settings import Settings
from loadtest.criteria import stage_health
from loadtest.criteria.objectives import Judge, Standing
from loadtest.distribution.barrier import StartBarrier, renumbered
from loadtest.distribution.channel import HOST
from loadtest.distribution.hosts import Hosts
from loadtest.distribution.port.turned_away import REFUSALS, Refused
from loadtest.distribution.report_shapes import (
    check_fitness,
    check_nothing,
    check_number,
    check_objectives,
    check_snapshot,
)
from loadtest.distribution.workers import Workers
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import DISK_FULL, Event, Fault, GeneratorFailed, RunFinished
from loadtest.load import messages as m
from loadtest.load.beginning import aggregate_of, open_journal, rulebook_of
from loadtest.load.conductor import STEER_AHEAD_S, TEARDOWN_MARGIN_S
from loadtest.load.duties import SNAPSHOT_S
from loadtest.system import clock

LOOK_S = 0.2
BARRIER_LOOK_S = 0.02
JOURNALS_S = 150.0
"""For journals of other hosts after the last worker is done: engines of killed ones delete for a minute."""


class Master:
    """Merges what the workers ship and knows when all are done."""

    def __init__(self, environment: Environment, settings: Settings, run_dir: Path) -> None:
        self._environment, self._runner, self._settings = environment, environment.runner, settings
        self._workers = Workers(
            run_dir, lambda: aggregate_of(settings), lambda: rulebook_of(settings), is_cut_off=self._is_cut_off
        )
        self._judge, self._objectives = Judge(settings.judged), len(settings.judged)
        self._reason = "completed"
        self._closed = self._is_written = False
        self._own, self._log = aggregate_of(settings), Log(run_dir)
        self._journal, started = open_journal(
            settings, run_dir, journal.path_of(run_dir, "master"), role="master", process=-1
        )
        self._journal.on_full = self._stop_for_disk
        self._runner.register_message(m.FULL, lambda **_: self._end(DISK_FULL))
        self._record(started)
        self._numbers: dict[str, int] = {}  # of load processes on other hosts, by node
        self._check_what_comes()
        self._runner.register_message(m.SNAPSHOT, self._on_snapshot)
        self._runner.register_message(m.DONE, self._on_done)
        self._fitness: dict[str, stage_health.Fitness] = {}
        self._runner.register_message(m.FITNESS, self._on_fitness)
        self._runner.register_message(m.OBJECTIVES, self._on_objectives)
        self._runner.register_message(m.NUMBERED, self._on_numbered)
        self._hosts: Hosts | None = None
        if settings.distribution.master:
            self._hosts = Hosts(settings, run_dir, os.environ[SALT], send=self._send, record=self._record)
            self._runner.register_message(HOST, self._on_host)
        self._barrier = StartBarrier(settings.load.processes, self._offset_of)
        self._nodes: dict[int, str] = {}
        self._gave_up: str | None = None
        self._runner.register_message(m.READY, self._on_ready)
        environment.events.test_start.add_listener(self._on_all_here)
        self._all_here, self._ended = Signal(), Signal()
        gevent.spawn(self._watch_workers)

    def snapshot(self) -> Snapshot:
        """Of the whole run; a silent worker's gauges have left it, what it counted stays."""
        refused: Snapshot = {c.MASTER_REFUSED.name: dict(REFUSALS.counts)}
        return merged([self._own.snapshot(), refused, self._workers.snapshot(now_ns=clock.now_ns())])

    def _check_what_comes(self) -> None:
        """Reports that can't be believed are refused before they get here (port/sockets.py)."""
        like, processes, objectives = self._own.snapshot(), self._settings.load.processes, self._objectives
        checks: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys((m.SNAPSHOT, m.DONE), lambda data: check_snapshot(data, like=like)),
            **dict.fromkeys((m.READY, m.FULL), check_nothing),
            m.FITNESS: check_fitness,
            m.OBJECTIVES: lambda data: check_objectives(data, count=objectives),
            m.NUMBERED: lambda data: check_number(data, processes=processes),
        }
        self._runner.checks.update(checks)
        self._runner.for_all.add(HOST)  # a worker's command is none of Locust's workers; Hosts knows who has joined

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Whether every expected worker is done, or lost, or far too late, by then."""
        return bool(self._ended.wait(timeout_s))

    @property
    def begun(self) -> bool:
        """Whether the moment has come at which all load processes begin."""
        return self._barrier.zero_ns is not None and clock.now_ns() >= self._barrier.zero_ns

    @property
    def fitness(self) -> stage_health.Fitness:
        """Of its worst load process."""
        return stage_health.worst(self._fitness.values())

    def standings(self) -> list[Standing]:
        """How each objective stands, in the order of `settings.judged`."""
        return self._judge.standings(now_ns=clock.now_ns())

    def _on_fitness(self, msg: Any, **_: Any) -> None:
        if self._index(msg.node_id) is not None:
            self._fitness[msg.node_id] = tuple(msg.data)

    def steer(self, order: dict[str, Any]) -> None:
        """A stage of a search for the limit, for all workers at the same moment."""
        if self._barrier.zero_ns is not None:
            begins_s = (clock.now_ns() - self._barrier.zero_ns) / 1e9 + STEER_AHEAD_S
            order = order | {"begins_s": begins_s}
        self._runner.send_message(m.STEER, order)

    @property
    def waiting_for(self) -> str | None:
        """Load processes, until the run begins."""
        if self._gave_up is not None:
            return self._gave_up
        if self._hosts is not None and not self._all_here.is_set():
            here = f"workers: {self._hosts.joined} of {self._settings.load.processes} load processes are here"
            return f"{here}; {self._hosts.why_left}" if self._hosts.why_left else here
        return self._barrier.waiting_for

    def _watch_workers(self) -> None:
        if (why_not := self._begin_together()) is not None:
            self._give_up(why_not)
            return
        load = self._settings.load
        deadline_ns = clock.now_ns() + int(
            (load.duration + self._settings.graceful_stop_s + 2 * TEARDOWN_MARGIN_S) * 1e9
        )
        while self._workers.finished < load.processes and clock.now_ns() < deadline_ns:
            gevent.sleep(LOOK_S)
            if self._hosts is not None:
                self._hosts.look()
            for index in self._workers.look(clock.now_ns()):
                self._tell_lost(index)
            self._settle()
            self._stop_if_broken()
        if self._hosts is not None:
            self._await_journals(self._hosts)
        self.close()
        self._ended.set()

    def _begin_together(self) -> str | None:
        """Wait until all load processes are ready and set the moment at which they begin. Why that can't be; None if it
        can, or if the run was interrupted meanwhile."""
        deadline_ns = clock.now_ns() + int(self._settings.distribution.max_wait * 1e9)
        while not self._barrier.look(now_ns := clock.now_ns()):
            if self._closed or self._reason != "completed":
                return None
            if now_ns > deadline_ns:
                return "not all load processes were ready in time"
            # Before all are here, a command on another host that lost its place may still be replaced.
            if self._hosts is None or self._all_here.is_set():
                for index in self._workers.look(now_ns):
                    self._tell_lost(index)
                    reason = f"load process {index} died"
                    self._gave_up = f"{self.waiting_for}, {reason}"
                    gevent.sleep(1.5 * SNAPSHOT_S)  # for the word of it to reach our command
                    return reason
            gevent.sleep(BARRIER_LOOK_S)
        for number, node in self._nodes.items():
            self._runner.send_message(m.BEGIN, {"zero_ns": self._barrier.zero_for(number)}, client_id=node)
        return None

    def _tell_lost(self, index: int) -> None:
        lost = f"load process {index}"
        self._record(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.WORKER_LOST, process=-1, detail=lost))

    def _offset_of(self, number: int) -> int | None:
        """What to add to a stamp of that load process to get one of ours; forked ones have our clock."""
        return 0 if self._hosts is None else self._hosts.offset_of(number)

    def _is_cut_off(self, number: int) -> bool:
        return self._hosts is not None and self._hosts.is_cut_off(number)

    def _on_ready(self, msg: Any, **_: Any) -> None:
        if (index := self._index(msg.node_id)) is None:
            return
        self._nodes[index] = msg.node_id
        self._barrier.ready(index)
        if self._reason != "completed":  # said before this worker was there to hear it
            self._runner.send_message(m.STOP, {"reason": self._reason}, client_id=msg.node_id)

    def _settle(self) -> None:
        for _ in self._workers.settle():
            gevent.sleep(0)

    def _await_journals(self, hosts: Hosts) -> None:
        deadline_ns = clock.now_ns() + int(JOURNALS_S * 1e9)
        while not hosts.settled() and clock.now_ns() < deadline_ns:
            gevent.sleep(LOOK_S)
        hosts.look()
        self._settle()
        hosts.close(self._reason)

    def _give_up(self, reason: str) -> None:
        """Before the run has begun. Locust's own wait for workers ends with nothing but a signal."""
        self._environment.process_exit_code = int(Exit.INVALID)
        if self._hosts is not None:
            self._hosts.close(f"it did not begin: {reason}")
        self.close()
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupt(self, _reason: str = "interrupted") -> None:
        self._end("interrupted")

    def _stop_for_disk(self, error: OSError) -> None:
        detail = f"{self._journal.path.name}: {error.strerror}"
        self._record(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.DISK_FULL, process=-1, detail=detail))
        self._end(DISK_FULL)

    def _end(self, reason: str) -> None:
        self._reason = reason
        if self._hosts is not None and not self._all_here.is_set():
            self._give_up(reason)
        self._runner.send_message(m.STOP, {"reason": self._reason})

    def _stop_if_broken(self) -> None:
        """The run stops early when an objective of all its processes together says so."""
        now_ns = clock.now_ns()
        if self._reason == "completed" and (aborted := self._judge.look(now_ns=now_ns)) is not None:
            self._record(aborted)
            self._reason = "aborted"
            self._runner.send_message(m.STOP, {"reason": self._reason})

    def close(self) -> None:
        """The last word and the end of the journal; only the first call counts."""
        if self._closed:
            return
        self._closed = True
        self._record(RunFinished(t_ns=clock.now_ns(), reason=self._reason))
        self._is_written = True
        self._journal.close()
        self._log.close()

    def _record(self, event: Event) -> None:
        """Nothing after the last word: a worker may still come while a scraper is waited for."""
        if self._is_written:
            return
        self._journal.write(journal.encode(event))
        self._own.add(event)
        with contextlib.suppress(OSError):  # a full disk: the log is a view
            self._log.add(event)

    def _send(self, node: str, message: dict[str, Any]) -> None:
        self._runner.send_message(HOST, message, client_id=node)

    def _on_host(self, msg: Any, **_: Any) -> None:
        if self._hosts is not None and isinstance(msg.data, dict):
            self._hosts.hear(msg.node_id, msg.data)
        else:
            REFUSALS.note(Refused.SHAPE, msg.node_id, "not a message of a worker's command")

    def _on_numbered(self, msg: Any, **_: Any) -> None:
        """A worker of another host has its number from its command; Locust numbers its commands, too."""
        node, number = msg.node_id, msg.data["number"]
        if (numbers := renumbered(self._numbers, node, number, is_closed=self._runner.closed)) is None:
            REFUSALS.note(Refused.STRANGER, node, f"load process {number} is another one")
            return
        for other in self._numbers.keys() - numbers.keys():  # before the run: in its place
            self._workers.forget(self._numbers[other])
            self._fitness.pop(other, None)
        self._numbers = numbers
        self._runner.worker_indexes[node] = number

    def _index(self, node: str) -> int | None:
        """The number of that load process; None, and counted, where it has none in this run."""
        index = self._numbers.get(node) if self._hosts is not None else self._runner.get_worker_index(node)
        if index is not None and 0 <= index < self._settings.load.processes:
            return int(index)
        REFUSALS.note(Refused.STRANGER, node, "is no load process of this run")
        return None

    def _on_all_here(self, **_: Any) -> None:
        """As many load processes as are expected have spoken to Locust."""
        if self._hosts is not None and not self._all_here.is_set():
            self._hosts.begin()
            for number in range(self._settings.load.processes):  # who never reports is lost, too
                self._workers.heard(number, {}, now_ns=clock.now_ns())
        self._runner.closed = True
        self._all_here.set()

    def _on_snapshot(self, msg: Any, **_: Any) -> None:
        self._hear(msg)

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._hear(msg, done=True)

    def _on_objectives(self, msg: Any, **_: Any) -> None:
        if (index := self._index(msg.node_id)) is not None:
            self._judge.hear(index, msg.data, now_ns=clock.now_ns())

    def _hear(self, msg: Any, *, done: bool = False) -> None:
        if (index := self._index(msg.node_id)) is not None:
            self._workers.heard(index, msg.data, now_ns=clock.now_ns(), done=done)
