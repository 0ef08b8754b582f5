"""One session from mint to a guaranteed delete: the heart of avaload.

It emits events and knows neither Locust nor Prometheus nor OpenTelemetry. What it creates it deletes in the same
function's `finally`, whatever happened in between, a cancellation included; what may remain is in the journal *before*
the call that could leave it (DESIGN.md 3). Nothing is retried inside a measured step; only the delete is, a bounded
number of times, each attempt a StepFinished of its own.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from loadtest.clock import now_ns, sleep_until
from loadtest.conversation import Conversation
from loadtest.converse import converse
from loadtest.errors import Code, Kind, StepError
from loadtest.events import LOAD, EndedBy, Event, Failure, Gone, Mark, Outcome, Remains, Step
from loadtest.ports import GONE_STATUS, Call, ClientSecret, ControlApi, Created, OpenRoom, Room
from loadtest.record import Record, failure, span_id
from loadtest.redact import redact
from loadtest.scenario import Scenario
from loadtest.settings import Settings
from loadtest.speech import Microphone
from loadtest.tape import KeepAudio, Tape

_T = TypeVar("_T")

CENSORED = "censored"
"""Message of the cancellation that ends a session because the run ended."""
DELETE_ATTEMPTS = 3
DELETE_BACKOFF_S = 0.25
GONE_LOOK_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Pauses between looks at a deleted session; the last one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Leave to run one session: `due_ns` is when it should start."""

    number: int
    user: int
    iteration: int
    due_ns: int
    purpose: str = LOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions of an engine share. `microphones`: by name of the scenario. `lag_ns()`: how late the event loop
    was at its last probe."""

    settings: Settings
    scenarios: Sequence[Scenario]
    control: ControlApi
    open_room: OpenRoom
    microphones: Mapping[str, Microphone]
    emit: Callable[[Event], None]
    lag_ns: Callable[[], int]
    salt: bytes
    keep_audio: KeepAudio | None = None


class Lifecycle:
    """Runs one session."""

    def __init__(self, around: Surroundings, ticket: Ticket) -> None:
        self._around, self._ticket = around, ticket
        self._settings, self._control = around.settings, around.control
        self._chance = random.Random(f"{self._settings.load.seed}:{ticket.user}:{ticket.iteration}")
        weights = [scenario.weight for scenario in around.scenarios]
        self._scenario = self._chance.choices(around.scenarios, weights)[0]
        self._record = Record(
            emit=around.emit, lag_ns=around.lag_ns, scenario=self._scenario.name, purpose=ticket.purpose
        )
        self._failure: Failure | None = None
        self._creating: asyncio.Task[Created] | None = None
        self._created: Created | None = None
        self._created_ns = 0
        self._create_settled = False
        self._alive_seen = False
        self._room: Room | None = None
        self._talk: Conversation | None = None
        self._ended_by: EndedBy | None = None
        self._gone: Gone | None = None

    async def run(self) -> None:
        """Wait until the ticket is due, then the whole session. Re-raises a cancellation after its clean-up."""
        await sleep_until(self._ticket.due_ns)
        self._record.started(user=self._ticket.user, due_ns=self._ticket.due_ns)
        outcome, censored = Outcome.OK, False
        try:
            try:
                await self._steps()
            except StepError:
                outcome = Outcome.FAILED
            except asyncio.CancelledError as cancelled:
                outcome, censored = Outcome.CANCELLED, CENSORED in cancelled.args
                raise
            except Exception as error:  # ours: the session is a failed one of kind bug, and the engine says so
                outcome = Outcome.FAILED
                self._note(Failure(step=Step.CONVERSE, kind=Kind.BUG, code=Code.BUG, detail=redact(repr(error))))
                raise
            finally:
                await _uncancellable(self._teardown())
        finally:
            if self._failure is not None and outcome is Outcome.OK:
                outcome = Outcome.FAILED
            self._record.finished(
                due_ns=self._ticket.due_ns,
                outcome=outcome,
                failure=self._failure,
                ended_by=self._ended_by,
                gone=self._gone,
                censored=censored,
            )

    # The steps, in order

    async def _steps(self) -> None:
        target = self._settings.target
        secret = await self._timed(Step.MINT, target.mint_timeout_s, self._mint)
        created = await self._timed(Step.CREATE, target.create_timeout_s, lambda c, s: self._create(c, s, secret))
        await self._timed(Step.CONNECT, target.connect_timeout_s, lambda c, s: self._connect(c, s, created))
        if self._room is not None and self._talk is not None:
            talk, room = self._talk, self._room
            await self._timed(Step.CONVERSE, None, lambda _call, span: self._converse(talk, room, span))

    async def _mint(self, call: Call, span: str) -> ClientSecret:
        ttl_s = self._scenario.secret.ttl_s
        secret = await self._control.mint(
            call, ttl_s=ttl_s, realtime=self._scenario.realtime, traceparent=self._record.traceparent(span)
        )
        fingerprint = hashlib.blake2b(secret.value.encode(), key=self._around.salt, digest_size=8).hexdigest()
        self._record.minted(fingerprint=fingerprint, ttl_s=ttl_s, expires_at_s=secret.expires_at_s)
        return secret

    async def _create(self, call: Call, span: str, secret: ClientSecret) -> Created:
        """The call runs in a task of its own: neither the deadline nor a cancellation may lose the id that it
        brings."""
        fields = self._scenario.session.model_dump(exclude_none=True)
        self._record.remain(Remains.DOUBTFUL, "create_sent")
        self._creating = asyncio.ensure_future(
            self._control.create(call, secret=secret, fields=fields, traceparent=self._record.traceparent(span))
        )
        self._creating.add_done_callback(self._on_created)
        return await asyncio.shield(self._creating)

    def _on_created(self, creating: asyncio.Task[Created]) -> None:
        """The create is answered, or failed. A callback, to have the id in the journal at once; the tear-down calls it
        too, since a task can be done before its callbacks have run.
        """
        if creating.cancelled() or self._create_settled:
            return
        self._create_settled = True
        error = creating.exception()
        if error is None:
            self._created, self._created_ns = creating.result(), now_ns()
            self._record.remain(Remains.LEAKED, "create_answered", self._created.avaturn_session_id)
        elif isinstance(error, StepError) and (not error.sent or (error.http_status or 0) // 100 == 4):
            self._record.remain(Remains.NOTHING, "create_refused")

    async def _connect(self, call: Call, span: str, created: Created) -> None:
        grant = await self._control.sdk_session(call, token=created.token, traceparent=self._record.traceparent(span))
        self._alive_seen = True
        self._record.observe(now_ns(), Mark.SDK_SESSION, None)
        if self._settings.target.room == "none":
            return
        self._talk = Conversation(
            observe=self._record.observe,
            keep_transcripts=self._settings.output.keep_transcripts,
            tape=Tape() if self._around.keep_audio is not None else None,
        )
        self._room = self._around.open_room(grant, self._talk, self._around.microphones[self._scenario.name].between)
        call.server_ns = None  # of one call among several: says nothing about the step
        await self._room.connect()

    async def _converse(self, talk: Conversation, room: Room, span: str) -> None:
        await converse(
            self._scenario.conversation,
            talk,
            room,
            clips=self._around.microphones[self._scenario.name].clips,
            chance=self._chance,
            record=self._record,
            span=span,
            keep_audio=self._around.keep_audio,
        )

    # The end, whatever came before

    async def _teardown(self) -> None:
        if self._talk is not None and self._talk.over is not None:
            self._ended_by = self._ended_early_by()
        if self._room is not None:
            await self._room.close()
        if self._creating is not None and not self._creating.done():
            # An answer that comes late still brings the id: adopt it rather than leave a session behind.
            await asyncio.wait({self._creating}, timeout=self._settings.target.create_timeout_s)
        if self._creating is not None and not self._creating.cancel():
            self._on_created(self._creating)
        if self._created is not None:
            await self._delete(self._created)

    async def _delete(self, created: Created) -> None:
        for attempt in range(1, DELETE_ATTEMPTS + 1):
            sent_ns = now_ns()
            try:
                status = await self._timed(
                    Step.DELETE,
                    self._settings.target.delete_timeout_s,
                    lambda call, span: self._control.delete(
                        call, avaturn_session_id=created.avaturn_session_id, traceparent=self._record.traceparent(span)
                    ),
                    attempt=attempt,
                )
            except StepError as error:
                if attempt == DELETE_ATTEMPTS or error.http_status in (401, 403):
                    self._note(failure(Step.DELETE, error))
                    self._record.remain(Remains.LEAKED, "delete_failed", created.avaturn_session_id)
                    return
                await asyncio.sleep(DELETE_BACKOFF_S * 2 ** (attempt - 1))
            else:
                break
        self._record.remain(Remains.NOTHING, "deleted", created.avaturn_session_id)
        if self._ended_by is None:
            # 404 or 410: somebody else had ended it before we did.
            self._ended_by = EndedBy.DELETE if status // 100 == 2 else self._ended_early_by()
        if self._settings.target.prove_gone and self._alive_seen:
            await self._prove_gone(created, sent_ns)

    async def _prove_gone(self, created: Created, deleted_ns: int) -> None:
        """Only a refusal of the token that was good before proves the end; an error or silence proves nothing."""
        deadline_ns = deleted_ns + int(self._settings.target.gone_timeout_s * 1e9)
        gone, looks, status = Gone.UNCONFIRMED, 0, None
        while gone is not Gone.CONFIRMED:
            await asyncio.sleep(GONE_LOOK_S[min(looks, len(GONE_LOOK_S) - 1)])
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0 and looks:
                break
            looks += 1
            try:
                async with asyncio.timeout(max(left_s, 0.05)):
                    status = await self._control.look(
                        Call(), token=created.token, traceparent=self._record.traceparent(self._record.root)
                    )
            except (StepError, TimeoutError):
                status = None
            alive_or_unknown = Gone.STILL_ALIVE if status == 200 else Gone.UNCONFIRMED
            gone = Gone.CONFIRMED if status in GONE_STATUS else alive_or_unknown
        self._gone = gone
        self._record.gone_checked(gone, deleted_ns=deleted_ns, looks=looks, http_status=status)
        if gone is Gone.STILL_ALIVE:
            self._note(
                Failure(
                    step=Step.DELETE,
                    kind=Kind.PROTOCOL,
                    code=Code.STILL_ALIVE,
                    detail=f"still answers {self._settings.target.gone_timeout_s:g} s after its delete was confirmed",
                )
            )
            self._record.remain(Remains.LEAKED, "still_alive", created.avaturn_session_id)

    def _ended_early_by(self) -> EndedBy:
        limit_s = self._scenario.session.max_duration
        if limit_s is not None and now_ns() - self._created_ns >= (limit_s - 1) * 1e9:
            return EndedBy.MAX_DURATION
        return EndedBy.UNEXPECTED

    # Saying what happened

    async def _timed(
        self,
        step: Step,
        timeout_s: float | None,
        work: Callable[[Call, str], Awaitable[_T]],
        *,
        attempt: int = 1,
    ) -> _T:
        """Run a step under its deadline and emit its StepFinished. Raises StepError, also for the deadline."""
        call, span, outcome = Call(), span_id(), Outcome.OK
        failed: Failure | None = None
        started_ns = ended_ns = now_ns()
        try:
            try:
                async with asyncio.timeout(timeout_s):
                    return await work(call, span)
            finally:
                ended_ns = now_ns()
        except TimeoutError:
            timeout = StepError(Kind.TIMEOUT, Code.TIMEOUT, f"no answer within {timeout_s:g} s")
            outcome, failed = Outcome.FAILED, failure(step, timeout)
            raise timeout from None
        except StepError as error:
            outcome, failed = Outcome.FAILED, failure(step, error)
            raise
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
            raise
        finally:
            if failed is not None and step is not Step.DELETE:
                self._note(failed)
            self._record.step(
                step,
                call,
                span=span,
                started_ns=started_ns,
                t_ns=ended_ns,
                outcome=outcome,
                failure=failed,
                attempt=attempt,
            )

    def _note(self, failed: Failure) -> None:
        """The first failure is the session's; later ones are its consequences."""
        self._failure = self._failure or failed


async def _uncancellable(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end; a cancellation that comes meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
