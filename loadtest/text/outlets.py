"""Text on its way out of avaload: one function for each sort of output, the only ones that know what it obeys.

Text may be a target's, or of a run directory that anybody made. Wherever it is shown it is text: a terminal obeys no
control character, lines are in the order in which they are read, and no line is a command to the machine that runs us.
What an output can't show is U+FFFD. Data keeps what it is on the way in; only what is shown goes through here.

Of the standard library alone: the command's streams are made of it before anything else is imported.
"""

import io
import json
import logging
import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, TextIO

_UNSHOWABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"  # direction of text, its line ends, and what became of them
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f"  # annotations, no characters, tags
    "\ud800-\udfff]"  # halves of characters
)
_LINE_ENDS: Final = re.compile(r"[\r\n\t]+")
_COMMAND: Final = re.compile(r"^([^\S\n]*+):(?=:)", re.MULTILINE)
"""https://docs.github.com/actions/reference/workflow-commands-for-github-actions: a line that begins so."""
_BRACKET_COMMAND: Final = re.compile(r"#(?=#(?:\[|\w+\[))")
"""The older form, `##[error]`, and those of other CI servers, `##vso[` and `##teamcity[`: anywhere in a line."""
_MARKUP: Final = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")
_BLOCK: Final = re.compile(r"^([#+=>-]|\d{1,9}(?=[.)]))")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_ACTIVE: Final = re.compile(r"(?<=[a-zA-Z]:)(?=//)|(?<=[wW]{3})(?=\.)|(?<=@)(?=[A-Za-z0-9])")
"""Where GitHub's Markdown would begin a link or tell a person that he was named."""
_NAME: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)
_FORMULA: Final = re.compile("(?:^|(?<=[;\t\n]))(?=[=+\\-@\t\n\uff1d\uff0b\uff0d\uff20])")
"""Where a cell begins with one, also for a spreadsheet to which commas don't separate cells, as in half of Europe. The
last four signs are the first four in full width, which some spreadsheets take for them."""
_BETWEEN: Final = "<!-- -->"
LEAST_WIDTH: Final = 20
_USUAL_WIDTH: Final = 80


def text(words: str) -> str:
    """Of several lines, as every file and page can hold them. Line feeds and tabs stay."""
    return words if words.isascii() and words.isprintable() else _UNSHOWABLE.sub("\ufffd", words.replace("\r\n", "\n"))


def line(words: str) -> str:
    """One line, whatever it holds."""
    return words if words.isascii() and words.isprintable() else text(_LINE_ENDS.sub(" ", words))


def lines(all_words: Iterable[str]) -> str:
    """Each one line."""
    return "\n".join(map(line, all_words))


def columns(told: int) -> int:
    """Of a terminal that says so: one on which nothing could be read, as with `COLUMNS=0`, has said nothing."""
    return told if told >= LEAST_WIDTH else _USUAL_WIDTH


def terminal(words: str) -> str:
    """For a terminal or a log file: no line of it is a command to a CI server that reads along."""
    return _COMMAND.sub(r"\1: ", _BRACKET_COMMAND.sub("# ", text(words)))


def annotation(level: str, title: str, message: str) -> str:
    """A command to GitHub that shows `message`; the only one that we give. Write it with `obeyed`."""

    def value(words: str) -> str:
        return _BRACKET_COMMAND.sub("# ", text(words)).replace("%", "%25").replace("\n", "%0A")

    return f"::{level} title={value(title).replace(':', '%3A').replace(',', '%2C')}::{value(message)}"


def markdown(words: str) -> str:
    """A stretch of text within a line, a table's cell or a list's item of GitHub's Markdown: no markup, HTML, link or
    mention."""
    found = _ENTITY.sub("&amp;", line(words).strip()).replace("<", "&lt;")
    return _ACTIVE.sub(_BETWEEN, _BLOCK.sub(_escaped_block, _MARKUP.sub(r"\\\g<0>", " ".join(found.split()))))


def _escaped_block(found: re.Match[str]) -> str:
    return f"{found[1]}\\" if found[1].isdecimal() else f"\\{found[1]}"


def code(words: str) -> str:
    """The same, in the type of code where it is a name: so it can be copied."""
    return f"`{words}`" if _NAME.fullmatch(words) else markdown(words)


def command(words: Iterable[str]) -> str:
    """A command of these words, in the type of code where all of them are names: so it can be copied."""
    words = list(words)
    return f"`{' '.join(words)}`" if all(map(_NAME.fullmatch, words)) else markdown(" ".join(words))


def xml(words: str) -> str:
    """For a text or an attribute of XML 1.0, which its writer still escapes."""
    return text(words)


def csv_cell(words: str) -> str:
    """For a cell of CSV: a spreadsheet takes nothing that begins so for a formula
    (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return _FORMULA.sub("'", text(words))


def html(words: Any) -> Any:
    """What a template shows, before it is escaped; what is markup already stays as it is."""
    return text(words) if type(words) is str else words


def cleaned(value: Any) -> Any:
    """Data for a page or a collector that shows its texts as they come: every text in it, names included. What is no
    number is None."""
    if isinstance(value, str):
        return text(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {text(key) if isinstance(key, str) else key: cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(each) for each in value]
    return value


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON for a file."""
    return json.dumps(cleaned(value), indent=indent, ensure_ascii=False, allow_nan=False)


def json_line(value: Any) -> str:
    """JSON for a terminal: of ASCII, and no command."""
    return _BRACKET_COMMAND.sub(r"\\u0023", json.dumps(cleaned(value)))


class Outlet(io.TextIOWrapper):
    """A stream of the process: whoever writes to it, a library or a traceback too, writes `terminal` text."""

    _at_start = True

    def write(self, words: str, /) -> int:
        safe = terminal(words) if self._at_start else terminal(f"-{words}")[1:]
        self._at_start = words.endswith("\n") if words else self._at_start
        super().write(safe)
        return len(words)

    def obey(self, words: str) -> int:
        """Write what is ours as it is: colours, commands."""
        self._at_start = words.endswith("\n")
        return super().write(words)


class _Obeyed:
    """What a library that draws on the terminal writes to."""

    def __init__(self, outlet: Outlet) -> None:
        self.write = outlet.obey
        self.flush, self.isatty, self.fileno, self.encoding = (
            outlet.flush,
            outlet.isatty,
            outlet.fileno,
            outlet.encoding,
        )


def obeyed(stream: TextIO) -> Any:
    """The stream for what is ours, and for texts that went through a function of this module."""
    return _Obeyed(stream) if isinstance(stream, Outlet) else stream


class _Record(logging.LogRecord):
    """A message is one line: none can be made to look like another record."""

    def getMessage(self) -> str:  # noqa: N802  # logging's name
        return line(super().getMessage())


def keep_safe() -> None:
    """Both streams of this process, and what it logs, are safe from now on: for a process whose streams are a file."""
    sys.stdout, sys.stderr = (
        each
        if isinstance(each, Outlet)
        else Outlet(each.buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        for each in (sys.stdout, sys.stderr)
    )
    logging.setLogRecordFactory(_Record)
