"""The master's side: places are given and given back, and what does not come home is written down."""

import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest import journal
from loadtest.config.keys.caller import Caller
from loadtest.config.settings import Distribution
from loadtest.distribution.channel import pack
from loadtest.distribution.hosts import UNSEEN_NS, Hosts
from loadtest.events.kinds import ClockCompared, Event, GeneratorFailed, WorkerChanged
from loadtest.system import clock
from loadtest.system.version import __version__
from tests.loadtest.distribution.test_joining import settings
from tests.loadtest.sound.test_speech import tone, wav

JOIN = {"op": "join", "version": __version__, "processes": 1, "host": "far", "directory": "/over/there"}


class Told:
    """A Hosts with its clock in the test's hand, what it sent and what it recorded."""

    def __init__(self, run_dir: Path, *, processes: int = 2, disk_mib: int = 10, **more: Any) -> None:
        (run_dir / "journal").mkdir(parents=True)
        self.run_dir, self.now_ns = run_dir, 0
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.events: list[Event] = []
        self.hosts = Hosts(
            settings(processes=processes).model_copy(
                update={"distribution": Distribution(worker_disk_mib=disk_mib), **more}
            ),
            run_dir,
            "00",
            send=lambda node, message: self.sent.append((node, message)),
            record=self.events.append,
            now_ns=lambda: self.now_ns,
        )

    def ask(self, node: str, message: dict[str, Any]) -> dict[str, Any] | None:
        before = len(self.sent)
        self.hosts.hear(node, message)
        answers = [answer for to, answer in self.sent[before:] if to == node]
        return answers[0] if answers else None

    def states(self) -> list[tuple[str, str]]:
        return [(event.worker, event.state.value) for event in self.events if isinstance(event, WorkerChanged)]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Told]:
    return lambda **more: Told(tmp_path / "run", **more)


def test_places_are_numbered_and_a_repeated_join_gets_the_same(told: Callable[..., Told]) -> None:
    it = told(processes=3)
    first, again = it.ask("a", {**JOIN, "processes": 2}), it.ask("a", {**JOIN, "processes": 2})
    assert first is not None
    assert first["numbers"] == [0, 1]
    assert first == again
    second = it.ask("b", JOIN)
    assert second is not None
    assert (second["numbers"], second["run_id"]) == ([2], "run")
    assert it.hosts.joined == 3


def test_the_place_of_one_that_fell_silent_before_the_beginning_is_given_to_another(told: Callable[..., Told]) -> None:
    it = told(processes=1)
    it.ask("a", JOIN)
    refused = it.ask("b", JOIN)
    assert refused is not None
    assert refused["op"] == "refused"
    it.now_ns += UNSEEN_NS + 1
    welcome = it.ask("c", JOIN)
    assert welcome is not None
    assert welcome["numbers"] == [0]
    assert it.states() == [("a", "joined"), ("b", "refused"), ("a", "withdrawn"), ("c", "joined")]


def test_a_clip_that_can_not_be_read_is_no_full_disk(tmp_path: Path, told: Callable[..., Told]) -> None:
    street = wav(tmp_path / "street.wav", tone(5_000, 4_800))
    it = told(caller=Caller(noise=str(street), noise_dbfs=-50))
    it.ask("a", JOIN)
    fetch = {"op": "fetch", "name": "parcel/noise-0.wav", "offset": 0}
    piece = it.ask("a", fetch)
    assert piece is not None
    assert piece["op"] == "piece"
    assert it.ask("a", {**fetch, "offset": 1 << 62}) is None
    street.unlink()
    assert it.ask("a", fetch) is None
    it.hosts.begin()
    assert not it.hosts.settled()


def test_a_place_that_is_given_back_is_another_ones_until_the_run_has_begun(
    told: Callable[..., Told],
) -> None:
    it = told(processes=1)
    it.ask("a", JOIN)
    assert [it.ask("a", {"op": "leave", "reason": ""}) for _ in range(2)] == [{"op": "left"}] * 2
    welcome = it.ask("b", JOIN)
    assert welcome is not None
    assert welcome["numbers"] == [0]
    ping = {"op": "ping", "sent_ns": 7, "host": "far", "boot_id": "b", "clock": None}
    begun = []
    for begin in (lambda: None, it.hosts.begin):
        begin()
        pong = it.ask("b", ping)
        assert pong is not None
        begun.append(pong["begun"])
    assert begun == [False, True]
    assert it.ask("b", {"op": "leave", "reason": ""}) is None
    assert (it.hosts.joined, it.states()) == (1, [("a", "joined"), ("a", "withdrawn"), ("b", "joined")])


def test_another_version_is_refused(told: Callable[..., Told]) -> None:
    answer = told().ask("a", {**JOIN, "version": "0.0.1"})
    assert answer == {"op": "refused", "reason": f"the master is avaload {__version__}, this worker 0.0.1"}


def test_a_run_is_settled_once_every_journal_is_home_or_its_host_is_silent(told: Callable[..., Told]) -> None:
    it = told()
    it.ask("a", JOIN)
    it.ask("b", JOIN)
    it.hosts.begin()
    chunk = {"op": "chunk", "name": "journal/far-worker-0.jsonl", "offset": 0, "packed": pack(b"x\n"), "crc": 0}
    assert it.ask("a", chunk) is None  # a wrong checksum: logged, not answered
    it.ask("a", {"op": "bye", "files": {"journal/far-worker-0.jsonl": 2}})
    assert it.sent[-1] == ("a", {"op": "noted", "missing": ["journal/far-worker-0.jsonl"]})
    assert not it.hosts.settled()
    it.ask("a", {"op": "bye", "files": {}})
    assert not it.hosts.settled()
    it.now_ns += UNSEEN_NS + 1
    assert it.hosts.settled()
    it.hosts.close("completed")
    assert it.states()[-2:] == [("a", "home"), ("b", "lost")]
    (missing,) = [event for event in it.events if isinstance(event, GeneratorFailed)]
    assert (missing.process, missing.detail) == (1, "it fell silent; what it wrote is in /over/there on far")
    assert it.sent[-2:] == [(node, {"op": "over", "reason": "completed"}) for node in ("a", "b")]


def test_files_of_a_silent_host_are_free_and_it_is_cut_off_until_they_are_whole(told: Callable[..., Told]) -> None:
    it = told()
    it.ask("a", JOIN)
    it.ask("b", JOIN)
    it.hosts.begin()
    chunk = {"op": "chunk", "name": "journal/far-worker-0.jsonl", "offset": 0, "packed": pack(b"x\n")}
    assert it.ask("a", {**chunk, "crc": zlib.crc32(b"x\n")}) == {
        "op": "ack",
        "name": "journal/far-worker-0.jsonl",
        "size": 2,
        "closed": False,
    }

    def look() -> tuple[bool, bool, bool]:
        it.hosts.look()
        return journal.wait_until_closed(it.run_dir, timeout_s=0), it.hosts.is_cut_off(0), it.hosts.is_cut_off(1)

    assert look() == (False, False, False)
    it.now_ns += UNSEEN_NS + 1
    assert look() == (True, True, False)
    more = {**chunk, "offset": 2, "crc": zlib.crc32(b"x\n")}
    it.ask("a", {"op": "ping", "sent_ns": 7, "host": "far", "boot_id": "b", "clock": None})
    assert look() == (True, True, False)  # it is back, and what it wrote meanwhile isn't here
    it.ask("a", more)
    assert look() == (False, False, False)
    it.now_ns += UNSEEN_NS + 1
    assert look() == (True, True, False)
    assert it.ask("a", {"op": "closed", "name": chunk["name"], "size": 4}) is not None
    assert look() == (True, False, False)


def test_a_host_that_was_cut_off_and_brought_all_home_is_so_no_more(told: Callable[..., Told]) -> None:
    it = told()
    it.ask("a", JOIN)
    it.hosts.begin()
    name = "journal/far-worker-0.jsonl"
    it.ask("a", {"op": "chunk", "name": name, "offset": 0, "packed": pack(b"x\n"), "crc": zlib.crc32(b"x\n")})
    it.now_ns += UNSEEN_NS + 1
    it.hosts.look()
    assert it.hosts.is_cut_off(0)
    it.ask("a", {"op": "bye", "files": {name: 2}})
    assert not it.hosts.is_cut_off(0)


def test_a_ping_of_a_worker_is_answered_and_its_comparison_recorded_and_a_strangers_is_neither(
    told: Callable[..., Told],
) -> None:
    it = told()
    ping = {"op": "ping", "sent_ns": 7, "host": "far", "boot_id": "b", "clock": [-5, 3]}
    assert it.ask("a", ping) is None
    it.ask("a", JOIN)
    answer = it.ask("a", ping)
    assert answer is not None
    assert (answer["op"], answer["sent_ns"]) == ("pong", 7)
    (compared,) = [event for event in it.events if isinstance(event, ClockCompared)]
    assert (compared.host, compared.boot_id, compared.offset_ns, compared.rtt_ns) == ("far", "b", -5, 3)


def test_the_offset_of_a_load_process_is_its_hosts_last_comparison_and_exactly_none_on_the_masters_own_clock(
    told: Callable[..., Told],
) -> None:
    it = told(processes=3)
    it.ask("a", {**JOIN, "processes": 2})
    it.ask("b", JOIN)
    assert [it.hosts.offset_of(number) for number in range(3)] == [None, None, None]
    ping = {"op": "ping", "sent_ns": 7, "host": "far", "boot_id": "b"}
    for compared in ([-4_000_000_000, 9_000], None, [-4_000_000_500, 3_000], None):
        it.ask("a", {**ping, "clock": compared})
    it.ask("b", {**ping, "host": socket.gethostname(), "boot_id": clock.boot_id(), "clock": [12_345, 3_000]})
    assert [it.hosts.offset_of(number) for number in range(4)] == [-4_000_000_500, -4_000_000_500, 0, None]


@pytest.mark.parametrize("message", [{}, {"op": "join"}, {"op": "chunk"}, {"op": "ping"}, {"op": "what"}, {"op": 3}])
def test_nonsense_is_not_answered_and_breaks_nothing(told: Callable[..., Told], message: dict[str, Any]) -> None:
    it = told()
    it.ask("a", JOIN)
    assert it.ask("a", message) is None
    assert it.hosts.joined == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "far\nFORGED LINE"},
        {"host": ""},
        {"host": "x" * 201},
        {"host": 7},
        {"processes": -1},
        {"processes": "1"},
        {"processes": 0.5},
    ],
)
def test_a_worker_whose_name_or_number_can_not_be_gets_no_place(
    told: Callable[..., Told], wrong: dict[str, Any]
) -> None:
    it = told()
    assert it.ask("a", JOIN | wrong) is None
    assert (it.hosts.joined, it.events) == (0, [])


def test_a_directory_over_there_is_told_in_one_line(told: Callable[..., Told]) -> None:
    it = told()
    it.ask("a", JOIN | {"directory": "/läufe/1\n\x1b[31mFORGED\u202e"})
    assert [event.directory for event in it.events if isinstance(event, WorkerChanged)] == ["/läufe/1??[31mFORGED?"]


@pytest.mark.parametrize("place", [{"offset": -1}, {"offset": "0"}, {"offset": None}])
def test_a_chunk_of_no_place_is_not_written(told: Callable[..., Told], place: dict[str, Any]) -> None:
    it = told()
    it.ask("a", JOIN)
    chunk = {"op": "chunk", "name": "journal/far-worker-0.jsonl", "offset": 0, "packed": pack(b"x"), "crc": 0}
    assert it.ask("a", chunk | {"crc": zlib.crc32(b"x")} | place) is None
    assert list((it.run_dir / "journal").iterdir()) == []


def test_what_a_worker_ships_beyond_its_quota_is_not_written_and_the_run_says_so(told: Callable[..., Told]) -> None:
    """100 MB pack into 106 KB."""
    it = told(disk_mib=1)
    for node in ("a", "b"):
        it.ask(node, JOIN)
    it.hosts.begin()
    piece = bytes(512 << 10)
    name, answers = "journal/far-worker-0.jsonl", []
    for offset in range(0, 200 * len(piece), len(piece)):
        chunk = {"op": "chunk", "name": name, "offset": offset, "packed": pack(piece), "crc": zlib.crc32(piece)}
        answers.append(it.ask("a", chunk))
    assert [answer["size"] for answer in answers[:2] if answer is not None] == [len(piece), 2 * len(piece)]
    assert answers[2] is None
    assert (it.run_dir / name).stat().st_size == 1 << 20
    chunk = {
        "op": "chunk",
        "name": "journal/near-worker-1.jsonl",
        "offset": 0,
        "packed": pack(b"x"),
        "crc": zlib.crc32(b"x"),
    }
    assert it.ask("b", chunk) is not None  # the others have room
    it.ask("b", {"op": "bye", "files": {}})
    assert it.hosts.settled()
    it.hosts.close("completed")
    (missing,) = [event for event in it.events if isinstance(event, GeneratorFailed)]
    why = "it ships more than the 1 MiB that one worker may (distribution.worker_disk_mib)"
    assert missing.detail == f"{why}; what it wrote is in /over/there on far"
    assert it.states()[-2:] == [("b", "home"), ("a", "lost")]
