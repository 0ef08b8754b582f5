"""Where clips come from: the corpus, a file or a folder of one's own, or a rule (`loadtest/sound/made.py`); and what is
known of them without their sound, by processes that have no use for it, nor for NumPy."""

import math
import operator
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from loadtest.errors.exceptions import ConfigError
from loadtest.sound import wav
from loadtest.sound.decoded import SUFFIXES
from loadtest.sound.frames import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES, LOUD_POWER, RATE_HZ, longest_pause_s
from loadtest.sound.languages import nearest
from loadtest.sound.manifest import Recording, in_one_line, listed, manifest_of
from loadtest.text.mistyped import did_you_mean, nearest_word

T = TypeVar("T")
MOST_BYTES = 128 << 20
"""Of sound that a source of clips holds in each process: 46 minutes. Of a larger folder so much is spoken."""
CORPUS = Path(__file__).parent / "corpus"
_OF_CORPUS: Final = "corpus:"
MADE_S: Final[Mapping[str, float]] = {"noise": 0.3, "hum": 0.5, "laugh": 1.0, "cough": 0.48}
"""What is made by a rule, and how long it is."""


def is_made(source: str) -> bool:
    """Whether a source of clips is in no file: `noise:-60` and the like."""
    return source.partition(":")[0] in MADE_S and ":" in source


def level_of(source: str) -> float:
    """In dBFS, of a source that `is_made`. Raises ConfigError for a level that there isn't."""
    kind, _, level = source.partition(":")
    try:
        level_dbfs = float(level)
    except ValueError:
        level_dbfs = 1.0
    if not -90 <= level_dbfs <= 0:
        raise ConfigError(f"{source}: {kind}:<dBFS> from -90 to 0 is needed")
    return level_dbfs


def is_ours(source: str) -> bool:
    """Whether it comes with avaload: nothing is wrong with the sound of that."""
    return is_made(source) or source.startswith(_OF_CORPUS)


def held(sized: Iterable[tuple[T, int]]) -> Iterator[T]:
    """Of things, each with its number of frames, as many in their order as a process has room for, and at least one."""
    left = MOST_BYTES // FRAME_BYTES
    for number, (each, frames) in enumerate(sized):
        left -= frames
        if left < 0 and number:
            return
        yield each


def drawn(found: Sequence[Recording]) -> list[Recording]:
    """In the order in which they are taken, until there is enough of them: not the first ones by name, of which all may
    be of one speaker; the same in every process."""
    return random.Random(len(found)).sample(found, len(found))


@cache
def lengths_s(source: str) -> tuple[float, ...]:
    """Of the clips of a source that are spoken, in whole frames. Raises ConfigError where one of them can't be read."""
    if is_made(source):
        level_of(source)
        return (MADE_S[source.partition(":")[0]],)
    frames = (
        math.ceil(round(wav.read(each.path).seconds * RATE_HZ) / FRAME_SAMPLES) for each in drawn(recordings(source))
    )
    return tuple(each * FRAME_MS / 1000 for each in held((each, each) for each in frames))


@cache
def pauses_s(source: str) -> Mapping[str, float]:
    """Of clips of ours, by name, the longest stretch inside without a loud frame; with a whole folder of a user's it
    would take too long. Raises ConfigError where there is no such source."""
    if is_made(source):
        level_of(source)
        return {}
    return {each.name: longest_pause_s(_loud_frames(wav.read(each.path).pcm)) for each in recordings(source)}


def _loud_frames(pcm: bytes) -> list[int]:
    samples = memoryview(pcm).cast("h")
    frames = (samples[at : at + FRAME_SAMPLES] for at in range(0, len(samples), FRAME_SAMPLES))
    most = LOUD_POWER * FRAME_SAMPLES
    return [number for number, frame in enumerate(frames) if sum(map(operator.mul, frame, frame)) >= most]


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
    meant = nearest_word(style, styles(language))
    return f" (did you mean {_OF_CORPUS}{language}/{meant}?)" if meant else ""


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
