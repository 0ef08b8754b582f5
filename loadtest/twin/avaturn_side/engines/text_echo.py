"""The engine `text-echo`: says the texts of `/tasks`, as tones.

Source: docs/contract.md#avaturns-public-api, #creating-a-session.
"""

import zlib

from loadtest.twin.avaturn_side.engines.engine import Stage
from loadtest.twin.pcm import FRAME_MS, tone

_MS_PER_CHARACTER = 60
_LOWEST_HZ, _STEPS, _STEP_HZ = 250, 16, 50


class TextEcho:
    """It hears nothing and remembers nothing: a text is sound at once, and the session's queue does the rest."""

    def __init__(self, stage: Stage, *, voice: str) -> None:
        self._stage = stage
        self._voice = voice
        self._is_open = False

    async def open(self) -> None:
        """There is nothing to connect to."""
        self._is_open = True
        self._stage.upstream_ready()

    def append(self, pcm: bytes) -> None:
        """It doesn't listen."""

    def task(self, task_id: str, text: str) -> None:
        """Say it; an empty text is a phrase that nobody hears."""
        if self._is_open and text:
            self._stage.upstream_sound(task_id, spoken(text, voice=self._voice))
            self._stage.upstream_complete(task_id)

    def cancel_tasks(self) -> None:
        """All of its texts are in the session's queue already."""

    def change_voice(self, voice: str) -> None:
        """From the next text on."""
        self._voice = voice

    def message(self, data: object) -> None:
        """Not for this engine."""

    def leave(self) -> None:
        """Nothing is open."""
        self._is_open = False


def spoken(text: str, *, voice: str) -> bytes:
    """A tone that lasts 60 ms for each character, in whole frames; each voice has a pitch of 250 to 1000 Hz."""
    duration_ms = -(-len(text) * _MS_PER_CHARACTER // FRAME_MS) * FRAME_MS
    pitch_hz = _LOWEST_HZ + zlib.crc32(voice.encode(errors="replace")) % _STEPS * _STEP_HZ
    return tone(duration_ms=duration_ms, frequency_hz=pitch_hz)
