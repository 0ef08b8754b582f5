"""The steps of the pipelines that are shipped, run as a runner would: their shell, with its files and variables."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

pytestmark = pytest.mark.quiet  # a run is judged


def _inputs(action: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    return {name: given.get(name, each["default"]) for name, each in action["inputs"].items()}


def _step(action: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in action["runs"]["steps"] if step.get("name") == name)
    return found


def _runner(tmp_path: Path) -> dict[str, str]:
    temp = tmp_path / "temp"
    temp.mkdir()
    (temp / "avaload").symlink_to(Path(sys.executable).parents[1])
    python = Path(sys.executable).parent
    return {
        "PATH": f"{python}:{os.environ['PATH']}", "HOME": str(tmp_path), "RUNNER_TEMP": str(temp),
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }  # fmt: skip


def _run(
    step: dict[str, Any], inputs: dict[str, str], runner: dict[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    named = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: inputs[match[1]], value)
        for name, value in step.get("env", {}).items()
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=cwd, env=runner | named, capture_output=True, text=True, timeout=110)


def test_the_action_on_github_runs_and_says_its_outcome(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    arguments = "--users 2 --duration 4s --room none --metrics-port off --tag 'team=web shop'"
    inputs = _inputs(action, {"arguments": arguments, "run-dir": "a run"})
    assert _run(_step(action, "install"), inputs, runner, tmp_path).returncode == 0
    done = _run(_step(action, "run"), inputs, runner, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output").read_text() == "outcome=pass\nreport=a run/report.html\n"
    assert (tmp_path / "summary.md").read_text().startswith("#")
    figures = (tmp_path / "a run" / "metrics.txt").read_text()
    assert 'avaload_report_sessions{state="failed"} 0' in figures
    assert 'avaload_report_step_seconds{step="mint",quantile="p95"}' in figures


def test_bad_input_fails_the_step_and_has_no_outcome(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    done = _run(_step(action, "run"), _inputs(action, {"scenario": "missing.toml"}), runner, tmp_path)
    assert done.returncode == 2
    assert "missing.toml" in done.stderr
    assert not (tmp_path / "output").exists()


def test_the_job_on_gitlab_leaves_what_it_says(tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())[".avaload"]
    (tmp_path / ".avaload").symlink_to(Path(sys.executable).parents[1])
    variables = job["variables"] | {"ARGUMENTS": "--users 2 --duration 4s --room none --metrics-port off"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
    for line in job["script"]:
        subprocess.run(
            ["sh", "-euc", line], cwd=tmp_path, env=environment, check=True, timeout=110, capture_output=True
        )
    for path in (*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()):
        assert (tmp_path / path).exists(), path
