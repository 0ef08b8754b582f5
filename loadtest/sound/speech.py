"""What a virtual user speaks: clips, of the corpus or his own, and when a stretch of sound is loud.

All audio is 24 kHz mono PCM16LE in frames of 20 ms (docs/contract.md#sound). A frame is *loud* when its RMS is
at least 200 of 32768 (about -44 dBFS): the same figure says what the user's last voiced frame is and when
the avatar is heard.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loadtest.language.errors import ConfigError
from loadtest.language.mistyped import did_you_mean
from loadtest.sound import wav
from loadtest.sound.decoded import SUFFIXES

RATE_HZ = 24_000
FRAME_MS = 20
FRAME_NS = FRAME_MS * 1_000_000
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * 2
SILENCE = bytes(FRAME_BYTES)
LOUD_RMS = 200.0
NOISE_FRAMES = 15
MOST_BYTES = 128 << 20
"""Of sound that a source of clips holds in each process: 46 minutes. Of a larger folder so much is spoken."""
_MADE = ("noise:", "hum:")
"""Sources of clips that are in no file."""

Samples = npt.NDArray[np.float32]

CORPUS = Path(__file__).parent / "corpus"
LOUD_POWER = LOUD_RMS * LOUD_RMS
FULL_POWER = (32768 * 10 ** (-9 / 20)) ** 2
"""Quieter stretches aren't looked at for clipping: speech that is clipped is louder than -9 dBFS."""
_RAIL_SHARE = 0.02
_PCM, _FLOAT = np.dtype("<i2"), np.dtype(np.float32)
"""Made once: to read them from their names is a third of the price of a loud frame."""


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
    frame.
    """

    name: str
    frames: tuple[bytes, ...]
    first_voiced: int
    last_voiced: int
    longest_pause_s: float

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
    pauses = [after - before - 1 for before, after in pairwise(voiced)]
    return Clip(
        name=name,
        frames=frames,
        first_voiced=voiced[0],
        last_voiced=voiced[-1],
        longest_pause_s=max(pauses, default=0) * FRAME_MS / 1000,
    )


def read_wav(path: Path) -> Clip:
    """A file with sound, mixed down to one channel and resampled to 24 kHz. Raises ConfigError with one sentence where
    it isn't one, or where nothing can be heard in it."""
    found = wav.read(path)
    pcm, rate_hz = found.pcm, found.rate_hz
    if found.channels > 1:
        pcm = np.frombuffer(pcm, dtype="<i2").reshape(-1, found.channels).mean(axis=1).astype("<i2").tobytes()
    if rate_hz != RATE_HZ:
        import soxr  # only who brings such files pays for it

        pcm = soxr.resample(np.frombuffer(pcm, dtype="<i2"), rate_hz, RATE_HZ).astype("<i2").tobytes()
    return clip_of(path.name, pcm)


@cache
def corpus(source: str) -> tuple[Clip, ...]:
    """The clips of `corpus:<language>`, of a file with sound, or of a folder of them, in the order of their names; or
    `noise:<dBFS>`, a third of a second of noise, loud enough to be heard or not; or `hum:<dBFS>`, an "mm-hmm".

    Raises ConfigError, with a sentence for every file that can't be used.
    """
    if source.startswith(_MADE):
        return (_made_clip(source),)
    files = wav_files(source)
    # Not the first ones by name, of which all may be of one speaker; the same in every process.
    drawn = random.Random(len(files)).sample(files, len(files))
    clips: dict[Path, Clip] = {}
    problems, left_bytes = [], MOST_BYTES
    for file in drawn:
        try:
            clip = read_wav(file)
        except ConfigError as error:
            problems += error.problems
            continue
        left_bytes -= len(clip.frames) * FRAME_BYTES
        if left_bytes < 0 and clips:
            break
        clips[file] = clip
    if problems:
        raise ConfigError(sorted(problems))
    return tuple(clips[file] for file in files if file in clips)


def wav_files(source: str) -> list[Path]:
    """The files that a source of clips names; none for one that is made. Raises ConfigError where there should be
    one."""
    if source.startswith(_MADE):
        return []
    path = CORPUS / source.removeprefix("corpus:") if source.startswith("corpus:") else Path(source)
    files = [path] if path.is_file() else sorted(each for each in _inside(path) if each.suffix.lower() in SUFFIXES)
    if not files:
        raise ConfigError(f"{source}: {_why_none(source, path)}")
    return files


def _inside(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []


def _why_none(source: str, path: Path) -> str:
    if source.startswith("corpus:"):
        known = [f"corpus:{folder.name}" for folder in sorted(CORPUS.iterdir()) if folder.is_dir()]
        return f"no such corpus; there is {', '.join(known)}"
    if path.is_dir():
        other = next((file for file in sorted(path.iterdir()) if file.is_file()), None)
        return "no file with sound in this folder" + (f", but {other.name}" if other else "; it is empty")
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"no WAV file or folder of WAV files there{did_you_mean(path.name, beside)}"


def noise(level_dbfs: float, samples: int) -> Samples:
    """White noise with that RMS; the same at every call."""
    return np.random.default_rng(1).normal(0.0, 32768 * 10 ** (level_dbfs / 20), samples).astype(np.float32)


def mm_hmm(level_dbfs: float) -> Samples:
    """ "Mm-hmm", half a second of it with that RMS: two notes of a voice through a closed mouth, the second rising."""
    at_s = np.arange(25 * FRAME_SAMPLES) / RATE_HZ
    pitch_hz = np.interp(at_s, [0.0, 0.2, 0.25, 0.5], [120.0, 108.0, 112.0, 150.0])
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    voice = sum(np.sin(number * phase) / number**1.5 for number in range(1, 13))
    voice = voice * np.interp(at_s, [0.0, 0.04, 0.17, 0.22, 0.28, 0.44, 0.5], [0.1, 1.0, 0.8, 0.15, 1.0, 0.9, 0.1])
    level = 32768 * 10 ** (level_dbfs / 20)
    sound: Samples = (voice * level / np.sqrt(np.mean(voice**2))).astype(np.float32)
    return sound


def _made_clip(source: str) -> Clip:
    kind, _, level = source.partition(":")
    try:
        level_dbfs = float(level)
    except ValueError:
        level_dbfs = 1.0
    if not -90 <= level_dbfs <= 0:
        raise ConfigError(f"{source}: {kind}:<dBFS> from -90 to 0 is needed")
    pcm = pcm_of(mm_hmm(level_dbfs) if kind == "hum" else noise(level_dbfs, NOISE_FRAMES * FRAME_SAMPLES))
    frames = tuple(pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
    return Clip(name=source, frames=frames, first_voiced=0, last_voiced=len(frames) - 1, longest_pause_s=0.0)


def pcm_of(samples: Samples) -> bytes:
    """16-bit PCM of samples from -32768 to 32767; what is louder is clipped."""
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()
