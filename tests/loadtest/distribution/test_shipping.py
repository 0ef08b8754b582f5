"""Files on their way home: complete or known to be incomplete, whatever is lost, repeated or cut on the way."""

import fcntl
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.distribution.channel import CHUNK_BYTES, CorruptError, pack, unpack
from loadtest.distribution.receiving import Receiver
from loadtest.distribution.shipping import AGAIN_NS, EVERY_NS, Shipper

NAME = "journal/far-engine-1-0.jsonl"


class Way:
    """From a shipper to a receiver. `passes` says whether the next message, or its answer, gets through."""

    def __init__(self, there: Path, here: Path, passes: Callable[[], bool] = lambda: True) -> None:
        for directory in (there, here):
            (directory / "journal").mkdir(parents=True)
        self.here, self.passes = here, passes
        self.receiver, self.shipper = Receiver(here), Shipper(there, self._say)
        self.now_ns = 10 * EVERY_NS
        self.sent: list[dict[str, Any]] = []

    def _say(self, op: str, **message: Any) -> bool:
        self.sent.append({"op": op, **message})
        if not self.passes():
            return True
        closed = False
        if op == "chunk":
            chunk = {key: message[key] for key in ("offset", "packed", "crc")}
            size = self.receiver.take("far", message["name"], **chunk)
        else:
            closed = self.receiver.finish("far", message["name"], size=message["size"])
            size = self.receiver.size(message["name"])
        if self.passes():
            self._answer = (message["name"], size, closed)
        return True

    def step(self, *, written: bool = False) -> None:
        self._answer: tuple[str, int, bool] | None = None
        self.shipper.step(self.now_ns, written=written)
        if self._answer is not None:
            name, size, closed = self._answer
            self.shipper.acknowledged(name, size, self.now_ns, closed=closed)
        self.now_ns += AGAIN_NS

    def arrived(self) -> bytes:
        path = self.here / NAME
        return path.read_bytes() if path.exists() else b""


def lines(number: int) -> bytes:
    return b"".join(b'{"event":"x","n":%d}\n' % n for n in range(number))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 120_000))
def test_whatever_is_lost_on_the_way_the_file_arrives_whole_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, luck: list[bool], number: int
) -> None:
    directory = tmp_path_factory.mktemp("way")
    way = Way(directory / "there", directory / "here", passes=lambda: luck.pop() if luck else True)
    content = lines(number)
    (directory / "there" / NAME).write_bytes(content)
    steps = 0
    while way.shipper.missing() and steps < 200:
        way.step(written=True)
        steps += 1
        assert content.startswith(way.arrived())
    assert way.arrived() == content
    way.receiver.close()


def test_of_a_file_that_is_being_written_only_whole_lines_travel(tmp_path: Path) -> None:
    way = Way(tmp_path / "there", tmp_path / "here")
    file = tmp_path / "there" / NAME
    with file.open("wb", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(lines(3) + b'{"event":"y","n')
        way.step()
        way.step()
        assert way.arrived() == lines(3)
        writer.write(b'":1}\n')
        way.step()
        assert way.arrived() == lines(3) + b'{"event":"y","n":1}\n'
        assert {message["op"] for message in way.sent} == {"chunk"}
    way.receiver.close()


def test_a_file_is_locked_here_until_its_writer_over_there_is_gone(tmp_path: Path) -> None:
    way = Way(tmp_path / "there", tmp_path / "here")
    with (tmp_path / "there" / NAME).open("wb", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(lines(2))
        way.step()
        with (tmp_path / "here" / NAME).open("rb") as reader, pytest.raises(BlockingIOError):
            fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
    way.step()
    assert way.sent[-1] == {"op": "closed", "name": NAME, "size": len(lines(2))}
    with (tmp_path / "here" / NAME).open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
    before = len(way.sent)
    way.step(written=True)
    assert len(way.sent) == before  # it was acknowledged: nothing is left to say


def test_a_file_grows_on_after_its_host_was_silent_for_long(tmp_path: Path) -> None:
    way = Way(tmp_path / "there", tmp_path / "here")
    file = tmp_path / "there" / NAME
    file.write_bytes(lines(2))
    way.step(written=True)
    way.receiver.close("far")
    file.write_bytes(lines(5))
    way.step(written=True)
    assert way.arrived() == lines(5)
    way.receiver.close()


def test_recordings_travel_once_all_is_written(tmp_path: Path) -> None:
    way = Way(tmp_path / "there", tmp_path / "here")
    (tmp_path / "there" / "audio").mkdir()
    (tmp_path / "there" / "audio" / "1f-0-user.wav").write_bytes(b"RIFF\0\1\2")
    way.step()
    assert way.sent == []
    way.step(written=True)
    assert (tmp_path / "here" / "audio" / "1f-0-user.wav").read_bytes() == b"RIFF\0\1\2"
    way.receiver.close()


@pytest.mark.parametrize(
    "name",
    [
        "journal/../settings.json",
        "/etc/x.jsonl",
        "settings.json",
        "journal/.x.jsonl",
        "journal/a/b.jsonl",
        "audio/x.exe",
    ],
)
def test_nothing_is_written_but_journals_and_recordings(tmp_path: Path, name: str) -> None:
    receiver = Receiver(tmp_path)
    with pytest.raises(CorruptError, match="is no file of a run"):
        receiver.take("far", name, offset=0, packed=pack(b"x"), crc=zlib.crc32(b"x"))
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_is_wrong_or_leaves_a_hole_or_is_another_ones_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    receiver = Receiver(tmp_path)

    def take(owner: str, offset: int, piece: bytes, crc: int | None = None) -> int:
        return receiver.take(
            owner, NAME, offset=offset, packed=pack(piece), crc=zlib.crc32(piece) if crc is None else crc
        )

    assert take("far", 0, b"abc") == 3
    assert take("far", 4, b"e") == 3  # a hole: the answer says where to go on
    assert take("far", 1, b"bcd") == 4  # an overlap: only what is new is written
    assert take("far", 0, b"abc") == 4  # a repetition
    with pytest.raises(CorruptError, match="wrong checksum"):
        take("far", 4, b"e", crc=1)
    with pytest.raises(CorruptError, match="belongs to another worker"):
        take("near", 4, b"e")
    assert (tmp_path / NAME).read_bytes() == b"abcd"
    receiver.close()


def test_a_master_never_overwrites_a_journal_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(CorruptError, match="is here already"):
        Receiver(tmp_path).take("far", NAME, offset=0, packed=pack(b"x"), crc=zlib.crc32(b"x"))
    assert (tmp_path / NAME).read_bytes() == b"mine"


def test_what_unpacks_to_more_than_a_chunk_is_refused_before_it_is_unpacked() -> None:
    assert unpack(pack(bytes(CHUNK_BYTES))) == bytes(CHUNK_BYTES)
    for packed in (pack(bytes(1 << 24)), pack(b"abc")[:-3], b"nonsense"):
        with pytest.raises(CorruptError):
            unpack(packed)
