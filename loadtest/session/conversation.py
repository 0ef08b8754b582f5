"""What was heard: the room's `Listener`, timed from the audio itself.

It knows when the user's speech left, when the avatar could be heard and when it fell silent, and wakes whoever waits
for one of these. What the user does is in `turns.py`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from loadtest.language.clock import now_ns
from loadtest.language.errors import Code, Kind, StepError
from loadtest.language.events import Mark
from loadtest.language.secrecy.redact import redact
from loadtest.rules.life import HOLE_NS
from loadtest.session.line import CallersLine
from loadtest.session.playout import Playout
from loadtest.session.ports import Told
from loadtest.session.tape import Tape
from loadtest.session.transcript_turns import Attribution
from loadtest.sound.ear import Ear
from loadtest.sound.speech import FRAME_NS, Clip

STALLED_NS = 5_000_000_000
"""A joined room sends frames all the time, silence included; none for this long is a dead stream."""
NOTHING_NS = 500_000_000
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
    ) -> None:
        self._observe, self._digest, self._keep_transcripts, self.tape = observe, digest, keep_transcripts, tape
        self.line = line
        self.playout = Playout()
        self._ear = Ear(on_onset=self._on_onset, on_offset=self._on_offset)
        self._waiter: asyncio.Future[None] | None = None
        self._words = Attribution()
        self._turn: int | None = None
        self._asks = True
        self._clip: Clip | None = None
        self._last_frame_ns = 0
        self.speech_start_ns: int | None = None
        self.speech_end_ns: int | None = None
        self.onset_ns: int | None = None
        self.last_audio_ns: int | None = None
        self.silenced_ns: int | None = None
        self._interrupting = False
        self.avatar_speaking = False
        self.avatar_ended = False
        """The app-message came since the last onset."""
        self.is_announced = False
        """By the app-messages the avatar is speaking, whatever is heard."""
        self.was_misled = False
        """It was announced so, and neither sound nor an end ever came."""
        self.dead_air_ns = 0
        """The longest silence between two sounds of the present answer."""
        self.hole_ns: int | None = None
        self._lost: int | None = None
        self._speech_lost = False
        self._was_cut = False
        self.over: StepError | None = None
        self.messages = 0
        """App-messages that came."""

    # What the room tells

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        if self._was_cut and mark in _OF_CONNECT:  # a session connects once; that it is there again is REJOINED
            if mark is Mark.FIRST_FRAME:
                self._last_frame_ns = t_ns
            return
        if mark is Mark.SPEECH_START:
            self.speech_start_ns = t_ns
            if self._asks:
                self._words.speech_begins(self._turn)
            if self.tape is not None and self._clip is not None:
                self.tape.said(t_ns, self._clip)
        elif mark is Mark.SPEECH_END:
            self.speech_end_ns = t_ns
            if self._asks:
                self._words.speech_ends(self._turn)
        elif mark is Mark.SENT_LOST:
            self._speech_lost = True
        elif mark is Mark.FIRST_FRAME:
            self._last_frame_ns = t_ns  # it may still be on the caller's own line
        self.mark(t_ns, mark)
        self._wake()

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0) -> None:
        gap_ns, self._last_frame_ns = t_ns - self._last_frame_ns, t_ns
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
            self.over = self.over or told.error
        elif told.mark is not None:
            if told.mark is Mark.AVATAR_ENDED:
                self.avatar_ended, self.is_announced = True, False
            elif told.mark is Mark.AVATAR_STARTED:
                self.is_announced = True
            if self.messages <= MAX_MESSAGES:
                kept = redact(told.text) if self._keep_transcripts and told.text is not None else None
                self._observe(t_ns, told.mark, self._turn_of(told), kept, **self._facts(told))
        self._wake()

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
            self.over = why
        self._wake()

    def _turn_of(self, told: Told) -> int | None:
        """The turn that a message belongs to: a transcript comes before the sound, or when the next turn has begun."""
        if told.mark is Mark.AVATAR_TRANSCRIPT:
            return self._words.of_avatar(told.phrase)
        if told.mark in (Mark.USER_TRANSCRIPT, Mark.TRANSCRIPT_FAILED):
            return self._words.of_user()
        if told.mark is Mark.PHRASE_STARTED:
            self._words.phrase_begins(told.phrase)
        return self._turn

    def _on_onset(self, t_ns: int) -> None:
        is_another = self.avatar_ended
        self.avatar_speaking, self.avatar_ended = True, False
        if self.onset_ns is None:
            self.onset_ns, self.dead_air_ns = t_ns, 0
            self._words.answer_begins()
        elif self.last_audio_ns is not None and not is_another:
            self.dead_air_ns = max(self.dead_air_ns, t_ns - self.last_audio_ns - FRAME_NS)
        self._wake()

    def _on_offset(self, t_ns: int) -> None:
        self.avatar_speaking, self.last_audio_ns = False, t_ns
        if self._interrupting:
            # Here and not where somebody waits for it: the next onset is of another answer, however soon it comes.
            self._interrupting, self.silenced_ns, self.onset_ns = False, t_ns, None
        self._wake()

    # What the user's side needs

    def begin(self, turn: int, clip: Clip | None = None, *, asks: bool = True) -> None:
        """A new turn, in which that clip will be spoken: what is heard from now on belongs to it. `asks`: it is to be
        answered; a noise isn't."""
        self._turn, self._clip, self._asks = turn, clip, asks
        if self.tape is not None:
            self.tape.begin(now_ns())
        self.speech_start_ns = self.speech_end_ns = None

    def watch_line(self, lost: int | None = None) -> None:
        """`hole_ns` is from now on the longest time without a frame; None where a silent avatar sends none anyway.
        `lost`: packets so far (`Room.lost`)."""
        self.hole_ns = 0 if self._without_frame_ns(now_ns()) < STEADY_NS else None
        self._lost, self._speech_lost = lost, False

    def line_broke(self, lost: int | None) -> bool:
        """Whether the line has lost or held up what was said, since it is watched: either side may have heard a hole.
        `lost`: packets by now."""
        return self._speech_lost or (self.hole_ns or 0) >= HOLE_NS or (lost or 0) > (self._lost or 0)

    def cut(self, t_ns: int) -> None:
        """The caller's own line is dead: what was going on is over for him, and nobody answers for that."""
        self.mark(t_ns, Mark.LINE_CUT)
        self._was_cut = True
        self._ear = Ear(on_onset=self._on_onset, on_offset=self._on_offset)
        self.avatar_speaking = self.is_announced = self._interrupting = False
        self._clip = None
        self.forget_answer()

    def forget_answer(self) -> None:
        """The next onset begins another answer."""
        self.onset_ns = self.last_audio_ns = None

    def interrupt(self) -> None:
        """The answer that is being heard is interrupted: its end will be `silenced_ns`, what comes then is another
        one."""
        self._interrupting, self.silenced_ns = True, None

    @property
    def hears_nothing(self) -> bool:
        """No frame for a while, not even a silent one."""
        return self._without_frame_ns(now_ns()) > NOTHING_NS

    def _without_frame_ns(self, t_ns: int) -> int:
        """How long none has come; what is still on the caller's own line has."""
        return t_ns - self._last_frame_ns - (0 if self.line is None else self.line.down.behind_ns)

    def mark(self, t_ns: int, mark: Mark) -> None:
        """Write down a moment of the present turn."""
        self._observe(t_ns, mark, self._turn, None)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `condition` came true within `timeout_s`. Raises StepError at once if the room is over or its stream
        dead."""
        deadline_ns = now_ns() + int(timeout_s * 1e9)
        while True:
            if self.over is not None:
                raise self.over
            if condition():
                return True
            t_ns = now_ns()
            if t_ns >= deadline_ns:
                return False
            if self._without_frame_ns(t_ns) > STALLED_NS:
                raise StepError(Kind.TRANSPORT, Code.MEDIA_STALLED, "no frame from the avatar for 5 s")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(min((deadline_ns - t_ns) / 1e9, 1.0)):
                    await self._waiter
            except TimeoutError:
                pass
            finally:
                self._waiter = None

    async def unless_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`, which is given up as soon as the room says that it is over. Raises StepError: what the room
        said goes before what `work` made of it."""
        working = asyncio.ensure_future(work)
        working.add_done_callback(lambda _: self._wake())
        try:
            while not working.done() and self.over is None:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            self._waiter = None
            working.cancel()
            await asyncio.wait({working})
        if self.over is not None:
            if not working.cancelled():
                working.exception()  # seen
            raise self.over
        working.result()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
