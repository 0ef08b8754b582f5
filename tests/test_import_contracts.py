"""The import contracts of pyproject.toml refuse what they say: forbidden imports are planted in a copy of the code."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("loadtest", "exporters", "dashboards", "reports")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.wav", "*.json")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "copy"))


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)


def plant(folder: Path, file: str, line: str) -> None:
    path = folder / file
    path.write_text(f"{path.read_text()}\n{line}\n")


def test_the_code_as_it_is_keeps_its_contracts(clean: Path) -> None:
    done = lint(clean)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        (
            "loadtest/twin/service.py",
            "import loadtest.arrivals.schedule",
            "loadtest.twin is not allowed to import loadtest.arrivals",
        ),
        (
            "loadtest/commands/sweep.py",
            "import loadtest.twin.service",
            "Illegal imports of protected package loadtest.twin: - loadtest.commands.sweep -> loadtest.twin.service",
        ),
        (
            "loadtest/distribution/worker.py",
            "import loadtest.commands.run",
            "loadtest.distribution is not allowed to import loadtest.commands",
        ),
        (
            "loadtest/session/lifecycle.py",
            "import httpx",
            "loadtest.session is not allowed to import httpx",
        ),
    ],
)
def test_a_forbidden_import_is_refused(copy: Path, file: str, line: str, told: str) -> None:
    plant(copy, file, line)
    done = lint(copy)
    assert done.returncode == 1
    assert told in " ".join(done.stdout.split())


def test_a_package_that_stands_in_no_layer_is_refused(copy: Path) -> None:
    (copy / "loadtest" / "novelties").mkdir()
    (copy / "loadtest" / "novelties" / "__init__.py").write_text("")
    done = lint(copy)
    assert done.returncode == 1
    assert "novelties" in done.stdout


@pytest.mark.parametrize("package", ["loadtest.rooms", "exporters.metrics", "reports.data"])
def test_a_contract_that_names_what_is_not_there_is_refused(copy: Path, package: str) -> None:
    shutil.rmtree(copy / Path(*package.split(".")))
    assert lint(copy).returncode == 1


def test_the_readers_contract_names_every_package_that_a_report_must_not_know() -> None:
    """What reports may read and what they may not is everything that `loadtest` holds: a new package is one of them."""
    contracts = {
        each["id"]: each
        for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    }
    layers = next(each for each in contracts.values() if each["id"] == "loadtest")["layers"]
    every = {f"loadtest.{name.strip()}" for layer in layers for name in layer.split("|")}
    core = "errors", "events", "text", "system", "journal", "secrecy", "criteria", "sound", "prices", "arrivals"
    read = *core, "config", "rules", "capacity", "forecast"
    may = {f"loadtest.{name}" for name in read}
    assert set(contracts["readers"]["forbidden_modules"]) == every - may
