"""What a virtual user speaks: a clip cut into frames, and when a stretch of sound is loud.

All audio is 24 kHz mono PCM16LE in frames of 20 ms (docs/contract.md#sound). A frame is *loud* when its RMS is
at least 200 of 32768 (about -44 dBFS): the same figure says what the user's last voiced frame is and when
the avatar is heard.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.errors.exceptions import ConfigError
from loadtest.sound.frames import FRAME_BYTES as FRAME_BYTES
from loadtest.sound.frames import FRAME_MS as FRAME_MS
from loadtest.sound.frames import FRAME_NS as FRAME_NS
from loadtest.sound.frames import FRAME_SAMPLES as FRAME_SAMPLES
from loadtest.sound.frames import LOUD_POWER as LOUD_POWER
from loadtest.sound.frames import LOUD_RMS as LOUD_RMS
from loadtest.sound.frames import RATE_HZ as RATE_HZ
from loadtest.sound.frames import longest_pause_s, splitting_pauses

SILENCE = bytes(FRAME_BYTES)

Samples = npt.NDArray[np.float32]

FULL_POWER = (32768 * 10 ** (-9 / 20)) ** 2
"""Quieter stretches aren't looked at for clipping: speech that is clipped is louder than -9 dBFS."""
_RAIL_SHARE = 0.02
_BLOCK = 1 << 16
_PCM, _FLOAT = np.dtype("<i2"), np.dtype(np.float32)
"""Made once: to read them from their names is a third of the price of a loud frame."""


def mono(pcm: bytes, channels: int) -> bytes:
    """The mean of channels that come in turn."""
    whole = len(pcm) // (2 * channels)
    samples = np.frombuffer(pcm, _PCM, whole * channels).reshape(whole, channels)
    mixed = np.empty(whole, _PCM)
    for at in range(0, whole, _BLOCK):  # the mean of all of them at once would be of 64 bits each
        mixed[at : at + _BLOCK] = samples[at : at + _BLOCK].mean(axis=1)
    return mixed.tobytes()


def length_ns(pcm: bytes) -> int:
    """How long a stretch of PCM sounds. A frame, the usual case, costs a comparison."""
    return FRAME_NS if len(pcm) == FRAME_BYTES else len(pcm) // 2 * 1_000_000_000 // RATE_HZ


def last_frame_ns(t_ns: int, pcm: bytes) -> int:
    """When the last frame of a stretch would have come that arrived at `t_ns`, had it been sent frame by frame."""
    return t_ns + max(0, length_ns(pcm) - FRAME_NS)


def is_loud(pcm: bytes) -> bool:
    """Whether a stretch of PCM is loud. Digital silence, the usual case, costs a comparison."""
    return power(pcm) >= LOUD_POWER


def power(pcm: bytes) -> float:
    """Mean square of the samples."""
    if not pcm or pcm == SILENCE:
        return 0.0
    samples = np.frombuffer(pcm, _PCM).astype(_FLOAT)
    return float(samples.dot(samples)) / len(samples)


def is_clipped(pcm: bytes) -> bool:
    """Whether more of its samples lie at the rails than of any sound that fits between them."""
    samples = np.frombuffer(pcm, _PCM)
    return int(np.count_nonzero((samples == 32767) | (samples == -32768))) > _RAIL_SHARE * len(samples)


def first_loud_ns(pcm: bytes) -> int:
    """Where in a loud frame the sound begins, ns from its start: the first sample at the loudness threshold."""
    samples = np.abs(np.frombuffer(pcm, dtype="<i2").astype(np.int32))
    return int(np.argmax(samples >= LOUD_RMS)) * 1_000_000_000 // RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """An utterance cut into frames; the last one is padded with silence.

    `first_voiced` and `last_voiced` are frame indices; `longest_pause_s` is the longest inner stretch without a loud
    frame, and `pauses` how many of them may be taken for its end. `text`: what is said, and `language`: in which (a tag
    like de or pt-BR); None: nobody has told.
    """

    name: str
    frames: tuple[bytes, ...]
    first_voiced: int
    last_voiced: int
    longest_pause_s: float
    pauses: int = 0
    text: str | None = None
    language: str | None = None

    @property
    def duration_s(self) -> float:
        return len(self.frames) * FRAME_MS / 1000


Clips = Mapping[str, tuple[Clip, ...]]
"""By source, as the scenario writes it."""


def clip_of(name: str, pcm: bytes) -> Clip:
    """A clip of raw PCM. Raises ConfigError where nothing in it is loud."""
    cut = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    frames = tuple(frame.ljust(FRAME_BYTES, b"\0") for frame in cut)
    voiced = [index for index, frame in enumerate(frames) if is_loud(frame)]
    if not voiced:
        raise ConfigError(f"{name}: no speech in it (nothing above -44 dBFS)")
    return Clip(
        name=name,
        frames=frames,
        first_voiced=voiced[0],
        last_voiced=voiced[-1],
        longest_pause_s=longest_pause_s(voiced),
        pauses=splitting_pauses(voiced),
    )


def pcm_of(samples: Samples) -> bytes:
    """16-bit PCM of samples from -32768 to 32767; what is louder is clipped."""
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()
