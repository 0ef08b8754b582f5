"""Open arrivals on a target that stands still for a while. Longer and stricter: tests/benchmarks/arrivals.py"""

import os
import signal
import time
from pathlib import Path

import pytest

from loadtest.events.kinds import SessionFinished, SessionStarted
from tests.e2e.target import completed, events, reaching
from tests.loadtest.twin.process import running_twin
from tests.support import avaload, eventually

pytestmark = pytest.mark.alone

RATE, DURATION_S, STOPPED_S, USERS = 30, 6, 1.5, 4
CROWD = 1000


def test_a_target_that_stands_still_is_seen_from_due_and_hidden_from_start(tmp_path: Path) -> None:
    plan = ("--rate", RATE, "--ramp", "0s", "--duration", f"{DURATION_S}s", "--max-users", USERS)
    more = ("--max-lateness", "10s", "--room", "none", "--processes", 2)
    with (
        running_twin() as twin,
        avaload("run", *plan, *more, cwd=tmp_path, environ=reaching(twin)) as run,
    ):
        eventually(lambda: len(run.writers("engine")) == 2, within_s=60, what="both engines write", during=run)
        eventually(lambda: len(completed(run.run_dir)) > 10, within_s=60, what="sessions are completed", during=run)
        os.kill(twin.process.pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)  # this is the stimulus, not a wait for something
        os.kill(twin.process.pid, signal.SIGCONT)
        run.finish(within_s=90)
        report = run.report()
    sessions, arrivals = report["sessions"], report["arrivals"]
    assert arrivals["scheduled"] == RATE * DURATION_S
    assert arrivals["started"] + arrivals["dropped"] == RATE * DURATION_S
    assert arrivals["planned_per_s"] == RATE
    assert sessions["peak_active"] <= USERS
    assert sessions["failed"] == sessions["leaked"] == 0
    # All who came meanwhile waited, a quarter of all; but only those who were already there are slow from their start.
    assert sessions["setup_from_due"]["p90_s"] > sessions["setup"]["p90_s"] + 0.5
    assert sessions["setup_from_due"]["max_s"] >= STOPPED_S * 0.9
    assert arrivals["due_error"]["max_s"] > 0.5


def test_a_thousand_arrivals_of_one_moment_all_become_sessions(tmp_path: Path) -> None:
    """More than the socket to the engine takes in at once."""
    (tmp_path / "starts.csv").write_text("start_s\n" + "0\n" * CROWD)
    plan = ("--trace", "starts.csv", "--max-users", CROWD, "--max-lateness", "60s", "--room", "none")
    with running_twin() as twin, avaload("run", *plan, cwd=tmp_path, environ=reaching(twin)) as run:
        run.finish(within_s=120)
        report = run.report()
    arrivals, sessions = report["arrivals"], report["sessions"]
    assert (arrivals["scheduled"], arrivals["started"], arrivals["dropped"]) == (CROWD, CROWD, 0)
    assert (sessions["completed"], sessions["leaked"]) == (CROWD, 0)


def test_a_user_whose_session_failed_waits_a_second_before_his_next_one(tmp_path: Path) -> None:
    plan = ("--users", 2, "--ramp", "0s", "--duration", "3s", "--room", "none")
    with (
        running_twin("--set", "fault.mint=503:1") as twin,
        avaload("run", *plan, cwd=tmp_path, environ=reaching(twin)) as run,
    ):
        run.finish(within_s=60)
        told = events(run.run_dir)
    users = {e.session: e.user for e in told if isinstance(e, SessionStarted)}
    dues_ns = [[e.due_ns for e in told if isinstance(e, SessionStarted) and e.user == user] for user in (0, 1)]
    ends_ns = [[e.t_ns for e in told if isinstance(e, SessionFinished) and users[e.session] == user] for user in (0, 1)]
    for due_ns, end_ns in zip(dues_ns, ends_ns, strict=True):
        assert 2 <= len(due_ns) <= 3
        assert all(due - end >= 1_000_000_000 for end, due in zip(end_ns, due_ns[1:], strict=False))
