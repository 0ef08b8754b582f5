"""The Locust process that has no users: it merges what its workers ship and knows when all of them are done."""

from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event as Signal
from locust.env import Environment
from locust.runners import STATE_MISSING

from exporters.aggregate import Snapshot, merged
from loadtest import clock, journal
from loadtest.conductor import DONE, SNAPSHOT, STOP, TEARDOWN_MARGIN_S, aggregate_of, open_journal
from loadtest.events import Event, Fault, GeneratorFailed, RunFinished
from loadtest.settings import Settings

LOST_AFTER_S = 30.0
"""A worker that was only paused comes back; one that is silent for longer is lost."""


class Master:
    """Merges what the workers ship and knows when all are done."""

    def __init__(self, environment: Environment, settings: Settings, run_dir: Path) -> None:
        self._runner, self._settings = environment.runner, settings
        self._latest: dict[str, Snapshot] = {}
        self._done: set[str] = set()
        self._silent: set[str] = set()
        self._stopping = self._closed = False
        self._own = aggregate_of(settings)
        self._journal, started = open_journal(settings, run_dir, role="master", name="master", process=-1)
        self._record(started)
        self._runner.register_message(SNAPSHOT, self._on_snapshot)
        self._runner.register_message(DONE, self._on_done)
        self._ended = Signal()
        gevent.spawn(self._watch_workers)

    def snapshot(self) -> Snapshot:
        """Of the whole run; a silent worker's gauges have left it, what it counted stays."""
        live = [shipped for worker, shipped in self._latest.items() if worker not in self._silent]
        silent = [shipped for worker, shipped in self._latest.items() if worker in self._silent]
        return merged([self._own.snapshot(), *live], lost=silent)

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Whether every expected worker is done, or lost, or far too late, by then."""
        return bool(self._ended.wait(timeout_s))

    def _watch_workers(self) -> None:
        load = self._settings.load
        deadline_ns = clock.now_ns() + int(
            (load.duration + self._settings.graceful_stop_s + 2 * TEARDOWN_MARGIN_S) * 1e9
        )
        heard_ns: dict[str, int] = {}
        lost: set[str] = set()
        while len(self._done | lost) < load.processes and clock.now_ns() < deadline_ns:
            gevent.sleep(0.2)
            present = {worker.id for worker in self._runner.clients.values() if worker.state != STATE_MISSING}
            heard_ns |= dict.fromkeys(present, clock.now_ns())
            self._silent = set(heard_ns) - present - self._done
            for worker_id, at_ns in heard_ns.items():
                if worker_id not in self._done | lost and clock.now_ns() - at_ns > LOST_AFTER_S * 1e9:
                    lost.add(worker_id)
                    self._record(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.WORKER_LOST, process=-1))
        self.close()
        self._ended.set()

    def interrupt(self) -> None:
        self._stopping = True
        self._runner.send_message(STOP, {})

    def close(self) -> None:
        """The last word and the end of the journal; only the first call counts."""
        if self._closed:
            return
        self._closed = True
        reason = "interrupted" if self._stopping else "completed"
        self._record(RunFinished(t_ns=clock.now_ns(), reason=reason))
        self._journal.close()

    def _record(self, event: Event) -> None:
        self._journal.write(journal.encode(event))
        self._own.add(event)

    def _on_snapshot(self, msg: Any, **_: Any) -> None:
        self._latest[msg.node_id] = msg.data

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._latest[msg.node_id] = msg.data
        self._done.add(msg.node_id)
