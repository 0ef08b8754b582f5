"""The steps of the pipelines that are shipped, run as a runner would: their shell, with its files and variables."""

import json
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
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUNNER_TEMP": str(temp),
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_REPOSITORY": "we/shop",
    }  # fmt: skip


def _command(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


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
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=cwd, env=runner | named, capture_output=True, text=True, timeout=110)


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
    _command(installed / "bin" / "avaload", AVALOAD.format(python=sys.executable))
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


@pytest.mark.parametrize("arguments", ["--live --tag team=it's", '--live --tag "team', "--live \\"])
def test_arguments_that_can_not_be_taken_apart_start_nothing(tmp_path: Path, arguments: str) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner_that_notes(tmp_path)
    done = _run(_step(action, "run"), _inputs(action, {"arguments": arguments}), runner, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("avaload: arguments: No ")
    assert not (tmp_path / "asked").exists()
    assert not (tmp_path / "output").exists()


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


def test_a_pipeline_on_gitlab_includes_what_there_is_and_its_job_has_the_submodule() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    (shown,) = re.findall(r"```yaml\n(include:.*?)```", page, re.DOTALL)
    written = (ROOT / "loadtest" / "commands" / "authoring" / "pipelines" / "gitlab.yml").read_text()
    for text in (shown, written):
        (include,) = yaml.safe_load(text)["include"]
        assert include.keys() == {"project", "file"}  # a local file is looked for in no submodule
        job = yaml.safe_load((ROOT / include["file"].lstrip("/")).read_text())[".avaload"]
        assert job["variables"]["GIT_SUBMODULE_STRATEGY"] == "recursive"
        assert job["variables"]["AVALOAD_SOURCE"] == include["project"].rpartition("/")[2]


GH = """#!{python}
import json, os, pathlib, sys
store = pathlib.Path({store!r})
comments = json.loads(store.read_text()) if store.exists() else []
words = sys.argv[1:]
assert words[0] == "api" and os.environ["GH_TOKEN"] == "a-token"
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
    _command(tmp_path / "bin" / "gh", GH.format(python=sys.executable, store=str(store)))
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
    _command(tmp_path / "bin" / "gh", GH.format(python=sys.executable, store=str(store)))
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


def test_the_key_of_the_cache_follows_what_is_installed(tmp_path: Path) -> None:
    action, runner = yaml.safe_load((ROOT / "action.yml").read_text()), _runner(tmp_path)
    step, keys = _step(action, "key of the cache"), []
    for lock in ("a==1\n", "a==2\n", "a==2\n"):
        (tmp_path / "requirements.lock").write_text(lock)
        _run(step, _inputs(action, {}), runner | {"GITHUB_ACTION_PATH": str(tmp_path)}, tmp_path)
        keys.append((tmp_path / "output").read_text().splitlines()[-1])
    assert re.fullmatch("sum=[0-9a-f]{16}", keys[0])
    assert keys[0] != keys[1] == keys[2]


PYTHON3 = """#!/bin/sh
# `python3 -m venv DIR`: an environment whose pip notes what it is asked for, and whose avaload is this one.
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
mkdir -p "$3/bin"
ln -s {avaload} "$3/bin/avaload"
printf '#!/bin/sh\\nfor word; do case $word in */*) ls -d "$word" >> installed; esac; done\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


GIT = """#!/bin/sh
# A checkout whose submodule is not fetched yet.
[ "$*" = "submodule update --init avaload" ] && ln -sfn {root} avaload
"""


def _shell_of(page: str) -> str:
    """Of docs/ci.md the block for a plain shell, of the Jenkinsfile all steps, one after the other."""
    text = (ROOT / "docs" / page).read_text()
    if page.endswith(".md"):
        (block,) = re.findall(r"^## A plain shell\n+```sh\n(.*?)```", text, re.DOTALL | re.MULTILINE)
        return str(block)
    blocks = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    assert len(blocks) == 2
    return "\n".join(blocks)


@pytest.mark.parametrize("page", ["ci.md", "ci/Jenkinsfile"])
def test_the_lines_for_a_plain_shell_and_for_jenkins_install_and_run(tmp_path: Path, page: str) -> None:
    python = Path(sys.executable)
    _command(tmp_path / "bin" / "python3", PYTHON3.format(python=python, avaload=python.with_name("avaload")))
    if page.endswith(".md"):
        (tmp_path / "avaload").symlink_to(ROOT)
    _command(tmp_path / "bin" / "git", GIT.format(root=ROOT))
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "release.toml").write_text(
        '[load]\nusers = 2\nduration = "4s"\n[target]\nroom = "none"\n[output]\nmetrics_port = "off"\n'
    )
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for _ in range(1 if page.endswith(".md") else 2):  # a workspace of Jenkins is used again
        done = subprocess.run(
            ["sh", "-ec", _shell_of(page)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed").read_text().splitlines()[:2] == ["avaload/requirements.lock", "./avaload"]
    assert (tmp_path / "avaload-run" / "junit.xml").is_file()
