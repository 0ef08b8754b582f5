from pathlib import Path

import pytest


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory without anything in it."""
    path = tmp_path / "run-1"
    path.mkdir()
    return path
