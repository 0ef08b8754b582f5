"""What is written to a run's files is whole or not there, whatever the disk takes of it."""

import errno
import fcntl
import os
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporters.log import Log
from exporters.traces import trace_counts
from loadtest import journal
from loadtest.budget.reserving import Budget
from loadtest.distribution.channel import pack
from loadtest.distribution.receiving import Receiver
from loadtest.events.kinds import Fault, GeneratorFailed, RunFinished
from loadtest.events.vocabulary import DropReason
from loadtest.session.hearing import tape
from loadtest.system import disk

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
Write = Callable[[int, bytes], int]


def taking(real: Write, *sizes: int) -> Write:
    """An `os.write` that takes so many bytes of each call, and then nothing: the disk is full."""
    left = list(sizes)

    def write(fd: int, data: bytes) -> int:
        if not left:
            raise FULL
        return real(fd, data[: left.pop(0)])

    return write


def fault(detail: str) -> GeneratorFailed:
    return GeneratorFailed(t_ns=1, fault=Fault.BUG, process=0, detail=detail)


@pytest.fixture
def appended(tmp_path: Path) -> Any:
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    yield fd
    os.close(fd)


def test_what_a_short_count_left_is_written_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, appended: int
) -> None:
    disk.append(appended, b"first\n")
    monkeypatch.setattr(os, "write", taking(os.write, 2, 1, 100))
    disk.append(appended, b"second\n")
    assert (tmp_path / "file").read_bytes() == b"first\nsecond\n"


def test_a_line_that_has_no_room_leaves_nothing_of_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, appended: int
) -> None:
    disk.append(appended, b"first\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", taking(os.write, 3))
        with pytest.raises(OSError, match="No space left"):
            disk.append(appended, b"second\n")
    disk.append(appended, b"third\n")
    assert (tmp_path / "file").read_bytes() == b"first\nthird\n"


def test_a_journal_without_anybody_to_stop_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with journal.Journal(tmp_path / "a.jsonl") as file:
        monkeypatch.setattr(os, "write", taking(os.write, 5))
        with pytest.raises(OSError, match="No space left"):
            file.write(journal.encode(fault("one")))
    assert (tmp_path / "a.jsonl").read_bytes() == b""


def test_a_full_journal_says_so_once_and_takes_whole_lines_or_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[OSError] = []
    lines = [journal.encode(fault(str(number))) for number in range(5)]
    with journal.Journal(tmp_path / "a.jsonl", spare_bytes=4096) as file:
        file.on_full = said.append
        file.write(lines[0])
        # The second line finds no room but the spare, the third and the fourth none at all, the fifth again some.
        monkeypatch.setattr(os, "write", taking(os.write, 3))
        for line in lines[1:4]:
            file.write(line)
        monkeypatch.undo()
        file.write(lines[4])
        assert (said, file.lost) == ([FULL], 3)
    assert (tmp_path / "a.jsonl").read_bytes() == lines[0] + lines[4]


def test_who_is_told_of_the_full_disk_can_write_down_that_he_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with journal.Journal(tmp_path / "a.jsonl", spare_bytes=4096) as file:

        def stop(_error: OSError) -> None:
            file.write(journal.encode(RunFinished(t_ns=2, reason="disk_full")))

        file.on_full = stop
        monkeypatch.setattr(file, "_spare", GivesRoom(monkeypatch))
        monkeypatch.setattr(os, "write", taking(os.write, 3))
        file.write(journal.encode(fault("one")))
        assert file.lost == 0
    kinds = [type(journal.decode(line)) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert kinds == [GeneratorFailed, RunFinished]


class GivesRoom:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch, self._write = monkeypatch, os.write

    def give(self) -> None:
        self._monkeypatch.setattr(os, "write", self._write)


def test_spare_room_is_a_file_without_a_name_and_of_a_small_disk_an_eighth(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda fd, offset, size: held.append(size))
    spare = disk.Spare(tmp_path, 1 << 62)
    found = os.statvfs(tmp_path)
    assert held[0] <= found.f_blocks * found.f_frsize // 8
    assert list(tmp_path.iterdir()) == []
    spare.give()
    spare.give()


def test_no_spare_room_is_no_reason_to_fail(tmp_path: Path) -> None:
    disk.Spare(tmp_path / "not there", 4096).give()


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", taking(os.write, 1))


@pytest.mark.usefixtures("no_room")
def test_files_that_are_replaced_stay_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("the old one")
    with pytest.raises(OSError, match="No space left"):
        disk.replace_all({tmp_path / "report.json": b"new", tmp_path / "report.html": b"new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"report.json": "the old one"}


@pytest.mark.usefixtures("no_room")
def test_recordings_and_counts_of_traces_are_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        tape.write_wavs(tmp_path, "s1", 0, b"\0" * 960, b"\0" * 960)
    with pytest.raises(OSError, match="No space left"):
        trace_counts.write(tmp_path, trace_counts.Counts())
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_has_room_is_a_wav(tmp_path: Path) -> None:
    tape.write_wavs(tmp_path, "s1", 0, b"\1\0" * 480, b"\2\0" * 240)
    with wave.open(str(tmp_path / "s1-0-user.wav")) as file:
        assert (file.getframerate(), file.getnframes(), file.readframes(1)) == (24_000, 480, b"\1\0")


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"one\ntw", b"one\n"), (b"one\ntwo\n", b"one\ntwo\n"), (b"half", b""), (b"", b"")],
)
def test_a_cut_last_line_is_taken_away(tmp_path: Path, before: bytes, after: bytes) -> None:
    (tmp_path / "log").write_bytes(before)
    disk.drop_half_line(tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == after


def test_a_line_longer_than_that_stays(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100)
    disk.drop_half_line(tmp_path / "log", longest=64)
    assert (tmp_path / "log").stat().st_size == 100


def test_the_log_has_no_half_line_and_its_lock_is_free_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.add(fault("one"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", taking(os.write, 10))
        with pytest.raises(OSError, match="No space left"):
            log.add(fault("two"))
    with (tmp_path / "log.jsonl").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    log.add(fault("three"))
    log.close()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [("one" in line, "three" in line) for line in lines] == [(True, False), (False, True)]


def test_a_chunk_of_another_host_that_has_no_room_is_not_there_and_comes_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    receiver, piece, name = Receiver(tmp_path), b'{"event":1}\n', "journal/there-engine-0-0.jsonl"

    def take(offset: int) -> int:
        return receiver.take("there", name, offset=offset, packed=pack(piece), crc=zlib.crc32(piece))

    assert take(0) == len(piece)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", taking(os.write, 4))
        with pytest.raises(OSError, match="No space left"):
            take(len(piece))
    assert receiver.size(name) == len(piece)
    assert take(len(piece)) == 2 * len(piece)
    receiver.close()
    assert (tmp_path / name).read_bytes() == 2 * piece


def test_places_of_the_budget_need_no_room_later(tmp_path: Path) -> None:
    with Budget(tmp_path / "reserved", sessions=1) as budget:
        assert (tmp_path / "reserved").stat().st_size == 24
        assert [budget.reserve(), budget.reserve()] == [None, DropReason.MAX_SESSIONS]
