"""The avatar's voice as it comes back from the caller's loudspeaker into his microphone.

Times are those of the frames' stamps, like everywhere here: a sample that arrives at offset x of a frame stamped t, of
which the echo takes d, is sent at offset y of a frame stamped u, where u + y = t + x + d.
"""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from loadtest.caller.microphone import Marks, Microphone
from loadtest.session.playout import MOST_NS
from loadtest.session.ports import Listener
from loadtest.sound.levels import PhoneBand, coded
from loadtest.sound.speech import FRAME_NS, FRAME_SAMPLES, LOUD_RMS, RATE_HZ, SILENCE, Samples, pcm_of
from loadtest.system.clock import now_ns

AHEAD_NS = FRAME_NS
"""A frame is mixed so long before it is sent at most: the least echo delay is twice that."""
_GAP_NS = 200_000_000
"""After so long without sound, what comes is played when it comes, not when what came before has ended."""
_MEAN_OF = 250
"""Loud frames that the voice's level is a mean of: five seconds."""
_KEPT = 200
"""Pieces of the voice, more than the longest delay has: of a microphone that is off nobody takes any out."""


class Echo:
    """Takes what the avatar says, and mixes it into frames of the microphone later.

    The echo's level is set, the avatar's voice isn't known: it is measured as it comes, by its loud frames. The delay
    gives it at least two of them before the first is heard again. `phone`: it comes through a telephone's microphone.
    """

    def __init__(self, *, level_dbfs: float, delay_ns: int, phone: bool = False) -> None:
        self._band = PhoneBand() if phone else None
        self._rms, self._delay_ns = 32768 * 10 ** (level_dbfs / 20), delay_ns
        self._pieces: deque[tuple[int, Samples]] = deque(maxlen=_KEPT)
        self._ends_ns = self._sounds_until_ns = self._sounded_ns = 0
        self._due_ns: int | None = None  # of the next frame while there is an echo: one frame's lateness makes no hole
        self._power = 0.0
        self._frames = 0

    def hear(self, t_ns: int, pcm: bytes) -> None:
        """A stretch of the avatar's sound arrived. What comes faster than it plays is played behind each other, and
        thrown away from MOST_NS on, as a player does."""
        length_ns = len(pcm) // 2 * 1_000_000_000 // RATE_HZ
        if pcm == SILENCE or not pcm.strip(b"\0"):
            self._ends_ns = min(self._ends_ns + length_ns, t_ns + MOST_NS)
            if self._band is not None:
                self._band.rest()
            return
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        if self._band is not None:
            samples = self._band.through(samples)
        self._measure(samples)
        if t_ns - self._sounded_ns > _GAP_NS or t_ns - self._ends_ns > _GAP_NS:
            self._ends_ns = max(t_ns, self._sounds_until_ns)
        self._sounded_ns = t_ns
        if self._ends_ns >= t_ns + MOST_NS:
            return
        self._pieces.append((self._ends_ns, samples))
        self._ends_ns = self._sounds_until_ns = self._ends_ns + length_ns

    def into(self, t_ns: int, frame: bytes) -> bytes:
        """The microphone's frame that is sent at `t_ns`, with the echo in it; the frame itself where there is none."""
        if not self._pieces:
            self._due_ns = None
            return frame
        if self._due_ns is None or abs(t_ns - self._due_ns) > FRAME_NS // 2:
            self._due_ns = t_ns
        start_ns = self._due_ns - self._delay_ns
        self._due_ns += FRAME_NS
        mixed: Samples | None = None
        for begins_ns, samples in self._pieces:
            at = round((begins_ns - start_ns) * RATE_HZ / 1e9)
            if at >= FRAME_SAMPLES:
                break
            part = samples[max(0, -at) : FRAME_SAMPLES - at]
            if len(part):
                if mixed is None:
                    mixed = np.frombuffer(frame, dtype="<i2").astype(np.float32)
                mixed[max(0, at) : max(0, at) + len(part)] += part * self._gain
        while self._pieces and self._is_past(self._pieces[0], start_ns + FRAME_NS):
            self._pieces.popleft()
        if mixed is None:
            return frame
        return pcm_of(mixed if self._band is None else coded(mixed))

    @property
    def _gain(self) -> float:
        return self._rms / self._power**0.5 if self._frames else 0.0

    def _measure(self, samples: Samples) -> None:
        loud = np.abs(samples) >= LOUD_RMS
        if not loud.any():
            return
        sounding = samples[int(np.argmax(loud)) :]  # the first frame may be silent until the voice begins
        power = float(sounding.dot(sounding)) / len(sounding)
        if power >= LOUD_RMS**2:
            self._frames = min(self._frames + 1, _MEAN_OF)
            self._power += (power - self._power) / self._frames

    @staticmethod
    def _is_past(piece: tuple[int, Samples], until_ns: int) -> bool:
        begins_ns, samples = piece
        return begins_ns + len(samples) * 1_000_000_000 // RATE_HZ <= until_ns


class EchoingMicrophone:
    """A microphone that hears the avatar, too. It implements what rooms want of a `Microphone`; `on_sent` is told of
    each frame with an echo in it."""

    def __init__(
        self, microphone: Microphone, echo: Echo, on_sent: Callable[[int, bytes], None], *, ahead_ns: int = 0
    ) -> None:
        self._microphone, self._echo, self._on_sent, self._ahead_ns = microphone, echo, on_sent, ahead_ns

    def speak(self, frames: Sequence[bytes], *, first_voiced: int, last_voiced: int) -> None:
        self._microphone.speak(frames, first_voiced=first_voiced, last_voiced=last_voiced)

    def take(self) -> tuple[bytes | None, Marks]:
        frame, marks = self._microphone.take()
        if frame is None:
            return None, marks
        t_ns = now_ns() + self._ahead_ns
        mixed = self._echo.into(t_ns, frame)
        if mixed is not frame:
            self._on_sent(t_ns, mixed)
        return mixed, marks


class Loudspeaker:
    """A listener whose sound the microphone hears, too."""

    def __init__(self, listener: Listener, echo: Echo) -> None:
        self._listener, self._echo = listener, echo
        self.on_mark, self.on_message = listener.on_mark, listener.on_message
        self.on_closed, self.on_sent = listener.on_closed, listener.on_sent

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0, rest_ns: int = 0) -> None:
        self._echo.hear(t_ns, pcm)
        self._listener.on_audio(t_ns, pcm, lost, rest_ns)
