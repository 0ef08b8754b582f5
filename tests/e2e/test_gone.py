"""A delete is proved, not believed: what a run says about targets that don't show the end, or don't end."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.target import alive, not_deleted, reaching, started, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, call

TARGETS = {
    "silent": ("--set", "fault.sdk_session_after_delete=503:1"),
    "keeps running": ("--set", "mutant=TD-1-keeps-running"),
    "refusing": ("--set", "fault.delete=500:1"),
}

Ran = tuple[RunningTwin, Avaload, Done]


@pytest.fixture(scope="module")
def all_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    """The same short run against each of the targets, at the same time."""
    with ExitStack() as stack:
        runs = {}
        for name, knobs in TARGETS.items():
            twin = stack.enter_context(running_twin(*knobs))
            cwd = tmp_path_factory.mktemp("gone")
            options = ("--room", "none", "--users", "4", "--duration", "2s", "--ramp", "0s", "--pacing", "1s")
            environ = {**reaching(twin), "AVALOAD_TARGET__GONE_TIMEOUT_S": "0.8"}
            environ["AVALOAD_SESSION__USER_ABSENT_TIMEOUT"] = "600"  # what is left is to be there when it is swept
            runs[name] = (twin, stack.enter_context(avaload("run", *options, cwd=cwd, environ=environ)))
        yield {name: (twin, run, run.finish(within_s=60)) for name, (twin, run) in runs.items()}


@pytest.fixture
def silent(all_three: dict[str, Ran]) -> Ran:
    return all_three["silent"]


@pytest.fixture
def keeps_running(all_three: dict[str, Ran]) -> Ran:
    return all_three["keeps running"]


@pytest.fixture
def refusing(all_three: dict[str, Ran]) -> Ran:
    return all_three["refusing"]


def test_a_target_that_answers_503_after_deletes_is_unconfirmed_and_not_left_behind(silent: Ran) -> None:
    twin, run, done = silent
    report = run.report()
    sessions, teardown = report["sessions"], report["teardown"]
    assert done.code == unless_late(0, report), done
    assert sessions["started"] >= 4
    assert sessions["started"] == sessions["completed"] == sessions["unconfirmed"]
    assert (sessions["leaked"], sessions["doubtful"]) == (0, 0)
    assert teardown["unconfirmed"] == teardown["deleted"] == sessions["started"]
    assert (teardown["confirmed_gone"], teardown["still_alive"]) == (0, 0)
    assert f"{sessions['started']} sessions deleted but not proved gone" in done.out
    assert not_deleted(twin) == []


def test_a_target_that_keeps_a_deleted_session_running_is_exit_5_and_every_session_is_leaked(
    keeps_running: Ran,
) -> None:
    twin, run, done = keeps_running
    report = run.report()
    sessions, teardown = report["sessions"], report["teardown"]
    assert done.code == 5, done
    assert report["verdict"] == {**report["verdict"], "outcome": "fail", "exit_code": 5}
    assert sessions["started"] >= 4
    assert sessions["leaked"] == sessions["failed"] == sessions["started"]
    assert sessions["left_behind"] == {"still_alive": sessions["started"]}
    assert teardown["still_alive"] == teardown["deleted"] == sessions["started"]
    assert (teardown["confirmed_gone"], teardown["unconfirmed"]) == (0, 0)
    assert f"{sessions['started']} sessions left behind: seen alive after the delete" in done.out
    assert set(report["evidence"]["leaked"]) <= started(run.run_dir)
    assert {e for session in twin.state()["sessions"] for e in session["trace_ids"]} == started(run.run_dir)


def test_a_sweep_without_keys_says_which_and_deletes_nothing(keeps_running: Ran, tmp_path: Path) -> None:
    _, run, _ = keeps_running
    before = sorted(run.run_dir.rglob("*"))
    done = call("sweep", run.run_dir, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    missing, left = done.err_lines  # a sweep asks for the key that deletes, and for no other
    assert missing == "avaload: AVATURN_API_KEY is not set in the environment"
    assert left.startswith("avaload: nothing was sent; left: ")
    assert sorted(run.run_dir.rglob("*")) == before


def test_a_sweep_deletes_them_again_is_idempotent_and_the_next_report_knows(keeps_running: Ran, tmp_path: Path) -> None:
    twin, run, _ = keeps_running
    count = len(started(run.run_dir))
    environ = reaching(twin)
    deletes = twin.state()["counters"]["requests"]["delete"]
    first = call("sweep", run.run_dir, cwd=tmp_path, environ=environ)
    told = f"sweep: {count} deletes at {twin.avaturn_url.removeprefix('http://')}\n"
    assert (first.code, first.out, first.err) == (0, f"{count} deleted or already gone, 0 failed\n", told)
    assert sum(twin.state()["counters"]["requests"]["delete"].values()) == sum(deletes.values()) + count
    second = call("sweep", run.run_dir, cwd=tmp_path, environ=environ)
    assert (second.code, second.out) == (0, "nothing to delete\n0 deleted or already gone, 0 failed\n")
    assert sum(twin.state()["counters"]["requests"]["delete"].values()) == sum(deletes.values()) + count
    again = call("report", run.run_dir, cwd=tmp_path)
    sessions = run.report()["sessions"]
    assert (sessions["leaked"], sessions["swept"]) == (0, count)
    assert run.report()["teardown"]["still_alive"] == count
    assert again.code == unless_late(3, run.report()), again  # the sessions failed all the same


def test_a_target_that_refuses_every_delete_is_exit_5_and_so_is_its_sweep(refusing: Ran, tmp_path: Path) -> None:
    twin, run, done = refusing
    report = run.report()
    left = started(run.run_dir)
    assert done.code == 5, done
    assert len(left) >= 4
    assert report["sessions"]["left_behind"] == {"delete_failed": len(left)}
    assert report["steps"]["delete"]["failures"] == {"rejected": len(left)}
    assert report["steps"]["delete"]["retries"] == 2 * len(left)
    assert report["teardown"]["deleted"] == 0
    assert {e for session in alive(twin) for e in session["trace_ids"]} == left
    swept = call("sweep", run.run_dir, cwd=tmp_path, environ=reaching(twin))
    assert swept.code == 5
    assert swept.out.splitlines()[0] == f"0 deleted or already gone, {len(left)} failed"
    assert {line.split(":")[0].strip() for line in swept.out.splitlines()[1:]} == left
    assert {e for session in alive(twin) for e in session["trace_ids"]} == left
