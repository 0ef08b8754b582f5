"""The Locust process that has no users: it merges what its workers ship and knows when all of them are done."""

import os
import signal
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event as Signal
from locust.env import Environment

from exporters.log import Log
from exporters.snapshot import Snapshot, merged
from loadtest import clock, journal, stage_health
from loadtest.conductor import NUMBERED, TEARDOWN_MARGIN_S, aggregate_of, open_journal, rulebook_of
from loadtest.distribution.hosts import Hosts
from loadtest.distribution.wire import HOST
from loadtest.duties import DONE, FITNESS, OBJECTIVES, SNAPSHOT, STEER, STOP
from loadtest.errors import Exit
from loadtest.events import Event, Fault, GeneratorFailed, RunFinished
from loadtest.objectives import Judge
from loadtest.settings import Settings
from loadtest.workers import Workers

LOOK_S = 0.2
JOURNALS_S = 150.0
"""For journals of other hosts after the last worker is done: engines of killed ones delete for a minute."""


class Master:
    """Merges what the workers ship and knows when all are done."""

    def __init__(self, environment: Environment, settings: Settings, run_dir: Path) -> None:
        self._environment, self._runner, self._settings = environment, environment.runner, settings
        self._workers = Workers(run_dir, lambda: aggregate_of(settings), lambda: rulebook_of(settings))
        self._judge = Judge([slo for slo in settings.slos if slo.abort])
        self._reason = "completed"
        self._closed = False
        self._own, self._log = aggregate_of(settings), Log(run_dir)
        self._journal, started = open_journal(settings, run_dir, role="master", name="master", process=-1)
        self._record(started)
        self._runner.register_message(SNAPSHOT, self._on_snapshot)
        self._runner.register_message(DONE, self._on_done)
        self._fitness: dict[str, str] = {}
        self._runner.register_message(FITNESS, self._on_fitness)
        self._runner.register_message(OBJECTIVES, self._on_objectives)
        self._runner.register_message(NUMBERED, self._on_numbered)
        self._hosts: Hosts | None = None
        if settings.distribution.master:
            self._hosts = Hosts(settings, run_dir, os.environ["AVALOAD_SALT"], send=self._send, record=self._record)
            self._runner.register_message(HOST, self._on_host)
            environment.events.test_start.add_listener(self._on_begin)
        self._told_to_begin = False
        environment.events.test_start.add_listener(self._on_told_to_begin)
        self._begun, self._ended = Signal(), Signal()
        gevent.spawn(self._watch_workers)

    def snapshot(self) -> Snapshot:
        """Of the whole run; a silent worker's gauges have left it, what it counted stays."""
        return merged([self._own.snapshot(), self._workers.snapshot(now_ns=clock.now_ns())])

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Whether every expected worker is done, or lost, or far too late, by then."""
        return bool(self._ended.wait(timeout_s))

    @property
    def begun(self) -> bool:
        """Whether the workers were told to begin."""
        return self._told_to_begin

    @property
    def fitness(self) -> str:
        """Of its worst load process."""
        return stage_health.worst(self._fitness.values())

    def _on_fitness(self, msg: Any, **_: Any) -> None:
        self._fitness[msg.node_id] = str(msg.data)

    def steer(self, order: dict[str, Any]) -> None:
        """A stage of a search for the limit, for all workers."""
        self._runner.send_message(STEER, order)

    def _on_told_to_begin(self, **_: Any) -> None:
        self._told_to_begin = True

    @property
    def waiting_for(self) -> str | None:
        """Workers of other hosts, until the run begins."""
        if self._hosts is None or self._begun.is_set():
            return None
        return f"workers: {self._hosts.joined} of {self._settings.load.processes} load processes are here"

    def _watch_workers(self) -> None:
        if self._hosts is not None and not self._begun.wait(self._settings.distribution.max_wait):
            self._give_up(self._hosts, "not all workers came in time")
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
                self._record(
                    GeneratorFailed(
                        t_ns=clock.now_ns(), fault=Fault.WORKER_LOST, process=-1, detail=f"load process {index}"
                    )
                )
            self._settle()
            self._stop_if_broken()
        if self._hosts is not None:
            self._await_journals(self._hosts)
        self.close()
        self._ended.set()

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

    def _give_up(self, hosts: Hosts, reason: str) -> None:
        """Before the run has begun. Locust's own wait for workers ends with nothing but a signal."""
        self._environment.process_exit_code = int(Exit.INVALID)
        hosts.close(reason)
        self.close()
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupt(self, _reason: str = "interrupted") -> None:
        self._reason = "interrupted"
        if self._hosts is not None and not self._begun.is_set():
            self._give_up(self._hosts, "interrupted")
        self._runner.send_message(STOP, {"reason": self._reason})

    def _stop_if_broken(self) -> None:
        """The run stops early when an objective of all its processes together says so."""
        now_ns = clock.now_ns()
        if self._reason == "completed" and (aborted := self._judge.look(now_ns=now_ns)) is not None:
            self._record(aborted)
            self._reason = "aborted"
            self._runner.send_message(STOP, {"reason": self._reason})

    def close(self) -> None:
        """The last word and the end of the journal; only the first call counts."""
        if self._closed:
            return
        self._closed = True
        self._record(RunFinished(t_ns=clock.now_ns(), reason=self._reason))
        self._journal.close()
        self._log.close()

    def _record(self, event: Event) -> None:
        self._journal.write(journal.encode(event))
        self._own.add(event)
        self._log.add(event)

    def _send(self, node: str, message: dict[str, Any]) -> None:
        self._runner.send_message(HOST, message, client_id=node)

    def _on_host(self, msg: Any, **_: Any) -> None:
        if self._hosts is not None:
            self._hosts.hear(msg.node_id, msg.data)

    def _on_numbered(self, msg: Any, **_: Any) -> None:
        """A worker of another host has its number from its command; Locust numbers its commands, too."""
        self._runner.worker_indexes[msg.node_id] = msg.data["number"]

    def _on_begin(self, **_: Any) -> None:
        if self._hosts is not None and not self._begun.is_set():
            self._hosts.begin()
            for number in range(self._settings.load.processes):  # who never reports is lost, too
                self._workers.heard(number, {}, now_ns=clock.now_ns())
        self._begun.set()

    def _on_snapshot(self, msg: Any, **_: Any) -> None:
        self._hear(msg)

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._hear(msg, done=True)

    def _on_objectives(self, msg: Any, **_: Any) -> None:
        self._judge.hear(self._runner.get_worker_index(msg.node_id), msg.data, now_ns=clock.now_ns())

    def _hear(self, msg: Any, *, done: bool = False) -> None:
        index = self._runner.get_worker_index(msg.node_id)
        self._workers.heard(index, msg.data, now_ns=clock.now_ns(), done=done)
