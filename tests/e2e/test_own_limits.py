"""A run that meets the limits of its own machine says so, and blames nobody else."""

from pathlib import Path

from tests.e2e.target import alive, reaching
from tests.loadtest.twin.process import running_twin
from tests.programs import needed
from tests.support import avaload


def test_a_run_that_is_out_of_open_files_is_invalid_by_their_name_and_deletes_everything(tmp_path: Path) -> None:
    through = (needed("prlimit"), "--nofile=60:60")
    arrivals = ("--rate", "20", "--duration", "3s", "--ramp", "0s")
    with running_twin() as twin:
        with avaload("run", *arrivals, cwd=tmp_path, environ=reaching(twin), through=through) as run:
            done = run.finish(within_s=90)
        assert alive(twin) == []
    report = run.report()
    failures = {(row["kind"], row["code"]) for row in report["failures"]}
    assert failures == {("own_limit", "open_files")}
    assert done.code == 4, done
    assert "a limit of this machine: open files, met by " in done.out
    assert "warning: open files: a process may open 60, " in done.err


def test_a_plan_that_this_machine_can_not_carry_is_refused_before_anything_starts(tmp_path: Path) -> None:
    through = (needed("prlimit"), "--nofile=100:100")
    plan = ("--users", "50", "--duration", "3s", "--ramp", "0s")
    with avaload("run", *plan, cwd=tmp_path, through=through) as run:
        done = run.finish(within_s=30)
    (line,) = [line for line in done.err_lines if not line.startswith("avaload: warning")]
    assert done.code == 2
    assert line.startswith("avaload: open files: a process may open 100, 50 users at once need about ")
    assert not run.run_dir.exists()


def test_an_engine_that_can_not_start_for_a_limit_is_told_in_seconds(tmp_path: Path) -> None:
    through = (needed("prlimit"), "--nofile=16:16")
    arrivals = ("--rate", "1", "--duration", "3s", "--ramp", "0s")
    with running_twin() as twin:
        with avaload("run", *arrivals, cwd=tmp_path, environ=reaching(twin), through=through) as run:
            done = run.finish(within_s=60)
        assert twin.state()["sessions"] == []
    assert done.code == 4
    assert "a limit of this machine: open files" in done.out
