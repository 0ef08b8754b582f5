"""Turn detection on the energy of the sound itself, in audio time (docs/contract.md#a-voice-turn)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.twin.pcm import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENT_FRAME, rms

_DEFAULT_RMS, _DEFAULT_THRESHOLD = 200.0, 0.5
_DECADES_PER_THRESHOLD = 2.0
"""A threshold of 0.5 is an RMS of 200, and each 0.1 more asks for 4 dB more: 0.9 is -28 dBFS. Assumed; the service's is
a probability of speech, and nobody has published what loudness does to it."""
_ABOVE_FLOOR = {"near_field": 2.0, "far_field": 4.0}
"""With noise reduction, voice is so many times louder than the steady noise under it. Assumed."""
_FLOOR_RISES = 1.03
"""By so much a frame, the floor rises to a noise that goes on: about 4 s until it has it."""
_FRAMES_TO_START = 2
_SEMANTIC_SILENCE_MS = {"low": 1500, "medium": 800, "auto": 800, "high": 400}
"""After an utterance that sounds finished, by eagerness. Assumed."""
_SEMANTIC_CAP_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
_SOUNDS_UNFINISHED_MS = 500
"""The twin understands no words: a shorter utterance is its "uhm", after which semantic_vad waits in full."""
_NOTHING: tuple[()] = ()


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak, at this offset in all audio ever appended, prefix padding already taken off."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user has been silent long enough; the offset includes that silence."""

    audio_end_ms: int


class Vad:
    """Finds speech in a stream of PCM of any chunk size: starts after 2 voiced frames, stops after enough silence."""

    def __init__(
        self, turn_detection: Mapping[str, Any] | None, noise_reduction: Mapping[str, Any] | None = None
    ) -> None:
        self.position_ms = 0
        """Audio heard so far; whole frames only."""
        self.speaking = False
        self.started_ms = 0
        """Where the utterance that is, or was last, heard begins; prefix padding included."""
        self.voiced_ms = 0
        """How much of it is voice."""
        self._rest = b""
        self._voiced_run = 0
        self._silent_ms = 0
        self._floor_rms = 1.0
        self.configure(turn_detection, noise_reduction)

    def configure(
        self, turn_detection: Mapping[str, Any] | None, noise_reduction: Mapping[str, Any] | None = None
    ) -> None:
        """Take over changed settings; None switches detection off, or the reduction of noise."""
        self._enabled = turn_detection is not None
        settings = turn_detection or {}
        over = settings.get("threshold", _DEFAULT_THRESHOLD) - _DEFAULT_THRESHOLD
        self._voiced_rms: float = _DEFAULT_RMS * 10 ** (_DECADES_PER_THRESHOLD * over)
        self._above_floor: float | None = None if noise_reduction is None else _ABOVE_FLOOR[noise_reduction["type"]]
        self._prefix_ms = settings.get("prefix_padding_ms", 300)
        eagerness = settings.get("eagerness", "auto")
        self._silence_ms = settings.get("silence_duration_ms", _SEMANTIC_SILENCE_MS[eagerness])
        self._unfinished_ms = settings.get("silence_duration_ms", _SEMANTIC_CAP_MS[eagerness])
        if not self._enabled:
            self.forget_speech()

    def hear(self, pcm: bytes) -> Iterable[SpeechStarted | SpeechStopped]:
        """Take in more sound; gives what it reveals, in order. Iterate to the end, or sound is lost."""
        if not self._rest and len(pcm) == FRAME_BYTES:
            found = self._frame(pcm)
            return _NOTHING if found is None else (found,)
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        self._rest = pcm[whole:]
        # One by one: while what a frame reveals is dealt with, the next has not been heard.
        frames = (self._frame(pcm[start : start + FRAME_BYTES]) for start in range(0, whole, FRAME_BYTES))
        return (found for found in frames if found is not None)

    def forget_rest(self) -> None:
        """Drop the unfinished frame (the buffer was cleared or committed)."""
        self._rest = b""

    def forget_speech(self) -> None:
        """What is being said belongs to no turn any more; if it goes on, it starts anew."""
        self.speaking = False
        self._voiced_run = 0

    @property
    def rest_ms(self) -> float:
        """Length of the unfinished frame."""
        return len(self._rest) / BYTES_PER_MS

    def _frame(self, frame: bytes) -> SpeechStarted | SpeechStopped | None:
        self.position_ms += FRAME_MS
        if not self._enabled:
            return None
        if frame != SILENT_FRAME and self._is_voiced(rms(frame)):
            self._voiced_run += 1
            self._silent_ms = 0
            if self.speaking:
                self.voiced_ms += FRAME_MS
            elif self._voiced_run >= _FRAMES_TO_START:
                self.speaking = True
                self.voiced_ms = self._voiced_run * FRAME_MS
                self.started_ms = max(0, self.position_ms - self.voiced_ms - self._prefix_ms)
                return SpeechStarted(self.started_ms)
        else:
            self._voiced_run = 0
            self._silent_ms += FRAME_MS
            if self.speaking and self._silent_ms >= self._patience_ms:
                self.speaking = False
                return SpeechStopped(self.position_ms)
        return None

    def _is_voiced(self, loudness: float) -> bool:
        if self._above_floor is None:
            return loudness >= self._voiced_rms
        # Speech has moments that are nearly silent, and noise has none: the quietest of late is the noise.
        self._floor_rms = max(1.0, min(loudness, self._floor_rms * _FLOOR_RISES))
        return loudness >= max(self._voiced_rms, self._floor_rms * self._above_floor)

    @property
    def _patience_ms(self) -> float:
        is_short = self.voiced_ms < _SOUNDS_UNFINISHED_MS
        patience: float = self._unfinished_ms if is_short else self._silence_ms
        return patience
