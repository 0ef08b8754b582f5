"""WAV files as people's programs write them: read, or one clear line."""

import struct
from pathlib import Path

import numpy as np
import pytest

from loadtest.errors.exceptions import ConfigError
from loadtest.sound import wav
from loadtest.sound.sources import corpus, read_wav

PCM = (8000 * np.sin(np.arange(2400) / 10)).astype("<i2").tobytes()
GUID = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def fmt(tag: int = 1, *, bits: int = 16, channels: int = 1, more: bytes = b"") -> bytes:
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, 24_000, 24_000 * width, width, bits) + more)


def extensible(sub: int, bits: int = 16) -> bytes:
    return fmt(0xFFFE, bits=bits, more=struct.pack("<HHIH", 22, bits, 4, sub) + GUID)


def file(*chunks: bytes, begins: bytes = b"RIFF", size: int | None = None) -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return begins + struct.pack("<I", len(content) if size is None else size) + content


@pytest.mark.parametrize(
    "content",
    [
        file(fmt(), chunk(b"data", PCM)),
        file(extensible(1), chunk(b"data", PCM)),
        file(chunk(b"JUNK", b"abc"), fmt(), chunk(b"LIST", b"abcd"), chunk(b"data", PCM)),
        file(chunk(b"JUNK", b"abc\0", 3), fmt(), chunk(b"data", PCM), chunk(b"LIST", b"x")),
        file(fmt(), chunk(b"data", PCM, 0xFFFFFFFF), size=0xFFFFFFFF),
        file(fmt(), chunk(b"data", PCM + b"\1", len(PCM) + 5000)),
        file(
            chunk(b"ds64", struct.pack("<QQQI", 0, len(PCM), 0, 0)),
            fmt(),
            chunk(b"data", PCM + chunk(b"LIST", b"x"), 0xFFFFFFFF),
            begins=b"RF64",
            size=0xFFFFFFFF,
        ),
        file(fmt(), chunk(b"data", PCM, 0), size=36),
        file(fmt(), chunk(b"data", PCM, 0), size=0),
        file(fmt(), chunk(b"data", PCM + b"\1", 0), size=36),
        file(chunk(b"LIST", b"abcd"), fmt(), chunk(b"data", PCM, 0), size=0),
    ],
    ids=[
        "plain",
        "extensible",
        "odd junk",
        "padded junk",
        "from a pipe",
        "cut in mid-sample",
        "RF64",
        "recorder killed",
        "and sizes none",
        "and in mid-sample",
        "and after a list",
    ],
)
def test_sixteen_bit_pcm_is_read_in_whatever_it_comes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    assert wav.read(path) == wav.Wav(rate_hz=24_000, channels=1, pcm=PCM)
    assert b"".join(read_wav(path).frames)[: len(PCM)] == PCM


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            file(fmt(0x11, bits=4), chunk(b"data", PCM)),
            r"4 bit IMA ADPCM, which can't be read; 16 bit PCM is; `ffmpeg -i .+ makes one",
        ),
        (file(fmt(channels=0), chunk(b"data", PCM)), r"not a readable WAV file \(0 channels at 24000 Hz\)"),
        (file(fmt()), r"not a readable WAV file \(it holds no samples\)"),
        (file(chunk(b"data", PCM)), r"not a readable WAV file \(it holds no format\)"),
        (file(chunk(b"fmt ", b"\1\0"), chunk(b"data", PCM)), r"not a readable WAV file \(it holds no format\)"),
        (file(fmt(0x77, bits=4), chunk(b"data", PCM)), r"4 bit of another kind \(format 0x77\), which can't be read"),
        (b"", r"clip\.wav: not a readable WAV file, but an empty file$"),
        (
            b"ID3\4" + bytes(500),
            r"but an MP3 file; `ffmpeg -i \S+clip\.wav -ac 1 -ar 24000 -c:a pcm_s16le \S+clip-pcm\.wav`",
        ),
        (b"\xff\xfb\x90\x64" + bytes(500), r"but an MP3 file; `ffmpeg"),
        (b"\xff\xf1\x50\x80" + bytes(500), r"but an AAC file; `ffmpeg"),
        (b"OggS\0" + bytes(500), r"but an Ogg file; `ffmpeg"),
        (b"fLaC\0" + bytes(500), r"but a FLAC file; `ffmpeg"),
        (b"\0\0\0\x20ftypM4A " + bytes(500), r"but an MP4 or M4A file; `ffmpeg"),
        (b"RIFF\0\0\0\0AVI LIST", r"but an AVI file; `ffmpeg"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), r"but a PNG picture$"),
        (b"\n <!DOCTYPE html><html>", r"but an HTML page$"),
        (b'{"error": "not found"}', r"but JSON$"),
        ("Hällo".encode(), r"but text$"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"but a pointer of Git LFS; `git lfs pull`"),
        (b"\x00\x01\x02" * 50, r"but data of no kind that is known$"),
        (file(fmt(), chunk(b"data", b"")), r"not a readable WAV file \(it holds no samples\)"),
        (file(fmt(), chunk(b"data", b""), chunk(b"LIST", PCM)), r"not a readable WAV file \(it holds no samples\)"),
        (file(fmt(), chunk(b"data", b"\1")), r"no speech in it"),
    ],
)
def test_anything_else_is_one_clear_line(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        corpus(str(path))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("size", [0, 36])
def test_samples_of_another_sort_are_read_where_their_recorder_was_killed(size: int, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    wide = (np.frombuffer(PCM, "<i2").astype("<i4") << 16).tobytes()
    path.write_bytes(file(fmt(bits=32), chunk(b"data", wide, 0), size=size))
    assert wav.read(path) == wav.Wav(rate_hz=24_000, channels=1, pcm=PCM)


def test_no_beginning_of_a_file_is_more_than_a_clear_line(tmp_path: Path) -> None:
    whole, path = file(extensible(1), chunk(b"data", PCM[:2])), tmp_path / "clip.wav"
    for length in range(90):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError):
            read_wav(path)
