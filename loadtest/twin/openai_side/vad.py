"""Turn detection on the energy of the sound itself, in audio time (PROTOCOL.md 2.4)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.twin.pcm import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENT_FRAME, rms

_RMS_PER_THRESHOLD = 400.0
"""The default threshold of 0.5 is an RMS of 200."""
_FRAMES_TO_START = 2
_SEMANTIC_SILENCE_MS = {"low": 800, "medium": 500, "auto": 500, "high": 300}


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

    def __init__(self, turn_detection: Mapping[str, Any] | None) -> None:
        self.position_ms = 0
        """Audio heard so far; whole frames only."""
        self.speaking = False
        self._rest = b""
        self._voiced_run = 0
        self._silent_ms = 0
        self.configure(turn_detection)

    def configure(self, turn_detection: Mapping[str, Any] | None) -> None:
        """Take over changed settings; None switches detection off."""
        self._enabled = turn_detection is not None
        settings = turn_detection or {}
        self._voiced_rms = _RMS_PER_THRESHOLD * settings.get("threshold", 0.5)
        self._prefix_ms = settings.get("prefix_padding_ms", 300)
        semantic_ms = _SEMANTIC_SILENCE_MS[settings.get("eagerness", "auto")]
        self._silence_ms = settings.get("silence_duration_ms", semantic_ms)
        if not self._enabled:
            self.speaking = False
            self._voiced_run = 0

    def hear(self, pcm: bytes) -> Iterator[SpeechStarted | SpeechStopped]:
        """Take in more sound; yields what it reveals, in order. Iterate to the end, or sound is lost."""
        if self._rest or len(pcm) != FRAME_BYTES:
            pcm = self._rest + pcm
            whole = len(pcm) - len(pcm) % FRAME_BYTES
            self._rest = pcm[whole:]
            for start in range(0, whole, FRAME_BYTES):
                yield from self._frame(pcm[start : start + FRAME_BYTES])
        else:
            yield from self._frame(pcm)

    def forget_rest(self) -> None:
        """Drop the unfinished frame (the buffer was cleared or committed)."""
        self._rest = b""

    @property
    def rest_ms(self) -> float:
        """Length of the unfinished frame."""
        return len(self._rest) / BYTES_PER_MS

    def _frame(self, frame: bytes) -> Iterator[SpeechStarted | SpeechStopped]:
        self.position_ms += FRAME_MS
        if not self._enabled:
            return
        if frame != SILENT_FRAME and rms(frame) >= self._voiced_rms:
            self._voiced_run += 1
            self._silent_ms = 0
            if not self.speaking and self._voiced_run >= _FRAMES_TO_START:
                self.speaking = True
                onset_ms = self.position_ms - self._voiced_run * FRAME_MS
                yield SpeechStarted(max(0, onset_ms - self._prefix_ms))
        else:
            self._voiced_run = 0
            self._silent_ms += FRAME_MS
            if self.speaking and self._silent_ms >= self._silence_ms:
                self.speaking = False
                yield SpeechStopped(self.position_ms)
