"""What is told of what was said. Texts are never kept: salted hashes say which are equal.

Source: docs/contract.md#rules-of-transcripts.
"""

import itertools
from collections.abc import Mapping
from typing import Final

from loadtest.config.keys.scenario import ANSWERED, BARGING_IN
from loadtest.criteria.words import plural
from loadtest.events.kinds import Mark, Observed, Outcome, SessionFinished, Step
from loadtest.rules.fold import Fold, Handler, Key
from loadtest.rules.life import Heard, Life
from loadtest.rules.tally import Tally
from loadtest.rules.whose_words import TWICE_NS, ItsOwn, foreign

_S: Final = 1_000_000_000
_OF_USER: Final = (Mark.USER_TRANSCRIPT, Mark.TRANSCRIPT_FAILED)
_OVERDUE_NS: Final = 10 * _S
_LATE_NS: Final = 3 * _S
_SYSTEMATIC: Final = 10
"""So many speeches without a transcript, and none with one, are no matter of slow transcription."""
_SKEW_S: Final = 120.0
BACKWARDS_S: Final = 0.05
"""A time stamp that goes back by less is no breach: transcripts of two turns may be told at once."""
_REPEATED_NS: Final = 500_000_000
"""Two answers that happen to have the same words are further apart than this: the user spoke between them."""


class UserTranscripts(Fold):
    """On: one for each answered speech within 10 s; off: none. A hole in a speech makes two turns of it, so more of
    them than speeches are a breach only where most sessions have them. So may a pause for thought, one more each."""

    rule = "TR-1"
    counts_messages = True

    def __init__(self) -> None:
        super().__init__()
        self._came = 0
        self._silent, self._doubled = Tally(), Tally()
        self._single = 0

    def handlers(self) -> Mapping[Key, Handler]:
        return {**dict.fromkeys(_OF_USER, self._transcript), SessionFinished: self._finished}

    def _transcript(self, _event: Observed, life: Life) -> None:
        self._came += 1
        if life.promise is not None and not life.promise.transcribes and life.once(self.rule):
            self.tally.broken(life.session, "the user's words came though no transcription was asked for")

    def _finished(self, event: SessionFinished, life: Life) -> None:
        if life.promise is None or not life.answered_ends_ns or self.rule in life.noted:
            return
        if not life.promise.transcribes:
            self.tally.held()
        elif missing := _overdue(event, life):
            self.tally.broken(life.session, f"{plural(missing, 'answered speech')} without a transcript after 10 s")
        elif life.user_transcripts > life.speeches and (
            life.impaired_turns or life.user_transcripts <= life.speeches + life.hesitations
        ):
            self.tally.excused += 1
        elif life.user_transcripts > life.speeches:
            self._doubled.broken(
                life.session, f"{plural(life.user_transcripts, 'transcript')} of {plural(life.speeches, 'speech')}"
            )
        elif life.user_transcripts:
            self._single += 1
            self.tally.held()
        elif (life.conversed_ns or event.t_ns) - life.answered_ends_ns[0] >= _LATE_NS:
            self._silent.broken(life.session, "its answered speeches have no transcript, and no session has one")

    def value(self) -> Tally:
        if self._came == 0 and self._silent.cases >= _SYSTEMATIC:
            return self.tally.plus(self._silent)
        if self._doubled.cases > max(1, self._single):
            return self.tally.plus(self._doubled)
        return self.tally


class AvatarTranscripts(Fold):
    """As many as phrases, in each answer that was asked for and heard to its end; in any other, none twice.

    After a barge-in the transcript of the interrupted answer may come too, so a number says nothing there. Nor does it
    where the service made several turns of one speech: a hole in the line ends a speech.
    """

    rule = "TR-2"
    counts_messages = True

    def handlers(self) -> Mapping[Key, Handler]:
        return {
            Mark.SPEECH_START: self._window_ends,
            Step.CONVERSE: self._window_ends,
            SessionFinished: self._finished,
        }

    def _window_ends(self, _event: object, life: Life) -> None:
        said, came = max(life.phrases, life.starts, 1), len(life.transcripts)
        if came > said and _repeated(life.transcripts):
            if life.impaired:  # a speech in two parts is answered twice, and may be with the same words
                self.tally.excused += 1
            else:
                self.tally.broken(life.session, "a transcript of its answer came twice")
            return
        if not life.ok or not life.heard_out or life.kind not in ANSWERED:
            return
        if life.kind in BARGING_IN:
            if came == said:
                self.tally.held()
        elif came > said:
            owed = min(life.missing, came - said)
            life.missing -= owed
            if came - owed > said and life.split:
                self.tally.excused += 1
            elif came - owed - foreign(life.transcripts) > said:
                self.tally.broken(
                    life.session, f"{plural(came, 'transcript')} of an answer in {plural(said, 'phrase')}"
                )
            else:
                self.tally.held()
        elif came < said and life.impaired:
            self.tally.excused += 1
        elif came < said:
            life.missing += said - came
        else:
            self.tally.held()

    def _finished(self, event: SessionFinished, life: Life) -> None:
        if event.outcome == Outcome.CANCELLED:
            return
        if life.missing > 1 or (life.missing and not life.avatar_transcripts):
            self.tally.broken(life.session, f"{plural(life.missing, 'phrase')} of its answers without a transcript")


class EitherOrder(Fold):
    """Which of a turn's two transcripts came first."""

    rule = "TR-3"
    counts_messages = True

    def __init__(self) -> None:
        super().__init__()
        self._avatar_first = 0

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.AVATAR_TRANSCRIPT: self._avatar, Mark.USER_TRANSCRIPT: self._user}

    def _avatar(self, _event: Observed, life: Life) -> None:
        if life.user_spoke_last and len(life.transcripts) == 1:
            self.tally.held()

    def _user(self, _event: Observed, life: Life) -> None:
        if life.transcripts and not life.user_spoke_last:
            self.tally.held()
            self._avatar_first += 1

    def value(self) -> Tally:
        note = f"the avatar's came first in {self._avatar_first:,} of {plural(self.tally.cases, 'turn')}"
        return Tally(cases=self.tally.cases, notes=[note])


class FailureIsTold(Fold):
    """A failed transcription has a marker of its own; one of many that never comes may have been swallowed."""

    rule = "TR-4"
    counts_messages = True

    def __init__(self) -> None:
        super().__init__()
        self._came = 0

    def handlers(self) -> Mapping[Key, Handler]:
        return {
            Mark.TRANSCRIPT_FAILED: self._failed,
            Mark.USER_TRANSCRIPT: self._transcript,
            SessionFinished: self._finished,
        }

    def _failed(self, _event: Observed, life: Life) -> None:
        self.tally.held()

    def _transcript(self, _event: Observed, life: Life) -> None:
        self._came += 1

    def _finished(self, event: SessionFinished, life: Life) -> None:
        if life.promise is None or not life.promise.transcribes or not self._came:
            return
        if missing := _overdue(event, life):
            self.tally.broken(
                life.session, f"{plural(missing, 'answered speech')} with neither a transcript nor the marker"
            )


class WellStamped(Fold):
    """Shape and time stamp of every transcript."""

    rule = "TR-5"

    def handlers(self) -> Mapping[Key, Handler]:
        return dict.fromkeys((*_OF_USER, Mark.AVATAR_TRANSCRIPT), self._transcript)

    def _transcript(self, event: Observed, life: Life) -> None:
        if event.well_formed is None or life.foreign:
            return
        stamp_s = event.stamped_s
        if not event.well_formed or stamp_s is None:
            self.tally.broken(life.session, "its text is no text, or its time stamp no number")
            return
        kind = str(event.mark)
        before_s = life.stamps.get(kind, stamp_s)
        life.stamps[kind] = stamp_s
        skew_s = None if life.wall_offset_ns is None else stamp_s - (event.t_ns + life.wall_offset_ns) / 1e9
        if skew_s is not None and abs(skew_s) >= _SKEW_S:
            self.tally.broken(life.session, f"its time stamp is {skew_s:+,.0f} s from now")
        elif stamp_s < before_s - BACKWARDS_S:
            self.tally.broken(life.session, f"its time stamp goes back by {before_s - stamp_s:.3f} s")
        else:
            self.tally.held()


class MoreThanHeard(Fold):
    """Whether the whole transcript of an answer had come when it was interrupted."""

    rule = "TR-6"
    counts_messages = True

    def __init__(self) -> None:
        super().__init__()
        self._whole = 0

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.BARGE_IN: self._barge_in}

    def _barge_in(self, _event: Observed, life: Life) -> None:
        if life.before_phrases:
            self.tally.held()
            self._whole += life.before_transcripts >= life.before_phrases

    def value(self) -> Tally:
        note = f"{self._whole:,} of {self.tally.cases:,} interrupted answers had their whole transcript before"
        return Tally(cases=self.tally.cases, notes=[note])


def _overdue(event: SessionFinished, life: Life) -> int:
    """Of the answered speeches that were over for 10 s, those that the transcripts are too few for."""
    ended_ns = life.conversed_ns or event.t_ns
    due = sum(ended_ns - spoken_ns >= _OVERDUE_NS for spoken_ns in life.answered_ends_ns)
    return max(0, due - life.user_transcripts)


def _repeated(transcripts: list[Heard]) -> bool:
    """Whether one of its own came twice."""
    for first, second in itertools.combinations(transcripts, 2):
        apart_ns = abs(second.t_ns - first.t_ns)
        if first.digest is None or first.digest != second.digest or apart_ns >= _REPEATED_NS:
            continue
        if apart_ns < TWICE_NS or not (first.twin or second.twin):
            return True
    return False


FOLDS: Final = (
    UserTranscripts, ItsOwn, AvatarTranscripts, EitherOrder, FailureIsTold, WellStamped, MoreThanHeard,
)  # fmt: skip
