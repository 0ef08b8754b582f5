"""The conversation of one session: microphone to OpenAI, answers to the room, and the true times of both.

The sound is docs/contract.md#app-messages; the stamps are those of `state_url` (TWIN.md#what-really-happened).
"""

import time
from typing import Literal, Protocol

from loadtest.twin.avaturn_side.heard import Heard
from loadtest.twin.avaturn_side.rooms.mouth import Listener, Playout
from loadtest.twin.avaturn_side.rooms.room import Room
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.parts import Make
from loadtest.twin.pcm import BYTES_PER_MS, FRAME_BYTES, SILENT_FRAME, VOICED_RMS, driven, rms

_QUIET_TICKS = 5
"""A microphone that sent nothing for so many ticks is taken to be off; OpenAI then hears silence instead."""
_NEW_SPEECH_NS = 60_000_000
"""Voiced frames further apart than this belong to different stretches of speech."""

Codec = Literal["pcm", "opus"]
_ONSET_STEP: dict[Codec, int] = {"pcm": 2, "opus": 5 * BYTES_PER_MS // 2}
"""Speech that is due within a frame begins at a multiple of so many bytes of it. Opus codes a sudden onset in blocks of
2.5 ms, and what begins within one is heard up to 4 ms early."""


class Microphone(Protocol):
    """Where the user's sound goes."""

    def append(self, pcm: bytes) -> None:
        """Pass on sound, PCM16LE 24 kHz mono."""


class Turn:
    """The times of one turn, perf_counter_ns; None: not (yet) seen."""

    __slots__ = (
        *("barge_in_heard_ns", "echo_heard_ns", "first_audio_sent_ns", "has_answer"),
        *("last_voiced_ns", "silenced_ns"),
    )

    def __init__(self, *, last_voiced_ns: int) -> None:
        self.last_voiced_ns = last_voiced_ns
        self.has_answer = False
        """Whether an answer to it has begun; a later one answers somebody else."""
        self.first_audio_sent_ns: int | None = None
        self.barge_in_heard_ns: int | None = None
        """Arrival of the first voiced frame of the speech that interrupted this turn's answer."""
        self.echo_heard_ns: int | None = None
        """Where, to the sample, the user's microphone first became loud after the answer could be heard."""
        self.silenced_ns: int | None = None
        """When the last audible frame before the discard was sent."""

    def record(self) -> dict[str, int | None]:
        """As JSON has it."""
        return {
            "last_voiced_ns": self.last_voiced_ns,
            "first_audio_sent_ns": self.first_audio_sent_ns,
            "barge_in_heard_ns": self.barge_in_heard_ns,
            "echo_heard_ns": self.echo_heard_ns,
            "silenced_ns": self.silenced_ns,
        }


class Voice:
    """Ticked every 20 ms while the stream is live and somebody is in the room."""

    def __init__(
        self,
        *,
        room: Room,
        microphone: Microphone,
        listener: Listener | None,
        chance: Chance,
        make: Make,
        codec: Codec = "pcm",
    ) -> None:
        self.turns: list[Turn] = []
        self.heard = Heard()
        self.user_frames = 0
        self.avatar_frames = 0
        self.microphone = microphone
        self._room = room
        self._chance = chance
        self._playout = make(Playout)(listener)
        self._onset_step = _ONSET_STEP[codec]
        self._phrase_id = ""
        self._fault: str | None = None
        """What is wrong with the phrase that came last."""
        self._own_frame: bytes | None = None
        """What the microphone hears of the avatar in place of its next frame."""
        self._answering: Turn | None = None
        """The turn that new phrases answer; None: nobody had spoken."""
        self._turn_of: dict[str, Turn] = {}
        """By phrase, while it may still be heard."""
        self._quiet_ticks = 0
        self._onset_ns = 0
        self._last_voiced_ns = 0
        self._last_audible_ns = 0
        self._hold_until_ns = 0
        self._pause_is_set = False
        """Whether `answer_after` sets the whole pause before the answer, whatever the latencies say."""

    # --- from the room

    def hear(self, pcm: bytes) -> None:
        """The user's sound."""
        self.user_frames += 1
        self._quiet_ticks = 0
        now_ns = time.perf_counter_ns()
        self.heard.frame(now_ns)
        if self._own_frame is not None:
            pcm, self._own_frame = self._own_frame, None
        if pcm != SILENT_FRAME:
            if rms(pcm) >= VOICED_RMS:
                if now_ns - self._last_voiced_ns > _NEW_SPEECH_NS:
                    self._onset_ns = now_ns
                self._last_voiced_ns = now_ns
                self.heard.loud(now_ns, pcm, audible_ns=self._last_audible_ns)
                self._note_echo()
            else:
                self.heard.quiet()
        else:
            self.heard.quiet()
        self.microphone.append(pcm)

    def _note_echo(self) -> None:
        turn = self._turn_of.get(self._playout.phrase_id)
        if turn is None or turn.first_audio_sent_ns is None or turn.echo_heard_ns is not None:
            return
        if self.heard.onset_ns > turn.first_audio_sent_ns:
            turn.echo_heard_ns = self.heard.onset_ns

    def tick(self) -> None:
        """Send the next 20 ms of the avatar to the room, and silence to OpenAI if the microphone is off."""
        self._quiet_ticks += 1
        if self._quiet_ticks >= _QUIET_TICKS:
            missed = _QUIET_TICKS if self._quiet_ticks == _QUIET_TICKS else 1
            for _ in range(missed):
                self.microphone.append(SILENT_FRAME)
        self.avatar_frames += 1
        playout = self._playout
        lead = self._lead() if playout.waiting else FRAME_BYTES
        if lead >= FRAME_BYTES:
            self._room.play(SILENT_FRAME)
            return
        frame = playout.next_frame(lead=lead)
        if playout.events:
            self._announce()
        if frame is None:
            self._room.play(SILENT_FRAME)
        else:
            # Stamped before the hand-over, so that nobody can have it earlier than the truth says.
            self._last_audible_ns = time.perf_counter_ns()
            self._room.play(frame)
            if self._fault == "hears_itself":
                self._own_frame = frame
            turn = self._turn_of.get(playout.phrase_id)
            if turn is not None and turn.first_audio_sent_ns is None:
                turn.first_audio_sent_ns = self._last_audible_ns + lead * 1_000_000 // BYTES_PER_MS

    def hush(self) -> None:
        """Nobody listens any more, or the session ends: forget what was to be said."""
        self._playout.discard()
        self._playout.events.clear()

    # --- from the engine

    def user_started(self) -> None:
        """The user was heard to speak: whatever the avatar was saying is thrown away."""
        turn = self.interrupt()
        if turn is not None:
            turn.barge_in_heard_ns = self._onset_ns

    def interrupt(self) -> Turn | None:
        """Throw away what the avatar is saying; returns the turn whose answer that was, if it was one."""
        was_speaking = self._playout.discard()
        turn = self._turn_of.get(self._playout.phrase_id) if was_speaking else None
        self._announce()
        self._turn_of.clear()
        if turn is not None:
            turn.silenced_ns = self._last_audible_ns
        return turn

    def user_stopped(self) -> None:
        """The user's turn is over."""
        self.turns.append(Turn(last_voiced_ns=self._last_voiced_ns))
        answer_after_s = self._chance.answer_after_s()
        self._pause_is_set = answer_after_s is not None
        if answer_after_s is not None:
            self._hold_until_ns = self._last_voiced_ns + round(answer_after_s * 1e9)

    def answer_begins(self, *, to_user: bool = True) -> None:
        """New phrases answer the last turn, unless that has an answer already or nobody had asked (`to_user`)."""
        turn = self.turns[-1] if self.turns and to_user else None
        self._answering = None if turn is None or turn.has_answer else turn
        if turn is not None:
            turn.has_answer = True
        if not self._playout.waiting:
            self._turn_of.clear()

    @property
    def spoke_since_turn(self) -> bool:
        """Whether the user has spoken since the last turn; for engines that don't say where turns end."""
        return self._last_voiced_ns > (self.turns[-1].last_voiced_ns if self.turns else 0)

    @property
    def is_barged_in(self) -> bool:
        """Whether the user began to speak after the answer became audible."""
        turn = self._turn_of.get(self._playout.phrase_id)
        return turn is not None and turn.first_audio_sent_ns is not None and self._onset_ns > turn.first_audio_sent_ns

    @property
    def speaks(self) -> bool:
        """Whether there is anything left to say."""
        return self._playout.waiting

    @property
    def phrase_id(self) -> str:
        """The phrase that is playing, or was the last to play."""
        return self._playout.phrase_id

    def queue(self, phrase_id: str, sound: bytes) -> None:
        """More sound of an answer."""
        if phrase_id != self._phrase_id:
            self._phrase_id = phrase_id
            self._fault = self._chance.mishap("answer")
            if self._answering is not None:
                self._turn_of[phrase_id] = self._answering
            if not self._playout.waiting:
                self._render()
        self._playout.queue(phrase_id, _spoilt(sound, self._fault))

    def complete(self, phrase_id: str) -> None:
        """The answer's sound is complete."""
        if dead_air_s := self._chance.dead_air_s():
            self._playout.pause(phrase_id, round(dead_air_s * 1000) * BYTES_PER_MS)
        if self._fault == "cut" and phrase_id == self._phrase_id:
            self._playout.cut(phrase_id)
        self._playout.complete(phrase_id)
        if self._fault == "twice" and phrase_id == self._phrase_id:
            self._playout.say_again(phrase_id)

    def _render(self) -> None:
        render_s = self._chance.latency_s("render")
        if render_s and not self._pause_is_set:
            self._hold_until_ns = time.perf_counter_ns() + round(render_s * 1e9)

    def _lead(self) -> int:
        """Bytes of silence until the speech that waits is due; a frame, or more, is not for this tick."""
        if self._hold_until_ns == 0:
            return 0
        left_ns = self._hold_until_ns - time.perf_counter_ns()
        if left_ns <= 0:
            self._hold_until_ns = 0
            return 0
        return -(-left_ns * BYTES_PER_MS // (self._onset_step * 1_000_000)) * self._onset_step

    def _announce(self) -> None:
        events = self._playout.events
        while events:
            self._room.say(dict(events.popleft()))


def _spoilt(sound: bytes, fault: str | None) -> bytes:
    """What becomes of an answer's sound."""
    if fault == "silent":
        return bytes(len(sound))
    return driven(sound, by=16) if fault == "clipped" else sound
