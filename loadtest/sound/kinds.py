"""What a file is that isn't the WAV file that was asked for, by how it begins, and how it becomes one."""

from pathlib import Path
from typing import Final

_BEGINNINGS: Final = (
    (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC file"),
    (b"FORM", "an AIFF file"),
    (b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (b"#!AMR", "an AMR file"),
    (b".snd", "an AU file"),
    (b"caff", "a CAF file"),
    (b"NIST_1A", "a NIST SPHERE file"),
    (b"Creative Voice File", "a VOC file"),
    (b"riff\x2e\x91\xcf\x11", "a W64 file"),
    (b"RIFX", "a RIFX file"),
    (b"0&\xb2u\x8ef\xcf\x11", "a WMA file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a pointer of Git LFS; `git lfs pull` fetches the file itself"),
)
_AUDIBLE: Final = (
    "MP3",
    "Ogg",
    "FLAC",
    "AIFF",
    "WebM",
    "AMR",
    "AU",
    "CAF",
    "SPHERE",
    "VOC",
    "W64",
    "RIFX",
    "WMA",
    "MP4",
    "AAC",
    "AVI",
    "WAV",
)
_FORMATS: Final = {
    0x2: "ADPCM",
    0x6: "A-law",
    0x7: "µ-law",
    0x11: "IMA ADPCM",
    0x31: "GSM",
    0x50: "MPEG",
    0x55: "MP3",
    0xFF: "AAC",
}


def kind_of(content: bytes) -> str:
    """With its article. What isn't known is text, where it reads as text, or data."""
    if not content:
        return "an empty file"
    if content[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    if content[:4] in (b"RIFF", b"RF64"):
        return {b"AVI ": "an AVI file", b"WEBP": "a WebP picture"}.get(content[8:12], "a RIFF file, but no WAV")
    if known := next((kind for begin, kind in _BEGINNINGS if content.startswith(begin)), None):
        return known
    if content[0] == 0xFF and len(content) > 1 and content[1] & 0xE0 == 0xE0:
        return "an AAC file" if content[1] & 0xF6 == 0xF0 else "an MP3 file"
    try:
        start = (
            content[:512].decode("utf-8", "strict" if len(content) <= 512 else "ignore").lstrip("\ufeff \t\r\n").lower()
        )
    except UnicodeDecodeError:
        return "data of no kind that is known"
    if any(not sign.isprintable() and not sign.isspace() for sign in start):
        return "data of no kind that is known"
    if start.startswith(("<!doctype html", "<html")):
        return "an HTML page"
    return "JSON" if start.startswith(("{", "[")) else "text"


def format_of(tag: int) -> str:
    """Of the samples of a WAV file, by its tag."""
    return _FORMATS.get(tag, f"of another kind (format {tag:#x})")


def is_audible(kind: str) -> bool:
    """Whether a file of that kind holds sound."""
    return any(name in kind for name in _AUDIBLE)


def advice(path: Path, kind: str) -> str:
    """The command that makes a WAV file of it; empty where there is no sound in it."""
    if not is_audible(kind):
        return ""
    out = path.with_suffix(".wav") if path.suffix.lower() != ".wav" else path.with_stem(f"{path.stem}-pcm")
    return f"; `ffmpeg -i {path} -ac 1 -ar 24000 -c:a pcm_s16le {out}` makes one"
