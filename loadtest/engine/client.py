"""The Locust side of the engine: starts it, hands it tickets, hears its events, replaces it when it dies.

Runs under gevent: a virtual user's greenlet waits in `run()` while its session plays in the engine.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import gevent
from gevent.event import AsyncResult, Event
from gevent.queue import SimpleQueue

from loadtest import journal
from loadtest.config.environment import LIFELINE_FD
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event as JournalEvent
from loadtest.events.kinds import (
    Failure,
    Fault,
    GeneratorFailed,
    Outcome,
    Remains,
    RemainsChanged,
    SessionFinished,
    SessionStarted,
    Step,
)
from loadtest.secrecy.redact import redact
from loadtest.session.ticket import Ticket
from loadtest.system import clock

READY_LIMIT_S = 60.0
RESTARTS = 5
EARLY_RESTARTS = 1
"""Of an engine that never became ready: what stopped it at its start will stop the next one, too."""
BACKOFF_S = 1.0
EXIT_LIMIT_S = 5.0
EVENT_PREFIX = b'{"event":'
"""Of an event among the lines of `link.py`."""
READ_BYTES = 1 << 18
"""Read into one buffer: a new one of this size each time splits the heap up, by 5 MB in half an hour."""

_log = logging.getLogger(__name__)


class EngineClient:
    """One engine at a time. `on_event` gets the engine's events; `on_own_event` those that only this side knows."""

    def __init__(
        self,
        run_dir: Path,
        *,
        process: int,
        on_event: Callable[[JournalEvent], None],
        on_own_event: Callable[[JournalEvent], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._run_dir, self._process, self._environ = run_dir, process, environ
        self._on_event, self._on_own_event = on_event, on_own_event
        self._incarnation = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._wire: socket.socket | None = None
        self._unsaid: SimpleQueue[bytes | None] = SimpleQueue()
        self._pending: dict[int, tuple[Ticket, AsyncResult]] = {}
        self._open: dict[str, tuple[SessionStarted, Remains]] = {}
        self._ready, self._drained, self._closing = Event(), Event(), False
        self._was_ready = False

    def start(self) -> None:
        """Spawn the engine and wait until it is warm. Raises GeneratorError if it never says so."""
        self._spawn(predecessor=None)
        if not self._ready.wait(READY_LIMIT_S) or not self._was_ready:
            self.close()
            raise GeneratorError("the session engine did not start; see locust.log")

    def run(self, ticket: Ticket) -> str:
        """Have one session run; blocks this greenlet. Returns done | failed | cancelled | dropped | refused |
        died | unstarted: the engine died before it began."""
        if not self._ready.wait(READY_LIMIT_S):
            return "unstarted"
        result = AsyncResult()
        self._pending[ticket.number] = (ticket, result)
        self._say(op="run", **asdict(ticket))
        try:
            return str(result.get())  # no deadline of its own: every step of a session has one, and the drain ends all
        except gevent.GreenletExit:
            self._say(op="cancel", number=ticket.number)
            raise

    def drain(self, *, graceful_s: float, reason: str, limit_s: float) -> bool:
        """End all sessions: those in flight may finish for `graceful_s`, then they are cancelled and deleted.

        True once the engine has said its last word; every event has reached `on_event` by then.
        """
        self._closing = True
        if self._child is None or self._drained.is_set():
            return True
        self._say(op="drain", graceful_s=graceful_s, reason=reason)
        return bool(self._drained.wait(limit_s))

    def close(self) -> None:
        """Wait for the engine's exit; one that hangs is killed. Idempotent."""
        self._closing = True
        self._hang_up()
        if self._child is not None:
            try:
                self._child.wait(EXIT_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._child.send_signal(signal.SIGKILL)
                self._child.wait()
            self._child = None

    def _spawn(self, predecessor: Path | None) -> None:
        ours, theirs = socket.socketpair()
        fds = [theirs.fileno()]
        if lifeline := self._environ.get(LIFELINE_FD):
            fds.append(int(lifeline))
        command = [sys.executable, "-P", "-m", "loadtest.engine.process", str(self._run_dir)]
        command += [str(self._process), str(self._incarnation), str(theirs.fileno())]
        if predecessor is not None:
            command.append(str(predecessor))
        self._child = subprocess.Popen(
            command, pass_fds=fds, stdin=subprocess.DEVNULL, start_new_session=True, env=self._environ
        )
        theirs.close()
        self._wire, self._unsaid = ours, SimpleQueue()
        gevent.spawn(self._read, ours)
        gevent.spawn(_write, ours, self._unsaid)

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._unsaid.put(None)
            self._wire.close()
            self._wire = None

    def _say(self, **message: object) -> None:
        if self._wire is not None:
            self._unsaid.put(json.dumps(message).encode() + b"\n")

    def _read(self, wire: socket.socket) -> None:
        rest, buffer = b"", memoryview(bytearray(READ_BYTES))
        while True:
            try:
                size = wire.recv_into(buffer)
            except OSError:  # reset, or closed by our own side
                size = 0
            if not size:
                break
            *lines, rest = (rest + bytes(buffer[:size])).split(b"\n")
            try:
                self._take(lines)
            except Exception as error:
                self._give_up(error)
                return
        if not self._drained.is_set() and not (self._closing and self._wire is None):
            self._on_death()

    def _take(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if line.startswith(EVENT_PREFIX):
                self._hear(journal.decode(line))
            else:
                self._obey(json.loads(line))

    def _give_up(self, error: Exception) -> None:
        """A mistake of ours in hearing the engine: it is left to delete its sessions, and replaced like one that
        died."""
        _log.exception("session engine %d.%d could not be heard", self._process, self._incarnation)
        self._hang_up()
        detail = redact(repr(error))
        self._on_own_event(GeneratorFailed(t_ns=clock.now_ns(), fault=Fault.BUG, process=self._process, detail=detail))
        self._on_death()

    def _hear(self, event: JournalEvent) -> None:
        if type(event) is SessionStarted:
            self._open[event.session] = (event, Remains.NOTHING)
        elif type(event) is RemainsChanged and event.session in self._open:
            self._open[event.session] = (self._open[event.session][0], event.remains)
        elif type(event) is SessionFinished:
            self._open.pop(event.session, None)
        self._on_event(event)

    def _obey(self, message: dict[str, object]) -> None:
        match message["op"]:
            case "ready":
                self._was_ready = True
                self._ready.set()
            case "done":
                if (waiting := self._pending.pop(int(str(message["number"])), None)) is not None:
                    waiting[1].set(message["outcome"])
            case "drained":
                self._drained.set()

    def _on_death(self) -> None:
        """The engine died with sessions in flight: they fail once, as ours; a new engine deletes what is left of
        them."""
        _log.error("session engine %d.%d died", self._process, self._incarnation)
        self._ready.clear()
        self._hang_up()
        now = clock.now_ns()
        self._on_own_event(
            GeneratorFailed(
                t_ns=now, fault=Fault.ENGINE_DIED, process=self._process, detail=f"incarnation {self._incarnation}"
            )
        )
        begun = {(started.user, started.due_ns) for started, _ in self._open.values()}
        failure = Failure(step=Step.CONVERSE, kind=Kind.ENGINE_DIED, code=Code.ENGINE_DIED)
        for started, remains in self._open.values():
            self._on_own_event(
                SessionFinished(
                    t_ns=now,
                    session=started.session,
                    scenario=started.scenario,
                    started_ns=started.t_ns,
                    due_ns=started.due_ns,
                    outcome=Outcome.FAILED,
                    remains=remains,
                    failure=failure,
                    purpose=started.purpose,
                )
            )
        self._open.clear()
        dead = journal.path_of(self._run_dir, "engine", self._process, self._incarnation)
        self._incarnation += 1
        if self._closing or self._incarnation > (RESTARTS if self._was_ready else EARLY_RESTARTS):
            self._drained.set()
            if not self._was_ready:
                self._ready.set()  # `start` needs to wait no longer
        else:
            gevent.sleep(BACKOFF_S * self._incarnation)
            if not self._closing:
                self._spawn(predecessor=dead if dead.exists() and dead.stat().st_size else None)
            else:
                self._drained.set()
        pending, self._pending = self._pending, {}
        for ticket, result in pending.values():
            result.set("died" if (ticket.user, ticket.due_ns) in begun else "unstarted")


def _write(wire: socket.socket, unsaid: "SimpleQueue[bytes | None]") -> None:
    """Send what is said, in its order, until None. One greenlet alone does that: gevent refuses a second one that waits
    for the same socket, and one that is killed in mid-write would leave half a line."""
    try:
        while (line := unsaid.get()) is not None:
            wire.sendall(line)
    except OSError:
        _log.debug("the engine is gone; its reader will notice")
