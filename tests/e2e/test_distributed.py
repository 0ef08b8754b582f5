"""A run over several hosts: a master and workers' commands that share nothing but the master's port.

Each has a working directory of its own. Where this machine allows it, one worker also has a host name and a monotonic
clock of its own, as if it had been up for a day longer.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from loadtest import journal
from loadtest.events.kinds import Fault, GeneratorFailed, SessionFinished
from tests.e2e.target import alive, events, leftovers, not_deleted, reaching, started, unexplained, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import ROOT, Avaload, Done, avaload, call, eventually, free_port

AHEAD_S = 100_000
ELSEWHERE = (
    *("unshare", "--uts", "--time", "--monotonic", str(AHEAD_S), "--fork", "--kill-child"),
    *("sh", "-c", 'hostname far && exec "$@"', "sh"),
)
CLIP = ROOT / "loadtest" / "sound" / "corpus" / "en" / "reset_password.wav"
SLOW_CALLS = ("--set", "latency.create=fixed:0.3", "--set", "latency.delete=fixed:0.1")


@dataclass(frozen=True)
class Parts:
    """A run of several hosts."""

    twin: RunningTwin
    master: Avaload
    workers: list[Avaload]
    port: int

    def is_busy(self, number: int) -> bool:
        """Whether the master has journals of that load process in which sessions ended."""
        for path in journal.paths(self.master.run_dir):
            if f"-engine-{number}-" in path.name:
                return any(isinstance(event, SessionFinished) for event in journal.read(path).events)
        return False


@contextmanager
def parts(
    directory: Path,
    *options: object,
    commands: Sequence[int],
    knobs: Sequence[str] = SLOW_CALLS,
    through: Sequence[str] = (),
    token: str | None = None,
    port: int = 0,
    workers_port: int = 0,
    twin: RunningTwin | None = None,
    given: Sequence[Sequence[object]] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Parts]:
    """A twin (or the one that is given), a master, and a worker's command for each number in `commands`, with so many
    load processes; the last one `through` another command. `token`: in all environments (None: the one of this
    account). `workers_port`: where they look for the master (0: at its own). `given`: options besides, of each worker's
    command; `variables`: of all environments, and with a name that ends in _TOKEN."""
    port = port or free_port()
    with ExitStack() as stack:
        twin = twin or stack.enter_context(running_twin(*knobs))
        environ = reaching(twin) | variables | ({} if token is None else {"AVALOAD_CLUSTER_TOKEN": token})
        keys = {name: value for name, value in environ.items() if name.endswith(("_KEY", "_TOKEN"))}

        def start(name: str, *words: object, **more: object) -> Avaload:
            (directory / name).mkdir(parents=True)
            return stack.enter_context(avaload("run", *words, "--max-wait", "40s", cwd=directory / name, **more))

        expected = ("--master-bind-port", port, "--expect-workers", sum(commands))
        master = start("master", "--master", *expected, "--room", "none", *options, environ=environ)
        workers = []
        for number, processes in enumerate(commands):
            words = (
                "--worker",
                "--master-host",
                "127.0.0.1",
                "--master-port",
                workers_port or port,
                "--processes",
                processes,
                *(given[number] if given else ()),
            )
            last = number == len(commands) - 1
            workers.append(start(f"worker-{number}", *words, environ=keys, through=through if last else ()))
        yield Parts(twin, master, workers, port)


def first_lines(run: Avaload, role: str) -> dict[int, int]:
    """Load process → pid, of those that have a journal of that role in this directory."""
    return {line.process: line.pid for line in run.writers(role)}


def bytes_of(run: Avaload) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in journal.paths(run.run_dir)}


def assert_explained(twin: RunningTwin, run_dir: Path) -> None:
    """What the twin saw is in these journals, and what was not deleted there is doubtful in them."""
    assert unexplained(not_deleted(twin), run_dir) == []
    assert {each for session in twin.state()["sessions"] for each in session["trace_ids"]} <= started(run_dir)
    assert leftovers(run_dir).leaked == {}


@pytest.fixture
def elsewhere() -> tuple[str, ...]:
    """What starts a command with a clock and a host name of its own; nothing where that isn't allowed."""
    tried = subprocess.run([*ELSEWHERE, "true"], capture_output=True, timeout=10)
    return ELSEWHERE if tried.returncode == 0 else ()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Parts, Parts, Done]]:
    """Two runs in which something is killed at the same time. In the first a command with two load processes loses one
    of them, and another command is killed itself; in the second it is the master's Locust process. Before that a
    worker comes late to the first."""
    first, second = tmp_path_factory.mktemp("workers"), tmp_path_factory.mktemp("master")
    brief = ("--users", 6, "--ramp", "0.5s")
    with (
        parts(first, *brief, "--duration", "8s", commands=(2, 1)) as workers,
        parts(second, *brief, "--duration", "10m", commands=(1,)) as master,
    ):
        for run, numbers in ((workers, (0, 1, 2)), (master, (0,))):
            for number in numbers:
                eventually(
                    lambda run=run, number=number: run.is_busy(number),  # type: ignore[misc]
                    within_s=60,
                    what=f"load process {number} at work",
                    during=run.master,
                )
        late = first / "late"
        late.mkdir()
        words = ("run", "--worker", "--master-host", "127.0.0.1", "--master-port", workers.port)
        keys = {name: value for name, value in reaching(workers.twin).items() if name.endswith("_KEY")}
        refused = call(*words, cwd=late, environ=keys)
        own = first_lines(workers.workers[0], "load")
        os.kill(own[min(own)], signal.SIGKILL)
        os.kill(workers.workers[1].pid, signal.SIGKILL)
        os.kill(master.master.locust_pid(), signal.SIGKILL)
        yield workers, master, refused


@pytest.mark.usefixtures("killed")  # those runs go on meanwhile: a silent host is only lost after 10 s
def test_a_run_over_hosts_with_clocks_of_their_own_ends_in_one_directory(
    tmp_path: Path, elsewhere: tuple[str, ...]
) -> None:
    clips = tmp_path / "clips of ours"
    clips.mkdir()
    shutil.copy(CLIP, clips)
    scenario = tmp_path / "far.toml"
    scenario.write_text(f'name = "far"\n[[conversation.turns]]\nkind = "say"\nclip = "{clips}"\n')
    options = (scenario, "--users", 4, "--duration", "3s", "--ramp", "1s", "--max-sessions", 7)
    with parts(tmp_path, *options, commands=(1, 1), through=elsewhere) as run:
        done = run.master.finish(within_s=60)
        report = run.master.report()
        assert done.code == unless_late(0, report), done
        for worker in run.workers:
            ended = worker.finish(within_s=20)
            assert ended.code == 0
            assert ended.err.endswith(f" of the run run; writing {worker.run_dir}\n")
            assert ended.out == f"all journals are at the master; copies are in {worker.run_dir}\n"
            assert bytes_of(worker).items() <= bytes_of(run.master).items()
            assert [path.read_bytes() for path in worker.run_dir.glob("parcel/clips-0/*.wav")] == [CLIP.read_bytes()]
        assert {line.process for line in run.master.writers("engine")} == {0, 1}
        assert report["files"] == {"whole": 5, "truncated": [], "missing": []}
        assert [worker["state"] for worker in report["hosts"]["workers"]] == ["home", "home"]
        # The moment of the beginning as each journal has it, on its own clock, brought to the master's.
        assert 0 <= report["hosts"]["start_spread_s"] < 0.1

        sessions = report["sessions"]
        assert sessions["started"] == sessions["completed"] == len(run.twin.state()["sessions"]) == 7
        assert (sessions["dropped_by"].keys(), sessions["leaked"]) == ({"max_sessions"}, 0)
        assert_explained(run.twin, run.master.run_dir)
        assert report["duration_s"] < 60
        for name in (environ := reaching(run.twin)):
            if name.endswith("_KEY"):
                texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
                assert not [text for text in texts if environ[name].encode() in text]
        if elsewhere:
            (clock,) = [clock for clock in report["hosts"]["clocks"] if clock["host"] == "far"]
            assert abs(clock["offset_s"] + AHEAD_S) <= clock["error_s"] < 0.1
            assert abs(clock["wall_skew_s"]) <= 2 * clock["error_s"]


def test_when_the_master_is_killed_its_workers_delete_and_say_where_their_journals_are(
    killed: tuple[Parts, Parts, Done],
) -> None:
    run = killed[1]
    (worker,) = run.workers
    done = run.master.finish(within_s=30)
    assert done.code == 4, done
    before = run.master.report()
    assert before["sessions"]["leaked"] == 0
    assert before["sessions"]["unknown"] > 0

    ended = worker.finish(within_s=30)
    assert ended.code == 4
    line = ended.err_lines[-1]
    doubtful = len(leftovers(worker.run_dir).doubtful)
    assert line.startswith("avaload: the master is gone; ")
    assert line.endswith(
        f"{worker.run_dir}/journal; copy them into the master's run directory and report again; nothing is left but"
        f" {doubtful} doubtful sessions"
    )
    assert worker.processes() == {}
    assert not any(file.truncated for file in journal.read_run(worker.run_dir))
    eventually(lambda: not unexplained(alive(run.twin), worker.run_dir), within_s=5, what="only doubtful ones alive")
    assert_explained(run.twin, worker.run_dir)

    assert bytes_of(run.master).keys() >= bytes_of(worker).keys()
    for name, content in bytes_of(worker).items():
        assert content.startswith(bytes_of(run.master)[name])  # what came home is a true beginning
        (run.master.run_dir / "journal" / name).write_bytes(content)
    assert call("report", run.master.run_dir, cwd=run.master.run_dir).code == 4
    sessions = run.master.report()["sessions"]
    assert sessions["started"] == len(started(worker.run_dir)) > before["sessions"]["completed"]
    assert (sessions["leaked"], sessions["unknown"]) == (0, 0)
    assert sessions["doubtful"] == len(leftovers(worker.run_dir).doubtful)


def test_a_worker_that_comes_after_the_beginning_is_refused_counted_and_changes_nothing(
    killed: tuple[Parts, Parts, Done],
) -> None:
    run, _, late = killed
    assert late.code == 4
    assert late.err_lines[-1] == (
        f"avaload: the master at 127.0.0.1:{run.port} does not take this worker: the run has begun without it"
    )
    run.master.finish(within_s=60)
    report = run.master.report()
    assert [worker["state"] for worker in report["hosts"]["workers"]].count("refused") == 1
    assert {line.process for line in run.master.writers("load")} == {0, 1, 2}


def faults(run: Parts) -> list[GeneratorFailed]:
    return [event for event in events(run.master.run_dir) if isinstance(event, GeneratorFailed)]


def test_a_run_goes_on_without_what_was_killed_and_says_what_is_missing(killed: tuple[Parts, Parts, Done]) -> None:
    run = killed[0]
    done = run.master.finish(within_s=60)
    assert done.code == 4, done
    report = run.master.report()
    assert report["generator"]["faults"] == {"worker_lost": 1, "journal_missing": 1}
    # The killed load process's command brought all journals home; the killed command brought home what it could.
    assert report["files"]["missing"] == []
    (whole, gone) = run.workers
    ended = whole.finish(within_s=20)
    assert ended.code == 4
    assert ended.err_lines[-1].startswith("avaload: load process ")
    assert bytes_of(whole).items() <= bytes_of(run.master).items()
    workers = [worker for worker in report["hosts"]["workers"] if worker["state"] != "refused"]
    states = {worker["directory"]: worker["state"] for worker in workers}
    assert states == {str(whole.run_dir): "home", str(gone.run_dir): "lost"}
    (missing,) = [event for event in faults(run) if event.fault is Fault.JOURNAL_MISSING]
    assert f"what it wrote is in {gone.run_dir} on " in missing.detail
    eventually(lambda: not gone.processes(), within_s=20, what="the load process of the killed command ended")
    for name, content in bytes_of(gone).items():
        (run.master.run_dir / "journal" / name).write_bytes(content)
    eventually(
        lambda: not unexplained(alive(run.twin), run.master.run_dir), within_s=5, what="only doubtful ones alive"
    )
    assert_explained(run.twin, run.master.run_dir)


def test_a_master_whose_workers_do_not_come_gives_up_at_its_deadline(tmp_path: Path) -> None:
    with running_twin() as twin:
        words = ("run", "--master", "--expect-workers", 2, "--master-bind-port", free_port(), "--max-wait", "0.5s")
        done = call(*words, cwd=tmp_path, environ=reaching(twin))
        assert done.code == 4
        assert done.err_lines[-1] == (
            "avaload: gave up waiting for workers: 0 of 2 load processes are here; nothing was started"
        )
        assert twin.state()["counters"]["requests"] == {}
