"""Lines of journals: events to bytes and back.

Disks, copies and other writers damage files. Every line that can be read is used, and what was passed over is told.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import msgspec

from loadtest.errors.exceptions import HarnessError
from loadtest.events.kinds import SCHEMA, Event, RunStarted

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_CHUNK: Final = 1 << 16
"""So many bytes are read and decoded at once, about 400 events: they are used while they are still in the processor's
cache. A MiB at once takes half as long again."""
LONGEST: Final = 4 << 20
"""Bytes of a line. Ours are far shorter."""
_TOLD: Final = 20
_BOM: Final = b"\xef\xbb\xbf"
_OLD_ID: Final = b'"avaturn_session_id":'
_ID: Final = b'"target_session_id":'


class JournalError(HarnessError):
    """A journal can't be read: not there, of another schema, or not a journal at all."""


def encode(event: Event) -> bytes:
    """One JSON line with its newline; fields that hold their default are left out (one without a default never is)."""
    return _encode(event) + b"\n"


def decode(line: bytes | str) -> Event:
    """The event of one line; fields that a later minor version added are ignored. Raises JournalError where the line is
    not one of ours."""
    try:
        return _decoder.decode(_renamed(line.encode() if isinstance(line, str) else line))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise JournalError(f"not an event line: {error}") from error


def decode_all(lines: bytes, started: RunStarted | None) -> list[Event] | None:
    """The events of whole lines at once; None where something is odd about them. One by one takes three times as long.
    `started`: of their file, if it was read: where it says that no key has its old name, that isn't searched for."""
    of_today = started is not None and started.schema == SCHEMA
    try:
        return _decoder.decode_lines(lines if of_today else _renamed(lines))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def check_schema(started: RunStarted, name: str) -> None:
    """Raises JournalError for a file of a version that we can't read."""
    if not 1 <= started.schema <= SCHEMA:
        raise JournalError(f"{name}: schema {started.schema}, this version reads 1 to {SCHEMA}")


def _renamed(lines: bytes) -> bytes:
    """With the key of schema 1 as it is called today. In a text its quotes are escaped: only a key looks so."""
    return lines.replace(_OLD_ID, _ID)


@dataclass(slots=True)
class PassedOver:
    """What readers could not use, files and lines. `first`: some of it in words, "file:line: why"."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, where: str, why: str) -> None:
        self.count += 1
        if len(self.first) < _TOLD:
            self.first.append(f"{where}: {why}")

    def line(self) -> str:
        """One line for people; nothing said of nothing."""
        told = f"passed over in the journals, since it can't be read: {self.count}; {'; '.join(self.first)}"
        return told if self.count else ""


def raw_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of an open file as they are, for who searches them; of one that is longer than any of ours, pieces."""
    while piece := file.readline(LONGEST):
        yield piece
        if not piece.endswith(b"\n"):
            pass_hole(file)


def pass_hole(file: IO[bytes]) -> None:
    """Go on behind what a file only claims to hold, where it does so here: a stranger's may claim a TiB."""
    try:
        file.seek(file.tell(), os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # there is no more
            file.seek(0, os.SEEK_END)


class Lines:
    """The events of one open file, some hundred at a time. A last line without its newline was cut by a kill, or is
    being written, and is left out.

    `started`: the first RunStarted, once it was read. `of_any`: also the lines of another writer, which has another
    clock: of use only to who asks for no times.
    """

    def __init__(self, file: IO[bytes], name: str, passed: PassedOver, *, of_any: bool = False) -> None:
        self.started: RunStarted | None = None
        self._file, self._name, self._passed, self._of_any = file, name, passed, of_any
        self._seen: set[int] = set()
        """Hashes of all lines before the beginning came again: the file holds itself twice."""
        self._number = 1  # of the next line
        self._over = False

    def __iter__(self) -> Iterator[list[Event]]:
        for text in self._whole_lines():
            events = self._decoded(text)
            self._number += text.count(b"\n") + 1
            if events:
                yield events
            if self._over:
                return

    def _whole_lines(self) -> Iterator[bytes]:
        """Without the last newline. Raises OSError."""
        rest, in_too_long = self._file.read(_CHUNK).removeprefix(_BOM), False
        while rest:
            text, rest = rest, b""
            if in_too_long:
                _, newline, text = text.partition(b"\n")
                in_too_long = not newline
                self._number += bool(newline)
            whole, newline, rest = text.rpartition(b"\n")
            if newline:
                yield whole
            elif len(rest) > LONGEST:
                self._pass_over(self._number, f"longer than {LONGEST >> 20} MiB")
                rest, in_too_long = b"", True
            if in_too_long:
                pass_hole(self._file)
            if not (chunk := self._file.read(_CHUNK)):
                return
            rest += chunk

    def _decoded(self, text: bytes) -> list[Event]:
        events = None if self._seen else decode_all(text, self.started)
        if events is None or list(map(type, events)).count(RunStarted) > (self.started is None):
            return self._one_by_one(text.split(b"\n"))
        if self.started is None:
            self.started = next((event for event in events if isinstance(event, RunStarted)), None)
        return events

    def _one_by_one(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for number, line in enumerate(lines, self._number):
            if not line.strip():
                continue
            if hash(line) in self._seen:
                self._pass_over(number, "a line that was there before")
                continue
            try:
                event = decode(line)
            except JournalError as error:
                self._pass_over(number, str(error))
                continue
            if not isinstance(event, RunStarted):
                events.append(event)
            elif self.started is None:
                self.started = event
                events.append(event)
            elif event == self.started:
                self._pass_over(number, "a line that was there before")
                self._seen = self._read_so_far(number)
            elif _clock(event) == _clock(self.started) or self._of_any:
                self._pass_over(number, "a second beginning: two writers had this file")
            else:
                self._pass_over(number, f"from here on lines of run {event.run_id} on {event.host}")
                self._over = True
                break
        return events

    def _read_so_far(self, number: int) -> set[int]:
        seen: set[int] = set()
        with open(self._file.fileno(), "rb", closefd=False) as file:
            at = file.tell()
            file.seek(0)
            for piece in raw_lines(file):
                seen.add(hash(piece.removeprefix(_BOM).rstrip(b"\n")))
                number -= piece.endswith(b"\n")
                if not number:
                    break
            os.lseek(file.fileno(), at, os.SEEK_SET)
        return seen

    def _pass_over(self, number: int, why: str) -> None:
        self._passed.add(f"{self._name}:{number}", why)


def _clock(started: RunStarted) -> tuple[str, str, str]:
    return started.run_id, started.host, started.boot_id
