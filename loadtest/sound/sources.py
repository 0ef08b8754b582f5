"""Where clips come from: the corpus, a file or a folder of one's own, or a rule (`loadtest/sound/made.py`)."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from loadtest.language.errors import ConfigError
from loadtest.language.mistyped import did_you_mean
from loadtest.sound import wav
from loadtest.sound.decoded import SUFFIXES
from loadtest.sound.languages import nearest
from loadtest.sound.made import is_made, made_clip
from loadtest.sound.manifest import Recording, in_one_line, listed, manifest_of
from loadtest.sound.speech import FRAME_BYTES, RATE_HZ, Clip, clip_of

MOST_BYTES = 128 << 20
"""Of sound that a source of clips holds in each process: 46 minutes. Of a larger folder so much is spoken."""
CORPUS = Path(__file__).parent / "corpus"
_OF_CORPUS: Final = "corpus:"
_MOST_TOLD: Final = 10
"""Of files that can't be used: thousands may have the same fault."""


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
    """The clips of `corpus:LANGUAGE` or `corpus:LANGUAGE/STYLE`, of a file with sound, or of a folder of them, in the
    order of their files' names; or one that is made: `noise:DBFS`, loud enough to be heard or not, `hum:DBFS`, an
    "mm-hmm", `laugh:DBFS`, `cough:DBFS`.

    Raises ConfigError, with a sentence for every file that can't be used.
    """
    if is_made(source):
        return (made_clip(source),)
    found = recordings(source)
    # Not the first ones by name, of which all may be of one speaker; the same in every process.
    drawn = random.Random(len(found)).sample(found, len(found))
    clips: dict[Path, Clip] = {}
    problems, left_bytes = [], MOST_BYTES
    for each in drawn:
        try:
            clip = read_wav(each.path)
        except ConfigError as error:
            problems += error.problems
            continue
        left_bytes -= len(clip.frames) * FRAME_BYTES
        if left_bytes < 0 and clips:
            break
        clips[each.path] = replace(clip, name=each.name, text=each.text, language=each.language)
    if problems:
        raise ConfigError(_foremost(sorted(problems), source))
    return tuple(clips[each.path] for each in found if each.path in clips)


def recordings(source: str) -> list[Recording]:
    """The files that a source of clips names, by their names; none for one that is made. Of a folder with a manifest
    they are those that it names. Raises ConfigError where there should be one."""
    if is_made(source):
        return []
    path = _of_corpus(source) if source.startswith(_OF_CORPUS) else Path(source)
    if path.is_file():
        return [Recording(path=path, name=in_one_line(path.name))]
    if path.is_dir() and (manifest := manifest_of(path)) is not None:
        return listed(manifest)
    if not (files := sounding(path)):
        raise ConfigError(f"{source}: {_why_none(path)}")
    return [Recording(path=file, name=in_one_line(file.name)) for file in files]


def sounding(folder: Path) -> list[Path]:
    """The files of a folder that may hold sound, by their names; what begins with a dot is nobody's recording."""
    return sorted(
        each
        for each in _inside(folder)
        if each.suffix.lower() in SUFFIXES and not each.name.startswith(".") and not each.is_dir()
    )


def unlisted(source: str) -> list[Path]:
    """The files of a folder that may hold sound, and which its manifest doesn't name; none where it has none."""
    folder = Path(source)
    if is_made(source) or source.startswith(_OF_CORPUS) or not folder.is_dir() or manifest_of(folder) is None:
        return []
    named = {each.path.resolve() for each in recordings(source)}
    return [file for file in sounding(folder) if file.resolve() not in named]


def styles(language: str) -> list[str]:
    """How the corpus has that language said besides: quick, slow and so on."""
    return sorted(each.name for each in _inside(CORPUS / language) if each.is_dir())


def _of_corpus(source: str) -> Path:
    """Raises ConfigError for a language or a style that there isn't, with the nearest one that there is."""
    language, _, style = source.removeprefix(_OF_CORPUS).partition("/")
    known = sorted(each.name for each in CORPUS.iterdir() if each.is_dir())
    if language not in known:
        meant = nearest(language)
        there_is = ", ".join(f"{_OF_CORPUS}{each}" for each in known)
        rest = f"/{style}" if meant and style in styles(meant) else ""
        hint = f" (did you mean {_OF_CORPUS}{meant}{rest}?)" if meant in known else ""
        raise ConfigError(f"{source}: no such corpus; there is {there_is}{hint}")
    if style and style not in styles(language):
        there_is = ", ".join(f"{_OF_CORPUS}{language}/{each}" for each in styles(language))
        raise ConfigError(f"{source}: no such style; there is {there_is}{_style_meant(language, style)}")
    return CORPUS / language / style


def _style_meant(language: str, style: str) -> str:
    hint = did_you_mean(style, styles(language))
    return hint.replace("did you mean ", f"did you mean {_OF_CORPUS}{language}/")


def _inside(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []


def _why_none(path: Path) -> str:
    if path.is_dir():
        inside = sorted(_inside(path))
        if below := next((each for each in inside if each.is_dir() and sounding(each)), None):
            return f"no file with sound in this folder itself, but in {below.name}: name that one, or write a manifest"
        other = next((file for file in inside if file.is_file()), None)
        return "no file with sound in this folder" + (
            f", but {other.name}" if other else "" if inside else "; it is empty"
        )
    beside = [file.name for file in _inside(path.parent)]
    return f"no WAV file or folder of WAV files there{did_you_mean(path.name, beside)}"


def _foremost(problems: list[str], source: str) -> list[str]:
    more = len(problems) - _MOST_TOLD
    return problems if more <= 1 else [*problems[:_MOST_TOLD], f"{source}: and {more:,} more files can't be used"]
