"""What the user does, turn by turn, and what came of it (docs/reference/scenario.md, kinds of turns).

Time to first audio runs from the user's last voiced frame to the onset of the avatar's first audible sound; an onset
before that is an early answer, never a negative number. Barge-in runs from the user's first voiced frame over the
avatar to the avatar's last audible frame; an avatar that goes on is censored, never a number (docs/glossary.md#time).
"""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.config.keys import scenario
from loadtest.errors.exceptions import HarnessError, StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import AnswerEnd, Mark
from loadtest.session.hearing.conversation import ANNOUNCED_LATE_NS, Conversation
from loadtest.session.hearing.ear import QUIET_NS
from loadtest.session.ports import Room
from loadtest.sound.speech import FRAME_NS, Clip
from loadtest.system.clock import now_ns

SETTLE_S = 1.0
"""Quiet after which an answer is over where no app-message said so."""
DEAD_AIR_S = 5.0
"""The same while the avatar is announced as speaking: it may go on."""
SPEAK_GRACE_S = 5.0
YIELD_LIMIT_S = 3.0
"""How long an interrupted avatar is listened to before it counts as one that does not fall silent."""
FOLLOWED_S = 2.5
"""How long after an answer that may have been stopped it is waited for what would prove that the service has heard a
user who had said nothing."""
NOISE_WATCH_S = 1.0
"""How long after a noise a silence is blamed on it."""
CROSSES_NS = 1_000_000_000
"""What an avatar says by itself begins so long after the user did at the latest: then the service has heard him."""


class AnswerOverError(HarnessError):
    """The answer that was to be interrupted had ended already: the turn says nothing about anybody."""


class UndecidedError(StepError):
    """What it did may have been right. It answered before the user had finished, and the line had a hole until then: it
    may have heard an end of his speech. Or it speaks by itself, and had begun to, or it was still answering. Or the
    user's own line has swallowed what he said. The turn says nothing about anybody."""


@dataclass(slots=True)
class Heard:
    """What a turn measured; filled in while it runs, so that a failed turn keeps what it had."""

    first_audio_ns: int | None = None
    barge_in_ns: int | None = None
    censored: bool = False
    dead_air_ns: int | None = None
    answer: AnswerEnd | None = None
    went_on: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """The user's side of one conversation. Every method raises StepError where the target failed it.

    `hear_out` False: the next turn interrupts the answer, so it isn't waited for.
    """

    talk: Conversation
    room: Room
    plan: scenario.Conversation

    async def say(self, clip: Clip, number: int, heard: Heard, *, hear_out: bool) -> None:
        """Speak once the avatar has said all, wait for the answer, hear it out. An answer that goes on for too long is
        spoken into."""
        await self._let_it_end()
        self.talk.begin(number, clip)
        if self.talk.is_answering:
            self.talk.interrupt()
        else:
            self.talk.forget_answer()
        self.room.speak(clip)
        await self._hear_answer(clip, number, heard, hear_out=hear_out)

    async def barge_in(self, clip: Clip, number: int, after_s: float, heard: Heard, *, hear_out: bool) -> None:
        """Speak into the running answer; it is to stop, and this speech is to be answered. Raises AnswerOverError, also
        after the answer to a speech that came just too late to interrupt anything."""
        await self._into_the_answer(after_s)
        self.talk.begin(number, clip)
        self.talk.interrupt()
        self.room.speak(clip)
        started_ns = await self._stamp(lambda: self.talk.speech_start_ns, clip)
        self.talk.mark(started_ns, Mark.BARGE_IN)
        silenced_ns = await self._falls_silent(started_ns, clip, heard)
        if silenced_ns < started_ns:
            # Said all the same, and answered: cut off now, it would run into the next turn's speech.
            await self._hear_answer(clip, number, heard, hear_out=hear_out)
            raise AnswerOverError
        self.talk.mark(silenced_ns, Mark.SILENCED)
        await self._hear_answer(clip, number, heard, hear_out=hear_out)

    async def _falls_silent(self, started_ns: int, clip: Clip, heard: Heard) -> int:
        """When the interrupted avatar fell silent, and stayed so until it answered. A pause between two of its
        sentences is no silence, and shows only when it goes on."""
        talk = self.talk
        limit_ns = started_ns + int(YIELD_LIMIT_S * 1e9) + QUIET_NS
        while True:
            if not await talk.until_told(lambda: talk.silenced_ns is not None, limit_ns):
                heard.barge_in_ns = None
                if talk.hears_nothing:  # neither sound nor silence: no judgement of who goes on
                    raise StepError(Kind.TRANSPORT, Code.MEDIA_STALLED, "no frame from the avatar in a barge-in")
                heard.censored = not talk.is_swallowed
                error = StepError if heard.censored else UndecidedError
                raise error(
                    Kind.PROTOCOL, Code.NOT_SILENCED, f"still audible {YIELD_LIMIT_S:g} s after the user began to speak"
                )
            silenced_ns = talk.silenced_ns
            assert silenced_ns is not None
            spoken_into = silenced_ns >= started_ns
            heard.barge_in_ns = talk.since(Mark.SPEECH_START, started_ns, silenced_ns) if spoken_into else None
            _, answer_by_ns = await self._spoken(clip)
            await talk.until_told(lambda: talk.onset_ns is not None or talk.silenced_ns is None, answer_by_ns)
            if talk.silenced_ns == silenced_ns:
                return silenced_ns

    async def ignore(
        self,
        clip: Clip,
        number: int,
        after_s: float,
        heard: Heard,
        *,
        hear_out: bool,
        code: Code = Code.STOPPED_BY_NOISE,
    ) -> None:
        """Make a sound into the running answer, which is to go on; `code` says that it didn't. Raises AnswerOverError,
        also where the answer ended by itself soon after: whole, and nothing came of the sound."""
        await self._into_the_answer(after_s)
        announced = self.talk.times_announced
        self.talk.begin(number, clip, asks=False)
        self.room.speak(clip)
        loud_ns = await self._stamp(lambda: self.talk.speech_start_ns, clip)
        made_ns = loud_ns - clip.first_voiced * FRAME_NS
        watched_ns = loud_ns + int(NOISE_WATCH_S * 1e9) + QUIET_NS
        while await self.talk.until_told(lambda: not self.talk.avatar_speaking, watched_ns):
            silenced_ns = self.talk.last_audio_ns or made_ns
            answer = self.talk.answer
            # What took it for speech is about to answer it: that would run into the next turn's speech.
            is_answered = await self.talk.until(lambda: self.talk.avatar_speaking, FOLLOWED_S)
            if is_answered and await self._goes_on(announced) and not answer.phantoms:
                continue  # it had paused between two sentences
            if is_answered:
                await self._hear_out()
            speaks_to_it = is_answered and not self.talk.speaks_unasked
            if silenced_ns < made_ns or not (speaks_to_it or answer.phantoms or answer.looks_stopped):
                raise AnswerOverError  # it had said all that it had to say
            heard.went_on = False
            self.talk.mark(silenced_ns, Mark.SILENCED)
            silent_ms = (silenced_ns - made_ns) / 1e6
            raise StepError(Kind.PROTOCOL, code, f"silent {silent_ms:.0f} ms after the user's sound")
        heard.went_on = True
        if hear_out:
            await self._hear_it_whole(heard)

    async def _goes_on(self, announced: int) -> bool:
        """Whether what is heard again is the answer before: after a pause, or a longer one that is announced as part of
        it. That another one begins may be announced late."""
        talk = self.talk
        if talk.goes_on or not talk.is_announced:
            return talk.goes_on
        return not await talk.until(lambda: talk.times_announced > announced, ANNOUNCED_LATE_NS / 1e9)

    async def silence(self, for_s: float, number: int) -> None:
        """Say nothing; whatever the avatar says was not asked for."""
        await self._let_it_end()
        may_speak = self.talk.is_answering or self.talk.speaks_unasked or self.talk.line_broke_before
        self.talk.begin(number)
        unasked, onsets = self.talk.unasked, self.talk.onsets
        if await self.talk.until(lambda: self.talk.avatar_speaking or self.talk.onsets > onsets, for_s):
            error = UndecidedError if may_speak else StepError
            self.talk.unasked = unasked if may_speak else max(self.talk.unasked, unasked + 1)
            raise error(Kind.PROTOCOL, Code.SPOKE_UNASKED, "the avatar spoke while the user said nothing")

    async def pause(self, for_s: float) -> None:
        """Let time pass; ends early only where the room does."""
        await self.talk.until(lambda: False, for_s)

    async def _hear_answer(self, clip: Clip, number: int, heard: Heard, *, hear_out: bool) -> None:
        speech_end_ns, answer_by_ns = await self._spoken(clip)
        if not await self.talk.until_told(lambda: self.talk.onset_ns is not None, answer_by_ns):
            if self.talk.goes_on_regardless:
                raise UndecidedError(Kind.PROTOCOL, Code.NOT_SILENCED, "still audible: the answer before goes on")
            nothing = f"nothing audible within {self.plan.answer_timeout_s:g} s"
            if self.talk.answer.is_announced:
                heard.answer = AnswerEnd.SILENT
                raise StepError(Kind.NO_RESPONSE, Code.VOICE_SILENT, f"{nothing}, though announced as speaking")
            unheard = UndecidedError if self.talk.is_swallowed else StepError
            raise unheard(Kind.NO_RESPONSE, Code.NO_ANSWER, nothing)
        onset_ns = self.talk.onset_ns
        assert onset_ns is not None
        self.talk.mark(onset_ns, Mark.FIRST_AUDIO)
        if onset_ns < speech_end_ns:
            broke = self.talk.line_broke(self.room.lost) or self.talk.line_broke_before
            error = UndecidedError if broke or self._crosses(onset_ns) else StepError
            await self._hear_out()
            early_ms = (speech_end_ns - onset_ns) / 1e6
            raise error(Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY, f"{early_ms:.0f} ms before the user had finished")
        heard.first_audio_ns = self.talk.since(Mark.SPEECH_END, speech_end_ns, onset_ns)
        if hear_out:
            await self._hear_it_whole(heard)

    def _crosses(self, onset_ns: int) -> bool:
        """Whether it may have begun by itself as the user did."""
        started_ns = self.talk.speech_start_ns
        return self.talk.speaks_unasked and started_ns is not None and onset_ns - started_ns < CROSSES_NS

    async def _hear_it_whole(self, heard: Heard) -> None:
        """Hear the answer out and judge it. Raises StepError for one with a flaw. After a hole in the line, or where it
        goes on for too long, nobody can say."""
        talk = self.talk
        try:
            await self._hear_out()
        except StepError:
            if talk.avatar_speaking or talk.is_announced:
                heard.answer = AnswerEnd.CUT
            raise
        if talk.line_broke(self.room.lost) or talk.is_answering:
            return
        heard.dead_air_ns = talk.dead_air_ns
        answer = talk.answer
        if answer.may_have_been_stopped and (answer.is_told or talk.has_told):
            await talk.until(lambda: answer.is_followed or not answer.may_have_been_stopped, FOLLOWED_S)
            if talk.line_broke(self.room.lost):
                return
        talk.has_told = talk.has_told or answer.is_told
        if (flaw := talk.flaw()) is None:
            heard.answer = AnswerEnd.WHOLE
            return
        heard.answer, code, detail = flaw
        if code is not None:
            raise StepError(Kind.PROTOCOL, code, detail)

    async def _spoken(self, clip: Clip) -> tuple[int, int]:
        """Once the user has ended: when, and until when an answer is waited for. Raises StepError."""
        speech_end_ns = await self._stamp(lambda: self.talk.speech_end_ns, clip)
        return speech_end_ns, speech_end_ns + int(self.plan.answer_timeout_s * 1e9)

    async def _stamp(self, read: Callable[[], int | None], clip: Clip) -> int:
        """The stamp once the clip has got that far. Raises StepError if it can't be sent in time."""
        if not await self.talk.until(lambda: read() is not None, clip.duration_s + SPEAK_GRACE_S):
            raise StepError(Kind.TRANSPORT, Code.MEDIA_STALLED, "the clip could not be sent in time")
        stamp = read()
        assert stamp is not None
        return stamp

    async def _into_the_answer(self, after_s: float) -> None:
        """Return `after_s` into the running answer. Raises AnswerOverError if it does not last as long."""
        if self.talk.onset_ns is None or not self.talk.avatar_speaking:
            raise AnswerOverError
        left_s = after_s - (now_ns() - self.talk.onset_ns) / 1e9
        if await self.talk.until(lambda: not self.talk.avatar_speaking, left_s):
            raise AnswerOverError

    async def _hear_out(self) -> None:
        """Wait until the answer is over."""
        await self._ends()
        if self.talk.last_audio_ns is not None:
            self.talk.mark(self.talk.last_audio_ns, Mark.LAST_AUDIO)

    async def _let_it_end(self) -> None:
        """The same, before the user goes on."""
        if self.talk.is_answering:
            await self._ends()

    async def _ends(self) -> None:
        """Quiet, and either announced as ended or quiet for SETTLE_S; for DEAD_AIR_S where the avatar is announced as
        speaking. Who waited for that in vain believes it no more."""
        talk = self.talk
        deadline_ns = now_ns() + int(self.plan.answer_max_s * 1e9)
        while now_ns() < deadline_ns:
            await talk.until(lambda: not talk.avatar_speaking, (deadline_ns - now_ns()) / 1e9)
            quiet_s = DEAD_AIR_S if talk.is_announced and not talk.was_misled else SETTLE_S
            quiet_s = min(quiet_s, max(0.0, (deadline_ns - now_ns()) / 1e9))
            goes_on = not talk.avatar_ended and await talk.until(
                lambda: talk.avatar_speaking or talk.avatar_ended, quiet_s
            )
            talk.was_misled = talk.was_misled or (quiet_s > SETTLE_S and not goes_on and not talk.avatar_ended)
            if not goes_on or not talk.avatar_speaking:
                break
