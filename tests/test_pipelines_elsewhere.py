"""The pipelines for GitLab, Jenkins and a plain shell, run as they would be."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT, executable

WITHIN_S = 150
pytestmark = [pytest.mark.quiet, pytest.mark.timeout(3 * WITHIN_S)]  # a run is judged


def test_the_job_on_gitlab_leaves_what_it_says(tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())[".avaload"]
    (tmp_path / ".avaload").symlink_to(Path(sys.executable).parents[1])
    variables = job["variables"] | {"ARGUMENTS": "--users 2 --duration 4s --room none --metrics-port off"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
    for line in job["script"]:
        subprocess.run(
            ["sh", "-euc", line], cwd=tmp_path, env=environment, check=True, timeout=WITHIN_S, capture_output=True
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


NOTES = """#!{python}
import json, pathlib, sys
pathlib.Path("asked").write_text(json.dumps(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--live --run-dir elsewhere", ["--live", "--run-dir", "elsewhere"]),
        ("--tag 'team=web shop' --tag \"a=$(touch harm) `touch harm` * ; touch harm\"",
         ["--tag", "team=web shop", "--tag", "a=$(touch harm) `touch harm` * ; touch harm"]),
        ("", []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("page", ["ci/gitlab.yml", "ci/Jenkinsfile"])
def test_arguments_are_words_that_no_shell_runs_and_do_not_lead_the_run_past_what_is_kept(
    page: str, arguments: str, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / ".avaload").mkdir()
    executable(tmp_path / ".avaload" / "bin" / "avaload", NOTES.format(python=sys.executable))
    (tmp_path / ".avaload" / "bin" / "python").symlink_to(sys.executable)
    environ = {"PATH": os.environ["PATH"], "SCENARIO": "a b.toml", "ARGUMENTS": arguments}
    text = (ROOT / "docs" / page).read_text()
    if page.endswith("yml"):
        job = yaml.safe_load(text)[".avaload"]
        assert job["artifacts"]["paths"] == ["avaload-run"]
        (script,), scenario = job["script"], "a b.toml"
    else:
        (_, script), scenario = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL), "load/release.toml"
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environ, check=True)
    assert json.loads((tmp_path / "asked").read_text()) == ["run", scenario, *words, "--run-dir", "avaload-run"]
    assert not (tmp_path / "harm").exists()


PYTHON3 = """#!/bin/sh
# `python3 -m venv DIR`: an environment whose pip notes what it is asked for, and whose avaload is this one.
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
mkdir -p "$3/bin"
ln -s {avaload} "$3/bin/avaload"
ln -s {python} "$3/bin/python"
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
    executable(tmp_path / "bin" / "python3", PYTHON3.format(python=python, avaload=python.with_name("avaload")))
    if page.endswith(".md"):
        (tmp_path / "avaload").symlink_to(ROOT)
    executable(tmp_path / "bin" / "git", GIT.format(root=ROOT))
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "release.toml").write_text(
        '[load]\nusers = 2\nduration = "4s"\n[target]\nroom = "none"\n[output]\nmetrics_port = "off"\n'
    )
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for _ in range(1 if page.endswith(".md") else 2):  # a workspace of Jenkins is used again
        done = subprocess.run(
            ["sh", "-ec", _shell_of(page)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed").read_text().splitlines()[:2] == ["avaload/requirements.lock", "./avaload"]
    assert (tmp_path / "avaload-run" / "junit.xml").is_file()
    if page.endswith("Jenkinsfile"):  # where nothing can be installed, nothing of the build before is archived
        executable(tmp_path / "bin" / "git", "#!/bin/sh\nexit 1\n")
        assert subprocess.run(["sh", "-ec", _shell_of(page)], cwd=tmp_path, env=environment).returncode == 1
        assert not (tmp_path / "avaload-run").exists()
