"""Work that a command has done by a process of its own: what comes of it is as if it had been done here."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.commands.printing import complain
from loadtest.commands.work.aside import aside
from loadtest.errors.exceptions import ConfigError, GeneratorError
from tests.support import eventually


class PickyError(Exception):
    """It can be sent, but not be made again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def told(problems: list[str]) -> None:
    complain("warning: first")
    raise ConfigError(problems)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_it_says_and_what_it_raises_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        aside(told, ["load: one", "target: two"])
    assert raised.value.problems == ["load: one", "target: two"]
    assert capsys.readouterr().err == "avaload: warning: first\n"


def test_a_limit_of_this_machine_keeps_its_name_and_its_file() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        aside(lambda: Path("/nowhere/at/all").stat() and None)
    assert (raised.value.filename, raised.value.strerror) == ("/nowhere/at/all", "No such file or directory")


def test_of_a_mistake_the_place_is_told() -> None:
    def mistaken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError) as raised:
        aside(mistaken)
    assert "in mistaken" in raised.value.__notes__[0]


def test_an_error_that_can_not_be_sent_is_told_by_its_text() -> None:
    def picky() -> None:
        raise PickyError("this", "that")

    with pytest.raises(RuntimeError, match="PickyError: this and that"):
        aside(picky)


def test_one_that_is_killed_is_told_and_not_taken_for_done() -> None:
    with pytest.raises(GeneratorError, match="were killed"):
        aside(killed)


def test_what_it_imports_and_changes_is_not_held_here() -> None:
    assert "sched" not in sys.modules
    changed: list[int] = []

    def work() -> None:
        import sched

        changed.append(bool(sched))

    aside(work)
    assert "sched" not in sys.modules
    assert changed == []


WAITING = """
import os, pathlib, signal, sys, time
from loadtest.commands.work.aside import aside

def work():
    path = pathlib.Path(sys.argv[1])
    path.with_suffix(".part").write_text(str(os.getpid()))
    path.with_suffix(".part").rename(path)
    time.sleep(100)

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have it ignored
try:
    aside(work)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_it_ends_with_the_command_that_waits_for_it(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    written = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", WAITING, str(written)]) as command:
        eventually(written.exists, within_s=30, what="the work begins")
        command.send_signal(sent)
        assert command.wait(30) == code
    child = Path("/proc", written.read_text(), "environ")
    eventually(lambda: not _is_there(child), within_s=10, what="the copy is gone")


def _is_there(environ: Path) -> bool:
    try:
        return bool(environ.read_bytes())
    except OSError:
        return False
