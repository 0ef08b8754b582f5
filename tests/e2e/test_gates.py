"""Objectives that stop a run, and what a job on GitHub sees of it."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.events.kinds import RunAborted, RunFinished, SessionFinished
from tests.e2e.target import events, unless_late
from tests.support import Done, avaload, call

SLO = """
[[slo]]
name = "creates: quick, 100 %"
indicator = "create.p95"
max = 0.000001
window = "1s"
abort = true
"""
PLAN = ("--room", "none", "--users", 4, "--duration", "60s", "--ramp", "500ms", "--pacing", "100ms")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, Done]]:
    """A run of a minute with one load process and one with two, both with an objective that nothing can meet."""
    cwd = {processes: tmp_path_factory.mktemp(f"processes-{processes}") for processes in (1, 2)}
    for path in cwd.values():
        (path / "slo.toml").write_text(SLO)
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(cwd[1] / "summary.md")}
    with (
        avaload("run", *PLAN, "--slo", "slo.toml", cwd=cwd[1], environ=github) as one,
        avaload("run", *PLAN, "--slo", "slo.toml", "--processes", 2, "--json", cwd=cwd[2]) as two,
    ):
        return {1: (one.run_dir, one.finish(within_s=50)), 2: (two.run_dir, two.finish(within_s=50))}


def report(run_dir: Path) -> Any:
    return json.loads((run_dir / "report.json").read_text())


@pytest.mark.parametrize("processes", [1, 2])
def test_a_broken_objective_stops_the_run_and_everything_is_deleted(
    processes: int, stopped: dict[int, tuple[Path, Done]]
) -> None:
    run_dir, done = stopped[processes]
    found = report(run_dir)
    assert done.code == unless_late(3, found), done
    aborts = [event for event in events(run_dir) if isinstance(event, RunAborted)]
    assert [(event.slo, event.indicator, event.window_s) for event in aborts] == [
        ("creates: quick, 100 %", "create.p95", 1.0)
    ]
    assert aborts[0].beyond == aborts[0].count > 0
    reasons = {event.reason for event in events(run_dir) if isinstance(event, RunFinished)}
    assert reasons == {"aborted"}
    assert found["aborted"]["slo"] == "creates: quick, 100 %"
    assert (found["sessions"]["leaked"], found["sessions"]["doubtful"], found["sessions"]["unfinished"]) == (0, 0, 0)
    assert found["interrupted"] is False
    assert found["sessions"]["started"] == len([e for e in events(run_dir) if isinstance(e, SessionFinished)])
    assert any(reason.startswith("stopped early after ") for reason in found["verdict"]["reasons"])


def test_the_report_says_the_same_later_whatever_is_asked_then(
    stopped: dict[int, tuple[Path, Done]], tmp_path: Path
) -> None:
    run_dir, _ = stopped[2]
    before = report(run_dir)
    easy = tmp_path / "easy.toml"
    easy.write_text('[[slo]]\nindicator = "create.p95"\nmax = 60\nwindow = "1s"\n')
    done = call("report", run_dir, "--slo", easy, cwd=tmp_path)
    after = report(run_dir / "judged-easy")
    assert done.code == unless_late(3, after)
    assert report(run_dir) == before
    assert after["aborted"] == before["aborted"]
    assert [(slo["outcome"], slo["judged_over"]) for slo in after["slos"]] == [("pass", "window")]
    cases = {
        case.get("name"): case for case in ElementTree.parse(run_dir / "judged-easy" / "junit.xml").iter("testcase")
    }
    assert cases["no objective stopped the run"].find("failure") is not None


def test_a_job_on_github_gets_annotations_and_a_summary(stopped: dict[int, tuple[Path, Done]]) -> None:
    run_dir, done = stopped[1]
    found = report(run_dir)
    errors = [line for line in done.out.splitlines() if line.startswith("::error ")]
    assert len(errors) == found["verdict"]["failing"]
    title = f"::error title=avaload {found['verdict']['outcome']}%3A default::"
    assert all(line.startswith(title) for line in errors)
    assert any("creates: quick, 100 %25 (create.p95)" in line for line in errors)
    summary = (run_dir.parent / "summary.md").read_text()
    assert summary == (run_dir / "report.md").read_text() + "\n"
    assert "::error" not in stopped[2][1].out + stopped[2][1].err


def test_a_scenario_that_is_not_in_the_run_is_bad_input(stopped: dict[int, tuple[Path, Done]], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[slo]]\nindicator = "create.p95"\nmax = 1\nscenario = "defualt"\n')
    done = call("report", stopped[1][0], "--slo", wrong, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"avaload: {wrong}:4: slo[1]: unknown scenario 'defualt' (did you mean default?)\n"
