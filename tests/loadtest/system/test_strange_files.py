"""Nothing in a run directory is read or written through a link, a pipe or a device, whoever made the directory."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporters.log import Log
from exporters.traces import trace_counts
from loadtest import journal
from loadtest.budget.reserving import Budget
from loadtest.cli import main
from loadtest.config import run_dir as run_dirs
from loadtest.distribution.channel import pack
from loadtest.distribution.receiving import Receiver
from loadtest.distribution.shipping import Shipper
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import RemainsChanged
from loadtest.session.hearing import tape
from loadtest.system import disk

SECRET = b'{"secret": "of somebody else"}\n'

Plant = Callable[[Path], None]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    (path / "journal").mkdir(parents=True)
    return path


@pytest.fixture(params=["link", "dangling link", "pipe", "device", "folder", "socket"])
def planted(request: pytest.FixtureRequest, victim: Path) -> Iterator[Plant]:
    """Puts something that is no plain file at a path; in the end the victim is what it was."""

    def plant(path: Path) -> None:
        match request.param:
            case "link":
                path.symlink_to(victim)
            case "dangling link":
                path.symlink_to(victim.parent / "made by a stranger")
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "socket":
                here = Path.cwd()
                os.chdir(path.parent)  # a socket's address is short
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(path.name)
                os.chdir(here)

    yield plant
    assert victim.read_bytes() == SECRET
    assert not (victim.parent / "made by a stranger").exists()


def test_what_is_no_plain_file_is_neither_read_nor_written_and_waited_for_by_nobody(
    planted: Plant, run_dir: Path
) -> None:
    path = run_dir / "journal" / "x.jsonl"
    planted(path)
    for use in (disk.read, disk.open_read, disk.open_write, disk.open_append, journal.Journal, journal.beginning):
        with pytest.raises((OSError, journal.JournalError)):
            use(path)
    with pytest.raises(OSError, match=r"\w"):
        Budget(path, sessions=3)
    assert not disk.is_plain(path)
    assert journal.paths(run_dir) == []
    passed = journal.PassedOver()
    with pytest.raises(journal.JournalError):
        journal.journals(run_dir, passed)
    assert list(journal.words(run_dir, RemainsChanged, passed)) == []
    assert passed.first[0].startswith("x.jsonl: ")
    assert journal.wait_until_closed(run_dir, timeout_s=0)
    assert list(journal.Follower(run_dir).read()) == []
    assert Shipper(run_dir, lambda *_, **__: True).files() == {}


def test_logs_counts_settings_and_budgets_are_not_found_through_anything(planted: Plant, run_dir: Path) -> None:
    for name in ("log.jsonl", "traces.json", "settings.json"):
        planted(run_dir / name)
    with pytest.raises(OSError, match=r"\w"):
        Log(run_dir)
    assert trace_counts.read(run_dir) is None
    with pytest.raises(ConfigError):
        run_dirs.load_resolved(run_dir)


def test_a_page_that_is_written_takes_the_place_of_a_link_and_not_of_what_it_leads_to(
    run_dir: Path, victim: Path
) -> None:
    (run_dir / "report.json").symlink_to(victim)
    disk.replace(run_dir / "report.json", b"{}")
    assert (victim.read_bytes(), disk.is_plain(run_dir / "report.json")) == (SECRET, True)


@pytest.mark.parametrize("folder", ["journal", "audio"])
def test_a_folder_that_is_a_link_is_neither_read_nor_written(tmp_path: Path, folder: str) -> None:
    elsewhere, run_dir = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    run_dir.mkdir()
    (elsewhere / "a.jsonl").write_bytes(SECRET)
    (elsewhere / "a.wav").write_bytes(SECRET)
    (run_dir / folder).symlink_to(elsewhere)
    receiver = Receiver(run_dir)
    with pytest.raises(OSError, match="link"):
        journal.Journal(run_dir / folder / "b.jsonl")
    with pytest.raises(OSError, match="link"):
        tape.write_wavs(run_dir / folder, "s1", 0, b"", b"")
    with pytest.raises(OSError, match="link"):
        receiver.take("w", f"{folder}/b.{'jsonl' if folder == 'journal' else 'wav'}", offset=0, packed=pack(b""), crc=0)
    assert journal.paths(run_dir) == []
    assert Shipper(run_dir, lambda *_, **__: True).files() == {}
    assert sorted(path.name for path in elsewhere.iterdir()) == ["a.jsonl", "a.wav"]
    if folder == "journal":
        with pytest.raises(journal.JournalError, match="a link"):
            journal.journals(run_dir)


def test_a_file_with_a_second_name_is_read_and_not_written(run_dir: Path, victim: Path) -> None:
    os.link(victim, run_dir / "log.jsonl")
    with pytest.raises(OSError, match="second name"):
        Log(run_dir)
    with pytest.raises(OSError, match="second name"):
        disk.open_write(run_dir / "log.jsonl")
    assert disk.read(run_dir / "log.jsonl") == victim.read_bytes() == SECRET


def test_the_name_under_which_a_page_is_written_first_can_t_be_guessed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    real = os.open

    def noted(path: Path, *args: int, **more: int) -> int:
        names.append(Path(path).name)
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", noted)
    for _ in range(3):
        disk.replace(run_dir / "settings.json", b"{}")
    assert len(set(names)) == 3
    assert not any(str(os.getpid()) == name.rpartition(".")[2] for name in names)


def test_a_file_without_an_end_is_not_read(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MOST_READ", 10)
    (run_dir / "settings.json").write_text(json.dumps({"scenario": {}}))
    with pytest.raises(ConfigError, match="larger than"):
        run_dirs.load_resolved(run_dir)


@pytest.fixture
def umask_022(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(disk, "_given_umask", None)
    before = os.umask(0o022)
    yield
    os.umask(before)


def _modes(run_dir: Path) -> set[str]:
    run_dir = run_dir.resolve()
    with journal.Journal(run_dir / "journal" / "a.jsonl"), Budget(run_dir / "sessions.reserved", sessions=1):
        pass
    disk.replace(run_dir / "report.json", b"{}")
    tape.write_wavs(run_dir / "audio", "s1", 0, b"", b"")
    Log(run_dir).close()
    return {
        f"{'d' if path.is_dir() else '-'}{path.stat().st_mode & 0o777:o}" for path in [run_dir, *run_dir.rglob("*")]
    }


@pytest.mark.usefixtures("umask_022")
def test_what_is_made_is_the_owner_s_alone_unless_the_umask_is_to_be_followed(tmp_path: Path) -> None:
    disk.keep_private()
    (tmp_path / "was there").mkdir(mode=0o755)
    for name in ("private", "was there"):
        run_dirs.make_run_dir(tmp_path / name)
        assert _modes(tmp_path / name) == {"d700", "-600"}
    run_dirs.make_run_dir(tmp_path / "shared", private=False)
    assert _modes(tmp_path / "shared") == {"d755", "-644"}


@pytest.mark.usefixtures("umask_022")
def test_what_is_added_to_a_run_may_be_read_by_whom_its_journals_may_be(tmp_path: Path) -> None:
    for name, mode in (("open", 0o755), ("closed", 0o700)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal").mkdir(mode=mode)
        disk.keep_private()
        disk.follow(tmp_path / name)
        disk.replace(tmp_path / name / "report.json", b"{}")
    modes = [(tmp_path / name / "report.json").stat().st_mode & 0o777 for name in ("open", "closed")]
    assert modes == [0o644, 0o600]


def test_a_file_that_somebody_names_has_a_bound_and_a_pipe_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_PIPE_S", 0.1)
    monkeypatch.setattr(disk, "MOST_READ", 1 << 20)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, why in ((pipe, "nothing came"), (Path("/dev/zero"), "larger than 1 MiB"), (tmp_path, "Is a directory")):
        with pytest.raises(OSError, match=why):
            disk.read_named(path)
        for said in (["run", str(path), "--dry-run"], ["prices", "--prices", str(path)]):
            assert main(said) == 2
    assert main(["run", "--dry-run", "--ca-file", str(pipe)]) == 2


def test_what_a_shell_pipes_and_what_a_link_leads_to_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"whole")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert disk.read_named(tmp_path / "link") == b"whole"
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    try:
        assert disk.read_named(Path(f"/dev/fd/{reading}")) == b"piped"
    finally:
        os.close(reading)


@pytest.mark.parametrize("depth", [101, 900, 100_000])
@pytest.mark.parametrize(("begin", "end"), [('{"a": ', "}"), ('{"a": [', "]}")])
def test_no_object_is_read_whose_reader_would_run_out_of_stack(
    tmp_path: Path, begin: str, end: str, depth: int
) -> None:
    (path := tmp_path / "settings.json").write_text(begin * depth + "1" + end * depth)
    with pytest.raises(ValueError, match="nested too deeply"):
        disk.read_object(path)
    path.write_text(begin * 50 + "1" + end * 50)
    assert list(disk.read_object(path)) == ["a"]
