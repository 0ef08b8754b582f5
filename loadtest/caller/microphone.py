"""What a virtual user sends: the clip it speaks, frame by frame, and what a microphone hears in between."""

from collections.abc import Sequence
from typing import Protocol

from loadtest.events.kinds import Mark

Marks = tuple[Mark, ...]


class Sends(Protocol):
    """A source of frames, in whatever form the room carries them."""

    def speak(self, frames: Sequence[bytes], *, first_voiced: int, last_voiced: int) -> None:
        """From the next frame on; whatever was being said is cut off."""

    def take(self) -> tuple[bytes | None, Marks]:
        """The next frame to send, and what is reached as soon as it has left."""


class Microphone:
    """A source of 20 ms frames, in whatever form the room carries them; it knows no clock. `between`: frames for when
    nothing is spoken, in turn and from the `first` one on; none: nothing is to be sent then."""

    def __init__(self, between: Sequence[bytes], *, first: int = 0) -> None:
        self._between = between
        self._next_between = first
        self._frames: Sequence[bytes] | None = None
        self._next = 0
        self._marks: dict[int, Marks] = {}

    def speak(self, frames: Sequence[bytes], *, first_voiced: int, last_voiced: int) -> None:
        """From the next frame on; whatever was being said is cut off."""
        self._frames, self._next = frames, 0
        if first_voiced == last_voiced:
            self._marks = {first_voiced: (Mark.SPEECH_START, Mark.SPEECH_END)}
        else:
            self._marks = {first_voiced: (Mark.SPEECH_START,), last_voiced: (Mark.SPEECH_END,)}

    def take(self) -> tuple[bytes | None, Marks]:
        """The next frame to send, and what is reached as soon as it has left."""
        frames = self._frames
        if frames is None:
            if not self._between:
                return None, ()
            frame = self._between[self._next_between]
            self._next_between = (self._next_between + 1) % len(self._between)
            return frame, ()
        index = self._next
        self._next = index + 1
        if self._next == len(frames):
            self._frames = None
        return frames[index], self._marks.get(index, ())
