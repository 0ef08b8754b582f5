"""The types that a project sees which uses avaload: mypy over the examples and the pages, as its own files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

STRICT = """\
[mypy]
strict = true
[mypy-page_python,page_pytest,page_locust]
disallow_untyped_defs = false
disallow_incomplete_defs = false
check_untyped_defs = true
"""
"""The examples are of somebody who is strict; snippets of pages have no annotations of their own."""
SEEN = """
import loadtest
from loadtest import AvatarUser

reveal_type(loadtest.run_scenario(users=2).verdict.outcome)
reveal_type(loadtest.run_scenario("a.toml").turns.time_to_first_audio.p95_s)
reveal_type(loadtest.read_run("runs/a").turns)
with loadtest.start_twin(limit__sessions=5) as twin:
    reveal_type(twin.environment)
reveal_type(loadtest.compare_runs("a", ["b", "c"]).regressions)
reveal_type(AvatarUser.avatar_session)
loadtest.read_run(1)
"""
TYPES = [
    "str",
    "float | None",
    "pandas.core.frame.DataFrame",
    "dict[str, str]",
    "list[str]",
    "def (self: loadtest.avatar_user.AvatarUser) -> str",
]


WITHIN_S = 300
"""All that avaload stands on is read anew; on a busy machine that takes minutes."""
pytestmark = pytest.mark.timeout(WITHIN_S + 60)


def mypy(folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "mypy.ini").write_text(STRICT)
    command = [sys.executable, "-P", "-m", "mypy", "--config-file", "mypy.ini", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S)


def test_examples_and_pages_are_right_for_a_strict_project_and_everything_has_its_type(tmp_path: Path) -> None:
    for example in (ROOT / "docs" / "examples").rglob("*.py"):
        shutil.copy(example, tmp_path)
    for page in ("python", "pytest", "locust"):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL)
        assert blocks, page
        (tmp_path / f"page_{page}.py").write_text("\n".join(blocks))
    (tmp_path / "seen.py").write_text(SEEN)

    done = mypy(tmp_path)
    lines = done.stdout.splitlines()
    assert re.findall(r'note: Revealed type is "(.+)"', done.stdout) == TYPES
    errors = [line for line in lines if ": error: " in line]
    assert [line.partition(":")[0] for line in errors] == ["seen.py"], done.stdout
    assert 'Argument 1 to "read_run" has incompatible type "int"' in errors[0]
