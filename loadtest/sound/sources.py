"""The clips of a source, whole: of files (`recordings.py`) or by a rule (`made.py`)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from loadtest.errors.exceptions import ConfigError
from loadtest.sound import wav
from loadtest.sound.made import made_clip
from loadtest.sound.manifest import Recording
from loadtest.sound.recordings import drawn, held, is_made, recordings
from loadtest.sound.speech import RATE_HZ, Clip, clip_of, mono

_MOST_TOLD: Final = 10
"""Of files that can't be used: thousands may have the same fault."""


def read_wav(path: Path) -> Clip:
    """A file with sound, mixed down to one channel and resampled to 24 kHz. Raises ConfigError with one sentence where
    it isn't one, or where nothing can be heard in it."""
    return clip_of(path.name, read_pcm(path))


def read_pcm(path: Path, *, most_s: int | None = None) -> bytes:
    """The same as raw samples, whether anything can be heard in it or not; `most_s`: so much of it at most."""
    found = wav.read(path, most_s=most_s)
    pcm, rate_hz = found.pcm, found.rate_hz
    if found.channels > 1:
        pcm = mono(pcm, found.channels)
    if rate_hz != RATE_HZ:
        import soxr  # only who brings such files pays for it

        pcm = soxr.resample(np.frombuffer(pcm, dtype="<i2"), rate_hz, RATE_HZ).astype("<i2").tobytes()
    return pcm


@cache
def corpus(source: str) -> tuple[Clip, ...]:
    """The clips of `corpus:LANGUAGE` or `corpus:LANGUAGE/STYLE`, of a file with sound, or of a folder of them, in the
    order of their files' names; or one that is made: `noise:DBFS`, loud enough to be heard or not, `hum:DBFS`, an
    "mm-hmm", `laugh:DBFS`, `cough:DBFS`.

    Raises ConfigError, with a sentence for every file that can't be used.
    """
    if is_made(source):
        return (made_clip(source),)
    found = recordings(source)
    problems: list[str] = []
    clips = dict(held(((each.path, clip), len(clip.frames)) for each, clip in _read(drawn(found), problems)))
    if problems:
        raise ConfigError(_foremost(sorted(problems), source))
    return tuple(clips[each.path] for each in found if each.path in clips)


def _read(found: Iterable[Recording], problems: list[str]) -> Iterator[tuple[Recording, Clip]]:
    """Those that can be used; what is wrong with the others goes to `problems`."""
    for each in found:
        try:
            clip = read_wav(each.path)
        except ConfigError as error:
            problems += error.problems
            continue
        yield each, replace(clip, name=each.name, text=each.text, language=each.language)


def _foremost(problems: list[str], source: str) -> list[str]:
    more = len(problems) - _MOST_TOLD
    return problems if more <= 1 else [*problems[:_MOST_TOLD], f"{source}: and {more:,} more files can't be used"]
