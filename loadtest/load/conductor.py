"""What a Locust process does besides its users: start and stop of the engine, journal, sinks, snapshots, the end of the
run.

One process alone is both `load` and conductor. With `--processes` the forked workers are the load processes; the master
has no users and no engine: it merges the workers' cumulative snapshots, serves them, and waits until every worker has
drained.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event as Signal
from locust.env import Environment
from locust.runners import WorkerRunner
from msgspec.structs import replace

from exporters.metrics.snapshot import Snapshot
from loadtest import journal
from loadtest.arrivals.schedule import Arrival
from loadtest.config.settings import Settings
from loadtest.criteria import stage_health
from loadtest.criteria.objectives import Judge, Objectives, Standing
from loadtest.engine.client import EngineClient
from loadtest.engine.health import PROBE_S, Health
from loadtest.events.fanout import Fanout
from loadtest.events.kinds import (
    DISK_FULL,
    DropReason,
    Event,
    Fault,
    GeneratorFailed,
    IterationDropped,
    RemainsChanged,
    RunFinished,
    SessionFinished,
)
from loadtest.load.beginning import aggregate_of, open_journal, rulebook_of, worker_index
from loadtest.load.messages import FULL
from loadtest.load.tickets import Place, Tickets, places, stages, steered_stage
from loadtest.secrecy.redact import redact
from loadtest.session.ticket import Ticket
from loadtest.system import clock

STEER_AHEAD_S = 0.3
"""A stage begins so long after it was told, so that its first tickets reach the engine ahead of time."""
HAND_AHEAD_S = 1.0
"""The engine has its tickets so long before they are due, at most."""
JUDGE_S = 0.25
TEARDOWN_MARGIN_S = 75.0
"""Beyond the graceful time: cancelled sessions are deleted (engine/engine.py gives them 60 s)."""


class LoadProcess:
    """A process that runs users: local, or a worker."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        run_dir: Path,
        *,
        sinks: dict[str, Callable[[Event], None]],
        planned: bool = True,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`planned`: the settings say when sessions begin and the run ends; else `run_session` and `stop` do.
        `environ`: the engine's."""
        self.settings, self.run_dir, self.stopping = settings, run_dir, False
        self._index = worker_index(environment)
        steered = settings.capacity is not None
        self.tickets = Tickets(settings.load, process=self._index, processes=settings.load.processes, steered=steered)
        self._planned, self._stages = planned, [] if steered or not planned else stages(settings)
        self._numbers, self._users = itertools.count(), itertools.count()
        self._places = places(settings, process=self._index)
        self.aggregate = aggregate_of(settings)
        self._runner = environment.runner
        self.judged = settings.judged
        self.objectives = Objectives(self.judged, planned_s=settings.load.duration)
        self._judge = Judge(self.judged)
        if self.judged:
            sinks = {**sinks, "objectives": self.objectives.add}
        self._rules = rulebook_of(settings)
        self._recent = stage_health.Recent()
        self._fanout = Fanout(
            {"prometheus": self.aggregate.add, "rules": self._rules.add, "fitness": self._recent.add, **sinks}
        )
        self._health = Health(source="hub", process=self._index)
        self._started_ns = 0
        self._zero_known, self._ended = Signal(), Signal()
        role = "worker" if isinstance(environment.runner, WorkerRunner) else "load"
        self._journal, self._first_line = open_journal(
            settings, run_dir, journal.path_of(run_dir, role, self._index), role="load", process=self._index
        )
        self._engine = EngineClient(
            run_dir, process=self._index, on_event=self._hear, on_own_event=self._record, environ=environ
        )
        self._is_out_of_disk = False
        self._journal.on_full = self._stop_for_disk

    def start(self) -> None:
        """Bring the engine up. Raises GeneratorError."""
        self._record(self._first_line)
        self._engine.start()
        gevent.spawn(self._probe_lag)
        gevent.spawn(self._sample_health)

    def begin(self, zero_ns: int | None = None) -> None:
        """The run starts at `zero_ns` (None: now): all offsets of the plan count from there. Only the first call
        counts."""
        if self._started_ns or self.stopping:
            return
        self._started_ns = clock.now_ns() if zero_ns is None else zero_ns
        self._zero_known.set()
        for stage in self._stages:
            self._record(replace(stage, t_ns=self._started_ns + stage.t_ns))
        if self._planned:
            gevent.spawn(self._end_in_time)
        if any(slo.abort for slo in self.judged) and not isinstance(self._runner, WorkerRunner):
            gevent.spawn(self._abort_in_time)

    @property
    def begun(self) -> bool:
        """Whether the run's zero is known here."""
        return self._started_ns > 0

    def await_beginning(self) -> None:
        """Until the zero is known, or there will be none: a worker's users are there before their master says it."""
        self._zero_known.wait()

    @property
    def fitness(self) -> stage_health.Fitness:
        """How fit this process was to judge, in the last seconds, and why."""
        return self._recent.fitness

    def steer(self, order: dict[str, Any]) -> None:
        """A further stage of a search for the limit, or its end (loadtest/capacity/steering.py)."""
        if order["op"] == "end":
            gevent.spawn(self.stop, graceful_s=self.settings.graceful_stop_s, reason="completed")
            return
        begins_s = order.get("begins_s", self.elapsed_s() + STEER_AHEAD_S)
        shape, told = steered_stage(order, begins_s=begins_s, settings=self.settings)
        for stage in told:
            self._record(replace(stage, t_ns=self._due_ns(stage.t_ns / 1e9)))
        self.tickets.add(shape, open_=self.settings.load.open, first_index=order["first_index"])

    def next_user(self) -> int:
        """A number for a new user that no plan has a place for."""
        return next(self._users)

    def next_place(self) -> Place | None:
        """The plan's place for a new user; None: all are taken."""
        return next(self._places, None)

    def probes_of(self, user: int) -> Iterator[str]:
        """The rules whose probes this user is to run, one after the other."""
        from loadtest.probes.catalogue import dealt  # NumPy and asyncio, for runs with active checks

        return dealt(self.settings.probes, user=user, users=self.settings.probe_users)

    def run_probe(self, *, user: int, iteration: int, rule: str) -> str:
        """One probe, now; see EngineClient.run for what comes back."""
        from loadtest.probes.catalogue import PURPOSE

        ticket = Ticket(
            number=next(self._numbers),
            user=user,
            iteration=iteration,
            due_ns=max(clock.now_ns(), self._started_ns),
            purpose=PURPOSE + rule,
        )
        return self._engine.run(ticket)

    def elapsed_s(self) -> float:
        return (clock.now_ns() - self._started_ns) / 1e9

    def run_session(self, *, user: int, iteration: int, due_s: float) -> str:
        """One session that is due `due_s` after the start of the run; see EngineClient.run for what comes back."""
        ticket = Ticket(number=next(self._numbers), user=user, iteration=iteration, due_ns=self._due_ns(due_s))
        return self._engine.run(ticket)

    def run_arrival(self, arrival: Arrival) -> None:
        """One session of an open plan, or the word that it was dropped."""
        # Ahead of time, but not all at once: some hundred tickets in one moment hold the engine's loop up.
        if (ahead_s := arrival.due_s - self.elapsed_s() - HAND_AHEAD_S) > 0:
            gevent.sleep(ahead_s)
        if self.elapsed_s() - arrival.due_s > self.settings.load.max_lateness:
            self._drop(arrival, DropReason.NO_USER)
            return
        outcome = self.run_session(user=arrival.index, iteration=0, due_s=arrival.due_s)
        if outcome == "unstarted":
            self._drop(arrival, DropReason.ENGINE_DOWN)
        elif outcome == "refused" and arrival.due_s <= self.elapsed_s():
            self._drop(arrival, DropReason.LATE)

    def _drop(self, arrival: Arrival, reason: DropReason) -> None:
        name, due_ns = self.settings.scenarios[0].name, self._due_ns(arrival.due_s)
        self._record(IterationDropped(t_ns=clock.now_ns(), due_ns=due_ns, scenario=name, reason=reason))

    def _due_ns(self, due_s: float) -> int:
        return self._started_ns + int(due_s * 1e9)

    def on_user_error(self, exception: Exception) -> None:
        """A virtual user ended with a bug of ours: its sessions are missing from the load."""
        detail = redact(f"virtual user: {exception!r}")
        self._record(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.BUG, process=self._index, detail=detail))

    def snapshot(self) -> Snapshot:
        return self.aggregate.snapshot(
            sink_errors=self._fanout.errors,
            rule_violations=self._rules.violations(),
            waived_violations=self._rules.waived_violations(),
            users=self._runner.user_count,
            now_ns=clock.now_ns(),
        )

    def stop(self, *, graceful_s: float, reason: str) -> None:
        """Drain the engine and close the journal. Returns when all is said; idempotent, a second call only waits."""
        if self.stopping:
            self._ended.wait(TEARDOWN_MARGIN_S + graceful_s)
            return
        self.stopping = True
        self._zero_known.set()
        self.tickets.close()
        for arrival in self.tickets.overdue(self.elapsed_s()) if self._started_ns else ():
            self._drop(arrival, DropReason.NO_USER)
        limit_s = graceful_s + TEARDOWN_MARGIN_S
        if not self._engine.drain(graceful_s=graceful_s, reason=reason, limit_s=limit_s):
            self._record(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.DRAIN_TIMEOUT, process=self._index))
        self._engine.close()
        for name, lost in self._fanout.errors.items():
            if lost:
                self._record(
                    GeneratorFailed(
                        t_ns=clock.now_ns(), fault=Fault.SINK_FAILED, process=self._index, detail=f"{name}: {lost}"
                    )
                )
        if self._health.worth_sampling:
            self._record(self._health.sample(sessions_active=0))
        self._record(RunFinished(t_ns=clock.now_ns(), reason=reason))
        self._journal.close()
        self._ended.set()

    def interrupt(self, reason: str = "interrupted") -> None:
        """Cut everything short: what is in flight is cancelled and deleted."""
        if self.stopping and not self._ended.is_set():
            self._engine.drain(graceful_s=0, reason=reason, limit_s=TEARDOWN_MARGIN_S)
        self.stop(graceful_s=0, reason=reason)

    @property
    def waiting_for(self) -> str | None:
        return None

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Whether all is drained and written, by then."""
        return bool(self._ended.wait(timeout_s))

    def _hear(self, event: Any) -> None:
        """An event of the engine. What it may not have been able to write is written here, too."""
        kind = type(event)
        if kind is GeneratorFailed and event.fault is Fault.DISK_FULL:
            self._record(event)
            self._end_for_disk()
        elif self._is_out_of_disk and (kind is RemainsChanged or kind is SessionFinished):
            self._record(event)
        else:
            self._fanout(event)

    def _stop_for_disk(self, error: OSError) -> None:
        detail = f"{self._journal.path.name}: {error.strerror}"
        self._record(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.DISK_FULL, process=self._index, detail=detail))
        self._end_for_disk()

    def _end_for_disk(self) -> None:
        """All processes of a run write to one disk, or the run is worth nothing without one of them."""
        self._is_out_of_disk = True
        if isinstance(self._runner, WorkerRunner):
            self._runner.send_message(FULL, None)
        gevent.spawn(self.interrupt, DISK_FULL)

    def _record(self, event: Event) -> None:
        """An event that this process knows first: into its own journal, then to the sinks."""
        if not self._ended.is_set():
            self._journal.write(journal.encode(event))
        self._fanout(event)

    def _end_in_time(self) -> None:
        gevent.sleep(max(0.0, self.settings.load.duration - self.elapsed_s()))
        self.stop(graceful_s=self.settings.graceful_stop_s, reason="completed")

    def standings(self) -> list[Standing]:
        """How each objective stands, in the order of `judged`."""
        now_ns = clock.now_ns()
        self._judge.hear(0, self.objectives.value(now_ns), now_ns=now_ns)
        return self._judge.standings(now_ns=now_ns)

    def _abort_in_time(self) -> None:
        """Where there is no master: stop the run when an objective says so."""
        while not self.stopping:
            gevent.sleep(JUDGE_S)
            now_ns = clock.now_ns()
            self._judge.hear(0, self.objectives.value(now_ns), now_ns=now_ns)
            if not self.stopping and (aborted := self._judge.look(now_ns=now_ns)) is not None:
                self._record(aborted)
                self.stop(graceful_s=0, reason="aborted")

    def _probe_lag(self) -> None:
        while not self._ended.is_set():
            due_ns = clock.now_ns() + int(PROBE_S * 1e9)
            gevent.sleep(PROBE_S)
            self._health.lag(max(0, clock.now_ns() - due_ns))

    def _sample_health(self) -> None:
        while not self._ended.is_set():
            gevent.sleep(1.0)
            if not self.stopping:
                self._record(self._health.sample(sessions_active=0))
