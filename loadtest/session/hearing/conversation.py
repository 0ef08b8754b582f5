"""What was heard: the room's `Listener`, timed from the audio itself.

It knows when the user's speech left, when the avatar could be heard and when it fell silent, and wakes whoever waits
for one of these. What the user does is in `turns.py`.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from loadtest.config.promise import Manner
from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import Mark
from loadtest.rules.life import HOLE_NS
from loadtest.secrecy.redact import redact_said
from loadtest.session.hearing.answer import Answer, Flaw
from loadtest.session.hearing.ear import Ear
from loadtest.session.hearing.tape import Tape
from loadtest.session.hearing.transcript_turns import Attribution
from loadtest.session.line import CallersLine
from loadtest.session.playout import Playout
from loadtest.session.ports import Told
from loadtest.session.waiting import Waiting
from loadtest.sound.speech import FRAME_BYTES, FRAME_NS, SILENCE, Clip, last_frame_ns
from loadtest.system.clock import now_ns

ANOTHER_NS = 1_000_000_000
"""What is said so long after an answer's end is another one, whatever it is called. Before that it may be a pause."""
ANNOUNCED_LATE_NS = 500_000_000
"""An answer's announcement may come so long after its sound (docs/contract.md, AUD-3)."""
NOTHING_NS = 500_000_000
SILENT_NS = 2_000_000_000
"""An avatar whose end is announced so long after its last sound was silent while it was called speaking."""
STEADY_NS = 100_000_000
"""A room whose last frame is younger sends them all the time."""
MAX_MESSAGES = 2_000
"""App-messages of a session that are written down, an hour's worth; further ones are counted."""
_OF_CONNECT = frozenset(
    (Mark.SIGNALLED, Mark.ICE_CONNECTED, Mark.DTLS_CONNECTED, Mark.JOINED, Mark.AVATAR_PRESENT, Mark.FIRST_FRAME)
)
_TRANSCRIPTS = (Mark.USER_TRANSCRIPT, Mark.TRANSCRIPT_FAILED, Mark.AVATAR_TRANSCRIPT)


class Observe(Protocol):
    """Takes a mark; `text` is a transcript's, `facts` are further fields of `events.Observed`."""

    def __call__(self, t_ns: int, mark: Mark, turn: int | None, text: str | None, /, **facts: Any) -> None: ...


_USUAL: Final = Manner()
Digest = Callable[[str], str]
"""A text's salted hash."""


class Conversation:
    """One session's talk. `over` is why the room ended, once it did. All times are ns, None = not heard.

    `speech_start_ns`, `speech_end_ns`: of the clip that is being spoken. `onset_ns`: where the avatar's present answer
    began; `last_audio_ns`: the arrival of its last loud frame, once it fell silent.
    """

    def __init__(
        self,
        *,
        observe: Observe,
        digest: Digest | None = None,
        keep_transcripts: bool = False,
        tape: Tape | None = None,
        line: CallersLine | None = None,
        manner: Manner = _USUAL,
    ) -> None:
        self._manner = manner
        self.answer = Answer(None, manner)
        self.has_told = False
        """Words of an answer have come."""
        self.unasked = 0
        """Answers that nobody had asked for."""
        self._stretch_ns = self._talk_over_ns = 0
        self._heard_until_ns = 0
        """When a player would have come to the last sound, if it plays all that came."""
        self._observe, self._digest, self._keep_transcripts, self.tape = observe, digest, keep_transcripts, tape
        self.line = line
        self.playout = Playout()
        self._ear = Ear(on_onset=self._on_onset, on_offset=self._on_offset)
        self._waiting = Waiting(line)
        self.until, self.until_told = self._waiting.until, self._waiting.until_told
        self.unless_over = self._waiting.unless_over
        self._words = Attribution()
        self._turn: int | None = None
        self._asks = True
        self._clip: Clip | None = None
        self.speech_start_ns: int | None = None
        self.speech_end_ns: int | None = None
        self.onset_ns: int | None = None
        self.last_audio_ns: int | None = None
        self.silenced_ns: int | None = None
        self._interrupting = False
        self._announced_anew = False
        """An answer was announced since the user spoke into the one before."""
        self.goes_on = False
        """What is heard is the answer before, after a pause."""
        self._paused: tuple[int, int] | None = None
        """Where the interrupted answer paused: its last sound, and the onset of the next."""
        self.avatar_speaking = False
        self.onsets = 0
        """So often it was heard to begin; one that has ended within the same message was never seen to speak."""
        self.avatar_ended = False
        """The app-message came since the last onset."""
        self.ended_ns = 0
        """When that came last."""
        self.is_announced = False
        """By the app-messages the avatar is speaking, whatever is heard."""
        self.times_announced = 0
        """So often one of them said that it begins to."""
        self.was_misled = False
        """It was announced so, and neither sound nor an end ever came."""
        self.dead_air_ns = 0
        """The longest silence between two sounds of the present answer."""
        self.hole_ns: int | None = None
        self._lost: int | None = None
        self._speech_lost = False
        self.line_broke_before = False
        """Up to when it was watched last: the answer to what it split may come in the turn after."""
        self._was_cut = False
        self.messages = 0
        """App-messages that came."""

    # What the room tells

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        if self._was_cut and mark in _OF_CONNECT:  # a session connects once; that it is there again is REJOINED
            if mark is Mark.FIRST_FRAME:
                self._waiting.last_frame_ns = t_ns
            return
        if mark is Mark.SPEECH_START:
            self.speech_start_ns = t_ns
            if self._asks:
                pauses = 0 if self._clip is None else self._clip.pauses
                self._words.speech_begins(self._turn, most=1 + pauses)
            if self.tape is not None and self._clip is not None:
                self.tape.said(t_ns, self._clip)
        elif mark is Mark.SPEECH_END:
            self.speech_end_ns = t_ns
            if self._asks:
                self._words.speech_ends(self._turn)
        elif mark is Mark.SENT_LOST:
            self._speech_lost = True
        elif mark is Mark.FIRST_FRAME:
            self._waiting.last_frame_ns = t_ns  # it may still be on the caller's own line
        self._observe(t_ns, mark, self._turn, self._said() if mark is Mark.SPEECH_START else None)
        self._waiting.wake()

    def _said(self) -> str | None:
        """The text of the clip that is being spoken, where it is known and the operator keeps texts."""
        text = None if self._clip is None else self._clip.text
        return redact_said(text) if text is not None and self._keep_transcripts else None

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0, rest_ns: int = 0) -> None:
        if rest_ns:
            self._waiting.last_frame_ns += rest_ns
            self.playout.rest(rest_ns)
            self._ear.hear(t_ns - FRAME_NS, SILENCE)
        waiting = self._waiting
        gap_ns = t_ns - waiting.last_frame_ns
        waiting.last_frame_ns = t_ns if len(pcm) == FRAME_BYTES else last_frame_ns(t_ns, pcm)
        if self.hole_ns is not None and gap_ns > self.hole_ns:
            self.hole_ns = gap_ns
        if self.tape is not None:
            self.tape.heard(t_ns, pcm)
        self.playout.take(t_ns, pcm, speaking=self.avatar_speaking, lost=lost)
        self._ear.hear(t_ns, pcm)

    def on_message(self, t_ns: int, told: Told) -> None:
        self.messages += 1
        if self.messages == MAX_MESSAGES + 1:
            self.mark(t_ns, Mark.MESSAGES_CUT)
        if told.mark is Mark.SESSION_ERROR:
            self._observe(t_ns, told.mark, self._turn, None, well_formed=told.well_formed)
            self._waiting.over = self.over or told.error
        elif told.mark is not None:
            if told.mark is Mark.AVATAR_ENDED:
                self.avatar_ended, self.is_announced = True, False
                self.ended_ns = t_ns
            elif told.mark in (Mark.AVATAR_STARTED, Mark.PHRASE_STARTED):
                if told.mark is Mark.AVATAR_STARTED:
                    self.is_announced = self.answer.is_announced = True
                    self.times_announced += 1
                self._announces(t_ns)
            turn = self._turn_of(told)  # heard, whether it is written down or not
            if self.messages <= MAX_MESSAGES:
                kept = redact_said(told.text) if self._keep_transcripts and told.text is not None else None
                self._observe(t_ns, told.mark, turn, kept, **self._facts(told))
        self._waiting.wake()

    def _facts(self, told: Told) -> dict[str, Any]:
        """What a rule may ask of a message without knowing its text."""
        facts: dict[str, Any] = {}
        if told.mark in _TRANSCRIPTS:
            facts = {"well_formed": told.well_formed, "stamped_s": told.stamped_s}
        if self._digest is not None:
            hashed = told.phrase if told.mark is Mark.PHRASE_STARTED else told.text
            if hashed is not None:
                facts["digest"] = self._digest(hashed)
            if told.code_word is not None:
                facts["speaker"] = self._digest(told.code_word)
        return facts

    def on_sent(self, t_ns: int, pcm: bytes) -> None:
        if self.tape is not None:
            self.tape.sent(t_ns, pcm)

    def on_closed(self, t_ns: int, why: StepError) -> None:
        self.mark(t_ns, Mark.ROOM_ENDED)
        if self.over is None:
            self._waiting.over = why
        self._waiting.wake()

    def _turn_of(self, told: Told) -> int | None:
        """The turn that a message belongs to: a transcript comes before the sound, or when the next turn has begun."""
        if told.mark is Mark.AVATAR_TRANSCRIPT:
            turn = self._words.of_avatar(told.phrase)
            if turn == self.answer.turn and told.text:
                self.answer.told(told.text, unsaid=told.code_word or "")
            return turn
        if told.mark in (Mark.USER_TRANSCRIPT, Mark.TRANSCRIPT_FAILED):
            turn = self._words.of_user()
            self.answer.phantoms += self.onset_ns is not None and self._words.tells_too_much
            return turn
        if told.mark is Mark.PHRASE_STARTED:
            self._words.phrase_begins(told.phrase)
            self.answer.phrase_begins(told.phrase)
        return self._turn

    def _on_onset(self, t_ns: int) -> None:
        is_another = self.avatar_ended
        self.avatar_speaking, self.avatar_ended = True, False
        self.onsets += 1
        self.goes_on = not is_another and self.last_audio_ns is not None and t_ns - self.last_audio_ns < ANOTHER_NS
        if self._interrupting and self.silenced_ns is not None:
            if self.goes_on and self._is_the_interrupted():
                self._paused, self.silenced_ns = (self.silenced_ns, t_ns), None
            else:
                self._interrupting = False
        if self._interrupting:
            pass  # still the answer before
        elif self.onset_ns is None:
            self._begins(t_ns)
        elif is_another:
            self._speaks_again(t_ns)
        elif self.last_audio_ns is not None:
            self.dead_air_ns = max(self.dead_air_ns, t_ns - self.last_audio_ns - FRAME_NS)
        self._stretch_ns = t_ns
        self._waiting.wake()

    def _begins(self, t_ns: int) -> None:
        self.onset_ns, self.dead_air_ns = t_ns, 0
        self._words.answer_begins()

    def _is_the_interrupted(self) -> bool:
        """What goes on after a pause, with no end announced: nobody answers a speech that goes on itself, nor without
        another announcement where answers are announced."""
        return self.speech_end_ns is None or (self.is_announced and not self._announced_anew)

    def _announces(self, t_ns: int) -> None:
        """Another answer: it may have been heard already, and been taken for the rest of the one before."""
        self._announced_anew = True
        if self._paused is None or not self._interrupting or self.speech_end_ns is None:
            return
        silenced_ns, onset_ns = self._paused
        if t_ns - onset_ns <= ANNOUNCED_LATE_NS:
            self._interrupting, self.silenced_ns = False, silenced_ns
            self._begins(onset_ns)

    def _speaks_again(self, t_ns: int) -> None:
        """After its announced end, and the user has begun no new turn."""
        answer = self.answer
        if self._turn is None or answer.is_disturbed or self._manner.speaks_unasked or self.last_audio_ns is None:
            return
        if self._speech_lost or self.line_broke_before:
            return  # it may have heard two speeches
        if self.speech_end_ns is not None and self.onset_ns is not None and self.onset_ns < self.speech_end_ns:
            return  # the first was early: this one answers the rest
        answer.again += 1
        if t_ns - self.last_audio_ns >= ANOTHER_NS or answer.phantoms or answer.is_repeated:
            self.unasked += 1

    def _on_offset(self, t_ns: int) -> None:
        self.avatar_speaking, self.last_audio_ns = False, t_ns
        # By the clock, or by the sound itself where it came faster than it can be said.
        length_ns = max(t_ns + FRAME_NS - self._stretch_ns, self._ear.length_ns)
        self.answer.sound_ns += length_ns
        self._heard_until_ns = max(self._heard_until_ns, self._stretch_ns) + length_ns
        self._talk_over_ns += self._overlap_ns(t_ns + FRAME_NS)
        if self._interrupting:
            self.answer.sound_ns = 0  # that was of the answer before
            # Here and not where somebody waits for it: the next onset is of another answer, or takes this back.
            self.silenced_ns = t_ns
        self._waiting.wake()

    # What the user's side needs

    def begin(self, turn: int, clip: Clip | None = None, *, asks: bool = True) -> None:
        """A new turn, in which that clip will be spoken: what is heard from now on belongs to it. `asks`: it is to be
        answered; a noise isn't."""
        self._turn, self._clip, self._asks = turn, clip, asks
        if self.tape is not None:
            self.tape.begin(now_ns())
        self.speech_start_ns = self.speech_end_ns = None
        self._talk_over_ns = 0
        if asks:
            self.answer = Answer(turn, self._manner)
            self._ear.loud_stretches = self._ear.clipped_stretches = 0
        else:
            self.answer.is_disturbed = True

    def watch_line(self, lost: int | None = None) -> None:
        """`hole_ns` is from now on the longest time without a frame; None where a silent avatar sends none anyway.
        `lost`: packets so far (`Room.lost`)."""
        self.line_broke_before = self.line_broke(lost)
        self.hole_ns = 0 if self._waiting.without_frame_ns(now_ns()) < STEADY_NS else None
        self._lost, self._speech_lost = lost, False

    def line_broke(self, lost: int | None) -> bool:
        """Whether the line has lost or held up what was said, since it is watched: either side may have heard a hole.
        `lost`: packets by now; one may have come late, and counts no more."""
        is_other = lost is not None and lost != (self._lost or 0)
        return self._speech_lost or (self.hole_ns or 0) >= HOLE_NS or is_other

    def cut(self, t_ns: int) -> None:
        """The caller's own line is dead: what was going on is over for him, and nobody answers for that."""
        self.mark(t_ns, Mark.LINE_CUT)
        self._was_cut = self._speech_lost = True  # what is answered later may be what was said before
        self._ear = Ear(on_onset=self._on_onset, on_offset=self._on_offset)
        self.avatar_speaking = self.is_announced = False
        self._clip = None
        self.forget_answer()

    @property
    def is_swallowed(self) -> bool:
        """The caller's own line has, of what he said: nobody may have heard that he speaks."""
        return self.line is not None and self.line.up.speech.is_swallowed

    def since(self, mark: Mark, t_ns: int, by_ns: int) -> int | None:
        """How long it took from that mark of the user's speech, at `t_ns`; None: the caller's own line has a share in
        that which nobody knows."""
        if self.line is not None and self.line.up.speech.is_bent(mark, by_ns):
            return None
        return by_ns - t_ns

    def forget_answer(self) -> None:
        """The next onset begins another answer."""
        self.onset_ns = self.last_audio_ns = None
        self._interrupting = False

    def interrupt(self) -> None:
        """The answer that is being heard is interrupted: its end will be `silenced_ns`, what comes then is another one.
        An end that was a pause is taken back: `silenced_ns` is None again when it goes on."""
        self._interrupting, self._announced_anew = True, False
        self.silenced_ns = self._paused = self.onset_ns = None
        if not self.avatar_speaking:  # in a pause, or before its first sound
            self.silenced_ns = self.last_audio_ns or 0

    @property
    def goes_on_regardless(self) -> bool:
        """The answer that was spoken into has not fallen silent."""
        return self._interrupting and self.silenced_ns is None

    @property
    def speaks_unasked(self) -> bool:
        """It may, though nobody has said anything."""
        return self._manner.speaks_unasked

    @property
    def is_answering(self) -> bool:
        """It can be heard, or pauses: it is announced as speaking, and nobody has waited in vain for more."""
        return self.avatar_speaking or (self.is_announced and not self.was_misled)

    def flaw(self) -> Flaw | None:
        """What was wrong with the answer that is over."""
        silent_ns = 0
        if self.last_audio_ns is not None:
            silent_ns = max(0, self.ended_ns - max(self.last_audio_ns, self._heard_until_ns - FRAME_NS))
        return self.answer.flaw(
            silent_ns=silent_ns,
            most_silent_ns=SILENT_NS,
            loud_frames=self._ear.loud_stretches,
            clipped_frames=self._ear.clipped_stretches,
        )

    def take_unasked(self) -> int:
        """Answers that nobody had asked for, since this was asked last."""
        found, self.unasked = self.unasked, 0
        return found

    @property
    def talk_over_ns(self) -> int:
        """For how long both could be heard at once, in this turn."""
        return self._talk_over_ns + (self._overlap_ns(now_ns()) if self.avatar_speaking else 0)

    def _overlap_ns(self, until_ns: int) -> int:
        """Of the avatar's present stretch with the user's speech."""
        if self.speech_start_ns is None:
            return 0
        last_ns = until_ns if self.speech_end_ns is None else min(until_ns, self.speech_end_ns + FRAME_NS)
        return max(0, last_ns - max(self.speech_start_ns, self._stretch_ns))

    @property
    def over(self) -> StepError | None:
        """Why the room ended, once it did."""
        return self._waiting.over

    @property
    def hears_nothing(self) -> bool:
        """No frame for a while, not even a silent one."""
        return self._waiting.without_frame_ns(now_ns()) > NOTHING_NS

    def mark(self, t_ns: int, mark: Mark) -> None:
        """Write down a moment of the present turn."""
        self._observe(t_ns, mark, self._turn, None)
