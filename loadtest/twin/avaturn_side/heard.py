"""What really came from a user's microphone: how loud it was, and what of it came back of the avatar's own voice."""

import math

import numpy as np

from loadtest.twin.pcm import SAMPLE_RATE_HZ, VOICED_RMS, rms

_BACK_NS = 200_000_000
"""An echo may still be heard when the avatar has been silent for so long."""
_RUN = 3
"""Of so many loud frames in a row the middle one is counted: at its edges a sound fills a part of a frame."""


class Heard:
    """Of one session. Levels are dBFS: the RMS of loud frames against 32768; None: there were none."""

    __slots__ = ("_before", "_counts", "_last_ns", "_powers", "_run", "gap_ns", "lost", "onset_ns")

    def __init__(self) -> None:
        self._powers, self._counts = [0.0, 0.0], [0, 0]  # while the avatar was silent, and while it could be heard
        self._before, self._run = 0.0, 0
        self.lost: int | None = None
        """Packets that never came, by their numbers; None: they have none."""
        self._last_ns = self.gap_ns = 0
        self.onset_ns = 0
        """Where the loud stretch began that is, or was last, heard: to the sample."""

    def frame(self, t_ns: int) -> None:
        """Any came."""
        if self._last_ns and t_ns - self._last_ns > self.gap_ns:
            self.gap_ns = t_ns - self._last_ns
        self._last_ns = t_ns

    def loud(self, t_ns: int, pcm: bytes, *, audible_ns: int) -> None:
        """A frame of at least VOICED_RMS came; the avatar was audible last at `audible_ns`."""
        if self._run == 0:
            samples = np.abs(np.frombuffer(pcm, dtype="<i2").astype(np.int32))
            self.onset_ns = t_ns + int(np.argmax(samples >= VOICED_RMS)) * 1_000_000_000 // SAMPLE_RATE_HZ
        power = rms(pcm) ** 2
        self._run += 1
        if self._run >= _RUN:
            over = t_ns - audible_ns < _BACK_NS
            self._powers[over] += self._before
            self._counts[over] += 1
        self._before = power

    def quiet(self) -> None:
        """A frame came that is not loud."""
        self._run = 0

    def record(self) -> dict[str, float | int | None]:
        """As JSON has it."""
        alone, over = (
            round(10 * math.log10(power / count / 32768**2), 2) if count else None
            for power, count in zip(self._powers, self._counts, strict=True)
        )
        levels = {"alone_dbfs": alone, "over_avatar_dbfs": over}
        return {**levels, "packets_lost": self.lost, "gap_max_ns": self.gap_ns or None}
