"""WAV files as people have them; what isn't one of 16-bit samples goes to libsndfile.

Python 3.11's own reader knows neither WAVE_FORMAT_EXTENSIBLE nor RF64, and takes a file that was cut off for whole
samples.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.errors.exceptions import ConfigError
from loadtest.sound.decoded import decoded, most_samples, too_long
from loadtest.sound.kinds import advice, format_of, is_audible, kind_of
from loadtest.system import disk

LARGEST: Final = 200 << 20
"""Bytes of a file: an hour of speech."""
_RATES_HZ: Final = range(2_000, 400_001)
"""By another one, a few bytes would be hours of sound, or a whole file a click."""
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBFORMAT: Final = bytes.fromhex("00001000800000aa00389b71")
"""What follows the tag of a sub-format, in its GUID."""
_FMT_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav:
    """16-bit samples, little-endian, channels in turn; whole ones only."""

    rate_hz: int
    channels: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / (2 * self.channels * self.rate_hz)


def read(path: Path, *, most_s: int | None = None) -> Wav:
    """`most_s`: so much of it at most. Raises ConfigError with one sentence where there is no sound in it that can be
    read, or too much."""
    found = _read(path, most_s)
    if found.rate_hz not in _RATES_HZ:
        said = f"{path}: a rate of {found.rate_hz:,} Hz, at which nobody records speech"
        raise ConfigError(f"{said}; its header may be damaged")
    if len(found.pcm) // (2 * found.channels) > most_samples(found.rate_hz):
        raise ConfigError(f"{path}: {too_long(found.rate_hz)}")
    return found


def _read(path: Path, most_s: int | None) -> Wav:
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: more than {LARGEST >> 20} MiB: a clip is what somebody says in one go")
        content = disk.read_named(path)
    except OSError as error:
        raise ConfigError(f"{path}: not a readable WAV file ({error.strerror})") from error
    if content[:4] not in (b"RIFF", b"RF64") or content[8:12] != b"WAVE":
        kind = kind_of(content)
        if is_audible(kind) and (found := _decoded(path, content, most_s)) is not None:
            return found
        raise ConfigError(f"{path}: not a readable WAV file, but {kind}{advice(path, kind)}")
    content = _with_its_size(content)
    chunks = _chunks(content)
    form, pcm = chunks.get(b"fmt ", memoryview(b"")), chunks.get(b"data") or None
    if len(form) < _FMT_BYTES or pcm is None:
        lacks = "no samples" if pcm is None else "no format"
        raise ConfigError(f"{path}: not a readable WAV file (it holds {lacks})")
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", form[:_FMT_BYTES])
    if tag == _EXTENSIBLE and form[28:40] == _SUBFORMAT:
        tag = int.from_bytes(form[24:26], "little") | int.from_bytes(form[26:28], "little")
    if tag != _PCM or bits != 16:
        if (found := _decoded(path, content, most_s)) is not None:
            return found
        kind = "" if tag == _PCM else " float" if tag == _FLOAT else f" {format_of(tag)}"
        raise ConfigError(f"{path}: {bits} bit{kind}, which can't be read; 16 bit PCM is{advice(path, 'WAV')}")
    if not channels or not rate_hz:
        raise ConfigError(f"{path}: not a readable WAV file ({channels} channels at {rate_hz} Hz)")
    samples = len(pcm) // (2 * channels)
    if most_s is not None:
        samples = min(samples, most_s * rate_hz)
    return Wav(rate_hz=rate_hz, channels=channels, pcm=bytes(pcm[: samples * 2 * channels]))


def _decoded(path: Path, content: bytes, most_s: int | None) -> Wav | None:
    """By libsndfile, what isn't read here; None: nor by that."""
    try:
        found = decoded(content, most_s=most_s)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    return None if found is None else Wav(rate_hz=found[0], channels=1, pcm=found[1])


def _chunks(content: bytes) -> dict[bytes, memoryview]:
    """The first chunk of each name."""
    found: dict[bytes, memoryview] = {}
    whole = memoryview(content)  # of a long file, copies would be long too
    for name, at, size in _places(content):
        found.setdefault(name, whole[at : at + size])
    return found


def _places(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Of each chunk its name, where its content begins, and the size that it says. A size that goes beyond the file, as
    a pipe's unknown one, means the rest of it."""
    at, long_bytes = 12, 0
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8
        if name == b"data" and size == 0xFFFFFFFF and long_bytes:
            size = long_bytes
        yield name, at, size
        if name == b"ds64":
            long_bytes = int.from_bytes(content[at + 8 : at + 16], "little")
        at += size
        if size % 2 and content[at : at + 1] == b"\0":
            at += 1  # filled up to an even size, which not everybody does


def _with_its_size(content: bytes) -> bytes:
    """A recorder that was killed has written samples, and no size of them."""
    for name, at, size in _places(content):
        if name == b"data" and not size and _are_samples(content, at):
            return content[: at - 4] + struct.pack("<I", len(content) - at) + content[at:]
    return content


def _are_samples(content: bytes, at: int) -> bool:
    """Whether what begins there is no other chunk; a header that says nothing at all of sizes leaves nothing else."""
    name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
    is_chunk = len(content) >= at + 8 + size and all(0x20 <= sign < 0x7F for sign in name)
    return not is_chunk or not any(content[4:8])
