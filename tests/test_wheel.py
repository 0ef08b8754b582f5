"""The wheel in an environment of its own, beside a project that has folders named as its packages are."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

HEAVY = {"matplotlib", "locust", "gevent", "pandas"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of an environment with the wheel. What it needs comes from this one, without this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True, timeout=60)
    (site,) = folder.glob("env/lib/python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return site


def python(site: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [site.parents[2] / "bin" / "python", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("loadtest", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = 1\n")
    (tmp_path / "test_mine.py").write_text("from loadtest import MINE\n\ndef test_mine():\n    assert MINE == 1\n")
    return tmp_path


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_a_project_with_folders_of_these_names_collects_its_tests(site: Path, project: Path, mode: str) -> None:
    done = python(site, "-m", "pytest", "-q", "--rootdir", ".", f"--import-mode={mode}", cwd=project)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_fixture_that_a_folder_hides_says_so_in_one_line_with_both_paths(site: Path, project: Path) -> None:
    (project / "test_twin.py").write_text("def test_twin(avaload_twin):\n    pass\n")
    done = python(site, "-m", "pytest", "-q", "--rootdir", ".", "test_twin.py", cwd=project)
    assert done.returncode != 0
    told = f"avaload needs its package {site / 'loadtest'}, but `loadtest` is {project / 'loadtest'}: rename that"
    assert any(line.startswith(told) for line in done.stdout.splitlines()), done.stdout
    assert "avaload_pytest.py" not in done.stdout  # no traceback


@pytest.mark.parametrize("module", ["avaload_pytest", "loadtest.twin.serving", "loadtest.api"])
def test_neither_the_plugin_nor_the_twin_imports_what_is_heavy(site: Path, tmp_path: Path, module: str) -> None:
    script = f"import sys, {module}; print(sys.modules[{module!r}].__file__, *sorted({HEAVY} & sys.modules.keys()))"
    done = python(site, "-P", "-c", script, cwd=tmp_path)
    assert done.stdout.split() == [str(site / (module.replace(".", "/") + ".py"))], done.stdout + done.stderr
