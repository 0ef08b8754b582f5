"""Open arrivals on a target that stands still for a while. Longer and stricter: tests/benchmarks/arrivals.py"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.target import completed, reaching
from tests.support import avaload, eventually
from tests.twin.process import running_twin

pytestmark = pytest.mark.quiet

RATE, DURATION_S, STOPPED_S, USERS = 30, 6, 1.5, 4


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
