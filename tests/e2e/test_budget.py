"""`--max-sessions N`, `--budget USD`: never more than that, over all processes, whatever dies."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.budget.reserving import spent_usd
from loadtest.events.kinds import DropReason, IterationDropped
from tests.e2e.target import alive, events, leftovers, reaching, started, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, call, eventually

BOUND = 60
BUDGET_USD = 1.5


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


# --- money


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory, brief: Path) -> Iterator[tuple[RunningTwin, Avaload, Done]]:
    """A run whose money is spent or reserved before its time is up, by two processes."""
    cwd = tmp_path_factory.mktemp("money")
    (cwd / "prices.toml").write_text("[avatar]\nper_minute = 0.1\n")
    money = ("--budget", BUDGET_USD, "--prices", "prices.toml")
    options = (*money, "--users", 6, "--processes", 2, "--duration", "60s", "--ramp", "0s")
    with running_twin("--set", "answer_s=0.5") as twin:
        bounds = {"AVALOAD_SESSION__MAX_DURATION": "60", "AVALOAD_REALTIME__MAX_OUTPUT_TOKENS": "1200"}
        environ = reaching(twin) | bounds
        with avaload("run", brief, *options, cwd=cwd, environ=environ) as run:
            yield twin, run, run.finish(within_s=120)


def test_a_budget_that_refused_a_session_begins_no_more_sessions_and_ends_the_rest_as_planned(
    bought: tuple[RunningTwin, Avaload, Done],
) -> None:
    twin, run, done = bought
    report = run.report()
    assert done.code == unless_late(0, report), done
    assert alive(twin) == []
    assert report["sessions"]["completed"] == report["sessions"]["started"] > 3
    assert set(report["sessions"]["dropped_by"]) == {"budget"}
    assert report["cost"]["stopped"] is True
    assert any(reason.startswith("stopped: budget: 1.5 USD would not have") for reason in report["verdict"]["reasons"])
    assert report["cost"]["reserved_beside"] > 0
    assert f"budget 1.5 USD, spent or reserved for {report['cost']['reserved_beside']} sessions at once" in done.out


def test_never_more_is_reserved_than_the_budget_and_it_covers_what_was_used(
    bought: tuple[RunningTwin, Avaload, Done],
) -> None:
    twin, run, _ = bought
    reserved = spent_usd(run.run_dir / "sessions.reserved")
    assert reserved is not None
    lived_s = sum(session["ended_at"] - session["created_at"] for session in twin.state()["sessions"])
    assert lived_s / 60 * 0.1 < run.report()["cost"]["estimate"]["total"]["high_usd"] <= reserved <= BUDGET_USD


def test_a_budget_without_a_price_for_everything_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = call("run", "--budget", 5, "--run-dir", "run", cwd=tmp_path)
    assert done.code == 2
    assert done.err_lines[-1].startswith(
        "avaload: --budget: no price for the avatar's minutes: what a session may cost"
    )
    assert not (tmp_path / "run").exists()
