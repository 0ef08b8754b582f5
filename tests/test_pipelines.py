"""The steps of the action for GitHub, and of its lines in docs/ci.md, run as a runner would: their shell, with its
files and variables."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT, executable

pytestmark = pytest.mark.quiet  # a run is judged
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")


def _inputs(action: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    return {name: given.get(name, each["default"]) for name, each in action["inputs"].items()}


def _step(action: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in action["runs"]["steps"] if step.get("name") == name)
    return found


def _runner(tmp_path: Path) -> dict[str, str]:
    temp = tmp_path / "temp"
    temp.mkdir()
    (temp / "avaload").symlink_to(Path(sys.executable).parents[1])
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUNNER_TEMP": str(temp),
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_REPOSITORY": "we/shop",
        "GITHUB_SERVER_URL": "https://github.example",
    }  # fmt: skip


def _run(
    step: dict[str, Any], inputs: dict[str, str], runner: dict[str, str], cwd: Path, **contexts: str
) -> subprocess.CompletedProcess[str]:
    """As the runner would: `contexts` are further expressions, `__` for a dot."""
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    known |= {"steps.python.outputs.python-path": sys.executable, "github.token": "a-token"}
    known |= {name.replace("__", "."): value for name, value in contexts.items()}
    named = {
        name: re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: known[match[1]], value)
        for name, value in step.get("env", {}).items()
    }
    return subprocess.run(
        [*BASH, step["run"]], cwd=cwd, env=runner | named, capture_output=True, text=True, timeout=110
    )


def test_the_action_on_github_runs_and_says_its_outcome(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    arguments = "--users 2 --duration 4s --room none --metrics-port off --tag 'team=web shop'"
    inputs = _inputs(action, {"arguments": arguments, "run-dir": "a run"})
    assert _run(_step(action, "install"), inputs, runner, tmp_path).returncode == 0
    done = _run(_step(action, "run"), inputs, runner, tmp_path)
    assert done.returncode == 0, done.stderr
    said = "run-dir=a run\noutcome=pass\nreport=a run/report.html\nmarkdown=a run/report.md\n"
    assert (tmp_path / "output").read_text() == said
    assert (tmp_path / "summary.md").read_text().startswith("#")
    figures = (tmp_path / "a run" / "metrics.txt").read_text()
    assert 'avaload_report_sessions{state="failed"} 0' in figures
    assert 'avaload_report_step_seconds{step="mint",quantile="p95"}' in figures


def test_bad_input_fails_the_step_and_has_no_outcome(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    done = _run(_step(action, "run"), _inputs(action, {"scenario": "missing.toml"}), runner, tmp_path)
    assert done.returncode == 2
    assert "missing.toml" in done.stderr
    assert (tmp_path / "output").read_text() == "run-dir=avaload-run\n"  # which isn't there: nothing is uploaded


AVALOAD = """#!{python}
import json, pathlib, sys
with open("asked", "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
run_dir = pathlib.Path(sys.argv[sys.argv.index("--run-dir") + 1])
run_dir.mkdir()
(run_dir / "report.json").write_text('{{"verdict": {{"outcome": "pass"}}}}')
"""
"""Notes what it is asked for, and calls it good."""


def _runner_that_notes(tmp_path: Path) -> dict[str, str]:
    runner = _runner(tmp_path)
    installed = tmp_path / "temp" / "avaload"
    installed.unlink()
    installed.mkdir()
    executable(installed / "bin" / "avaload", AVALOAD.format(python=sys.executable))
    (installed / "bin" / "python").symlink_to(sys.executable)
    return runner


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", []),
        (" \n ", []),
        ("--live --tag 'team=web shop'", ["--live", "--tag", "team=web shop"]),
        ("--live\n--tag team=''\n", ["--live", "--tag", "team="]),
    ],
)
def test_the_arguments_of_the_action_are_the_words_of_a_shell(tmp_path: Path, arguments: str, words: list[str]) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner_that_notes(tmp_path)
    inputs = _inputs(action, {"scenario": "a.toml", "arguments": arguments})
    assert _run(_step(action, "run"), inputs, runner, tmp_path).returncode == 0
    assert json.loads((tmp_path / "asked").read_text()) == ["run", "a.toml", "--run-dir", "avaload-run", *words]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--live --tag team=it's", "No "),
        ('--live --tag "team', "No "),
        ("--live \\", "No "),
        ("--live --run-dir elsewhere", "--run-dir: the input run-dir says it"),
        ("--run-dir=elsewhere", "--run-dir: the input run-dir says it"),
    ],
)
def test_arguments_that_can_not_be_taken_apart_or_name_the_directory_start_nothing(
    tmp_path: Path, arguments: str, said: str
) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner_that_notes(tmp_path)
    done = _run(_step(action, "run"), _inputs(action, {"arguments": arguments}), runner, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"avaload: arguments: {said}")
    assert not (tmp_path / "asked").exists()
    assert not (tmp_path / "output").exists()


PATIENT = """#!{python}
import pathlib, signal, sys
def stop(*_):
    run_dir.mkdir()
    (run_dir / "report.json").write_text('{{"verdict": {{"outcome": "invalid"}}}}')
    sys.exit(130)
run_dir = pathlib.Path(sys.argv[sys.argv.index("--run-dir") + 1])
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
signal.pause()
"""
"""Runs until it is told to stop, and then ends as a run that was cut short."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_cancelled_tells_the_run_and_waits_for_its_end(tmp_path: Path, number: signal.Signals) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner_that_notes(tmp_path)
    executable(tmp_path / "temp" / "avaload" / "bin" / "avaload", PATIENT.format(python=sys.executable))
    step = _step(action, "run")
    environ = runner | dict.fromkeys(step["env"], "") | {"ARTIFACT": "avaload"}
    heard = partial(signal.signal, number, signal.SIG_DFL)  # what a shell was born to ignore it can't trap
    command = [*BASH, step["run"]]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True, preexec_fn=heard
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "up\n"
        shell.send_signal(number)  # a runner signals the step's shell, and nothing that it has started
        assert shell.wait(30) == 130
    assert (tmp_path / "output").read_text().splitlines()[:2] == ["run-dir=avaload-run", "outcome=invalid"]


def test_each_use_of_the_action_has_a_directory_of_its_own(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner_that_notes(tmp_path)
    for artifact in ("avaload", "second"):
        assert _run(_step(action, "run"), _inputs(action, {"artifact": artifact}), runner, tmp_path).returncode == 0
    said = (tmp_path / "output").read_text().splitlines()
    assert said[:2] == ["run-dir=avaload-run", "outcome=pass"]
    assert said[4:6] == ["run-dir=second-run", "outcome=pass"]


def test_the_verdict_of_a_run_that_lay_there_already_is_not_told_again(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    (tmp_path / "avaload-run").mkdir()
    (tmp_path / "avaload-run" / "report.json").write_text('{"verdict": {"outcome": "pass"}}')
    done = _run(_step(action, "run"), _inputs(action, {}), runner, tmp_path)
    assert done.returncode == 2
    assert "avaload-run: exists and is not empty" in done.stderr
    assert not (tmp_path / "output").exists()
    upload = action["runs"]["steps"][-1]
    assert upload["if"] == "always() && steps.run.outputs.run-dir != ''"
    assert upload["with"]["path"] == "${{ steps.run.outputs.run-dir }}"


GH = """#!{python}
import json, os, pathlib, sys
store = pathlib.Path({store!r})
comments = json.loads(store.read_text()) if store.exists() else []
words = sys.argv[1:]
assert words[0] == "api" and os.environ["GH_TOKEN"] == os.environ["GH_ENTERPRISE_TOKEN"] == "a-token"
assert os.environ["GH_HOST"] == "github.example"
endpoint = next(word for word in words if word.startswith("repos/we/shop/issues/"))
if os.environ.get("FORBIDDEN") in ("all", "PATCH" if "PATCH" in words else "POST" if "POST" in words else "GET"):
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
body = next((word[len("body=@"):] for word in words if word.startswith("body=@")), None)
if "--jq" in words:
    assert endpoint.endswith("/7/comments") and ".id" in words[words.index("--jq") + 1]
    for number, each in enumerate(comments):
        if each.startswith(os.environ["MARK"]):
            print(number)
elif "PATCH" in words:
    comments[int(endpoint.removeprefix("repos/we/shop/issues/comments/"))] = pathlib.Path(body).read_text()
else:
    assert endpoint.endswith("/7/comments") and "POST" in words
    comments.append(pathlib.Path(body).read_text())
store.write_text(json.dumps(comments))
"""
"""GitHub's client, as far as the action asks it: comments of one pull request, in a file."""


def test_the_comment_is_posted_once_and_then_written_anew_in_its_place(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    store = tmp_path / "comments.json"
    executable(tmp_path / "bin" / "gh", GH.format(python=sys.executable, store=str(store)))
    runner["PATH"] = f"{tmp_path / 'bin'}:{runner['PATH']}"
    store.write_text(json.dumps(["somebody's, <!-- avaload avaload --> in the middle"]))
    step = _step(action, "comment")
    for text, artifact in (("first\n", "avaload"), ("second\n", "avaload"), ("of another step\n", "avaload-2")):
        (tmp_path / "report.md").write_text(text)
        contexts = {"github__event__pull_request__number": "7", "steps__run__outputs__markdown": "report.md"}
        done = _run(step, _inputs(action, {"artifact": artifact}), runner, tmp_path, **contexts)
        assert done.returncode == 0, done.stderr
    assert json.loads(store.read_text())[1:] == [
        "<!-- avaload avaload -->\nsecond\n",
        "<!-- avaload avaload-2 -->\nof another step\n",
    ]


@pytest.mark.parametrize("forbidden", ["all", "POST", "PATCH"])
def test_a_comment_that_is_refused_fails_no_step(tmp_path: Path, forbidden: str) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    store = tmp_path / "comments.json"
    executable(tmp_path / "bin" / "gh", GH.format(python=sys.executable, store=str(store)))
    runner |= {"PATH": f"{tmp_path / 'bin'}:{runner['PATH']}", "FORBIDDEN": forbidden}
    before = ["<!-- avaload avaload -->\nearlier\n"] * (forbidden != "POST")
    store.write_text(json.dumps(before))
    (tmp_path / "report.md").write_text("new\n")
    contexts = {"github__event__pull_request__number": "7", "steps__run__outputs__markdown": "report.md"}
    done = _run(_step(action, "comment"), _inputs(action, {}), runner, tmp_path, **contexts)
    assert (done.returncode, done.stderr) == (0, "gh: Resource not accessible by integration (HTTP 403)\n")
    (notice,) = done.stdout.splitlines()
    assert notice.startswith("::notice title=avaload::The report could not be posted as a comment: ")
    assert "`pull-requests: write`" in notice
    assert json.loads(store.read_text()) == before


def test_a_runner_without_github_s_client_posts_no_comment_and_says_why(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    (tmp_path / "bin").mkdir()
    for program in ("bash", "cat"):
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    (tmp_path / "report.md").write_text("new\n")
    contexts = {"github__event__pull_request__number": "7", "steps__run__outputs__markdown": "report.md"}
    runner["PATH"] = str(tmp_path / "bin")
    done = _run(_step(action, "comment"), _inputs(action, {}), runner, tmp_path, **contexts)
    assert (done.returncode, done.stderr) == (0, "")
    assert "could not be posted as a comment: this runner has no `gh`. The summary" in done.stdout


LISTING_GH = """#!{python}
import os, pathlib, sys
assert os.environ["GH_HOST"] == "github.example"
words = sys.argv[1:]
if words[:2] == ["run", "list"]:
    if words[words.index("--workflow") + 1] != os.environ["KNOWN"]:
        sys.exit("could not find any workflows named that")
    print(42)
else:
    assert words[:3] == ["run", "download", "42"]
"""
"""GitHub's client, as far as the lines for a baseline ask it."""


@pytest.mark.parametrize(("known", "said"), [("load.yml", "dir=before\n"), ("other.yml", "")])
def test_the_lines_for_a_baseline_find_the_workflow_by_its_file_and_do_without_one_where_there_is_none(
    tmp_path: Path, known: str, said: str
) -> None:
    (shown,) = re.findall(r"```yaml\n(permissions:.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    step = next(each for each in yaml.safe_load(shown)["steps"] if each.get("id") == "before")
    executable(tmp_path / "bin" / "gh", LISTING_GH.format(python=sys.executable))
    runner = _runner(tmp_path) | {"KNOWN": known, "GITHUB_WORKFLOW": ".github/workflows/load.yml"}
    runner |= {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "GITHUB_WORKFLOW_REF": "we/shop/.github/workflows/load.yml@refs/pull/7/merge",
    }
    (tmp_path / "output").touch()
    done = _run(step, {}, runner, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output").read_text() == said


def test_the_key_of_the_cache_follows_what_is_installed(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    step, keys = _step(action, "key of the cache"), []
    for lock in ("a==1\n", "a==2\n", "a==2\n"):
        (tmp_path / "requirements.lock").write_text(lock)
        _run(step, _inputs(action, {}), runner | {"GITHUB_ACTION_PATH": str(tmp_path)}, tmp_path)
        keys.append((tmp_path / "output").read_text().splitlines()[-1])
    assert re.fullmatch("sum=[0-9a-f]{16}", keys[0])
    assert keys[0] != keys[1] == keys[2]
