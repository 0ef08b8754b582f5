"""How long the lines and sentences of a document are. Tables and blocks of code hold no sentences."""

import re
from collections.abc import Iterator

LONGEST_LINE = 140
MOST_WORDS = 24
MOST_SEMICOLONS = 1


def long_lines(text: str) -> list[str]:
    """Those with more characters than a screen shows, but for an address that can't be broken."""
    return [
        line for line in text.splitlines() if len(line) > LONGEST_LINE and not re.fullmatch(r"\S*https?://\S+", line)
    ]


def long_sentences(text: str) -> list[str]:
    """Those that one has to read twice: too many words, or a chain of semicolons."""
    return [said for said in sentences(text) if len(_words(said)) > MOST_WORDS or said.count(";") > MOST_SEMICOLONS]


def sentences(text: str) -> Iterator[str]:
    """Of paragraphs, items of lists and headings."""
    for block in _blocks(text):
        plain = re.sub(r"`[^`]*`", "CODE", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", block))
        yield from re.split(r"(?<=[.!?:])[*)”\"]*\s+", plain)


def _blocks(text: str) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines: list[str] = []
    for line in (*text.splitlines(), ""):
        begins_item = re.match(r"\s*([-*]|\d+\.)\s+", line)
        if not line.strip() or line.startswith(("|", "#", "<!--")) or begins_item:
            if lines:
                yield " ".join(lines)
            lines = []
        if line.strip() and not line.startswith(("|", "<!--")):
            lines.append(re.sub(r"^\s*([-*]|\d+\.|#+)\s+", "", line.strip()))


def _words(sentence: str) -> list[str]:
    return re.findall(r"[\w'’%/.-]*\w[\w'’%/.-]*", sentence)
