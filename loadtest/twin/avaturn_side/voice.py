"""The conversation of one session: microphone to OpenAI, answers to the room, and the true times of both.

The sound is PROTOCOL.md 3.5 and 3.7; the stamps are those of `state_url` in INTERFACE.md.
"""

import time
from typing import Protocol

from loadtest.twin.avaturn_side.playout import Playout
from loadtest.twin.avaturn_side.room import Room
from loadtest.twin.pcm import SILENT_FRAME, VOICED_RMS, rms
from loadtest.twin.profiles import Chance

_QUIET_TICKS = 5
"""A microphone that sent nothing for so many ticks is taken to be off; OpenAI then hears silence instead."""
_NEW_SPEECH_NS = 60_000_000
"""Voiced frames further apart than this belong to different stretches of speech."""


class Microphone(Protocol):
    """Where the user's sound goes."""

    def append(self, pcm: bytes) -> None:
        """Pass on sound, PCM16LE 24 kHz mono."""


class Turn:
    """The times of one turn, perf_counter_ns; None: not (yet) seen."""

    __slots__ = ("barge_in_heard_ns", "first_audio_sent_ns", "last_voiced_ns", "silenced_ns")

    def __init__(self, *, last_voiced_ns: int) -> None:
        self.last_voiced_ns = last_voiced_ns
        self.first_audio_sent_ns: int | None = None
        self.barge_in_heard_ns: int | None = None
        """Arrival of the first voiced frame of the speech that interrupted this turn's answer."""
        self.silenced_ns: int | None = None
        """When the last audible frame before the discard was sent."""

    def record(self) -> dict[str, int | None]:
        """As JSON has it."""
        return {
            "last_voiced_ns": self.last_voiced_ns,
            "first_audio_sent_ns": self.first_audio_sent_ns,
            "barge_in_heard_ns": self.barge_in_heard_ns,
            "silenced_ns": self.silenced_ns,
        }


class Voice:
    """Ticked every 20 ms while the stream is live and somebody is in the room."""

    def __init__(self, *, room: Room, microphone: Microphone, chance: Chance) -> None:
        self.turns: list[Turn] = []
        self.user_frames = 0
        self.avatar_frames = 0
        self._room = room
        self._microphone = microphone
        self._chance = chance
        self._playout = Playout()
        self._phrase_id = ""
        self._answered: Turn | None = None
        """The turn that the newest phrase answers; None: nobody had spoken."""
        self._quiet_ticks = 0
        self._onset_ns = 0
        self._last_voiced_ns = 0
        self._last_audible_ns = 0
        self._hold_until_ns = 0

    # --- from the room

    def hear(self, pcm: bytes) -> None:
        """The user's sound."""
        self.user_frames += 1
        self._quiet_ticks = 0
        if pcm != SILENT_FRAME:
            now_ns = time.perf_counter_ns()
            if rms(pcm) >= VOICED_RMS:
                if now_ns - self._last_voiced_ns > _NEW_SPEECH_NS:
                    self._onset_ns = now_ns
                self._last_voiced_ns = now_ns
        self._microphone.append(pcm)

    def tick(self) -> None:
        """Send the next 20 ms of the avatar to the room, and silence to OpenAI if the microphone is off."""
        self._quiet_ticks += 1
        if self._quiet_ticks >= _QUIET_TICKS:
            missed = _QUIET_TICKS if self._quiet_ticks == _QUIET_TICKS else 1
            for _ in range(missed):
                self._microphone.append(SILENT_FRAME)
        self.avatar_frames += 1
        playout = self._playout
        if not playout.waiting or self._is_held():
            self._room.play(SILENT_FRAME)
            return
        frame = playout.next_frame()
        if playout.events:
            self._announce()
        if frame is None:
            self._room.play(SILENT_FRAME)
        else:
            # Stamped before the hand-over, so that nobody can have it earlier than the truth says.
            self._last_audible_ns = time.perf_counter_ns()
            self._room.play(frame)
            if self._answered is not None and self._answered.first_audio_sent_ns is None:
                self._answered.first_audio_sent_ns = self._last_audible_ns

    def hush(self) -> None:
        """Nobody listens any more, or the session ends: forget what was to be said."""
        self._playout.discard()
        self._playout.events.clear()

    # --- from OpenAI

    def user_started(self) -> None:
        """The user was heard to speak: whatever the avatar was saying is thrown away."""
        was_speaking = self._playout.discard()
        self._announce()
        if was_speaking and self._answered is not None:
            self._answered.barge_in_heard_ns = self._onset_ns
            self._answered.silenced_ns = self._last_audible_ns

    def user_stopped(self) -> None:
        """The user's turn is over."""
        self.turns.append(Turn(last_voiced_ns=self._last_voiced_ns))
        answer_after_s = self._chance.answer_after_s()
        if answer_after_s is not None:
            self._hold_until_ns = self._last_voiced_ns + round(answer_after_s * 1e9)

    def queue(self, phrase_id: str, sound: bytes) -> None:
        """More sound of an answer."""
        if phrase_id != self._phrase_id:
            self._phrase_id = phrase_id
            self._answered = self.turns[-1] if self.turns else None
        self._playout.queue(phrase_id, sound)

    def complete(self, phrase_id: str) -> None:
        """The answer's sound is complete."""
        self._playout.complete(phrase_id)

    def _is_held(self) -> bool:
        return self._hold_until_ns > 0 and time.perf_counter_ns() < self._hold_until_ns

    def _announce(self) -> None:
        events = self._playout.events
        while events:
            self._room.say(dict(events.popleft()))
