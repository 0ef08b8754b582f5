"""`settings.json`: what is written of a run, and that directories of every schema can be read."""

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtest import journal
from loadtest.config.run_dir import (
    below_here,
    is_embedded,
    load_resolved,
    make_run_dir,
    read_written,
    run_id,
    write_settings,
)
from loadtest.config.settings import Load, Settings
from loadtest.errors.exceptions import ConfigError

SETTINGS = Settings(name="talk", load=Load(users=7))


def test_what_was_written_is_read_back_as_settings(tmp_path: Path) -> None:
    write_settings(SETTINGS, tmp_path, started_at=datetime(2026, 1, 2, tzinfo=UTC), embedded_twin=True, run_id="r")
    written = json.loads((tmp_path / "settings.json").read_text())
    assert (written["schema"], written["settings"]["name"], "scenario" in written) == (2, "talk", False)
    assert load_resolved(tmp_path) == SETTINGS
    assert (run_id(tmp_path), is_embedded(tmp_path)) == ("r", True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_files_cant_be_locked_no_run_is_begun_and_nothing_is_left(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / "there").mkdir()
    for run_dir in (tmp_path / "new" / "run", tmp_path / "there"):
        with pytest.raises(ConfigError) as raised:
            make_run_dir(run_dir)
        why = "its file system has no file locks; give --run-dir on a local disk"
        assert raised.value.problems == [f"{run_dir}: {why}"]
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_baseline_is_written_as_it_is_called_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.model_validate({"output": {"baseline": "runs/before"}})
    write_settings(settings, tmp_path, started_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert load_resolved(tmp_path).output.baseline == tmp_path.resolve() / "runs/before"


def test_the_settings_of_schema_1_stand_under_another_key(tmp_path: Path) -> None:
    old = {"schema": 1, "run_id": "r", "scenario": SETTINGS.model_dump(mode="json"), "embedded_twin": False}
    (tmp_path / "settings.json").write_text(json.dumps(old))
    assert load_resolved(tmp_path) == SETTINGS
    assert (run_id(tmp_path), is_embedded(tmp_path)) == ("r", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "must hold an object"),
        ("{}", "holds no settings"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "can't be read"),
        ('{"settings": {"load": {"users": -1}}}', r"settings\.load\.users: .+greater"),
    ],
)
def test_what_is_no_settings_is_a_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_resolved(tmp_path)


def test_settings_of_another_version_leave_the_rest_of_the_file_readable(tmp_path: Path) -> None:
    told = {"settings": {"name": "talk", "warp": 9}, "run_id": "r", "tags": {"build": "7"}, "host": "not a table"}
    (tmp_path / "settings.json").write_text(json.dumps(told))
    written = read_written(tmp_path)
    assert (written.settings, written.problem) == (None, "settings.warp: Extra inputs are not permitted")
    assert (written.name, written.run_id, written.tags, written.host) == ("talk", "r", {"build": "7"}, {})


@pytest.mark.parametrize("cores", ["many", None, [4], -4, 0, 10**400])
def test_a_machine_is_called_and_has_cores_only_where_a_name_and_a_number_say_so(tmp_path: Path, cores: object) -> None:
    for name, count, found in (("host-a", 4, ("host-a", 4)), (["host-a"], cores, (None, None))):
        (tmp_path / "settings.json").write_text(json.dumps({"host": {"name": name, "cores": count}}))
        written = read_written(tmp_path)
        assert (written.host_name, written.cores) == found


def test_a_directory_that_another_account_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    make_run_dir(ours)
    assert journal.folder(ours).is_dir()
    theirs.mkdir()
    if os.geteuid() == 0:  # root's are trusted
        os.chown(theirs, 12345, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 12346)
    with pytest.raises(ConfigError, match="theirs: belongs to another account"):
        make_run_dir(theirs)
    assert list(theirs.iterdir()) == []


def test_a_directory_without_a_journal_is_no_run_and_one_with_one_lacks_its_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: holds no journal; is it a run directory\?$"):
        load_resolved(tmp_path / "nowhere")
    with (
        journal.Journal(journal.path_of(tmp_path, "load", 0)),
        pytest.raises(ConfigError, match=r"has no settings.json$"),
    ):
        load_resolved(tmp_path)


def test_a_run_is_called_as_from_the_working_directory_while_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert (below_here(here / "runs" / "1"), below_here(tmp_path / "other")) == ("runs/1", None)
    here.rmdir()
    assert below_here(here / "runs" / "1") is None
