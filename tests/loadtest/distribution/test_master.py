"""The master's own part of a run over several hosts: what it takes of its workers, and when."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support import ROOT


@pytest.fixture(scope="module")
def came_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The scenes of `mastering`."""
    words = [sys.executable, "-m", "tests.loadtest.distribution.mastering", str(tmp_path_factory.mktemp("master"))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_worker_that_comes_after_the_last_word_is_refused_and_no_disk_is_full(came_of: dict[str, Any]) -> None:
    assert came_of["late"] == {
        "sent": [["avaload.host", "refused"]],
        "counts_as_before": True,
        "last_words": ["'completed'"],
    }


def test_one_that_left_before_the_beginning_is_forgotten_once_another_has_its_number(came_of: dict[str, Any]) -> None:
    """Also that it was done: its word of that may even come late."""
    assert came_of["replaced"] == {"numbers": {"first": 0, "second": 0}, "done": 0, "known": ["second"]}


def test_a_master_without_workers_hears_the_next_one(came_of: dict[str, Any]) -> None:
    assert came_of["parted"] == {"here": [1, 0, 0, 1], "ended": [], "listens": True, "after_our_own_end": 0}
