"""Programs of the system and packages of npm that tests use: the real ones, or no test."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_LINES: Final = Path(__file__).with_name("programs.txt").read_text().splitlines()
PROGRAMS: Final = dict(line.split() for line in _LINES if not line.startswith("#"))


def needed(program: str) -> str:
    """The path of a program of tests/programs.txt; skips the test where it isn't installed."""
    return shutil.which(program) or pytest.skip(f"{program} isn't installed (Debian: {PROGRAMS[program]})")


def npm_install(folder: Path, *packages: str, timeout_s: float) -> None:
    """Packages of npm's registry into a folder; skips the test where they can't be had."""
    command = [needed("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    try:
        installed = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm's registry gave no {packages[0]} within {timeout_s:g} s")
    if installed.returncode != 0:
        pytest.skip(f"npm's registry gave no {packages[0]}")
