"""A session at the target that we answer for: from the mint and the create that make it to its confirmed end.

The load's sessions make and end themselves so, and a probe's too; what a probe does differently it says.

What may remain is in the journal *before* the call that could leave it, a create in flight is never cancelled, an
answer that comes late is adopted, and the delete is tried a bounded number of times, each attempt a StepFinished.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from loadtest.config.settings import Target
from loadtest.errors.causes import broken_by
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import EndedBy, Failure, Gone, Outcome, Remains, RemainsReason, Step
from loadtest.session.patience import Patience
from loadtest.session.ports import GONE_STATUS, Call, ClientSecret, ControlApi, Created, creates_nothing
from loadtest.session.record import Record, failure, span_id
from loadtest.system.clock import now_ns, sleep_until
from loadtest.system.deadline import Deadline

_T = TypeVar("_T")

DELETE_PATIENCE_S = 16.0
"""With what passes by itself."""
GONE_LOOK_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Pauses between looks at a deleted session; the last one repeats."""


class Steps:
    """The timed steps of one session. `failure`: the first one, which is the session's."""

    def __init__(self, record: Record, target: Target) -> None:
        self._record, self._target = record, target
        self.failure: Failure | None = None

    async def timed(
        self,
        step: Step,
        work: Callable[[Call, str], Awaitable[_T]],
        *,
        attempt: int = 1,
    ) -> _T:
        """Run a step under its deadline and emit its StepFinished. Raises StepError, also for the deadline."""
        timeout_s = self._target.deadline_s(step)
        call, span, outcome = Call(what=step, watch=self._record.watch), span_id(), Outcome.OK
        deadline = Deadline(timeout_s)
        failed: Failure | None = None
        started_ns = ended_ns = now_ns()
        try:
            try:
                async with deadline:
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
        except Exception as error:  # ours, which is no good delete either
            outcome, failed = Outcome.FAILED, failure(step, broken_by(error))
            raise
        finally:
            if failed is not None and step is not Step.DELETE:
                self.note(failed)
            self._record.step(
                step,
                call,
                span=span,
                started_ns=started_ns,
                t_ns=ended_ns,
                late_ns=deadline.late_ns,
                outcome=outcome,
                failure=failed,
                attempt=attempt,
            )

    def note(self, failed: Failure) -> None:
        """The first failure is the session's; later ones are its consequences."""
        self.failure = self.failure or failed


class Owned:
    """One session at the target, or the possibility of one. `created`: once its id is known."""

    def __init__(
        self, control: ControlApi, record: Record, steps: Steps, target: Target, *, max_duration_s: float | None = None
    ) -> None:
        self._control, self._record, self._steps, self._target = control, record, steps, target
        self._max_duration_s = max_duration_s
        self._creating: asyncio.Task[Created] | None = None
        self._create_settled = False
        self.created: Created | None = None
        self.created_ns = 0
        self.alive_seen = False
        """The SDK session was once answered: only then does its refusal prove anything."""
        self.ended_by: EndedBy | None = None
        self.gone: Gone | None = None

    async def create(self, sending: Coroutine[Any, Any, Created]) -> Created:
        """Await the create call. It runs in a task of its own: neither the caller's deadline nor a cancellation may
        lose the id that it brings. Call it once. Raises StepError, also for an answer with a flaw: its session is of no
        use, but it is there, and is deleted."""
        self._record.remain(Remains.DOUBTFUL, RemainsReason.CREATE_SENT)
        self._creating = asyncio.ensure_future(sending)
        self._creating.add_done_callback(self._on_created)
        created = await asyncio.shield(self._creating)
        if created.flaw is not None:
            raise created.flaw
        return created

    def _on_created(self, creating: asyncio.Task[Created]) -> None:
        """The create is answered, or failed. A callback, to have the id in the journal at once; the tear-down calls it
        too, since a task can be done before its callbacks have run.
        """
        if creating.cancelled() or self._create_settled:
            return
        self._create_settled = True
        error = creating.exception()
        if error is None:
            self.created, self.created_ns = creating.result(), now_ns()
            self._record.remain(Remains.LEAKED, RemainsReason.CREATE_ANSWERED, self.created.target_session_id)
        elif isinstance(error, StepError) and (not error.sent or creates_nothing(error.http_status or 0)):
            self._record.remain(Remains.NOTHING, RemainsReason.CREATE_REFUSED)

    async def end(self, *, prove: bool) -> None:
        """Delete what was created, an answer that is still to come included; `prove`: then look whether it is gone.
        Never raises StepError."""
        if self._creating is not None and not self._creating.done():
            # An answer that comes late still brings the id: adopt it rather than leave a session behind.
            await asyncio.wait({self._creating}, timeout=self._target.create_timeout_s)
        if self._creating is not None:
            if self._creating.cancel():  # which ends it at once, with the id if at least that had come
                await asyncio.wait({self._creating})
            self._on_created(self._creating)
        if self.created is not None:
            await self._delete(self.created, prove=prove)

    async def _delete(self, created: Created, *, prove: bool) -> None:
        patience, attempt = Patience(DELETE_PATIENCE_S), 1
        while True:
            sent_ns = now_ns()
            try:
                status = await self._steps.timed(
                    Step.DELETE,
                    lambda call, span: self._control.delete(
                        call, target_session_id=created.target_session_id, traceparent=self._record.traceparent(span)
                    ),
                    attempt=attempt,
                )
            except StepError as error:
                pause_s = patience.pause_s(error, attempt)
                if pause_s is None:
                    self._steps.note(failure(Step.DELETE, error))
                    self._record.remain(Remains.LEAKED, RemainsReason.DELETE_FAILED, created.target_session_id)
                    return
                await asyncio.sleep(pause_s)
                attempt += 1
            else:
                answered_ns = now_ns()
                break
        self._record.remain(Remains.NOTHING, RemainsReason.DELETED, created.target_session_id)
        if self.ended_by is None:
            # 404 or 410 to the first attempt: somebody else had ended it before we did.
            ours = status // 100 == 2 or attempt > 1
            self.ended_by = EndedBy.DELETE if ours else self.ended_early_by()
        if prove and self.alive_seen:
            await self._prove_gone(created, sent_ns, answered_ns)

    async def _prove_gone(self, created: Created, deleted_ns: int, answered_ns: int) -> None:
        """Only a refusal of the token that was good before proves the end; an error or silence proves nothing.

        The last look begins when the time is over, counted from the delete's answer, and may take as long again."""
        most_s = self._target.gone_timeout_s
        deadline_ns = answered_ns + int(most_s * 1e9)
        gone, looks, status, over = Gone.UNCONFIRMED, 0, None, False
        while gone is not Gone.CONFIRMED and not over:
            pause_ns = int(GONE_LOOK_S[min(looks, len(GONE_LOOK_S) - 1)] * 1e9)
            await sleep_until(min(now_ns() + pause_ns, deadline_ns))
            left_s = (deadline_ns - now_ns()) / 1e9
            over = left_s <= 0
            looks += 1
            try:
                async with asyncio.timeout(most_s if over else left_s):
                    status = await self._control.look(
                        Call(what="look", watch=self._record.watch),
                        token=created.token,
                        traceparent=self._record.traceparent(self._record.root),
                    )
            except (StepError, TimeoutError):
                status = None
            seen_ns = now_ns()
            alive_or_unknown = Gone.STILL_ALIVE if status == 200 else Gone.UNCONFIRMED
            gone = Gone.CONFIRMED if status in GONE_STATUS else alive_or_unknown
        self.gone = gone
        self._record.gone_checked(gone, deleted_ns=deleted_ns, t_ns=seen_ns, looks=looks, http_status=status)
        if gone is Gone.STILL_ALIVE:
            self._steps.note(
                Failure(
                    step=Step.DELETE,
                    kind=Kind.PROTOCOL,
                    code=Code.STILL_ALIVE,
                    detail=f"still answers {most_s:g} s after its delete was confirmed",
                )
            )
            self._record.remain(Remains.LEAKED, RemainsReason.STILL_ALIVE, created.target_session_id)

    def ended_early_by(self) -> EndedBy:
        """What must have ended a session that is over before its delete."""
        limit_s = self._max_duration_s
        if limit_s is not None and now_ns() - self.created_ns >= (limit_s - 1) * 1e9:
            return EndedBy.MAX_DURATION
        return EndedBy.UNEXPECTED


class Making:
    """Of one session. `digest`: a salted hash, all that is told of a secret."""

    def __init__(
        self,
        control: ControlApi,
        record: Record,
        steps: Steps,
        owned: Owned,
        *,
        digest: Callable[[str], str],
    ) -> None:
        self._control, self._record, self._steps, self._owned = control, record, steps, owned
        self._digest = digest

    async def mint(self, *, ttl_s: int, realtime: Mapping[str, Any]) -> ClientSecret:
        """A fresh secret that is to live so long, for a talk that `realtime` describes. Raises StepError."""

        async def mint(call: Call, span: str) -> ClientSecret:
            secret = await self._control.mint(
                call, ttl_s=ttl_s, realtime=realtime, traceparent=self._record.traceparent(span)
            )
            self._record.minted(
                fingerprint=self._digest(secret.value),
                ttl_s=ttl_s,
                expires_at_s=secret.expires_at_s,
                provider_s=secret.provider_s,
            )
            return secret

        return await self._steps.timed(Step.MINT, mint)

    async def create(self, secret: ClientSecret, fields: Mapping[str, Any]) -> Created:
        """The session on that secret, with these fields of its body. Raises StepError; what it made is owned then."""
        return await self._steps.timed(
            Step.CREATE,
            lambda call, span: self._owned.create(
                self._control.create(call, secret=secret, fields=fields, traceparent=self._record.traceparent(span))
            ),
        )

    async def create_at_backend(self, *, user: int, iteration: int) -> Created:
        """The session that the integrator's own endpoint makes, which mints too. Raises StepError."""
        return await self._steps.timed(
            Step.CREATE,
            lambda call, span: self._owned.create(
                self._control.create_at_backend(
                    call,
                    user=user,
                    iteration=iteration,
                    trace_id=self._record.session,
                    traceparent=self._record.traceparent(span),
                )
            ),
        )


async def uncancellable(work: Coroutine[Any, Any, None]) -> None:
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
