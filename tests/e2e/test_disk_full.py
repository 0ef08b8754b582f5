"""A run whose disk fills up ends at once, says so, deletes everything, and can be reported and swept."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from loadtest import journal
from tests.conftest import NOT_PERMITTED
from tests.e2e.target import alive, completed, leftovers, not_deleted, reaching
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.programs import needed
from tests.support import Avaload, Done, avaload, call, eventually

PLAN = ("--users", "4", "--duration", "10m", "--ramp", "0s")
"""It would go on for ten minutes."""


@pytest.fixture
def twin() -> Iterator[RunningTwin]:
    with running_twin("--set", "answer_s=0.5") as running:
        yield running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB. Most containers may not mount one; the test of a file that may not grow needs none."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"{NOT_PERMITTED}mount: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    """Take all that is free."""
    with (disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def assert_told_and_deleted(run: Avaload, done: Done, twin: RunningTwin) -> None:
    assert "disk full: the run was stopped and its sessions deleted" in done.out
    assert (done.code, "Traceback" in done.err) == (4, False), done
    assert alive(twin) == not_deleted(twin) == []
    assert leftovers(run.run_dir).leaked == {}
    for path in [*journal.paths(run.run_dir), run.run_dir / "log.jsonl", run.run_dir / "locust.log"]:
        written = path.read_bytes()
        assert written.endswith(b"\n"), path
        assert b"\0" not in written, path


def assert_reported_and_swept(run: Avaload, twin: RunningTwin, cwd: Path) -> None:
    told = call("report", run.run_dir, cwd=cwd)
    assert told.code == 4, told
    assert "disk full" in told.out
    swept = call("sweep", run.run_dir, cwd=cwd, environ=reaching(twin))
    assert (swept.code, swept.out) == (0, "nothing to delete\n0 deleted or already gone, 0 failed\n")


def page_of(run: Avaload, done: Done) -> Path:
    """Where it is said that the report is: in the run's directory, if what was kept free has room for it."""
    own = run.run_dir / "report.html"
    if f"report:  {own}\n" in done.out:
        return own
    (line,) = [line for line in done.err_lines if "the report is in" in line]
    elsewhere = Path(line.rpartition(" ")[2])
    assert line == f"avaload: {run.run_dir}: No space left on device: the report is in {elsewhere}"
    assert not list(run.run_dir.glob("*report*"))
    return elsewhere / own.name


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_disk_that_is_filled_ends_the_run_and_its_report_has_a_place(
    twin: RunningTwin, brief: Path, small_disk: Path, tmp_path: Path, processes: str
) -> None:
    place = ("--run-dir", small_disk / "run")
    with avaload("run", brief, *PLAN, *place, "--processes", processes, cwd=tmp_path, environ=reaching(twin)) as run:
        eventually(lambda: journal.paths(run.run_dir), within_s=60, what="the journals", during=run)
        eventually(lambda: completed(run.run_dir), within_s=60, what="a completed session", during=run)
        fill(small_disk)
        done = run.finish(within_s=60)
    assert_told_and_deleted(run, done, twin)
    page = page_of(run, done)
    assert {path.name for path in page.parent.iterdir()} >= {"report.json", "report.md", "report.html", "junit.xml"}
    assert_reported_and_swept(run, twin, tmp_path)


def test_a_file_that_may_not_grow_ends_the_run_and_the_load_process_has_the_last_words(
    twin: RunningTwin, brief: Path, tmp_path: Path
) -> None:
    through = (needed("prlimit"), "--fsize=40000:40000")
    with avaload("run", brief, *PLAN, cwd=tmp_path, environ=reaching(twin), through=through) as run:
        done = run.finish(within_s=90)
    assert_told_and_deleted(run, done, twin)
    assert f"avaload: {run.run_dir}: File too large: the report can't be written, there or elsewhere" in done.err
    assert_reported_and_swept(run, twin, tmp_path)


def test_ctrl_c_is_obeyed_while_nothing_can_be_written(
    twin: RunningTwin, brief: Path, small_disk: Path, tmp_path: Path
) -> None:
    with avaload("run", brief, *PLAN, "--run-dir", small_disk / "run", cwd=tmp_path, environ=reaching(twin)) as run:
        eventually(lambda: journal.paths(run.run_dir), within_s=60, what="the journals", during=run)
        eventually(lambda: alive(twin), within_s=60, what="a session", during=run)
        fill(small_disk)
        os.kill(run.pid, signal.SIGINT)
        done = run.finish(within_s=60)
    assert done.code in (4, 130), done
    assert alive(twin) == []
    assert_no_half_line(run.run_dir)


def assert_no_half_line(run_dir: Path) -> None:
    for path in journal.paths(run_dir):
        assert path.read_bytes().endswith(b"\n"), path


def test_a_disk_that_is_full_already_is_told_before_anything_starts(small_disk: Path, tmp_path: Path) -> None:
    fill(small_disk)
    done = call("run", "--run-dir", small_disk / "run", cwd=tmp_path)
    assert done.code == 2
    (line,) = [line for line in done.err_lines if not line.startswith("avaload: warning")]
    assert line.startswith(f"avaload: disk: 0.0 MiB free for {small_disk / 'run'}, the run needs about ")
