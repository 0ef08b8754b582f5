"""Both sides of a turn as WAV files, kept for turns that failed (`--keep-audio failed`).

What was said is a person's or a test's own speech: nothing is kept unless the operator asked for it.
"""

import io
import wave
from collections.abc import Callable
from pathlib import Path

from loadtest.sound.speech import FRAME_NS, RATE_HZ, Clip
from loadtest.system import disk

MAX_TURN_NS = 120 * 1_000_000_000
"""Of a turn that goes on for ever, the beginning is kept."""
_MAX_BYTES = MAX_TURN_NS // 1_000_000_000 * RATE_HZ * 2
"""The same, where more sound comes than there is time."""

KeepAudio = Callable[[str, int, bytes, bytes], None]
"""(session, turn, the user's PCM, the avatar's PCM), both from the same instant on."""


class Tape:
    """Records one turn at a time, in references to frames that exist anyway."""

    def __init__(self) -> None:
        self._began_ns = 0
        self._heard: list[tuple[int, bytes]] = []
        self._bytes = 0
        self._said: tuple[int, Clip] | None = None
        self._sent: list[tuple[int, bytes]] = []

    def begin(self, t_ns: int) -> None:
        """A new turn: forget the last one."""
        self._began_ns, self._heard, self._sent, self._said, self._bytes = t_ns, [], [], None, 0

    def heard(self, t_ns: int, pcm: bytes) -> None:
        """A stretch of the avatar's audio arrived. What came before the turn may be told in it, by a slow line."""
        if 0 <= t_ns - self._began_ns < MAX_TURN_NS and self._bytes < _MAX_BYTES:
            self._bytes += len(pcm)
            self._heard.append((t_ns, pcm))

    def said(self, first_voiced_ns: int, clip: Clip) -> None:
        """The clip's first voiced frame left at that time."""
        self._said = (first_voiced_ns - clip.first_voiced * FRAME_NS, clip)

    def sent(self, t_ns: int, pcm: bytes) -> None:
        """A frame left at that time that holds more than the clip."""
        if t_ns - self._began_ns < MAX_TURN_NS:
            self._sent.append((t_ns, pcm))

    def tracks(self) -> tuple[bytes, bytes]:
        """(user, avatar) as PCM from the turn's beginning; what did not arrive is silence."""
        user = [] if self._said is None else [(self._said[0], b"".join(self._said[1].frames))]
        track = bytearray(self._laid_out(user))
        for t_ns, pcm in self._sent:  # what was sent in the place of the clip's own frame, or of silence
            at = max(0, t_ns - self._began_ns) * RATE_HZ // 1_000_000_000 * 2
            track += bytes(max(0, at + len(pcm) - len(track)))
            track[at : at + len(pcm)] = pcm
        return bytes(track), self._laid_out(self._heard)

    def _laid_out(self, pieces: list[tuple[int, bytes]]) -> bytes:
        track = bytearray()
        for t_ns, pcm in pieces:
            at = max(0, t_ns - self._began_ns) * RATE_HZ // 1_000_000_000 * 2
            # Frames jitter by some ms: only a hole as long as a frame is one.
            if at - len(track) >= FRAME_NS * RATE_HZ // 1_000_000_000 * 2:
                track += bytes(at - len(track))
            track += pcm
        return bytes(track)


def write_wavs(folder: Path, session: str, turn: int, user: bytes, avatar: bytes) -> None:
    """`<session>-<turn>-user.wav` and `-avatar.wav`, 24 kHz mono 16 bit. Raises OSError."""
    disk.make_folder(folder)
    for side, pcm in (("user", user), ("avatar", avatar)):
        whole = io.BytesIO()
        with wave.open(whole, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(pcm)
        disk.replace(folder / f"{session}-{turn}-{side}.wav", whole.getvalue())
