"""Interruptions, sound and tools, as they are heard and told in the room.

Source: docs/contract.md#rules-of-interruption, #rules-of-errors.
"""

from collections.abc import Mapping
from typing import Final

from loadtest.config.keys.scenario import ASKING, BARGING_IN
from loadtest.criteria.words import plural
from loadtest.errors.kinds import Code
from loadtest.events.kinds import Mark, Observed, Outcome, SessionFinished, SessionStarted, Step, StepFinished
from loadtest.rules.fold import Fold, Handler, Key
from loadtest.rules.life import Life
from loadtest.rules.tally import Tally

_SILENCED_NS: Final = 1_000_000_000
_TOGETHER_NS: Final = 500_000_000
_BY_NOISE_NS: Final = 500_000_000
"""An answer that ends so soon after a noise may have been stopped by it; one that ends later ended by itself."""
_STOPPED_SHARE: Final = 0.5
_UNTOLD_SHARE: Final = 0.1


class Silences(Fold):
    """Every barge-in, however far the answer was generated. What our own lateness may explain is no breach."""

    rule = "INT-1"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn}

    def _turn(self, event: StepFinished, life: Life) -> None:
        if event.turn_kind not in BARGING_IN:
            return
        if event.censored:
            self._broken(life, "the avatar went on for as long as was listened to it")
        elif event.barge_in_ns is not None:
            late_ns = event.barge_in_ns - max(event.lag_ns or 0, (event.hole_ns or 0) if life.impaired else 0)
            if late_ns > _SILENCED_NS and event.packets_lost:
                self.tally.excused += 1
            elif late_ns > _SILENCED_NS:
                self._broken(life, f"silent {event.barge_in_ns / 1e9:.2f} s after the user had begun")
            else:
                self._held(life)

    def _held(self, _life: Life) -> None:
        self.tally.held()

    def _broken(self, life: Life, note: str) -> None:
        self.tally.broken(life.session, note)


class SilencesWhatIsGenerated(Silences):
    """Barge-ins into an answer whose transcript had come: it comes when all of it is generated."""

    rule = "INT-2"
    counts_messages = True

    def _turn(self, event: StepFinished, life: Life) -> None:
        if life.before_phrases and life.before_transcripts >= life.before_phrases:
            super()._turn(event, life)


class StaysDiscarded(Fold):
    """After a barge-in: a phrase that begins again, or one beyond those that the new answer's transcripts explain. The
    second says nothing where answers that nobody interrupted lack transcripts, too."""

    rule = "INT-3"
    counts_messages = True

    def __init__(self) -> None:
        super().__init__()
        self._more = Tally()
        self._told = self._untold = 0

    def handlers(self) -> Mapping[Key, Handler]:
        return {
            Mark.PHRASE_STARTED: self._phrase,
            Mark.BARGE_IN: self._barge_in,
            Mark.SPEECH_START: self._window_ends,
            Step.CONVERSE: self._window_ends,
        }

    def _barge_in(self, _event: Observed, life: Life) -> None:
        life.cut_phrase = life.last_phrase

    def _phrase(self, event: Observed, life: Life) -> None:
        if event.digest is not None and event.digest == life.cut_phrase:
            self.tally.broken(life.session, "the interrupted phrase began again")
            life.cut_phrase = None
        life.last_phrase = event.digest

    def _window_ends(self, _event: object, life: Life) -> None:
        if not life.ok or not life.heard_out:
            return
        came = len(life.transcripts)
        if life.kind in ASKING:
            self._told += came > 0
            self._untold += came == 0 and life.phrases > 0
        if life.kind not in BARGING_IN or not came:
            return
        if life.phrases > came and life.split:
            self.tally.excused += 1
        elif life.phrases > came:
            self._more.broken(
                life.session, f"{plural(life.phrases, 'phrase')} after a barge-in, {came} of them with a transcript"
            )
        else:
            self.tally.held()

    def value(self) -> Tally:
        if self._untold > _UNTOLD_SHARE * self._told:
            return self.tally
        return self.tally.plus(self._more)


class Balanced(Fold):
    """Two starts without an end between them; an end that is only late is none of it."""

    rule = "INT-4"
    counts_messages = True

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.AVATAR_STARTED: self._started, Mark.AVATAR_ENDED: self._ended}

    def _started(self, _event: Observed, life: Life) -> None:
        if life.open_speech:
            self.tally.broken(life.session, "avatar_started_speaking twice, no avatar_ended_speaking between")
        life.open_speech = True

    def _ended(self, _event: Observed, life: Life) -> None:
        if life.open_speech:
            self.tally.held()
        life.open_speech = False


class IgnoresNoise(Fold):
    """Answers end by themselves too: only if most noises are followed by silence at once do they cause it."""

    rule = "INT-5"
    counts_messages = True

    def __init__(self) -> None:
        super().__init__()
        self._stopped = Tally()

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn}

    def _turn(self, event: StepFinished, life: Life) -> None:
        if event.turn_kind != "ignore" or life.promise is None or not life.promise.quiet_noise:
            return
        noise_ns, silent_ns = life.speech_start_ns, life.ended_ns  # an answer that goes on may be a new one
        if event.failure is not None and event.failure.code == Code.STOPPED_BY_NOISE:
            silent_ns = life.silenced_ns
        elif event.outcome != Outcome.OK and not event.went_on:
            return  # what went on, and failed by something else, may have been stopped for too short to be heard
        if noise_ns is not None and silent_ns is not None and silent_ns - noise_ns <= _BY_NOISE_NS:
            late_ms = max(0, silent_ns - noise_ns) / 1e6
            self._stopped.broken(life.session, f"silent {late_ms:.0f} ms after a noise that is no speech")
        elif event.outcome == Outcome.OK:
            self.tally.held()

    def value(self) -> Tally:
        all_cases = self._stopped.cases + self.tally.cases
        if self._stopped.cases > 1 and self._stopped.cases >= _STOPPED_SHARE * all_cases:
            return self.tally.plus(self._stopped)
        return self.tally


class AnnouncedOnTime(Fold):
    """The message against the sound, in answers that were asked for by a whole utterance."""

    rule = "AUD-3"
    counts_messages = True

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn}

    def _turn(self, event: StepFinished, life: Life) -> None:
        heard_ns, told_ns = life.first_audio_ns, life.started_ns
        if event.turn_kind not in ASKING or event.outcome != Outcome.OK or heard_ns is None:
            return
        if told_ns is None:
            if life.heard_out and not life.starts and not life.open_speech:
                self.tally.broken(life.session, "heard to its end, and never announced")
            return
        ahead_ns = heard_ns - told_ns
        if abs(ahead_ns) - (event.lag_ns or 0) > _TOGETHER_NS:
            when = "before" if ahead_ns > 0 else "after"
            self.tally.broken(life.session, f"announced {abs(ahead_ns) / 1e9:.2f} s {when} it could be heard")
        else:
            self.tally.held()


class ToolsStayInside(Fold):
    """Messages that carry a call, in any session; without tools in the settings their absence says nothing."""

    rule = "TOOL-1"
    counts_messages = True

    def handlers(self) -> Mapping[Key, Handler]:
        return {Mark.TOOL_DATA: self._tool, SessionFinished: self._finished}

    def _tool(self, _event: Observed, life: Life) -> None:
        if life.once(self.rule):
            self.tally.broken(life.session, "a message with the call of a tool came to the page")

    def _finished(self, _event: SessionFinished, life: Life) -> None:
        promise, spoke = life.promise, life.speech_end_ns is not None
        if promise is not None and promise.has_tools and spoke and life.once(self.rule):
            self.tally.held()


class ToolsAreNotRun(Fold):
    """Where every answer must be a call, a spoken one can only follow from a result that somebody made up."""

    rule = "TOOL-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn}

    def _turn(self, event: StepFinished, life: Life) -> None:
        promise = life.promise
        if promise is None or not (promise.has_tools and promise.forces_tool) or event.turn_kind not in ASKING:
            return
        if event.outcome == Outcome.OK:
            if not promise.announces_calls:  # else what was heard may have come before the call
                self.tally.broken(life.session, "spoke after a call that nobody had answered")
        elif life.mute:
            self.tally.held()


class SettingsLeaveAVoice(Fold):
    """What `lint` finds in the settings that breaks today; each session with them is a case."""

    rule = "AUD-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {SessionStarted: self._started}

    def _started(self, _event: SessionStarted, life: Life) -> None:
        if life.promise is None:
            return
        if (text := life.promise.lint.get(self.rule)) is not None:
            self.tally.broken(life.session, text)
        else:
            self.tally.held()


class SettingsHaveNoTools(SettingsLeaveAVoice):
    """The same of tools."""

    rule = "TOOL-3"


FOLDS: Final = (
    Silences, SilencesWhatIsGenerated, StaysDiscarded, Balanced, IgnoresNoise, SettingsLeaveAVoice, AnnouncedOnTime,
    ToolsStayInside, ToolsAreNotRun, SettingsHaveNoTools,
)  # fmt: skip
