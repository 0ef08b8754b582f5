"""Programs of the system and packages of npm that tests use: the real ones, or no test."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_LINES: Final = Path(__file__).with_name("programs.txt").read_text().splitlines()
NEWEST: Final = "CONTRACT_NEWEST"
"""`make contract` sets it to a file: packages come in their newest versions, and what came is written there."""
PROGRAMS: Final = dict(line.split() for line in _LINES if not line.startswith("#"))


def needed(program: str) -> str:
    """The path of a program of tests/programs.txt; skips the test where it isn't installed."""
    return shutil.which(program) or pytest.skip(f"{program} isn't installed (Debian: {PROGRAMS[program]})")


def npm_install(folder: Path, *packages: str, timeout_s: float) -> None:
    """Packages of npm's registry (name@version) into a folder; skips the test where they can't be had."""
    names = [package.rpartition("@")[0] for package in packages]
    if told := os.environ.get(NEWEST):
        packages = tuple(f"{name}@latest" for name in names)
    command = [needed("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    try:
        installed = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm's registry gave no {packages[0]} within {timeout_s:g} s")
    if installed.returncode != 0:
        pytest.skip(f"npm's registry gave no {packages[0]}")
    if told:
        versions = [
            json.loads((folder / "node_modules" / name / "package.json").read_text())["version"] for name in names
        ]
        with Path(told).open("a") as file:
            file.writelines(f"{name} {version}\n" for name, version in zip(names, versions, strict=True))
