import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from loadtest import journal
from loadtest.events.kinds import (
    Event,
    Remains,
    RemainsChanged,
    RemainsReason,
    RunFinished,
    RunStarted,
    SessionStarted,
)
from loadtest.leftovers.finding import leftovers

EVENTS = list(get_args(Event))


FINITE = st.floats(
    allow_nan=False, allow_infinity=False
)  # nothing that is measured is infinite, and JSON has no word for it
st.register_type_strategy(float, FINITE)


NS = st.integers(-(1 << 61), 1 << 61)
"""So far is a time from another, at most."""


def of_any_time(cls: type[Event]) -> st.SearchStrategy[Event]:
    drawn = {each.name: NS for each in fields(cls) if each.name.endswith("_ns")}
    return st.builds(cls, **drawn)


@given(st.one_of([of_any_time(cls) for cls in EVENTS]))
def test_every_event_survives_its_journal_line(event: Event) -> None:
    assert journal.decode(journal.encode(event)) == event


def started(**changes: object) -> RunStarted:
    facts = {
        "t_ns": 1,
        "wall_ns": 2,
        "run_id": "run",
        "scenario": "s",
        "role": "engine",
        "host": "h",
        "process": 0,
        "incarnation": 0,
        "pid": 1,
        "boot_id": "b",
    }
    return RunStarted(**(facts | changes))  # type: ignore[arg-type]


def changed(t_ns: int, session: str, remains: Remains, avaturn_id: str | None = None) -> RemainsChanged:
    return RemainsChanged(
        t_ns=t_ns, session=session, remains=remains, reason="create_sent", target_session_id=avaturn_id
    )


def write(path: Path, *events: Event, tail: bytes = b"") -> None:
    with journal.Journal(path) as file:
        for event in events:
            file.write(journal.encode(event))
        if tail:
            file.write(tail)


def test_a_line_cut_by_a_kill_is_left_out_and_the_file_is_truncated(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", started(), tail=b'{"event":"run_fini')
    file = journal.read(tmp_path / "a.jsonl")
    assert (len(file.events), file.truncated) == (1, True)


def test_a_file_with_a_last_word_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", started(), RunFinished(t_ns=5, reason="completed"))
    assert journal.read(tmp_path / "a.jsonl").truncated is False


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense",
        b'{"event":"unheard_of"}',
        b'{"event":"run_finished"}',
        b"[]",
        bytes(4096),
        b"\xff\xfe",
        b'{"event":"run',
    ],
    ids=["nonsense", "unknown event", "fields lacking", "list", "NULs", "no UTF-8", "torn"],
)
def test_a_line_that_is_no_event_is_passed_over_and_named_and_all_others_are_used(
    tmp_path: Path, broken: bytes
) -> None:
    last = RunFinished(t_ns=5, reason="completed")
    write(tmp_path / "a.jsonl", started(), tail=broken + b"\n" + journal.encode(last))

    passed = journal.PassedOver()
    batches = list(journal.batches(tmp_path / "a.jsonl", passed))

    assert batches == [[started(), last]]
    assert passed.count == 1
    assert passed.first[0].startswith("a.jsonl:2: not an event line: ")


def test_a_bad_line_is_named_by_its_number_however_far_it_is(tmp_path: Path) -> None:
    many = [changed(t_ns, "s" * 100, Remains.NOTHING) for t_ns in range(20_000)]  # several chunks
    write(tmp_path / "a.jsonl", started(), *many, tail=b"{}\n" + journal.encode(RunFinished(t_ns=5, reason="x")))
    passed = journal.PassedOver()
    assert sum(map(len, journal.batches(tmp_path / "a.jsonl", passed))) == 20_002
    assert [where.partition(": ")[0] for where in passed.first] == ["a.jsonl:20002"]


@pytest.mark.parametrize("t_ns", [10**30, 1 << 62, -(1 << 62)])
def test_a_line_of_a_time_that_no_clock_tells_is_passed_over(tmp_path: Path, t_ns: int) -> None:
    last = RunFinished(t_ns=5, reason="x")
    write(tmp_path / "a.jsonl", started(), RunFinished(t_ns=t_ns, reason="x"), last)
    passed = journal.PassedOver()
    assert list(journal.batches(tmp_path / "a.jsonl", passed)) == [[started(), last]]
    assert passed.first[0].startswith("a.jsonl:2: not an event line: ")


def test_a_line_without_end_costs_its_own_place_alone_and_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, started(), tail=b"x" * 20_000_000 + b"\n" + journal.encode(RunFinished(t_ns=5, reason="x")) + b"{}\n")
    passed = journal.PassedOver()
    tracemalloc.start()
    try:
        read = [event for batch in journal.batches(path, passed) for event in batch]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == [started(), RunFinished(t_ns=5, reason="x")]
    assert passed.first[0] == "a.jsonl:2: longer than 4 MiB"
    assert passed.first[1].startswith("a.jsonl:4: not an event line: ")
    assert most < 16_000_000


def test_a_file_that_claims_more_than_it_holds_is_read_as_fast_as_one_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "host-engine-0-0.jsonl"
    write(path, started())
    with path.open("r+b") as file:
        file.seek(1 << 40, os.SEEK_END)  # as a whole it would take minutes
        file.write(b"\n" + journal.encode(started()) + journal.encode(RunFinished(t_ns=5, reason="x")))
        file.truncate(4 << 40)
    read = [event for batch in journal.batches(path) for event in batch]
    assert read == [started(), RunFinished(t_ns=5, reason="x")]

    with path.open("rb") as file:
        assert sum(b"run_finished" in line for line in journal.raw_lines(file)) == 1

    run_dir = tmp_path / "run"
    (run_dir / "journal").mkdir(parents=True)
    path.rename(run_dir / "journal" / path.name)
    follower = journal.Follower(run_dir)
    assert RunFinished(t_ns=5, reason="x") in [event for _, event in follower.read()]
    assert follower.unread == 0


def test_a_file_that_holds_itself_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    one, two = changed(1, "a", Remains.DOUBTFUL), changed(2, "b", Remains.DOUBTFUL)
    write(path, started(), one, two)
    path.write_bytes(path.read_bytes() * 2)
    passed = journal.PassedOver()
    assert list(journal.batches(path, passed)) == [[started(), one, two]]
    assert passed.first == [f"a.jsonl:{number}: a line that was there before" for number in (4, 5, 6)]


@pytest.mark.parametrize("made", [b"\xef\xbb\xbf%s", b"%s"], ids=["byte-order mark", "line ends of Windows"])
def test_what_an_editor_makes_of_a_file_is_read_as_before(tmp_path: Path, made: bytes) -> None:
    path = tmp_path / "a.jsonl"
    write(path, started(), RunFinished(t_ns=5, reason="x"))
    text = path.read_bytes()
    path.write_bytes(made % text if made != b"%s" else text.replace(b"\n", b"\r\n"))
    passed = journal.PassedOver()
    assert list(journal.batches(path, passed)) == [[started(), RunFinished(t_ns=5, reason="x")]]
    assert passed.count == 0


def test_two_writers_of_one_host_are_both_read_and_the_second_is_named(tmp_path: Path) -> None:
    events = [changed(t_ns, "a", Remains.DOUBTFUL) for t_ns in range(3)]
    write(tmp_path / "a.jsonl", started(), events[0], started(pid=2), *events[1:])
    passed = journal.PassedOver()
    assert list(journal.batches(tmp_path / "a.jsonl", passed)) == [[started(), *events]]
    assert passed.first == ["a.jsonl:3: a second beginning: two writers had this file"]


def test_from_the_lines_of_another_host_on_nothing_is_used_since_its_clock_is_another(tmp_path: Path) -> None:
    event = changed(1, "a", Remains.DOUBTFUL)
    write(tmp_path / "a.jsonl", started(), event, started(host="i", boot_id="c"), changed(2, "b", Remains.DOUBTFUL))
    passed = journal.PassedOver()
    assert list(journal.batches(tmp_path / "a.jsonl", passed)) == [[started(), event]]
    assert passed.first == ["a.jsonl:3: from here on lines of run run on i"]
    left = leftovers(journal.words_of([tmp_path / "a.jsonl"], RemainsChanged))
    assert sorted(left.doubtful) == ["a", "b"]  # what may be left is asked of every line


def test_a_file_without_its_first_line_takes_it_from_another_of_its_host(tmp_path: Path) -> None:
    write(tmp_path / "journal" / "h-load.jsonl", started(role="load", t_ns=10, wall_ns=1_000))
    write(tmp_path / "journal" / "h-engine-3-1.jsonl", changed(15, "a", Remains.DOUBTFUL))
    passed = journal.PassedOver()
    first, event = next(iter(journal.batches(tmp_path / "journal" / "h-engine-3-1.jsonl", passed)))
    assert first == started(role="engine", process=3, incarnation=1, t_ns=15, wall_ns=1_005)
    assert event == changed(15, "a", Remains.DOUBTFUL)
    assert passed.first == ["h-engine-3-1.jsonl:1: does not begin with run_started"]


def test_files_that_are_none_of_ours_cost_nothing_but_their_own_place(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write(folder / "h-load.jsonl", started(role="load"), RunFinished(t_ns=5, reason="x"))
    write(folder / "h-engine-0-0.jsonl", started(), RunFinished(t_ns=5, reason="x"))
    write(folder / "h-engine-0-0 (copy).jsonl", started())
    write(folder / "other.jsonl", started(run_id="other"))
    write(folder / "later.jsonl", started(schema=3))
    (folder / "._h-load.jsonl").write_bytes(b"\0\5\x16\7" + bytes(100) + b"\n")
    (folder / "h-engine-1-0.jsonl.gz").write_bytes(b"\x1f\x8b")
    (folder / "folder.jsonl").mkdir()
    (folder / "empty.jsonl").touch()
    (folder / "begun.jsonl").write_bytes(b'{"event":"run_st')
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "nowhere.jsonl").symlink_to("nothing")

    passed = journal.PassedOver()
    assert [path.name for path in journal.journals(tmp_path, passed)] == ["h-engine-0-0.jsonl", "h-load.jsonl"]

    assert sorted(passed.first) == [
        "._h-load.jsonl: does not begin with run_started",
        "folder.jsonl: not a file",
        "h-engine-0-0 (copy).jsonl: a copy of h-engine-0-0.jsonl",
        "h-engine-1-0.jsonl.gz: not read: a journal's name ends in .jsonl",
        "later.jsonl: schema 3, this version reads 1 to 2",
        "nowhere.jsonl: not a file",
        "other.jsonl: belongs to run other, not to run",
        "pipe.jsonl: not a file",
    ]


def test_a_large_file_is_read_whole_and_in_order(tmp_path: Path) -> None:
    many = [changed(t_ns, "s" * 100, Remains.NOTHING) for t_ns in range(20_000)]
    write(tmp_path / "a.jsonl", started(), *many, tail=b'{"event":"remains_ch')
    batches = list(journal.batches(tmp_path / "a.jsonl"))
    assert [event for batch in batches for event in batch] == [started(), *many]
    assert len(batches) > 2


def test_a_field_of_a_later_minor_version_is_passed_over(tmp_path: Path) -> None:
    later = b'{"event":"run_finished","t_ns":5,"mood":{"of":["day"]},"reason":"completed"}\n'
    write(tmp_path / "a.jsonl", started(), tail=later)
    assert journal.read(tmp_path / "a.jsonl").events[1:] == [RunFinished(t_ns=5, reason="completed")]


def test_what_holds_its_default_is_not_written() -> None:
    line = journal.encode(changed(1, "s", Remains.LEAKED))
    assert line == b'{"event":"remains_changed","t_ns":1,"session":"s","remains":"leaked","reason":"create_sent"}\n'


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", started(schema=3))
    with pytest.raises(journal.JournalError, match="schema 3, this version reads 1 to 2"):
        journal.read(tmp_path / "a.jsonl")


def test_the_first_line_says_its_schema_and_one_that_has_none_is_of_the_first() -> None:
    written = journal.encode(journal.first_line(role="engine", run_id="r", scenario="s", process=0))
    assert b'"schema":2' in written
    said = journal.decode(written.replace(b',"schema":2', b""))
    assert isinstance(said, RunStarted)
    assert said.schema == 1


def test_the_id_at_the_target_is_read_by_its_old_name_too(tmp_path: Path) -> None:
    new = RemainsChanged(
        t_ns=1, session='"avaturn_session_id":"no"', remains=Remains.LEAKED, reason="deleted", target_session_id="x-1"
    )
    old = journal.encode(new).replace(b'"target_session_id":', b'"avaturn_session_id":')
    assert old != journal.encode(new)
    write(tmp_path / "a.jsonl", started(), tail=old)
    assert journal.read(tmp_path / "a.jsonl").events[1:] == [new]
    assert journal.decode(old) == journal.decode(old.decode()) == new


def test_leftovers_are_the_last_word_on_each_session() -> None:
    words = [
        changed(1, "gone", Remains.DOUBTFUL),
        changed(2, "gone", Remains.LEAKED, "av-1"),
        changed(3, "gone", Remains.NOTHING, "av-1"),
        changed(1, "unanswered", Remains.DOUBTFUL),
        changed(1, "leaked", Remains.DOUBTFUL),
        changed(2, "leaked", Remains.LEAKED, "av-2"),
        changed(1, "refused", Remains.DOUBTFUL),
        changed(2, "refused", Remains.NOTHING),
        changed(5, "swept", Remains.LEAKED, "av-3"),  # by a host whose clock is behind
        RemainsChanged(t_ns=4, session="swept", remains=Remains.NOTHING, reason=RemainsReason.SWEPT),
    ]
    for order in (words, words[::-1]):  # files are read one after the other, whoever wrote later
        left = leftovers(order)
        assert left.leaked == {"leaked": "av-2"}
        assert left.doubtful == {"unanswered": 1}


def test_what_is_asked_for_of_a_journal_is_not_kept_and_no_other_event_is_handed_out(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", started(), *(changed(n, "s", Remains.DOUBTFUL) for n in range(2, 2_000)))
    passed = journal.PassedOver()
    words = journal.words_of([tmp_path / "a.jsonl", tmp_path / "none.jsonl"], RemainsChanged, passed)
    assert next(words).t_ns == 2
    assert passed.first == []  # it has not come to the second file
    assert sum(1 for _ in words) == 1_997
    assert passed.first == ["none.jsonl: No such file or directory"]
    assert list(journal.words_of([tmp_path / "a.jsonl"], SessionStarted)) == []


def test_events_of_all_files_come_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    write(tmp_path / "journal" / "a.jsonl", started(), changed(30, "s", Remains.NOTHING))
    write(tmp_path / "journal" / "b.jsonl", started(), changed(20, "s", Remains.LEAKED, "av"))
    stamps = [event.t_ns for event in journal.merged(journal.read_run(tmp_path))]
    assert stamps == [1, 1, 20, 30]


def test_what_was_written_survives_a_sigkill_of_the_writer_and_frees_the_lock(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    code = (
        "import sys; from pathlib import Path; from loadtest import journal\n"
        "from loadtest.events.kinds import RunFinished\n"
        "file = journal.Journal(Path(sys.argv[1]))\n"
        "file.write(journal.encode(RunFinished(t_ns=7, reason='completed')))\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "journal" / "a.jsonl"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        assert journal.wait_until_closed(tmp_path, timeout_s=0) is False
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
    assert journal.wait_until_closed(tmp_path, timeout_s=5) is True
    assert journal.decode(path.read_bytes()) == RunFinished(t_ns=7, reason="completed")


def test_a_file_of_a_run_stands_for_its_directory(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "journal").mkdir(parents=True)
    (run / "report.html").touch()
    for name in ("report.html", "report.json", "journal", "."):  # whether it was written or not
        assert journal.run_of(str(run / name)) == run, name
    assert journal.run_of(tmp_path) == tmp_path


def test_a_run_may_be_called_journal(tmp_path: Path) -> None:
    run = tmp_path / "journal"
    (run / "journal").mkdir(parents=True)
    (run / "report.html").touch()
    for name in (".", "report.html", "report.json", "journal"):
        assert journal.run_of(str(run / name)) == run, name


def test_a_file_of_no_run_is_passed_on() -> None:
    assert journal.run_of("nowhere/report.json") == Path("nowhere/report.json")


def test_a_closed_journal_takes_no_line_and_takes_that_for_no_full_disk(tmp_path: Path) -> None:
    full: list[OSError] = []
    with journal.Journal(tmp_path / "journal" / "a.jsonl") as file:
        file.on_full = full.append
    with pytest.raises(ValueError, match=r"a\.jsonl is closed"):
        file.write(b"{}\n")
    assert full == []
