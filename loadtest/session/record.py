"""One session's events, written with its ids: what `lifecycle` and `converse` say, in the words of `events/`."""

import random
import sys
from collections.abc import Callable
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import (
    Event,
    Failure,
    Gone,
    GoneChecked,
    LineMeasured,
    Mark,
    MediaMeasured,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    RemainsReason,
    RuleChecked,
    RuleOutcome,
    SecretGivenBack,
    SecretKind,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.secrecy.given_back import Found, Ledger, Watch
from loadtest.secrecy.redact import redact
from loadtest.session.line import Direction
from loadtest.session.ports import Call
from loadtest.system.clock import now_ns, wall_ns


class Record:
    """`session` is the id in every event, and the trace id; `root` the session's span. `remains` is its last word on
    that. `watch` looks through all that the session is answered; `ledger`: of the whole process."""

    def __init__(
        self,
        *,
        emit: Callable[[Event], None],
        lag_ns: Callable[[], int],
        scenario: str,
        purpose: str,
        ledger: Ledger | None = None,
    ) -> None:
        self._emit, self._lag_ns, self._scenario = emit, lag_ns, scenario
        # The very object that is the field's default: only so is it left out of the lines.
        self._purpose = sys.intern(purpose)
        self.session = f"{random.getrandbits(128):032x}"
        self.root = span_id()
        self.remains = Remains.NOTHING
        self.watch = Watch(ledger, _teller_of_given_back(emit, self.session, self._purpose))
        self.started_ns = 0
        self.worst_lag_ns = 0
        """Of the marks since the caller last set it to 0."""

    def traceparent(self, span: str) -> str:
        """W3C header value for a call under that span."""
        return f"00-{self.session}-{span}-01"

    def started(self, *, user: int, due_ns: int, again: bool = False) -> None:
        self.started_ns = now_ns()
        self._say(
            SessionStarted,
            t_ns=self.started_ns,
            span_id=self.root,
            scenario=self._scenario,
            user=user,
            due_ns=due_ns,
            again=again,
        )

    def minted(self, *, fingerprint: str, ttl_s: int, expires_at_s: int, provider_s: int | None = None) -> None:
        self._say(
            SecretMinted,
            fingerprint=fingerprint,
            ttl_s=ttl_s,
            expires_at_s=expires_at_s,
            wall_ns=wall_ns(),
            provider_s=provider_s,
        )

    def remain(self, remains: Remains, reason: RemainsReason, target_session_id: str | None = None) -> None:
        self.remains = remains
        self._say(RemainsChanged, remains=remains, reason=reason, target_session_id=target_session_id)

    def observe(self, t_ns: int, mark: Mark, turn: int | None, text: str | None = None, /, **facts: Any) -> None:
        """`facts`: further fields of Observed, of an app-message."""
        lag_ns = self._lag_ns()
        self.worst_lag_ns = max(self.worst_lag_ns, lag_ns)
        self._say(Observed, t_ns=t_ns, mark=mark, turn=turn, lag_ns=lag_ns, text=text, **facts)

    def step(
        self,
        step: Step,
        call: Call,
        *,
        span: str,
        started_ns: int,
        t_ns: int,
        outcome: Outcome,
        late_ns: int = 0,
        **facts: Any,
    ) -> None:
        """An HTTP step, or converse. `late_ns`: by which its deadline passed late. `facts`: further fields of
        StepFinished."""
        server_ns = call.server_ns
        if server_ns is not None and server_ns > t_ns - started_ns:
            server_ns = None  # nobody works longer on a call than it takes
        self._say(
            StepFinished,
            t_ns=t_ns,
            step=step,
            started_ns=started_ns,
            outcome=outcome,
            span_id=span,
            parent_id=self.root,
            http_status=call.http_status,
            server_ns=server_ns,
            pool_wait_ns=call.pool_wait_ns,
            lag_ns=max(self._lag_ns(), late_ns),
            **facts,
        )

    def turn(self, *, parent: str, started_ns: int, outcome: Outcome, **facts: Any) -> None:
        """A turn under converse's span. `facts`: further fields of StepFinished."""
        self._say(
            StepFinished,
            step=Step.TURN,
            started_ns=started_ns,
            outcome=outcome,
            span_id=span_id(),
            parent_id=parent,
            lag_ns=self.worst_lag_ns,
            **facts,
        )

    def media(self, **facts: Any) -> None:
        """What was heard in the room that was just left. `facts`: fields of MediaMeasured."""
        self._say(MediaMeasured, **facts)

    def line(self, way: Direction) -> None:
        """What the caller's line did, one way."""
        arrived = way.packets - way.lost
        self._say(
            LineMeasured,
            way=way.way,
            packets=way.packets,
            lost=way.lost,
            held=way.held,
            delay_ns=way.delay_ns // arrived if arrived else 0,
            delay_max_ns=way.delay_max_ns,
            underruns=way.heard.underruns,
            stalled_ns=way.heard.stalled_ns,
        )

    def gone_checked(self, gone: Gone, *, deleted_ns: int, t_ns: int, looks: int, http_status: int | None) -> None:
        self._say(GoneChecked, t_ns=t_ns, gone=gone, deleted_ns=deleted_ns, looks=looks, http_status=http_status)

    def checked(self, rule: str, outcome: RuleOutcome, detail: str) -> None:
        """A probe's finding about a rule."""
        self._say(RuleChecked, rule=rule, outcome=outcome, detail=redact(detail))

    def finished(self, *, due_ns: int, outcome: Outcome, **facts: Any) -> None:
        """The last word. `facts`: further fields of SessionFinished."""
        self._say(
            SessionFinished,
            scenario=self._scenario,
            started_ns=self.started_ns,
            due_ns=due_ns,
            outcome=outcome,
            remains=self.remains,
            answers_searched=self.watch.looked,
            **facts,
        )

    def _say(self, kind: type, *, t_ns: int | None = None, **fields: Any) -> None:
        at_ns = now_ns() if t_ns is None else t_ns
        self._emit(kind(t_ns=at_ns, session=self.session, purpose=self._purpose, **fields))


def _teller_of_given_back(emit: Callable[[Event], None], session: str, purpose: str) -> Found:
    """Of a session's watch. It doesn't know the record, which knows the watch: what goes in circles is freed late."""

    def tell(secret: SecretKind, place: str, is_foreign: bool) -> None:
        emit(
            SecretGivenBack(
                t_ns=now_ns(), session=session, secret=secret, place=place, foreign=is_foreign, purpose=purpose
            )
        )

    return tell


def span_id() -> str:
    """A new span's id."""
    return f"{random.getrandbits(64) or 1:016x}"


def failure(step: Step, error: StepError) -> Failure:
    """A raised StepError as data."""
    return Failure(step=step, kind=error.kind, code=error.code, detail=redact(error.detail), field=error.field)
