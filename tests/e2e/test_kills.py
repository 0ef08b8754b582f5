"""Whatever is killed, the target is left with nothing that the journals don't know of.

The twin is a process of its own here and outlives the run, so it can be asked. What is alive at it must be doubtful in
the journals (create was sent and never answered) and ends by `user_absent_timeout`; all else must end by a delete.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from loadtest import journal
from loadtest.events.kinds import RunFinished
from loadtest.leftovers.finding import Leftovers
from tests.e2e.target import alive, completed, events, leftovers, not_deleted, reaching, started, unexplained
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, call, eventually

ABSENT_S = 10
SLOW_CALLS = ("--set", "latency.create=fixed:0.3", "--set", "latency.delete=fixed:0.1", "--set", "answer_s=0.5")
FOREVER = ("--duration", "10m", "--ramp", "1s")

Running = Callable[..., tuple[RunningTwin, Avaload]]


@pytest.fixture
def running(tmp_path: Path, brief: Path) -> Iterator[Running]:
    """Start the brief scenario with these options against a twin of its own with these knobs."""
    with ExitStack() as stack:

        def run(*options: object, knobs: tuple[str, ...] = SLOW_CALLS) -> tuple[RunningTwin, Avaload]:
            twin = stack.enter_context(running_twin(*knobs))
            words = ("run", brief, "--users", 6, *FOREVER, *options)
            return twin, stack.enter_context(avaload(*words, cwd=tmp_path, environ=reaching(twin)))

        yield run


def created(twin: RunningTwin) -> int:
    count: int = twin.state(alive=True)["counters"]["sessions_created"]
    return count


def wait_for_sessions(twin: RunningTwin, run: Avaload, at_least: int = 1) -> None:
    eventually(lambda: created(twin) >= at_least, within_s=30, what=f"{at_least} sessions at the twin", during=run)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def terminate_all(run: Avaload) -> None:
    """As a CI server does with a job that it aborts."""
    for pid in run.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def assert_only_doubtful_ones_are_left(twin: RunningTwin, run_dir: Path) -> None:
    """Within 15 s what is alive is explained; after the absence nothing is; what was deleted was deleted by a call."""
    eventually(lambda: not unexplained(alive(twin), run_dir), within_s=15, what="only doubtful sessions alive")
    eventually(lambda: not alive(twin), within_s=ABSENT_S + 2, what="the doubtful ones ended by their absence")
    assert unexplained(not_deleted(twin), run_dir) == []
    assert {e for session in twin.state()["sessions"] for e in session["trace_ids"]} <= started(run_dir)


# The longest of them first: it goes on while the others are tested.


@pytest.fixture(scope="module")
def worker_killed(
    tmp_path_factory: pytest.TempPathFactory, brief: Path
) -> Iterator[tuple[RunningTwin, Avaload, int, set[str]]]:
    """A run of two processes; one worker was killed in the middle. Gives its index and its sessions so far, too."""
    cwd = tmp_path_factory.mktemp("worker")
    options = ("--users", "4", "--processes", "2", "--duration", "15s", "--ramp", "1s")
    with (
        running_twin(*SLOW_CALLS) as twin,
        avaload("run", brief, *options, cwd=cwd, environ=reaching(twin)) as run,
    ):
        eventually(lambda: len(run.writers("load")) == 2, within_s=30, what="two workers", during=run)
        wait_for_sessions(twin, run, at_least=4)
        victim = run.writers("load")[1]
        assert victim.pid != run.locust_pid()
        kill(victim.pid)
        engines = {path: journal.read(path) for path in journal.paths(run.run_dir) if "-engine-" in path.name}
        own = next(file for file in engines.values() if file.started.process == victim.process)
        sessions = {event.session for event in own.events if getattr(event, "session", None)}
        yield twin, run, victim.process, sessions


def test_the_engine_of_a_killed_worker_deletes_its_sessions_and_ends(
    worker_killed: tuple[RunningTwin, Avaload, int, set[str]],
) -> None:
    twin, run, process, sessions = worker_killed
    assert sessions
    path = next(path for path in journal.paths(run.run_dir) if f"-engine-{process}-" in path.name)

    def ended() -> bool:
        return not journal.read(path).truncated

    eventually(ended, within_s=15, what="the engine's last word")
    assert journal.read(path).events[-1] == RunFinished(t_ns=journal.read(path).events[-1].t_ns, reason="orphaned")
    assert not sessions & {e for session in unexplained(alive(twin), run.run_dir) for e in session["trace_ids"]}
    assert run.process.poll() is None


def test_killing_locust_at_any_instant_leaves_only_doubtful_sessions(running: Running, brief: Path) -> None:
    chance = random.Random(2)
    instants_s = [round(chance.uniform(0.1, 3), 3) for _ in range(4)]
    with ExitStack() as stack:
        runs = []
        for instant_s in instants_s:
            twin = stack.enter_context(running_twin(*SLOW_CALLS))
            cwd = brief.parent / f"kill-at-{instant_s}"
            cwd.mkdir()
            words = ("run", brief, "--users", 6, *FOREVER)
            runs.append((twin, stack.enter_context(avaload(*words, cwd=cwd, environ=reaching(twin))), instant_s))
        for twin, run, instant_s in runs:
            wait_for_sessions(twin, run)
            with pytest.raises(Exception, match="timed out"):
                run.process.wait(instant_s)  # the instant; nothing is to be waited for
            engine = run.writers("engine")[0].pid
            kill(run.locust_pid())
            assert_only_doubtful_ones_are_left(twin, run.run_dir)
            done = run.finish(within_s=60)
            assert done.code == 4, (instant_s, done)
            assert run.report()["generator"]["outcome"] == "invalid"
            assert "process was killed" in done.out
            assert run.report()["sessions"]["leaked"] == 0
            assert leftovers(run.run_dir).leaked == {}
            assert engine not in run.processes()
            assert run.processes() == {}


def test_a_run_survives_the_death_of_its_engine(running: Running, tmp_path: Path) -> None:
    twin, run = running("--duration", "10s", "--room", "none", knobs=("--set", "latency.create=fixed:0.5"))
    eventually(
        lambda: run.writers("engine") and len(completed(run.run_dir)) >= 6,
        within_s=30,
        what="six completed sessions",
        during=run,
    )
    engine = run.writers("engine")[0]
    eventually(
        lambda: leftovers(run.run_dir).doubtful, within_s=5, what="a create in flight", every_s=0.002, during=run
    )
    kill(engine.pid)
    before = set(completed(run.run_dir))
    successor = eventually(
        lambda: next(iter(run.writers("engine")[1:]), None), within_s=20, what="another engine", during=run
    )
    assert (successor.process, successor.incarnation) == (engine.process, engine.incarnation + 1)
    assert successor.pid != engine.pid
    done = run.finish(within_s=60)
    doubtful = leftovers(run.run_dir).doubtful
    assert doubtful
    assert leftovers(run.run_dir).leaked == {}
    report = run.report()
    assert len(set(completed(run.run_dir)) - before) > 6
    assert report["sessions"]["completed"] == len(completed(run.run_dir))
    assert report["sessions"]["doubtful"] == len(doubtful)
    assert report["sessions"]["leaked"] == 0
    assert done.code == 4
    assert report["verdict"]["outcome"] == "invalid"
    assert any("an engine died" in reason for reason in report["verdict"]["reasons"]), report["verdict"]
    assert report["generator"]["faults"] == {"engine_died": 1}

    swept = call("sweep", run.run_dir, cwd=tmp_path, environ=reaching(twin))
    assert swept.code == 0
    assert f"{len(doubtful)} doubtful" in swept.out
    assert_only_doubtful_ones_are_left(twin, run.run_dir)


def test_what_a_power_cut_leaves_is_deleted_by_a_sweep(running: Running, tmp_path: Path) -> None:
    twin, run = running("--room", "none", knobs=("--set", "latency.delete=fixed:0.5"))
    wait_for_sessions(twin, run, at_least=6)
    eventually(
        lambda: leftovers(run.run_dir).leaked, within_s=5, what="a session in the journals", every_s=0.002, during=run
    )
    for pid in run.processes():
        kill(pid)
    eventually(lambda: not run.processes(), within_s=5, what="all of the run dead")
    left = leftovers(run.run_dir).leaked
    assert left
    before = call("report", run.run_dir, cwd=tmp_path)
    assert before.code == 5
    assert run.report()["sessions"]["left_behind"]["delete_never_sent"] == len(left)
    swept = call("sweep", run.run_dir, cwd=tmp_path, environ=reaching(twin))
    assert swept.code == 0
    assert swept.err.startswith("sweep: ")
    assert swept.out.startswith(f"{len(left)} deleted or already gone, 0 failed\n")
    assert_only_doubtful_ones_are_left(twin, run.run_dir)
    assert leftovers(run.run_dir).leaked == {}
    assert call("report", run.run_dir, cwd=tmp_path).code == 4
    assert run.report()["sessions"]["swept"] == len(left)


def test_when_the_command_itself_is_killed_the_rest_ends_and_deletes(running: Running) -> None:
    twin, run = running()
    wait_for_sessions(twin, run, at_least=6)
    assert len(run.processes()) >= 3
    kill(run.pid)
    run.process.wait(5)
    assert_only_doubtful_ones_are_left(twin, run.run_dir)
    eventually(lambda: not run.processes(), within_s=15, what="Locust and the engine ended")
    assert not any(file.truncated for file in journal.read_run(run.run_dir))
    assert not_deleted(twin) == []


def test_when_the_master_is_killed_its_workers_end_and_their_engines_delete(running: Running) -> None:
    twin, run = running("--processes", 2)
    wait_for_sessions(twin, run, at_least=6)
    eventually(lambda: len(run.writers("engine")) == 2, within_s=20, what="two engines", during=run)
    kill(run.locust_pid())
    assert_only_doubtful_ones_are_left(twin, run.run_dir)
    done = run.finish(within_s=60)
    assert done.code == 4, done
    assert run.report()["sessions"]["leaked"] == 0
    assert not_deleted(twin) == []
    eventually(lambda: not run.processes(), within_s=15, what="the workers ended")


def test_when_the_command_is_killed_the_embedded_twin_ends_too_and_last(tmp_path: Path, brief: Path) -> None:
    """And while the rest of them end, all get SIGTERM: neither engine nor twin stops before the last delete."""
    with avaload("run", brief, "--users", 4, *FOREVER, cwd=tmp_path) as run:
        eventually(lambda: run.writers("engine") and started(run.run_dir), within_s=30, what="sessions", during=run)
        assert len(run.processes("loadtest.twin")) == 1
        kill(run.pid)
        run.process.wait(5)
        terminate_all(run)
        eventually(lambda: not run.processes(), within_s=20, what="Locust, the engine and the twin ended")
        # Every delete was answered: the twin was there until the last one.
        assert leftovers(run.run_dir) == Leftovers(leaked={}, doubtful={})
        assert {e.reason for e in events(run.run_dir) if isinstance(e, RunFinished)} == {"interrupted"}


@pytest.mark.parametrize(("signalled", "processes"), [("command", 1), ("all", 1), ("command", 2)])
def test_a_signal_to_the_command_or_all_deletes_everything_writes_the_reports_and_is_exit_130(
    running: Running, signalled: str, processes: int
) -> None:
    twin, run = running("--processes", processes)
    wait_for_sessions(twin, run, at_least=8)
    if signalled == "all":
        terminate_all(run)
    else:
        run.process.send_signal(signal.SIGINT)
    done = run.finish(within_s=30)
    assert done.code == 130, done
    assert not_deleted(twin) == []
    assert run.processes() == {}
    report = run.report()
    sessions = report["sessions"]
    assert report["verdict"] == {**report["verdict"], "outcome": "invalid", "exit_code": 130}
    assert (sessions["leaked"], sessions["doubtful"], sessions["failed"]) == (0, 0, 0)
    assert sessions["cancelled"] + sessions["censored"] > 0
    assert sessions["started"] == sessions["completed"] + sessions["cancelled"] + sessions["censored"]
    assert created(twin) <= sessions["started"]
    assert "stopped by hand" in done.out
    for name in ("report.html", "report.md", "junit.xml"):
        assert (run.run_dir / name).exists(), name
    assert not any(file.truncated for file in journal.read_run(run.run_dir))


def test_a_second_signal_skips_the_reports_but_not_one_delete(running: Running) -> None:
    twin, run = running(knobs=("--set", "latency.delete=fixed:1.5", "--set", "answer_s=0.5"))
    wait_for_sessions(twin, run, at_least=6)
    run.process.send_signal(signal.SIGINT)
    eventually(
        lambda: any(getattr(e, "outcome", None) == "cancelled" for e in events(run.run_dir)),
        within_s=10,
        what="the first signal's effect",
        every_s=0.005,
    )
    assert alive(twin)
    run.process.send_signal(signal.SIGINT)
    done = run.finish(within_s=30)
    assert done.code == 130, done
    assert not_deleted(twin) == []
    assert run.processes() == {}
    assert leftovers(run.run_dir) == Leftovers(leaked={}, doubtful={})
    assert not (run.run_dir / "report.json").exists()
    assert f"avaload report {run.run_dir}" in done.err


def test_a_signal_before_the_first_session_ends_the_run_too(running: Running) -> None:
    twin, run = running()
    eventually(lambda: run.processes("loadtest.locust_main"), within_s=20, what="Locust's process")
    run.process.send_signal(signal.SIGINT)
    done = run.finish(within_s=60)
    assert done.code == 130, done
    assert not_deleted(twin) == []
    assert run.processes() == {}
    assert "Traceback" not in done.err


def test_a_command_that_is_killed_before_its_workers_are_there_takes_all_of_them_along(running: Running) -> None:
    """Its master says "stop" to workers that are not there yet to hear it; each is told once it is."""
    twin, run = running("--processes", 2)
    eventually(lambda: run.processes("loadtest.locust_main"), within_s=20, what="Locust's process", every_s=0.005)
    kill(run.pid)
    run.process.wait(5)
    eventually(lambda: not run.processes(), within_s=30, what="all of the run ended")
    assert not_deleted(twin) == []


def test_a_run_goes_on_and_ends_without_the_worker_that_was_killed(
    worker_killed: tuple[RunningTwin, Avaload, int, set[str]],
) -> None:
    twin, run, _, sessions = worker_killed
    done: Done = run.finish(within_s=90)
    assert done.code == 4, done
    report = run.report()
    assert report["generator"]["faults"] == {"worker_lost": 1}
    assert any("a worker was lost" in reason for reason in report["verdict"]["reasons"])
    later = set(completed(run.run_dir)) - sessions
    assert len(later) > 4
    assert report["sessions"]["leaked"] == 0
    assert_only_doubtful_ones_are_left(twin, run.run_dir)
    assert run.processes() == {}
