"""A worker's command beside its load processes: what it ships, and when it gives its place back."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest import journal
from loadtest.distribution.attendance import Attendance
from loadtest.distribution.channel import Channel
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import RunFinished
from loadtest.processes.ctrl_c import Interruption
from tests.loadtest.distribution.master import KEYS, Serving, serving
from tests.loadtest.distribution.test_hosts import JOIN
from tests.loadtest.distribution.test_joining import settings
from tests.support import eventually


@dataclass
class There:
    """A worker that has joined; its load process is a program that ends with its standard input."""

    attendance: Attendance
    master: Serving
    program: "subprocess.Popen[bytes]"
    interruption: Interruption

    def interrupt(self) -> None:
        with self.interruption.heard({}):
            os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def there(directory: Path, *, reason: str | None = "interrupted") -> Iterator[There]:
    """`reason`: its journal's last word; None: it has none."""
    run_dir = directory / "worker"
    with journal.Journal(run_dir / "journal" / "far-worker-0.jsonl") as file:
        started = journal.first_line(role="load", run_id="run", scenario="x", process=0)
        for event in (started, *([] if reason is None else [RunFinished(t_ns=1, reason=reason)])):
            file.write(journal.encode(event))
    with (
        serving(settings(processes=1), directory / "master") as master,
        Channel("127.0.0.1", master.port, node="far", keys=KEYS) as channel,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as program,
    ):
        join = {name: value for name, value in JOIN.items() if name != "op"}
        eventually(lambda: channel.say("join", **join) and channel.hear(1), within_s=20, what="a welcome")
        interruption = Interruption()
        try:
            yield There(Attendance(channel, run_dir, {0: program}, interruption), master, program, interruption)
        finally:
            program.kill()


def files_of(master: Path) -> list[str]:
    return sorted(path.name for path in (master / "journal").iterdir())


def test_who_is_interrupted_before_the_run_begins_gives_its_place_back_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    with there(tmp_path) as it:
        it.interrupt()
        assert it.attendance.run() is Exit.INTERRUPTED
        assert it.attendance.has_left
        assert it.program.poll() is not None
        assert it.master.hosts.joined == 0
        assert set(it.master.heard) == {"join", "ping", "leave"}
    assert it.master.states() == ["joined", "withdrawn"]
    assert files_of(tmp_path / "master") == []


def test_once_it_has_begun_what_an_interrupted_one_wrote_comes_home(tmp_path: Path) -> None:
    with there(tmp_path) as it:
        it.master.hosts.begin()
        it.interrupt()
        assert it.attendance.run() is Exit.INTERRUPTED
        assert not it.attendance.has_left
    assert it.master.states() == ["joined", "home"]
    assert files_of(tmp_path / "master") == ["far-worker-0.jsonl"]


def test_one_whose_load_process_dies_before_the_run_begins_says_so_and_makes_room(tmp_path: Path) -> None:
    with there(tmp_path, reason=None) as it:
        it.program.kill()
        with pytest.raises(GeneratorError, match="load process 0 died; see"):
            it.attendance.run()
        assert it.master.hosts.joined == 0
        assert it.master.hosts.why_left == "the worker on far left: load process 0 ended before the run began"
    assert files_of(tmp_path / "master") == []
