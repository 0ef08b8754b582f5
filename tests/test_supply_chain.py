"""What is installed is pinned by hashes, and its licences are told."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from docs.generator import licences

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-tools.lock"])
def test_every_locked_package_has_a_version_and_hashes(name: str) -> None:
    logical = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    entries = [line for line in logical if line.strip() and not line.startswith("#")]
    assert len(entries) > 20
    bad = [line for line in entries if not re.match(r"[A-Za-z0-9._-]+==\S+ ", line) or "--hash=sha256:" not in line]
    assert bad == []


def test_the_wheel_has_what_commands_read_beside_the_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    folder = ROOT / "loadtest" / "commands" / "authoring"
    beside = {str(path.relative_to(ROOT)) for kind in ("*.toml", "*.yml") for path in folder.rglob(kind)}
    assert len(beside) == 13
    assert beside - inside == set()


def test_the_locking_tool_is_locked_itself() -> None:
    pinned = (ROOT / "requirements-tools.in").read_text()
    version = re.search(r"^uv==(\S+)$", pinned, re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]} " in (ROOT / "requirements-tools.lock").read_text()
    assert "pip install --quiet uv" not in (ROOT / "Makefile").read_text()


def test_every_locked_package_has_its_row_and_copyleft_is_named() -> None:
    page = (ROOT / "docs" / "licences.md").read_text()
    for name, version in licences.locked():
        assert f"| {name} | {version} |" in page
    head = page.partition("| package |")[0]
    for name in ("soxr", "bidict", "certifi"):
        assert f"- {name} " in head


@pytest.mark.parametrize(
    ("licence", "asks"),
    [
        ("LGPL-2.1-or-later", True), ("MPL-2.0", True), ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GNU General Public License v3 (GPLv3)", True), ("MIT", False), ("Apache-2.0 AND MIT", False),
        ("BSD-3-Clause", False), ("simple", False),
    ],
)  # fmt: skip
def test_which_licences_ask_for_something_in_return(licence: str, asks: bool) -> None:
    assert licences.is_copyleft(licence) == asks


def test_the_audit_asks_for_all_that_a_run_may_install() -> None:
    told = subprocess.run(
        ["make", "-n", "audit"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    (audit,) = re.findall(r"pip-audit .*?\|\|", told, re.DOTALL)  # its tools may have to be installed before
    asked = set(re.findall(r"-r (\S+\.lock)", audit))
    assert asked == {path.name for path in ROOT.glob("requirements*.lock")} - {
        "requirements-dev.lock",
        "requirements-tools.lock",
    }
    assert len(asked) == 4


def test_the_environment_of_a_checkout_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    def would_do(folder: Path, *asked: str) -> str:
        words = ["make", *(asked or ("-n", "install"))]
        return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout

    first = tmp_path / "a checkout"
    (first / ".venv").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, first)
    assert "-m venv  .venv" in would_do(first)  # whatever lies there is kept
    (first / ".venv" / ".created").write_text(f"{first}\n")
    (first / ".venv" / ".base").touch()
    assert "-m venv" not in would_do(first)
    moved = first.rename(tmp_path / "moved")
    assert "what can be made" in would_do(moved, "help")  # which makes nothing, and forgets nothing
    assert "-m venv --clear .venv" in would_do(moved)
    assert "--require-hashes -r requirements.lock" in would_do(moved)
