"""One Avaturn session that a probe examines. Whatever the probe does with it, it is deleted in the end, and the journal
knows of it before it can exist: the machinery is that of every session (`owned.py`)."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import GATEWAY_STATUS, Code, Kind
from loadtest.events.kinds import Event, Mark, Outcome, Remains, RemainsReason, Step, StepFinished
from loadtest.http_client import why_refused
from loadtest.probes.bench.visit import Visit
from loadtest.probes.bench.wire import MORE_TRIES_S, Answer, Wire
from loadtest.services.creating import of_answer, salvaged_from_call
from loadtest.session.lifecycle import Surroundings
from loadtest.session.owned import Making, Owned, Steps
from loadtest.session.ports import GONE_STATUS, Call, ClientSecret, Created, Grant
from loadtest.session.record import Record
from loadtest.session.ticket import Ticket
from loadtest.sound.speech import SILENCE
from loadtest.system.clock import now_ns
from loadtest.system.deadline import Deadline

QUOTA_STATUS = frozenset({402, 403, 409, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """When a session ended, as far as it can be known: alive at `after_ns`, over at `by_ns`; `how` it was seen."""

    after_ns: int
    by_ns: int
    how: str


class Place(Protocol):
    """Where a subject is examined: what a `Bench` lends it."""

    ticket: Ticket
    wire: Wire

    @property
    def around(self) -> Surroundings: ...

    @property
    def long_absence_s(self) -> int: ...

    @property
    def long_ttl_s(self) -> int: ...

    def reserve(self) -> None: ...

    def realtime(self, changed: Mapping[str, Any] | None) -> dict[str, Any]: ...

    def background(self, task: "asyncio.Future[Any]") -> None: ...


class Subject:
    """Use as `async with bench.subject() as subject`. Calls that fail raise StepError: the probe then has nothing to
    judge, unless it catches it."""

    def __init__(self, bench: Place, *, max_duration_s: float | None = None) -> None:
        around = bench.around
        self._bench, self._around, self._target = bench, around, around.settings.target
        self.record = Record(
            emit=self._emit,
            lag_ns=around.lag_ns,
            scenario=around.settings.name,
            purpose=bench.ticket.purpose,
            ledger=around.ledger,
        )
        self._steps = Steps(self.record, self._target)
        self._owned = Owned(around.control, self.record, self._steps, self._target, max_duration_s=max_duration_s)
        self._making = Making(around.control, self.record, self._steps, self._owned, digest=around.digest)
        self._visits: list[Visit] = []
        self._was_deleted = False
        self.revives = False
        """A look at it would bring it back to life (TD-5): the last thing that is done to it is a delete."""
        self.sent_ns = 0
        """When the create was sent."""
        self.rtts_ns: list[int] = []
        """How long looks took."""
        self.delete_status: list[int | None] = []
        """Of each attempt of its ordinary delete; None: no answer."""

    def _emit(self, event: Event) -> None:
        if isinstance(event, StepFinished) and event.step == Step.DELETE:
            self.delete_status.append(event.http_status)
        self._around.emit(event)

    @property
    def exists(self) -> bool:
        """Its create was answered with an id."""
        return self._owned.created is not None

    @property
    def longest_gap_s(self) -> float:
        """Between two frames of sound while we spoke, in any of its visits."""
        return max((visit.longest_gap_ns for visit in self._visits), default=0) / 1e9

    @property
    def created(self) -> Created:
        assert self._owned.created is not None
        return self._owned.created

    @property
    def created_ns(self) -> int:
        """When the create was answered."""
        return self._owned.created_ns

    # Making it

    async def mint(self, *, ttl_s: int | None = None, realtime: Mapping[str, Any] | None = None) -> ClientSecret:
        """A secret for the default session object, changed by `realtime`."""
        return await self._making.mint(ttl_s=ttl_s or self._bench.long_ttl_s, realtime=self._bench.realtime(realtime))

    async def create(self, secret: ClientSecret, **fields: Any) -> Created:
        """An ordinary create. Its `user_absent_timeout` outlasts the probe unless it is given; None: isn't sent."""
        body = {"user_absent_timeout": self._bench.long_absence_s, **fields}
        body = {name: value for name, value in body.items() if value is not None}
        self._bench.reserve()
        self.sent_ns = now_ns()
        return await self._making.create(secret, body)

    async def new(self, *, realtime: Mapping[str, Any] | None = None, **fields: Any) -> Created:
        """Mint and create."""
        return await self.create(await self.mint(realtime=realtime), **fields)

    async def attempt(self, body: Mapping[str, Any] | bytes, *, key: str | None = None) -> Answer:
        """A create with exactly this body (and with this key), which ought to be refused or not; what it makes is ours
        to delete."""
        self._bench.reserve()
        self.sent_ns = now_ns()
        answers: list[Answer] = []

        async def send() -> Created:
            call = Call(what="check: create", watch=self.record.watch)
            try:
                answer = await self._bench.wire.create(
                    body, traceparent=self.record.traceparent(self.record.root), key=key, call=call
                )
            except (StepError, asyncio.CancelledError) as error:
                return salvaged_from_call(call, error)
            answers.append(answer)
            if not answer.ok:
                raise StepError(Kind.REJECTED, Code.INVALID_REQUEST, http_status=answer.status)
            return of_answer(answer.body, call)

        with contextlib.suppress(StepError):
            await self._owned.create(send())
        if not answers:
            raise StepError(Kind.TRANSPORT, Code.CONNECTION_LOST, "the create was not answered")
        return answers[0]

    # Being in it

    async def grant(self) -> Grant:
        """The way into its room."""
        try:
            async with Deadline(self._target.connect_timeout_s):
                grant = await self._granted()
        except TimeoutError:
            raise StepError(Kind.TIMEOUT, Code.TIMEOUT, "the SDK session was not answered") from None
        self._owned.alive_seen = True
        self.record.observe(now_ns(), Mark.SDK_SESSION, None)
        return grant

    async def _granted(self) -> Grant:
        """Asked for once more where the call was lost on the way, or a gateway answered."""
        for pause_s in (*MORE_TRIES_S, None):
            try:
                return await self._around.control.grant(
                    Call(what="look", watch=self.record.watch),
                    token=self.created.token,
                    traceparent=self.record.traceparent(self.record.root),
                )
            except StepError as error:
                is_lost = error.kind is Kind.TRANSPORT or error.http_status in GATEWAY_STATUS
                if pause_s is None or not is_lost:
                    raise
                await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    async def enter(self, grant: Grant | None = None, *, records: bool = False) -> Visit:
        """A new visit, which is connecting; what becomes of it is in the visit."""
        grant = grant or await self.grant()
        visit = Visit(self.record, records=records)
        visit.room = self._around.open_room(grant, visit, (SILENCE,))
        self._visits.append(visit)
        connecting = asyncio.ensure_future(visit.room.connect())
        self._bench.background(connecting)

        def refused(task: "asyncio.Future[None]") -> None:
            if not task.cancelled() and isinstance(error := task.exception(), StepError):
                visit.on_closed(now_ns(), error)

        connecting.add_done_callback(refused)
        return visit

    async def join(self, *, records: bool = False) -> Visit:
        """Be in the room, with the avatar there. Raises StepError where that doesn't come about, a lifecycle error
        included."""
        visit = await self.enter(records=records)
        limit_s = self._target.connect_timeout_s
        if not await visit.until(lambda: visit.first_frame_ns is not None or bool(visit.errors), limit_s):
            raise StepError(Kind.TIMEOUT, Code.TIMEOUT, f"no avatar within {limit_s:g} s")
        if visit.errors:
            raise why_refused.of_message(visit.errors[0][1])
        return visit

    async def leave(self, visit: Visit) -> None:
        """Leave its room, as a page does that is closed."""
        assert visit.room is not None
        await visit.room.close()

    # Looking at it from outside

    async def look(self) -> int | None:
        """HTTP status of the SDK session; None: no answer."""
        sent_ns = now_ns()
        try:
            answer = await self._bench.wire.sdk(self.created.token)
        except StepError:
            return None
        finally:
            self.rtts_ns.append(now_ns() - sent_ns)
        if answer.status == 200:
            self._owned.alive_seen = True
        return answer.status

    async def is_alive(self) -> bool:
        """Whether its token still gets its room. Raises StepError where neither can be known."""
        status = await self.look()
        if status != 200 and status not in GONE_STATUS:
            raise _nobody_knows(status)
        return status == 200

    async def end(self, *, limit_s: float, every_s: float, visit: Visit | None = None) -> End | None:
        """Its end: the token is refused or, for one in its room, the room is over; None: alive after `limit_s`. Raises
        StepError where the last look then showed neither."""
        deadline_ns, alive_ns = now_ns() + int(limit_s * 1e9), now_ns()
        while True:
            if visit is not None and visit.over:
                over_ns = min(at for at in (visit.closed_ns, visit.owner_left_ns) if at is not None)
                return End(after_ns=over_ns, by_ns=over_ns, how="the room was over")
            sent_ns = now_ns()
            status = await self.look()
            if status == 200:
                alive_ns = sent_ns
            elif status in GONE_STATUS:
                return End(after_ns=alive_ns, by_ns=now_ns(), how=f"the token was refused with {status}")
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0 and status != 200:
                raise _nobody_knows(status)
            if left_s <= 0:
                return None
            if visit is None:
                await asyncio.sleep(min(every_s, left_s))
            else:
                await visit.until(lambda: visit.over, min(every_s, left_s), despite_end=True)

    # Ending it

    async def delete(self) -> int:
        """Delete it, the ordinary way; when the delete was sent. Raises StepError where it was refused."""
        sent_ns = now_ns()
        self._was_deleted = True
        await self._owned.end(prove=False)
        if self.record.remains is not Remains.NOTHING:
            raise StepError(Kind.REJECTED, Code.HTTP_4XX, "the delete was refused")
        return sent_ns

    def begin(self) -> None:
        self.record.started(user=self._bench.ticket.user, due_ns=self._bench.ticket.due_ns)

    async def conclude(self) -> None:
        """Leave every room and make sure that nothing is left, whatever the probe has done."""
        for visit in self._visits:
            if visit.room is not None:
                await visit.room.close()
        if not self._was_deleted:
            await self._owned.end(prove=self._target.prove_gone and not self.revives)
        elif self._owned.created is not None:
            await self._delete_for_good(self._owned.created)

    async def _delete_for_good(self, created: Created) -> None:
        """A delete that was confirmed may have been a lie: that is for the probe to judge, what it left is not."""
        with contextlib.suppress(StepError):
            if not self.revives and await self.look() != 200:
                return
            await self._bench.wire.delete(created.target_session_id)
            if not self.revives and await self.look() == 200:
                self.record.remain(Remains.LEAKED, RemainsReason.STILL_ALIVE, created.target_session_id)

    def finish(self, *, outcome: Outcome, censored: bool) -> None:
        """The last word."""
        self.record.finished(
            due_ns=self._bench.ticket.due_ns,
            outcome=outcome,
            failure=self._steps.failure,
            ended_by=self._owned.ended_by,
            gone=self._owned.gone,
            censored=censored,
        )


def _nobody_knows(status: int | None) -> StepError:
    """Of a look that shows neither life nor an end."""
    why = "no answer" if status is None else f"HTTP {status}"
    return StepError(Kind.TRANSPORT, Code.CONNECTION_LOST, f"a look at the session: {why}")
