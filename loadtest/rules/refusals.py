"""Errors, limits, secrets in texts, and the SDK's way in and out (docs/contract.md#rules-of-errors)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    Mark,
    Observed,
    Outcome,
    RemainsChanged,
    RemainsReason,
    SecretGivenBack,
    SessionFinished,
    Step,
    StepFinished,
)
from loadtest.rules.fold import Fold, Handler, Key
from loadtest.rules.life import ENDED_STATUS, Life, ended_before
from loadtest.rules.tally import Tally
from loadtest.secrecy.redact import is_secret

_S: Final = 1_000_000_000
_TOLD_NS: Final = 10 * _S
_REFUSED: Final = (Code.RATE_LIMITED, Code.LIMITS_EXCEEDED, Code.QUOTA)
_REFUSED_STATUS: Final = (402, 403, 409, 429)
_HARM_NS: Final = _S // 2
_HARMED_SHARE: Final = 0.5


class Nested(Fold):
    """Both shapes are accepted; the flat one is counted."""

    rule = "GA-3"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.SESSION_ERROR: self._error}

    def _error(self, event: Observed, life: Life) -> None:
        if event.well_formed is False:
            self.tally.broken(life.session, "an error came that isn't a session_lifecycle_error inside an error")
        elif event.well_formed:
            self.tally.held()


class NoAnswerIsNoLatency(Fold):
    """A turn without an answer has no time to first audio."""

    rule = "ERR-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn}

    def _turn(self, event: StepFinished, life: Life) -> None:
        if event.failure is None or event.failure.kind != Kind.NO_RESPONSE:
            return
        if event.first_audio_ns is None:
            self.tally.held()
        else:
            self.tally.broken(life.session, "a turn without an answer has a time to first audio")


class RefusalIsTold(Fold):
    """Who is in the room and sees no avatar within the deadline is told why within 10 s."""

    rule = "ERR-3"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.CONNECT: self._connect}

    def _connect(self, event: StepFinished, life: Life) -> None:
        if life.joined_ns is None or life.first_frame_ns is not None or event.outcome == Outcome.CANCELLED:
            return
        if life.error_ns is not None:
            if life.error_ns - life.joined_ns <= _TOLD_NS:
                self.tally.held()
            else:
                self.tally.broken(life.session, f"told {(life.error_ns - life.joined_ns) / 1e9:.0f} s after the join")
        elif event.failure is not None and event.failure.kind == Kind.TIMEOUT:
            waited_ns = event.t_ns - life.joined_ns
            if waited_ns >= _TOLD_NS:
                self.tally.broken(life.session, f"{waited_ns / 1e9:.0f} s in the room, neither an avatar nor an error")


@dataclass(slots=True)
class _Refusal:
    """A session that was refused, at its create or in its room: who was in a room then, and who of them lost it."""

    session: str
    began_ns: int
    t_ns: int
    active: int
    ended: set[str] = field(default_factory=set)


class RefusesCleanly(Fold):
    """A refusal that says what it is, and after which the sessions that run go on."""

    rule = "LIM-1"

    def __init__(self) -> None:
        super().__init__()
        self._active: set[str] = set()
        self._refusals: deque[_Refusal] = deque(maxlen=64)
        self._ends: deque[tuple[int, str, int]] = deque(maxlen=256)

    def handlers(self) -> Mapping[Key, Handler]:
        return {
            Step.CREATE: self._create,
            RemainsChanged: self._created,
            Step.CONNECT: self._connect,
            Mark.ROOM_ENDED: self._ended,
            Step.CONVERSE: self._left,
            SessionFinished: self._left,
        }

    def _create(self, event: StepFinished, life: Life) -> None:
        failure = event.failure
        if failure is not None and (failure.code in _REFUSED or event.http_status in _REFUSED_STATUS):
            self._refused(event, life)

    def _refused(self, event: StepFinished, life: Life) -> None:
        self.tally.held()
        refusal = _Refusal(life.session, event.started_ns, event.t_ns, len(self._active))
        for t_ns, session, active in self._ends:
            if event.started_ns <= t_ns:
                refusal.ended.add(session)
                refusal.active = max(refusal.active, active)
        self._refusals.append(refusal)

    def _created(self, event: RemainsChanged, life: Life) -> None:
        if event.reason == RemainsReason.CREATE_ANSWERED:
            self._active.add(life.session)

    def _connect(self, event: StepFinished, life: Life) -> None:
        if event.failure is not None and event.failure.code in _REFUSED:
            # The room told it: this one never ran, and that its room closed harmed nobody.
            self._active.discard(life.session)
            self._ends = deque((end for end in self._ends if end[1] != life.session), maxlen=self._ends.maxlen)
            for refusal in self._refusals:
                refusal.ended.discard(life.session)
            self._refused(event, life)
        elif event.http_status in ENDED_STATUS and life.error_ns is None:
            self._ended(event, life)  # it was created, and is not there any more

    def _ended(self, event: Observed | StepFinished, life: Life) -> None:
        if life.session not in self._active:
            return
        active, lost_ns = len(self._active), life.error_ns or event.t_ns  # whoever was told was lost then
        self._active.discard(life.session)
        if life.is_over_by_age(event.t_ns):
            return
        self._ends.append((lost_ns, life.session, active))
        for refusal in self._refusals:
            if refusal.began_ns <= lost_ns <= refusal.t_ns + _HARM_NS:
                refusal.ended.add(life.session)

    def _left(self, _event: object, life: Life) -> None:
        self._active.discard(life.session)

    def value(self) -> Tally:
        harmed = Tally()
        for refusal in self._refusals:
            if len(refusal.ended) > 1 and len(refusal.ended) >= _HARMED_SHARE * refusal.active:
                note = f"{len(refusal.ended)} of {refusal.active} running sessions ended as it was refused"
                harmed.broken(refusal.session, note)
        both = self.tally.plus(harmed)
        both.cases = self.tally.cases
        return both


class MintsOnceRefused(Fold):
    """After a refused mint a session mints no second time."""

    rule = "LIM-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.MINT: self._mint}

    def _mint(self, event: StepFinished, life: Life) -> None:
        if life.mints_refused:
            self.tally.broken(life.session, "minted again after a refusal")
        elif event.failure is not None and event.failure.code in _REFUSED:
            life.mints_refused += 1
            self.tally.held()


class TextsAreClean(Fold):
    """Every text that goes into the journal from outside."""

    rule = "SEC-1"

    def handlers(self) -> Mapping[Key, Handler]:
        return {**dict.fromkeys(Step, self._step), **dict.fromkeys(_TEXTS, self._text)}

    def _step(self, event: StepFinished, life: Life) -> None:
        if event.failure is not None:
            self._look(event.failure.detail, life)

    def _text(self, event: Observed, life: Life) -> None:
        if event.text is not None:
            self._look(event.text, life)

    def _look(self, text: str, life: Life) -> None:
        if is_secret(text):
            self.tally.broken(life.session, "something that looks like a key or a token is in its journal")
        else:
            self.tally.held()


_TEXTS: Final = (Mark.USER_TRANSCRIPT, Mark.AVATAR_TRANSCRIPT)


class NothingGivenBack(Fold):
    """A case for every answer that was looked through; what was given back the rulebook counts, whoever's it is."""

    rule = "SEC-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {SessionFinished: self._finished}

    def _finished(self, event: SessionFinished, _life: Life) -> None:
        self.tally.cases += event.answers_searched


def given_back(event: SecretGivenBack) -> str:
    """What was found where, in words."""
    return f"{event.place} holds {'another session’s ' if event.foreign else 'the '}{event.secret.replace('_', ' ')}"


class SettlesInTime(Fold):
    """The call that the SDK's init() waits for is answered, well or badly. One that broke off unanswered, or that never
    left this machine, says nothing."""

    rule = "SDK-1"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.CONNECT: self._connect}

    def _connect(self, event: StepFinished, life: Life) -> None:
        if event.outcome == Outcome.CANCELLED:
            return
        timed_out = event.failure is not None and event.failure.kind == Kind.TIMEOUT
        if timed_out and not life.sdk_session:
            self.tally.broken(
                life.session, f"GET /sessions unanswered for {(event.t_ns - event.started_ns) / 1e9:.0f} s"
            )
        elif life.sdk_session or event.http_status is not None:
            self.tally.held()


class EndIsNoticed(Fold):
    """A session that ended by itself: its room showed it, or just went dead."""

    rule = "SDK-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.DELETE: self._delete, Mark.ROOM_ENDED: self._ended}

    def _ended(self, _event: Observed, life: Life) -> None:
        if life.once(self.rule):
            self.tally.held()

    def _delete(self, event: StepFinished, life: Life) -> None:
        over = ended_before(event) and life.room_ended_ns is None and life.error_ns is None
        if over and (life.stalled or life.mute) and life.once(self.rule):
            self.tally.broken(life.session, "it had ended, and in its room there was only silence")


FOLDS: Final = (
    Nested, NoAnswerIsNoLatency, RefusalIsTold, RefusesCleanly, MintsOnceRefused, TextsAreClean, NothingGivenBack,
    SettlesInTime, EndIsNoticed,
)  # fmt: skip
