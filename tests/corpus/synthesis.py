"""Clips of the corpus, said by espeak-ng: the same bytes at every call, as long as the programs are the same ones.

What a clip is: speech from its first sample to its last, 24 kHz mono, its peak at -6 dBFS.
"""

import io
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Samples = npt.NDArray[np.float64]

TABLE: Final = Path(__file__).parent / "corpus.toml"
RATE_HZ: Final = 24_000
_PEAK: Final = 10 ** (-6 / 20)
_QUIET: Final = 0.01
"""Of the peak: what is below it at either end of a piece is cut off."""
_SETTLE_S: Final = 0.02
"""Of its end that is kept all the same, fading: a sound doesn't break off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A row of the table. `style` is empty for plain speech. `pause_s`: at each bar in the text."""

    language: str
    id: str
    text: str
    voice: str
    rate: int
    style: str = ""
    phonemes: str | None = None
    pause_s: float = 0.0
    as_recorded: bool = False

    @property
    def folder(self) -> Path:
        """Below the corpus."""
        return Path(self.language, self.style)

    @property
    def file(self) -> str:
        return f"{self.id}.{'wav' if self.as_recorded else 'flac'}"

    @property
    def said(self) -> str:
        """The text for people."""
        return " ".join(self.text.replace(", |", " …").replace("|", "…" if self.style == "hesitant" else "").split())


def table() -> list[Clip]:
    """All of them. Raises KeyError for a language without a voice, or a style without a rate."""
    tree = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    voices, rates = tree["voices"], tree["rates"]
    return [Clip(voice=voices[row["language"]], rate=rates[row.get("style", "plain")], **row) for row in tree["clip"]]


def spoken(clip: Clip) -> Samples:
    """From -1 to 1."""
    pieces = [_trimmed(_synthesised(clip, text.strip())) for text in (clip.phonemes or clip.text).split("|")]
    pause = np.zeros(round(clip.pause_s * RATE_HZ))
    whole = [part for piece in pieces for part in (pause, piece)][1:]
    samples = np.concatenate(whole)
    return samples * (_PEAK / np.abs(samples).max())


def flac(samples: Samples) -> bytes:
    file = io.BytesIO()
    soundfile.write(
        file, np.round(samples * 32767).astype("<i2"), RATE_HZ, format="FLAC", subtype="PCM_16", compression_level=1.0
    )
    return file.getvalue()


def version() -> str:
    """Of the program that speaks. Raises FileNotFoundError where it isn't there."""
    told = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True, timeout=10)
    return told.stdout.split(":", 1)[1].split()[0]


def _synthesised(clip: Clip, text: str) -> Samples:
    words = f"[[{text}]]" if clip.phonemes else text
    command = ["espeak-ng", "-v", clip.voice, "-s", str(clip.rate), "-b", "1", "--stdout", words]
    content = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    # It writes to a pipe, so its header doesn't know the length.
    rate_hz = int.from_bytes(content[24:28], "little")
    pcm = np.frombuffer(content[44 : 44 + (len(content) - 44) // 2 * 2], "<i2").astype(np.float64) / 32768
    return np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ, quality="VHQ"))


def _trimmed(samples: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(samples) >= _QUIET * np.abs(samples).max())
    settle = round(_SETTLE_S * RATE_HZ)
    kept = samples[loud[0] : loud[-1] + 1 + settle].copy()
    fade = min(settle, len(kept))
    kept[-fade:] *= np.linspace(1, 0, fade)
    return kept
