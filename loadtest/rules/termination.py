"""How sessions end (docs/contract.md#rules-of-termination, #rules-of-durations)."""

from collections.abc import Mapping
from typing import Final

from loadtest.config.keys.scenario import ANSWERED
from loadtest.errors.kinds import NOBODYS_WORD
from loadtest.events.kinds import (
    Gone,
    GoneChecked,
    Mark,
    Observed,
    Outcome,
    RemainsChanged,
    RemainsReason,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.rules.fold import AtOneMoment, Fold, Handler, Key
from loadtest.rules.life import CUT, ENDED_STATUS, Life, ended_before
from loadtest.rules.tally import Tally

_S: Final = 1_000_000_000
_GONE_NS: Final = 5 * _S
_LAST_ATTEMPT: Final = 3
_SYSTEMATIC: Final = 3


class GoneAfterDelete(Fold):
    """The look after a delete that ended the session; one that had ended before says nothing here. Deletes that are
    denied count where most are: now and then it is an error and no broken word."""

    rule = "TD-1"

    def __init__(self) -> None:
        super().__init__()
        self._deletes = 0
        self._denied = Tally()
        self._said: dict[str, int] = {}  # the status of the last delete, where that was denied

    def handlers(self) -> Mapping[Key, Handler]:
        return {GoneChecked: self._look, Step.DELETE: self._delete, RemainsChanged: self._left}

    def _look(self, event: GoneChecked, life: Life) -> None:
        if life.room_ended_ns is not None or "ended before its delete" in life.noted:
            return
        after_ns = event.t_ns - event.deleted_ns
        if event.gone == Gone.STILL_ALIVE:
            self.tally.broken(life.session, f"still answered {after_ns / 1e9:.1f} s after its delete was sent")
        elif event.gone == Gone.CONFIRMED and after_ns <= _GONE_NS:
            self.tally.held()

    def _delete(self, event: StepFinished, life: Life) -> None:
        status = event.http_status
        self._deletes += event.attempt == 1
        self._said.pop(life.session, None)
        if status is None or status in NOBODYS_WORD or life.room_ended_ns is not None:
            return
        if status in ENDED_STATUS and "delete denied" in life.noted:
            self._denied.broken(life.session, "its delete was answered with an error, and had ended it all the same")
        elif status // 100 >= 3 and status not in ENDED_STATUS:
            life.noted.add("delete denied")
            self._said[life.session] = status

    def _left(self, event: RemainsChanged, life: Life) -> None:
        if event.reason == RemainsReason.DELETE_FAILED and (status := self._said.pop(life.session, 0)):
            self._denied.broken(life.session, f"its delete was answered with HTTP {status}, each time")

    def value(self) -> Tally:
        denied = self._denied.violations
        return self.tally.plus(self._denied) if denied >= _SYSTEMATIC and 2 * denied > self._deletes else self.tally


class DeadForGood(Fold):
    """Its token is refused after the end, whoever had ended it."""

    rule = "TD-5"

    def handlers(self) -> Mapping[Key, Handler]:
        return {GoneChecked: self._look}

    def _look(self, event: GoneChecked, life: Life) -> None:
        ended_by_itself = "ended before its delete" in life.noted
        if event.gone == Gone.CONFIRMED:
            self.tally.held()
        elif event.gone == Gone.STILL_ALIVE and ended_by_itself:
            self.tally.broken(life.session, "its delete found nothing any more, and its token is still good")


class SurvivesLeaving(Fold):
    """We leave, then delete at once: a delete that finds nothing shows that leaving had ended it. Unless its token is
    looked at and answers: then the delete was told something that isn't so, and nothing had ended."""

    rule = "TD-2"

    def __init__(self) -> None:
        super().__init__()
        self._found_nothing: dict[str, str] = {}  # what to say of sessions that are not finished

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.DELETE: self._delete, GoneChecked: self._look, SessionFinished: self._finished}

    def _look(self, event: GoneChecked, life: Life) -> None:
        if event.gone == Gone.STILL_ALIVE:
            self._found_nothing.pop(life.session, None)

    def _finished(self, _event: SessionFinished, life: Life) -> None:
        if (note := self._found_nothing.pop(life.session, None)) is not None:
            self.tally.broken(life.session, note)

    def _delete(self, event: StepFinished, life: Life) -> None:
        if not ended_before(event) or life.room_ended_ns is not None or life.error_ns is not None:
            return
        if life.stalled or life.mute is not False or CUT in life.noted:
            return  # over before its user left (SDK-2), or he had left before
        promise, talked_ns, created_ns = life.promise, life.conversed_ns, life.created_ns
        if promise is None or talked_ns is None or created_ns is None:
            return
        by_absence = event.started_ns - talked_ns > (promise.absence_s - 1) * _S
        by_age = event.started_ns - created_ns > (promise.max_duration_s - 1) * _S
        if not by_absence and not by_age:
            left_s = (event.started_ns - talked_ns) / 1e9
            self._found_nothing[life.session] = f"had ended {left_s:.2f} s after its user left, before its delete"


class ComingStopsAbsence(AtOneMoment):
    """A session with its user in the room that ends as if he had never come."""

    rule = "TD-3b"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.ROOM_ENDED: self._ended, Step.TURN: self._turn}

    def _ended(self, event: Observed, life: Life) -> None:
        if life.promise is None or life.created_ns is None or life.joined_ns is None or life.error_ns is not None:
            return
        age_s, there_s = (event.t_ns - life.created_ns) / 1e9, (event.t_ns - life.joined_ns) / 1e9
        absence_s = life.promise.absence_s
        left_s = None if life.secret is None else life.secret.left_s(event.t_ns)
        if there_s < 2 or life.is_over_by_age(event.t_ns) or (left_s is not None and abs(left_s) <= 2):
            return  # or is that why it ended?
        note = f"ended {age_s:.1f} s after its create with its user there; user_absent_timeout is {absence_s:g} s"
        self.ended(life, note if -0.5 <= age_s - absence_s <= 1.5 else None)

    def _turn(self, event: StepFinished, life: Life) -> None:
        if life.promise is None or life.created_ns is None or event.outcome != Outcome.OK:
            return
        if event.t_ns > life.created_ns + (life.promise.absence_s + 5) * _S and life.once(self.rule):
            self.tally.held()


class CappedInTime(Fold):
    """Sessions that last as long as max_duration."""

    rule = "TD-4"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.ROOM_ENDED: self._ended, Step.TURN: self._turn}

    def _ended(self, event: Observed, life: Life) -> None:
        if life.first_frame_ns is not None and life.is_over_by_age(event.t_ns) and life.once(self.rule):
            self.tally.held()

    def _turn(self, event: StepFinished, life: Life) -> None:
        if life.promise is None or life.first_frame_ns is None or event.outcome != Outcome.OK:
            return
        over_ns = event.t_ns - life.first_frame_ns - life.promise.max_duration_s * _S
        if over_ns > max(10.0, 0.05 * life.promise.max_duration_s) * _S and life.once(self.rule):
            self.tally.broken(life.session, f"still talked {over_ns / 1e9:.0f} s after max_duration")


class DeletedTwiceHarmlessly(Fold):
    """A delete of a session that had ended by itself."""

    rule = "TD-6"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.DELETE: self._delete}

    def _delete(self, event: StepFinished, life: Life) -> None:
        status = event.http_status or 0
        if status in ENDED_STATUS:
            self.tally.held()
        elif life.room_ended_ns is None or status < 500 or status in NOBODYS_WORD:
            return
        elif event.attempt == _LAST_ATTEMPT:
            self.tally.broken(life.session, f"its delete answered {status} each time; it had ended before")


class CutIsSeen(Fold):
    """What comes of OpenAI's cut after 60 minutes."""

    rule = "DUR-1"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn, Mark.ROOM_ENDED: self._ended}

    def _turn(self, event: StepFinished, life: Life) -> None:
        if life.promise is None or life.connected_ns is None:
            return
        if event.started_ns < life.connected_ns + life.promise.openai_limit_s * _S:
            return
        if event.outcome == Outcome.OK and life.once(self.rule):
            self.tally.held()
        elif life.mute and event.turn_kind in ANSWERED and life.once(self.rule):
            minutes = life.promise.openai_limit_s / 60
            self.tally.broken(life.session, f"the room is there, and nobody answers in it after {minutes:g} min")

    def _ended(self, event: Observed, life: Life) -> None:
        if life.promise is None or life.connected_ns is None:
            return
        if event.t_ns < life.connected_ns + 0.98 * life.promise.openai_limit_s * _S:
            return
        if life.once(self.rule):
            self.tally.held()


class LongerThanOpenAI(Fold):
    """Whether the settings ask for more than an OpenAI session gives."""

    rule = "DUR-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {SessionStarted: self._started}

    def _started(self, _event: SessionStarted, life: Life) -> None:
        if life.promise is not None and (text := life.promise.lint.get(self.rule)) is not None:
            self.tally.held()
            self.tally.tell(life.session, text)


FOLDS: Final = (
    GoneAfterDelete, SurvivesLeaving, ComingStopsAbsence, CappedInTime, DeadForGood, DeletedTwiceHarmlessly, CutIsSeen,
    LongerThanOpenAI,
)  # fmt: skip
