"""`--max-sessions N`: never more than N sessions are created, over all processes, whatever dies."""

import json
import os
import signal
from pathlib import Path

from loadtest.language.events import DropReason, IterationDropped
from tests.e2e.target import alive, events, leftovers, reaching, started, unless_late
from tests.loadtest.twin.process import running_twin
from tests.support import avaload, eventually

BOUND = 60


def test_never_more_than_max_sessions_are_created_by_two_processes_also_when_an_engine_dies(tmp_path: Path) -> None:
    options = ("--room", "none", "--users", 8, "--processes", 2, "--duration", "10s", "--ramp", "0s")
    with (
        running_twin("--set", "latency.create=fixed:0.3") as twin,
        avaload("run", *options, "--max-sessions", BOUND, cwd=tmp_path, environ=reaching(twin)) as run,
    ):
        counters = lambda: twin.state(alive=True)["counters"]  # noqa: E731
        eventually(lambda: counters()["sessions_created"] >= 16, within_s=40, what="16 sessions", during=run)
        victim = run.writers("engine")[0]
        os.kill(victim.pid, signal.SIGKILL)
        assert counters()["sessions_created"] < BOUND - 8
        successor = eventually(
            lambda: next((e for e in run.writers("engine") if e.incarnation == 1), None),
            within_s=20,
            what="the engine's successor",
            during=run,
        )
        assert successor.process == victim.process
        done = run.finish(within_s=60)
        assert done.code == 4, done
        requests = counters()["requests"]["create"]
        assert sum(requests.values()) <= BOUND
        assert counters()["sessions_created"] <= BOUND
        # It was the bound that ended it, not the clock: every place was taken, and then iterations were dropped.
        assert len(started(run.run_dir)) == BOUND
        assert run.report()["sessions"]["started"] == BOUND
        dropped = [event for event in events(run.run_dir) if isinstance(event, IterationDropped)]
        assert {event.reason for event in dropped} == {DropReason.MAX_SESSIONS}
        assert run.report()["sessions"]["dropped"] == len(dropped) > 0
        # What the dead engine had in flight is all that is missing at the twin or alive there.
        assert BOUND - counters()["sessions_created"] <= 4
        assert leftovers(run.run_dir).leaked == {}
        assert len(alive(twin)) <= 4


def test_a_bound_of_one_creates_one(tmp_path: Path) -> None:
    options = ("--room", "none", "--users", 4, "--duration", "1s", "--ramp", "0s", "--json")
    with (
        running_twin() as twin,
        avaload("run", *options, "--max-sessions", 1, cwd=tmp_path, environ=reaching(twin)) as run,
    ):
        done = run.finish(within_s=60)
        report = json.loads(done.out)
        assert done.code == unless_late(0, report), done
        assert report == run.report()
        assert (report["sessions"]["started"], report["sessions"]["dropped"]) == (1, 4)  # its user comes again
        assert twin.state()["counters"]["sessions_created"] == 1
