"""One session from mint to a guaranteed delete: the heart of avaload.

It emits events and knows neither Locust nor Prometheus nor OpenTelemetry. What it creates it deletes in the same
function's `finally`, whatever happened in between, a cancellation included; what may remain is in the journal *before*
the call that could leave it (`owned.py`). Nothing is retried inside a measured step; only the delete is.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loadtest.config.clips.microphone import Microphone
from loadtest.config.keys.caller import CLEAN
from loadtest.config.keys.scenario import Scenario
from loadtest.config.promise import manner
from loadtest.config.settings import Settings
from loadtest.errors.causes import own_limit
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import EndedBy, Event, Failure, Mark, Outcome, Step
from loadtest.secrecy.given_back import Ledger
from loadtest.secrecy.redact import redact
from loadtest.session.converse import Place, converse
from loadtest.session.hearing.conversation import MAX_MESSAGES, Conversation
from loadtest.session.hearing.tape import KeepAudio, Tape
from loadtest.session.line import CallersLine
from loadtest.session.owned import Making, Owned, Steps, uncancellable
from loadtest.session.ports import GONE_STATUS, Call, ControlApi, Created, OpenRoom, Room, Situation
from loadtest.session.record import Record
from loadtest.session.ticket import Ticket as Ticket
from loadtest.system.clock import now_ns, sleep_until
from loadtest.system.deadline import Deadline

CENSORED = "censored"
"""Message of the cancellation that ends a session because the run ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions of an engine share. `microphones`: by name of the scenario. `lag_ns()`: how late the event loop
    was at its last probe. `ledger`: the secrets that they send."""

    settings: Settings
    scenarios: Sequence[Scenario]
    control: ControlApi
    open_room: OpenRoom
    microphones: Mapping[str, Microphone]
    emit: Callable[[Event], None]
    lag_ns: Callable[[], int]
    salt: bytes
    keep_audio: KeepAudio | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def digest(self, text: str) -> str:
        """Equal for equal texts of one run; tells nothing about them."""
        return hashlib.blake2b(text.encode(errors="replace"), key=self.salt, digest_size=8).hexdigest()


class Lifecycle:
    """Runs one session."""

    def __init__(self, around: Surroundings, ticket: Ticket, *, goes_on: Place | None = None) -> None:
        self._around, self._ticket = around, ticket
        self._settings, self._control = around.settings, around.control
        self._chance = random.Random(f"{self._settings.load.seed}:{ticket.user}:{ticket.iteration}")
        weights = [scenario.weight for scenario in around.scenarios]
        self._scenario = self._chance.choices(around.scenarios, weights)[0]
        self._record = Record(
            emit=around.emit,
            lag_ns=around.lag_ns,
            scenario=self._scenario.name,
            purpose=ticket.purpose,
            ledger=around.ledger,
        )
        self._steps = Steps(self._record, self._settings.target)
        self._owned = Owned(
            self._control,
            self._record,
            self._steps,
            self._settings.target,
            max_duration_s=self._scenario.session.max_duration,
        )
        self._making = Making(self._control, self._record, self._steps, self._owned, digest=around.digest)
        self._place = goes_on or Place()
        self._is_second = goes_on is not None
        self.cut_off: Place | None = None
        """Where the caller's line was cut for longer than the session lives without him: he calls again, with a new
        secret and a new session, and goes on from there."""
        self._room: Room | None = None
        self._rooms: list[Room] = []
        """All that were entered: one more after a cut of the line, and what each has counted is the session's."""
        self._talk: Conversation | None = None
        self._situation: Situation | None = None

    async def run(self) -> Outcome:
        """Wait until the ticket is due, then the whole session. Re-raises a cancellation after its clean-up."""
        await sleep_until(self._ticket.due_ns)
        self._record.started(user=self._ticket.user, due_ns=self._ticket.due_ns, again=self._is_second)
        outcome, censored = Outcome.OK, False
        try:
            try:
                await self._play()
            except StepError as error:
                outcome = Outcome.FAILED
                if error.code is Code.BUG:  # a listener of ours raised; the engine says so
                    raise
            except asyncio.CancelledError as cancelled:
                outcome, censored = Outcome.CANCELLED, CENSORED in cancelled.args
                raise
            finally:
                await uncancellable(self._teardown())
        except Exception as error:  # ours: the session is a failed one of kind bug, and the engine says so
            outcome = Outcome.FAILED
            limit = own_limit(error)
            kind, code = (Kind.BUG, Code.BUG) if limit is None else (Kind.OWN_LIMIT, limit)
            self._steps.note(Failure(step=Step.CONVERSE, kind=kind, code=code, detail=redact(repr(error))))
            raise
        finally:
            if self._steps.failure is not None and outcome is Outcome.OK:
                outcome = Outcome.FAILED
            self._record.finished(
                due_ns=self._ticket.due_ns,
                outcome=outcome,
                failure=self._steps.failure,
                ended_by=self._owned.ended_by,
                gone=self._owned.gone,
                censored=censored,
            )
        return outcome

    # The steps, in order

    async def _play(self) -> None:
        timed, ticket = self._steps.timed, self._ticket
        if self._settings.target.backend is not None:
            created = await self._making.create_at_backend(user=ticket.user, iteration=ticket.iteration)
        else:
            asked = self._scenario
            secret = await self._making.mint(ttl_s=asked.secret.ttl_s, realtime=asked.realtime)
            created = await self._making.create(secret, asked.session.model_dump(exclude_none=True, exclude={"engine"}))
        await timed(Step.CONNECT, lambda c, s: self._connect(c, s, created))
        if self._room is not None and self._talk is not None:
            talk = self._talk
            await timed(Step.CONVERSE, lambda _call, span: self._converse(talk, created, span))

    async def _connect(self, call: Call, span: str, created: Created) -> None:
        grant = await self._control.grant(call, token=created.token, traceparent=self._record.traceparent(span))
        self._owned.alive_seen = True
        self._record.observe(now_ns(), Mark.SDK_SESSION, None, digest=self._around.digest(grant.room))
        if self._settings.target.room == "none":
            return
        situation = self._situation = self._situated()
        self._talk = Conversation(
            observe=self._record.observe,
            digest=self._around.digest,
            keep_transcripts=self._settings.output.keep_transcripts,
            tape=Tape() if self._around.keep_audio is not None else None,
            line=None if situation is None else situation.line,
            manner=manner(self._scenario, by_backend=self._settings.by_backend),
        )
        between = self._around.microphones[self._scenario.name].between
        self._room = self._around.open_room(grant, self._talk, between, situation)
        self._rooms.append(self._room)
        call.server_ns = None  # of one call among several: says nothing about the step
        await self._talk.unless_over(self._room.connect())

    def _situated(self) -> Situation | None:
        """Of this session's caller. A chance of its own: what the line does changes nothing of what is said."""
        if self._scenario.caller == CLEAN:
            return None
        ticket, caller = self._ticket, self._scenario.caller
        chance = random.Random(f"caller:{self._settings.load.seed}:{ticket.user}:{ticket.iteration}")
        line = CallersLine(caller, random.Random(chance.random())) if caller.has_line else None
        return Situation(caller=caller, chance=chance, line=line)

    async def _converse(self, talk: Conversation, created: Created, span: str) -> None:
        """The conversation, and what a cut of the line makes of it."""
        cut_after_s = None if self._is_second else self._scenario.caller.cut_after_s
        if cut_after_s is None:
            await self._talk_on(talk, span)
            return
        talking = asyncio.ensure_future(self._talk_on(talk, span))
        try:
            await asyncio.wait({talking}, timeout=cut_after_s)
        finally:
            is_cut = talking.cancel()
            await asyncio.wait({talking})
        if not is_cut:
            talking.result()
        elif await self._rejoined(talk, created, span):
            await self._talk_on(talk, span)
        elif self._place.failed is not None:
            raise self._place.failed

    async def _rejoined(self, talk: Conversation, created: Created, span: str) -> bool:
        """Lose the line, and whether the caller is in the room again afterwards. Raises StepError where the session did
        not outlive an absence that it has to."""
        caller, target = self._scenario.caller, self._settings.target
        talk.cut(now_ns())
        if self._room is not None:
            await self._room.cut()
        talk.playout.leave()
        if talk.line is not None:
            talk.line.down.heard.leave()
        await asyncio.sleep(caller.cut_for_s)
        try:
            async with Deadline(target.connect_timeout_s):
                call = Call(what="rejoin", watch=self._record.watch)
                traceparent = self._record.traceparent(span)
                grant = await self._control.grant(call, token=created.token, traceparent=traceparent)
                between = self._around.microphones[self._scenario.name].between
                self._room = self._around.open_room(grant, talk, between, self._situation)
                self._rooms.append(self._room)
                await talk.unless_over(self._room.connect())
        except TimeoutError:
            limit_s = target.connect_timeout_s
            raise StepError(Kind.TIMEOUT, Code.TIMEOUT, f"not in the room again within {limit_s:g} s") from None
        except StepError as error:
            if error.http_status in GONE_STATUS and caller.cut_for_s >= self._scenario.session.absence_s / (
                target.clock_scale or 1.0
            ):
                self._owned.ended_by = EndedBy.USER_ABSENT_TIMEOUT
                self.cut_off = replace(self._place, failed=None)
                return False
            raise
        talk.mark(now_ns(), Mark.REJOINED)
        return True

    async def _talk_on(self, talk: Conversation, span: str) -> None:
        assert self._room is not None
        room = self._room
        await converse(
            self._scenario.conversation,
            talk,
            room,
            clips=self._around.microphones[self._scenario.name].clips,
            chance=self._chance,
            record=self._record,
            span=span,
            keep_audio=self._around.keep_audio,
            place=self._place,
        )

    def _tell_media(self, talk: Conversation | None) -> None:
        if talk is None or not (talk.playout.frames or talk.messages > MAX_MESSAGES):
            return
        if talk.line is not None:
            self._record.line(talk.line.up)
            self._record.line(talk.line.down)
        heard, lost = talk.playout, [room.lost for room in self._rooms if room.lost is not None]
        self._record.media(
            frames=heard.frames,
            underruns=heard.underruns,
            stalled_ns=heard.stalled_ns,
            gap_max_ns=heard.longest_gap_ns,
            packets_lost=sum(lost) if lost else None,
            messages_unwritten=max(0, talk.messages - MAX_MESSAGES),
            heard_ns=heard.heard_ns,
            jitter_ns=heard.jitter_ns,
            ahead_ns=heard.ahead_ns,
        )

    async def _teardown(self) -> None:
        if self._talk is not None and self._talk.over is not None:
            self._owned.ended_by = self._owned.ended_early_by()
        try:
            if self._room is not None:
                await self._room.close()
                self._tell_media(self._talk)
        finally:  # whatever leaving the room came to
            await self._owned.end(prove=self._settings.target.prove_gone)
