"""A user's stay in a room, as a probe needs it: everything that was heard and told, with its time."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import Mark
from loadtest.rooms.app_messages import ERROR, LIFECYCLE_ERROR, is_avatar
from loadtest.session.hearing.ear import Ear
from loadtest.session.ports import Room, Told
from loadtest.session.record import Record
from loadtest.sound.speech import FRAME_NS, SILENCE, Clip, last_frame_ns
from loadtest.system.clock import now_ns
from loadtest.system.deadline import Deadline

SETTLE_S = 1.0
"""Quiet after which an answer is over where no app-message said so."""
ANSWER_LIMIT_S = 10.0
MAX_MESSAGES, MAX_TEXT, MAX_SOUND_BYTES = 2_000, 4 << 20, 16 << 20
"""A flood is not kept: of messages, of what all of them say, of sound (five minutes)."""
LONGEST_ANSWER_S = 45.0

_MARKS = (Mark.AVATAR_STARTED, Mark.AVATAR_ENDED, Mark.USER_TRANSCRIPT, Mark.TRANSCRIPT_FAILED, Mark.AVATAR_TRANSCRIPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A spoken answer: when the user had finished, when it was heard first, its last loud frame (None: not awaited)."""

    asked_ns: int
    onset_ns: int
    end_ns: int | None


class Visit:
    """One stay; it is the room's listener. All times are ns, None = not (yet) seen. `stretches`: of the avatar's sound,
    [onset, last loud frame]; `sound`: the loud part of it, if `records`."""

    def __init__(self, record: Record, *, records: bool = False) -> None:
        self._record, self._records = record, records
        self._ear = Ear(on_onset=self._on_onset, on_offset=self._on_offset)
        self._changed = asyncio.Event()
        self.room: Room | None = None
        self.messages: list[tuple[int, Mapping[str, Any]]] = []
        self._text_kept = 0
        self.stretches: list[list[int]] = []
        self.speaking = False
        self.sound = bytearray()
        self._last_frame_ns = 0
        self.longest_gap_ns = 0
        """Between two frames of the avatar from our speech to its answer: where it is long, the other side may have
        heard a hole in our speech."""
        self._talks = False
        self.joined_ns: int | None = None
        self.first_frame_ns: int | None = None
        self.speech_start_ns: int | None = None
        self.speech_end_ns: int | None = None
        self.owner_left_ns: int | None = None
        self.closed_ns: int | None = None
        self.why: StepError | None = None

    # What the room tells

    def on_mark(self, t_ns: int, mark: Mark) -> None:
        match mark:
            case Mark.JOINED:
                self.joined_ns = t_ns
            case Mark.FIRST_FRAME:
                self.first_frame_ns = t_ns
            case Mark.SPEECH_START:
                self.speech_start_ns = t_ns
            case Mark.SPEECH_END:
                self.speech_end_ns = t_ns
        self._record.observe(t_ns, mark, None)
        self._wake()

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0, rest_ns: int = 0) -> None:
        if self._last_frame_ns and self._talks:
            self.longest_gap_ns = max(self.longest_gap_ns, t_ns - rest_ns - self._last_frame_ns)
        if rest_ns:
            self._ear.hear(t_ns - FRAME_NS, SILENCE)
        self._last_frame_ns = last_frame_ns(t_ns, pcm)
        self._ear.hear(t_ns, pcm)
        if self._records and len(self.sound) < MAX_SOUND_BYTES and any(pcm):
            self.sound += pcm

    def on_message(self, t_ns: int, told: Told) -> None:
        if len(self.messages) < MAX_MESSAGES and self._text_kept < MAX_TEXT:
            self._text_kept += len(str(told.raw))
            self.messages.append((t_ns, told.raw))
            if told.mark in _MARKS:
                self._record.observe(t_ns, told.mark, None)
        if is_avatar(told.raw, "left"):
            self.owner_left_ns = self.owner_left_ns or t_ns
        self._wake()

    def on_sent(self, t_ns: int, pcm: bytes) -> None:
        """Nothing comes back here: the room is joined without a caller."""

    def on_closed(self, t_ns: int, why: StepError) -> None:
        if self.closed_ns is None:
            self.closed_ns, self.why = t_ns, why
        self._wake()

    def _on_onset(self, t_ns: int) -> None:
        self.speaking, self._talks = True, False
        self.stretches.append([t_ns, t_ns])
        self._wake()

    def _on_offset(self, t_ns: int) -> None:
        self.speaking = False
        self.stretches[-1][1] = t_ns
        self._wake()

    # What a probe asks

    def all(self, kind: str, *, since_ns: int = 0) -> list[tuple[int, Mapping[str, Any]]]:
        """Messages of that type, with their arrival."""
        return [(t_ns, each) for t_ns, each in self.messages if each.get("type") == kind and t_ns >= since_ns]

    @property
    def errors(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Lifecycle errors, nested or not, with their arrival."""
        return [(t_ns, each) for t_ns, each in self.messages if each.get("type") in (ERROR, LIFECYCLE_ERROR)]

    def spoke_at(self, t_ns: int) -> bool:
        """Whether the avatar was heard then, or later."""
        return bool(self.stretches) and (self.speaking or self.stretches[-1][1] >= t_ns)

    @property
    def over(self) -> bool:
        """The room is closed, or the avatar has left it."""
        return self.closed_ns is not None or self.owner_left_ns is not None

    async def until(self, condition: Callable[[], bool], within_s: float, *, despite_end: bool = False) -> bool:
        """Whether `condition` came true. Raises StepError at once where the room closes before, unless that is
        expected."""
        deadline_ns = now_ns() + int(within_s * 1e9)
        while not condition():
            if self.why is not None and not despite_end:
                raise self.why
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0:
                return False
            changed = self._changed
            try:
                async with Deadline(left_s):
                    await changed.wait()
            except TimeoutError:
                return condition()
        return True

    def speak(self, clip: Clip) -> None:
        """Begin to say it. Raises StepError if the room is over."""
        assert self.room is not None
        self.speech_start_ns = self.speech_end_ns = None
        self._talks = True
        self.room.speak(clip)

    async def ask(
        self, clip: Clip, *, hear_out: bool = True, limit_s: float = ANSWER_LIMIT_S, despite_end: bool = False
    ) -> Heard | None:
        """Say it when the avatar is silent, and wait for its answer; None: nothing audible came. Raises StepError where
        the room closes meanwhile."""
        await self.until(lambda: not self.speaking, LONGEST_ANSWER_S, despite_end=despite_end)
        self.speak(clip)
        return await self.answer(clip, hear_out=hear_out, limit_s=limit_s, despite_end=despite_end)

    async def answer(
        self, clip: Clip, *, hear_out: bool = True, limit_s: float = ANSWER_LIMIT_S, despite_end: bool = False
    ) -> Heard | None:
        """The answer to the clip that is being said."""
        before = len(self.stretches)
        if not await self.until(
            lambda: self.speech_end_ns is not None, clip.duration_s + limit_s, despite_end=despite_end
        ):
            return None
        asked_ns = self.speech_end_ns
        assert asked_ns is not None
        if not await self.until(lambda: len(self.stretches) > before, limit_s, despite_end=despite_end):
            return None
        onset_ns = self.stretches[before][0]
        end_ns = await self.heard_out(onset_ns) if hear_out else None
        return Heard(asked_ns=asked_ns, onset_ns=onset_ns, end_ns=end_ns)

    async def heard_out(self, onset_ns: int) -> int:
        """Wait until the answer that began then is over; its last loud frame."""
        deadline_ns = now_ns() + int(LONGEST_ANSWER_S * 1e9)
        while now_ns() < deadline_ns:
            await self.until(lambda: not self.speaking, (deadline_ns - now_ns()) / 1e9)
            if not await self.until(lambda: self.speaking, SETTLE_S):
                break
        return self.stretches[-1][1]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
