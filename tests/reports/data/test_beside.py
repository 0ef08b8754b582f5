"""A second pass over large journals, in a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports.data import beside
from tests.reports import journals as j


def who(path: Path) -> tuple[int, str]:
    """Whose process it is done in, and what there was to do."""
    print("what is said on the way is no answer")
    return os.getpid(), path.name


def here_alone(caller: int) -> int:
    if os.getpid() != caller:
        os._exit(9)
    return caller


def refusing(_caller: int) -> None:
    raise ValueError("of no use")


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LARGE", 1)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    j.write_file(tmp_path, [], process=0)
    return tmp_path


def test_it_is_done_by_another_process(run_dir: Path) -> None:
    with beside.beside(run_dir, who, run_dir) as done:
        number, name = done()
    assert (number != os.getpid(), name) == (True, run_dir.name)


def test_what_is_small_is_done_here(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LARGE", 2**20)
    with beside.beside(run_dir, who, run_dir) as done:
        assert done() == (os.getpid(), run_dir.name)


def test_a_process_that_is_killed_costs_time_alone(run_dir: Path) -> None:
    with beside.beside(run_dir, here_alone, os.getpid()) as done:
        assert done() == os.getpid()


def test_what_goes_wrong_is_raised_where_it_is_asked_for(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with beside.beside(run_dir, refusing, os.getpid()) as done, pytest.raises(ValueError, match="of no use"):
        done()
    assert capfd.readouterr() == ("", "")


def test_who_asks_for_no_answer_does_not_wait_for_it(run_dir: Path) -> None:
    with beside.beside(run_dir, time.sleep, 3600):
        pass


def test_a_script_that_asks_is_not_run_once_more(run_dir: Path, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "print('once')\n"
        "from pathlib import Path\n"
        "from reports.data import beside\n"
        "beside.LARGE = 1\n"
        f"with beside.beside(Path({str(run_dir)!r}), len, 'four') as done:\n"
        "    print(done())\n"
    )
    ran = subprocess.run([sys.executable, "-P", script], capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("once\n4\n", "")
