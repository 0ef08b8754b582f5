import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import journal
from loadtest.events import (
    Event,
    Remains,
    RemainsChanged,
    RunFinished,
    RunStarted,
)

EVENTS = list(get_args(Event))


@given(st.one_of([st.builds(cls) for cls in EVENTS]))
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
    return RemainsChanged(t_ns=t_ns, session=session, remains=remains, reason="x", avaturn_session_id=avaturn_id)


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


@pytest.mark.parametrize("broken", [b"nonsense\n", b'{"event":"unheard_of"}\n', b'{"event":"run_finished"}\n', b"[]\n"])
def test_a_bad_line_in_the_middle_is_an_error_not_a_gap(tmp_path: Path, broken: bytes) -> None:
    write(tmp_path / "a.jsonl", started(), tail=broken + journal.encode(RunFinished(t_ns=5, reason="completed")))
    with pytest.raises(journal.JournalError, match=r"^a\.jsonl:2: not an event line: "):
        journal.read(tmp_path / "a.jsonl")


def test_a_bad_line_is_named_by_its_number_however_far_it_is(tmp_path: Path) -> None:
    many = [changed(t_ns, "s" * 100, Remains.NOTHING) for t_ns in range(20_000)]  # several chunks
    write(tmp_path / "a.jsonl", started(), *many, tail=b"{}\n" + journal.encode(RunFinished(t_ns=5, reason="x")))
    with pytest.raises(journal.JournalError, match=r"^a\.jsonl:20002: not an event line: Object missing required"):
        journal.read(tmp_path / "a.jsonl")


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
    assert line == b'{"event":"remains_changed","t_ns":1,"session":"s","remains":"leaked","reason":"x"}\n'


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", started(schema=2))
    with pytest.raises(journal.JournalError, match="schema 2, this version reads 1"):
        journal.read(tmp_path / "a.jsonl")


def test_leftovers_are_the_last_word_on_each_session() -> None:
    left = journal.leftovers(
        [
            changed(1, "gone", Remains.DOUBTFUL),
            changed(2, "gone", Remains.LEAKED, "av-1"),
            changed(3, "gone", Remains.NOTHING, "av-1"),
            changed(1, "unanswered", Remains.DOUBTFUL),
            changed(1, "leaked", Remains.DOUBTFUL),
            changed(2, "leaked", Remains.LEAKED, "av-2"),
            changed(1, "refused", Remains.DOUBTFUL),
            changed(2, "refused", Remains.NOTHING),
        ]
    )
    assert left.leaked == {"leaked": "av-2"}
    assert left.doubtful == {"unanswered": 1}


def test_events_of_all_files_come_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    write(tmp_path / "journal" / "a.jsonl", started(), changed(30, "s", Remains.NOTHING))
    write(tmp_path / "journal" / "b.jsonl", started(), changed(20, "s", Remains.LEAKED, "av"))
    stamps = [event.t_ns for event in journal.merged(journal.read_run(tmp_path))]
    assert stamps == [1, 1, 20, 30]


def test_what_was_written_survives_a_sigkill_of_the_writer_and_frees_the_lock(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    code = (
        "import sys; from pathlib import Path; from loadtest import journal; from loadtest.events import RunFinished\n"
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
