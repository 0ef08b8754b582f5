"""What runs sessions in a process without Locust.

It is the clock: it waits for due times, runs sessions and writes its journal, nothing else. When the other end of its
socket closes it deletes its sessions within a bounded time and exits.
"""

import asyncio
import contextlib
import gc
import os
import socket
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from loadtest import journal
from loadtest.budget.reserving import Budget
from loadtest.budget.spending import Spending
from loadtest.caller.pacing import Ticker
from loadtest.config.access.guard import KEYS
from loadtest.config.clips.microphone import microphone
from loadtest.config.environment import SALT
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.engine.health import Health
from loadtest.engine.link import Orders, Outbox
from loadtest.engine.warmup import warm_up
from loadtest.errors.causes import LIMITS, own_limit
from loadtest.errors.exceptions import GeneratorError, HarnessError
from loadtest.errors.kinds import Kind
from loadtest.events.kinds import (
    DISK_FULL,
    LOAD,
    DropReason,
    Event,
    Failure,
    Fault,
    GeneratorFailed,
    IterationDropped,
    Outcome,
    Remains,
    RemainsChanged,
    RemainsReason,
    RunFinished,
    SecretGivenBack,
    SecretKind,
    SessionFinished,
    StepFinished,
)
from loadtest.leftovers.deleting import sweep
from loadtest.leftovers.finding import Leftovers, beyond_a_sweep, leftovers
from loadtest.rooms.opening import open_room, prepare
from loadtest.secrecy.given_back import Watch
from loadtest.secrecy.redact import redact
from loadtest.services.control import Control
from loadtest.session.hearing.tape import write_wavs
from loadtest.session.lifecycle import CENSORED, Lifecycle, Surroundings, Ticket
from loadtest.system import clock

TEARDOWN_LIMIT_S = 60.0
"""How long cancelled sessions may take to delete themselves before the engine gives up and exits."""
LIMIT_EVERY_NS = 1_000_000_000


class Engine:
    """Runs tickets until it is drained or orphaned."""

    def __init__(self, settings: Settings, *, process: int, file: journal.Journal, budget: Budget) -> None:
        self._settings, self._process, self._file, self._budget = settings, process, file, budget
        self._spending = None if settings.cost.budget is None else Spending(settings, budget)
        self._outbox: Outbox | None = None
        self._health = Health(source="engine", process=process)
        self._running: dict[int, asyncio.Task[None]] = {}
        self._around: Surroundings | None = None
        self._probe: Callable[[Ticket], Awaitable[None]] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] | None = None
        self._reason = "completed"
        self._limits_told_ns: dict[str, int] = {}
        self._is_out_of_disk = False
        file.on_full = self._stop_for_disk

    def emit(self, event: Event) -> None:
        """Journal first: what the Locust process sees is in the file already."""
        line = journal.encode(event)
        self._file.write(line)
        if self._outbox is not None:
            self._health.events_lost += not self._outbox.event(line)
        if self._spending is not None:
            self._spending.take(event)
        if type(event) is StepFinished:
            if event.pool_wait_ns is not None:
                self._health.pool_wait_ns.append(event.pool_wait_ns)
            if event.failure is not None and event.failure.kind is Kind.OWN_LIMIT:
                self._tell_limit(event.failure)

    def _tell_limit(self, failure: Failure) -> None:
        """Once a second each, so that the live views know, too, that the generator can't be trusted."""
        now_ns = clock.now_ns()
        if now_ns - self._limits_told_ns.get(failure.code, -LIMIT_EVERY_NS) >= LIMIT_EVERY_NS:
            self._limits_told_ns[failure.code] = now_ns
            self._fail(Fault.OWN_LIMIT, failure.detail)

    async def run(self, wire: socket.socket, predecessor: Path | None) -> None:
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        if self._is_out_of_disk:
            self._over.set_result(None)
        transport, _ = await loop.create_connection(lambda: Orders(self.obey, self.orphaned), sock=wire)
        self._outbox = Outbox(transport)
        keys = {key: os.environ.get(key, "") for key in KEYS}
        ticker = Ticker(loop, on_late_ns=lambda late_ns: self._health.pacing_ns.append(late_ns))
        async with Control(self._settings, keys, connections=256 + 2 * self._settings.pool) as control:
            ledger = control.ledger()
            around = self._around = Surroundings(
                settings=self._settings,
                scenarios=self._settings.scenarios,
                control=control,
                open_room=lambda grant, listener, between, situation=None: open_room(
                    grant, listener, between, ticker, self._settings, control.trust_for(grant.room_url), situation
                ),
                microphones={s.name: microphone(s.conversation, s.caller) for s in self._settings.scenarios},
                emit=self.emit,
                lag_ns=lambda: self._health.lag_ns,
                keep_audio=self._keep_audio if self._settings.output.keep_audio == "failed" else None,
                ledger=ledger,
                salt=bytes.fromhex(os.environ.get(SALT, "")) or os.urandom(16),
            )
            if self._settings.probe_users:
                self._probe = self._prober(around, control)
            spoken = (clip for mic in around.microphones.values() for clips in mic.clips.values() for clip in clips)
            await prepare(self._settings, spoken)
            await warm_up(around, keys, ticker)
            gc.collect()
            gc.freeze()
            self._health.watch_gc()
            watchers = [asyncio.ensure_future(self._health.watch_loop()), asyncio.ensure_future(self._sample_health())]
            for watcher in watchers:
                watcher.add_done_callback(self._on_watched)
            if predecessor is not None:
                watchers.append(asyncio.ensure_future(self._sweep(control, predecessor)))
            self._outbox.say(op="ready")
            try:
                await self._over
            except Exception:
                self._outbox = None  # it dies, and is replaced like any that died
                raise
            finally:
                ends_s = asyncio.get_running_loop().time() + TEARDOWN_LIMIT_S
                await self._cancel_all()
                for watcher in watchers[:2]:
                    watcher.cancel()
                if watchers[2:]:
                    await asyncio.wait(watchers[2:], timeout=max(0.0, ends_s - asyncio.get_running_loop().time()))
                self._tell_sleep()
                if self._health.worth_sampling:
                    self._sample(0)
                if self._outbox is not None:
                    self.emit(RunFinished(t_ns=clock.now_ns(), reason=self._reason))
                    self._outbox.say(op="drained")
                    self._outbox.flush()
                transport.close()

    def _prober(self, around: Surroundings, control: Control) -> Callable[[Ticket], Awaitable[None]]:
        """What runs a probe. All that probes need is imported here, and for runs that have some."""
        import loadtest.http_client.aiohttp_session  # noqa: F401  # for their WebSockets
        from loadtest.probes.bench.bench import Ground
        from loadtest.probes.bench.wire import Wire
        from loadtest.probes.running import run_probe

        ground = Ground(
            around=around,
            wire=Wire(control, self._settings.target, Watch(around.ledger, self._given_back)),
            # A probe reserves its places in the budget itself: one for each session that it creates.
            reserve=lambda: self._reserve() is None,
        )
        return partial(run_probe, ground)

    def _on_watched(self, watcher: asyncio.Future[None]) -> None:
        if not watcher.cancelled() and (error := watcher.exception()) is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """A mistake of ours outside of any session: what goes on is deleted, and another engine takes over."""
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    def obey(self, message: dict[str, Any]) -> None:
        """An order of the Locust process (engine/link.py)."""
        try:
            self._obey(message)
        except Exception as error:
            self._break(error)

    def _obey(self, message: dict[str, Any]) -> None:
        match message.pop("op"):
            case "run":
                self._start(Ticket(**message))
            case "cancel":
                if (task := self._running.get(message["number"])) is not None:
                    task.cancel()
            case "drain":
                self._reason = message["reason"]
                if self._draining is not None:
                    self._draining.cancel()
                self._draining = asyncio.ensure_future(self._drain(message["graceful_s"]))

    def orphaned(self) -> None:
        """The Locust process is dead: nobody waits for anything any more, but the sessions must be deleted."""
        if self._over is not None and not self._over.done():
            self._reason = "orphaned"
            self._over.set_result(None)

    def _stop_for_disk(self, error: OSError) -> None:
        """No more can be written down: all sessions are deleted, now."""
        self._is_out_of_disk, self._reason = True, DISK_FULL
        self._fail(Fault.DISK_FULL, f"{self._file.path.name}: {error.strerror}")
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _start(self, ticket: Ticket) -> None:
        if self._draining is not None or self._around is None or self._is_out_of_disk:
            self._done(ticket.number, "refused")
            return
        self._running[ticket.number] = asyncio.ensure_future(self._run_ticket(self._around, ticket))

    async def _run_ticket(self, around: Surroundings, ticket: Ticket) -> None:
        outcome = "done"
        try:
            await clock.sleep_until(ticket.due_ns)
            if ticket.purpose != LOAD and self._probe is not None:
                await self._probe(ticket)
            elif (reason := self._reason_to_drop(ticket)) is None:
                outcome = "failed" if await self._call(around, ticket) is Outcome.FAILED else "done"
            else:
                outcome = "dropped"
                self._drop(ticket, reason)
        except asyncio.CancelledError:
            outcome = "cancelled"
        except Exception as error:  # ours: said loudly, but it must not take the other sessions along
            outcome = "failed"  # nor be a reason to go on without a pause
            if (limit := own_limit(error)) is not None:
                self._fail(Fault.OWN_LIMIT, f"{LIMITS[limit]}: {error!r}")
            else:
                with contextlib.suppress(OSError):  # a full disk
                    traceback.print_exc()
                self._fail(Fault.BUG, repr(error))
        finally:
            del self._running[ticket.number]
            self._done(ticket.number, outcome)

    async def _call(self, around: Surroundings, ticket: Ticket) -> Outcome:
        """A session; and a second one, where the caller's line was cut for longer than the first could live."""
        first = Lifecycle(around, ticket)
        outcome = await first.run()
        if first.cut_off is None:
            return outcome
        ticket = replace(ticket, due_ns=clock.now_ns())
        if (reason := self._reserve()) is not None:
            self._drop(ticket, reason)
            return outcome
        again = Lifecycle(around, ticket, goes_on=first.cut_off)
        return Outcome.FAILED if Outcome.FAILED in (await again.run(), outcome) else outcome

    def _drop(self, ticket: Ticket, reason: DropReason) -> None:
        self.emit(
            IterationDropped(
                t_ns=clock.now_ns(),
                due_ns=ticket.due_ns,
                scenario=self._settings.scenarios[0].name,
                reason=reason,
                purpose=ticket.purpose,
            )
        )

    def _reason_to_drop(self, ticket: Ticket) -> DropReason | None:
        """None: it may start, and has its place in the budget."""
        load = self._settings.load
        if load.open and ticket.purpose == LOAD and clock.now_ns() - ticket.due_ns > load.max_lateness * 1e9:
            return DropReason.LATE
        return self._reserve()

    def _reserve(self) -> DropReason | None:
        """Before a session is created, whichever scenario it will be of."""
        return self._budget.reserve(0.0 if self._spending is None else self._spending.reserved())

    def _given_back(self, secret: SecretKind, place: str, is_foreign: bool) -> None:
        """In the answer to a call that no client makes, and that is of no session."""
        at_ns = clock.now_ns()
        self.emit(
            SecretGivenBack(
                t_ns=at_ns, session="", secret=secret, place=place, foreign=is_foreign, purpose="probe:SEC-2"
            )
        )

    def _done(self, number: int, outcome: str) -> None:
        if self._outbox is not None:
            self._outbox.say(op="done", number=number, outcome=outcome)

    async def _drain(self, graceful_s: float) -> None:
        """Let the sessions in flight finish for `graceful_s`, then cancel them: they delete themselves."""
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=graceful_s)
        await self._cancel_all()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def _cancel_all(self) -> None:
        tasks = set(self._running.values())
        for task in tasks:
            task.cancel(CENSORED)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=TEARDOWN_LIMIT_S)
            if late:
                self._fail(Fault.DRAIN_TIMEOUT, f"still being deleted: {plural(len(late))}")

    async def _sweep(self, control: Control, predecessor: Path) -> None:
        """What a killed engine left is deleted by the one that replaces it. The Locust process hears what became of
        each of its sessions: the last words before a kill may not have got there."""
        left, beyond = await asyncio.to_thread(_left_by, predecessor)
        for word in beyond:
            if self._outbox is not None:
                self._outbox.event(journal.encode(word))  # it stands in a journal already
        swept = await sweep(control, left, emit=self.emit, timeout_s=self._settings.target.delete_timeout_s)
        for session in swept.failed:
            self.emit(
                RemainsChanged(
                    t_ns=clock.now_ns(),
                    session=session,
                    remains=Remains.LEAKED,
                    reason=RemainsReason.DELETE_FAILED,
                    target_session_id=left.leaked[session],
                )
            )

    def note_end(self, error: Exception) -> None:
        """Into the journal, why the engine dies: nobody can be told any more."""
        self._outbox, limit = None, own_limit(error)
        if limit is not None or isinstance(error, GeneratorError):
            self._fail(Fault.OWN_LIMIT, str(error) if limit is None else f"{LIMITS[limit]}: {error}")
        elif not isinstance(error, HarnessError):
            self._fail(Fault.BUG, repr(error))

    def _fail(self, fault: Fault, detail: str) -> None:
        self.emit(GeneratorFailed(t_ns=clock.now_ns(), fault=fault, process=self._process, detail=redact(detail)))

    def _keep_audio(self, session: str, turn: int, user: bytes, avatar: bytes) -> None:
        """Written by a thread: a file must not hold up the audio of the other sessions."""
        folder = self._file.path.parent.parent / "audio"
        writing = asyncio.get_running_loop().run_in_executor(None, write_wavs, folder, session, turn, user, avatar)
        writing.add_done_callback(self._on_kept)

    def _on_kept(self, writing: asyncio.Future[None]) -> None:
        if not writing.cancelled() and (error := writing.exception()) is not None:
            self._fail(Fault.SINK_FAILED, f"audio could not be kept: {error!r}")

    async def _sample_health(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._tell_sleep()
            self._sample(len(self._running))

    def _tell_sleep(self) -> None:
        """Rooms and secrets did not outlive it, and our clock stood still: nothing else would show it."""
        if slept_s := self._health.slept_s():
            self._fail(Fault.SLEPT, f"for {slept_s:,.0f} s")

    def _sample(self, active: int) -> None:
        """What can't be read for want of open files, say, is told by the limit's name; the sessions go on."""
        try:
            self.emit(self._health.sample(sessions_active=active))
        except OSError as error:
            if (limit := own_limit(error)) is None:
                raise
            self._fail(Fault.OWN_LIMIT, f"{LIMITS[limit]}: {error!r}")


def _left_by(predecessor: Path) -> tuple[Leftovers, list[RemainsChanged]]:
    """What a killed engine left, and the last words on its other sessions. Files are read: not for the loop."""
    ended = {word.session for word in journal.words_of([predecessor], SessionFinished)}
    beyond = beyond_a_sweep(journal.words_of([predecessor], RemainsChanged), ended)
    return leftovers(journal.words_of([predecessor], RemainsChanged)), beyond
