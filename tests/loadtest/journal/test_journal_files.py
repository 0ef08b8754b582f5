"""What journals are called, who holds them, and how they are read while they grow."""

import os
import socket
from pathlib import Path

import pytest

from loadtest import journal
from loadtest.events.kinds import RunFinished, RunStarted
from loadtest.journal.files import Writer, not_a_run
from loadtest.journal.lines import LONGEST

HERE = socket.gethostname()
END = RunFinished(t_ns=1, reason="completed")


def started(process: int = 0) -> bytes:
    return journal.encode(journal.first_line(role="load", run_id="r", scenario="s", process=process))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("master",), "-master.jsonl"),
        (("worker", 3), "-worker-3.jsonl"),
        (("load", 0), "-load-0.jsonl"),
        (("engine", 2, 1), "-engine-2-1.jsonl"),
        (("sweep", 0), "-sweep-0.jsonl"),
    ],
)
def test_a_file_is_called_after_who_writes_it_and_the_name_says_so_again(given: tuple[str, int], name: str) -> None:
    path = journal.path_of(Path("run"), *given)
    assert path == Path("run", "journal", HERE + name)
    assert journal.writer_of(path.name) == Writer(given[0], HERE, *given[1:])


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("a-engine-7-b-engine-2-1.jsonl", Writer("engine", "a-engine-7-b", 2, 1)),
        ("x-worker-master.jsonl", Writer("master", "x-worker")),
        ("old.jsonl", None),
        ("host-engine-1-0.jsonl.gz", None),
        ("-engine-1-0.jsonl", None),
    ],
)
def test_hosts_may_be_called_like_roles_and_what_is_not_ours_has_no_writer(name: str, writer: Writer | None) -> None:
    assert journal.writer_of(name) == writer


def test_files_of_a_role_and_a_number_are_found_and_no_others(tmp_path: Path) -> None:
    for role, *numbers in (("worker", 1), ("worker", 11), ("engine", 1, 0), ("engine", 1, 1), ("master",)):
        with journal.Journal(journal.path_of(tmp_path, str(role), *map(int, numbers))):
            pass
    (tmp_path / "journal" / "x-worker-1.jsonl").symlink_to(journal.path_of(tmp_path, "master"))

    def found(*of: object) -> list[str]:
        return [path.name.removeprefix(f"{HERE}-") for path in journal.paths(tmp_path, *of)]  # type: ignore[arg-type]

    assert found("worker", 1) == ["worker-1.jsonl"]
    assert found("worker") == ["worker-1.jsonl", "worker-11.jsonl"]
    assert found("engine", 1) == ["engine-1-0.jsonl", "engine-1-1.jsonl"]
    assert len(found()) == 5


def test_a_file_is_free_when_its_writer_is_gone_and_looking_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "a.jsonl"
    with journal.Journal(path):
        assert not journal.is_free(path)
    assert journal.is_free(path)
    with journal.Journal(path):  # would wait for ever if the look before had kept its lock
        assert not journal.is_free(path)


@pytest.mark.parametrize(
    ("content", "has"),
    [
        (b"", False),
        (started() + journal.encode(END), True),
        (journal.encode(END), True),
        (started() + journal.encode(END)[:-1], False),
        (started() + journal.encode(END) + started(), False),
        (started() * 50 + journal.encode(END), True),
        (b"\x00" * 5000 + b"\n", False),
    ],
)
def test_a_last_word_is_a_whole_last_line_that_says_so(tmp_path: Path, content: bytes, has: bool) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert journal.has_last_word(path) is has


def test_journals_are_read_on_from_where_the_last_reading_ended(tmp_path: Path) -> None:
    follower = journal.Follower(tmp_path)

    def new() -> list[str]:
        return [type(event).__name__ for _, event in follower.read()]

    assert (new(), follower.empty, follower.unread) == ([], True, 0)
    with journal.Journal(tmp_path / "journal" / "a.jsonl") as file:
        file.write(started())
        line = journal.encode(END)
        file.write(line[:9])
        assert follower.over  # it has seen no file yet: ask `empty` as well
        assert new() == ["RunStarted"]
        assert (new(), follower.over, follower.unread) == ([], False, 0)
        file.write(line[9:])
        assert follower.unread == len(line) - 9
        assert [event for _, event in follower.read()] == [END]
    assert (new(), follower.over, follower.bad_lines) == ([], True, 0)


def test_a_file_that_is_taken_away_is_told_and_does_not_hold_the_end(tmp_path: Path) -> None:
    follower = journal.Follower(tmp_path)
    with journal.Journal(tmp_path / "journal" / "a.jsonl") as file:
        file.write(started())
        assert [type(event) for _, event in follower.read()] == [RunStarted]
        file.path.unlink()
        assert list(follower.read()) == []
    assert (follower.over, follower.bad_lines, follower.unread) == (True, 1, 0)


def test_a_file_of_another_schema_is_told_and_does_not_hold_the_others(tmp_path: Path) -> None:
    follower = journal.Follower(tmp_path)
    with journal.Journal(tmp_path / "journal" / "a.jsonl") as file:
        file.write(started().replace(b'"schema":2', b'"schema":99') + journal.encode(END) * 3)
    with journal.Journal(tmp_path / "journal" / "b.jsonl") as file:
        file.write(started() + journal.encode(END))
    assert [type(event) for _, event in follower.read()] == [RunStarted, RunFinished]
    assert (follower.over, follower.empty, follower.bad_lines, follower.unread) == (True, False, 1, 0)


def test_of_a_run_that_is_over_only_the_files_that_count_are_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with journal.Journal(tmp_path / "journal" / f"{name}.jsonl") as file:
            file.write(started() + journal.encode(END))
    follower = journal.Follower(tmp_path, [tmp_path / "journal" / "b.jsonl"])
    assert [source.path.name for source, _ in follower.read()] == ["b.jsonl"] * 2
    assert follower.over


def test_a_line_without_an_end_takes_no_more_memory_than_the_longest_that_is_read(tmp_path: Path) -> None:
    follower = journal.Follower(tmp_path)
    with journal.Journal(tmp_path / "journal" / "a.jsonl") as file:
        file.write(started())
        file.write(b"x" * (LONGEST + (1 << 20)))
        ((source, _),) = follower.read()
        assert len(source.rest) <= LONGEST
        file.write(b"\n" + journal.encode(END))
        assert [event for _, event in follower.read()] == [END]
    assert follower.bad_lines == 1


def test_a_folder_of_runs_is_told_its_newest(tmp_path: Path) -> None:
    for number, name in enumerate(("older", "newer", "no run")):
        (tmp_path / name / ("x" if name == "no run" else "journal")).mkdir(parents=True)
        os.utime(tmp_path / name, (number, number))
    told = f"{tmp_path}: holds no journal; is it a run directory? (the newest in it: {tmp_path / 'newer'})"
    assert not_a_run(tmp_path) == told
    assert not_a_run(tmp_path / "newer" / "journal").endswith("is it a run directory?")
