"""Cores and memory of a container are those that it may use, and not the machine's."""

import os
from pathlib import Path

import pytest

from loadtest.system import container

GIB = 1 << 30


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores, whose control group says nothing yet."""
    monkeypatch.setattr(container, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def tell(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "1600000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_a_quota_bounds_the_cores(root: Path, files: dict[str, str], cores: int) -> None:
    tell(root, **files)
    assert container.cores() == cores


def test_cores_of_others_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert container.cores() == 1


V1 = "memory/memory."


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, None),
        ({"memory.max": "max", "memory.current": "5"}, None),
        ({"memory.max": str(4 * GIB), "memory.current": str(3 * GIB)}, GIB),
        (
            {
                "memory.max": str(4 * GIB),
                "memory.current": str(3 * GIB),
                "memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}",
            },
            3 * GIB,
        ),
        ({"memory.max": str(GIB), "memory.current": str(2 * GIB)}, 0),
        ({"memory.max": str(17 * GIB), "memory.current": "5"}, None),
        (
            {
                f"{V1}limit_in_bytes": str(2 * GIB),
                f"{V1}usage_in_bytes": str(GIB),
                f"{V1}stat": f"inactive_file 7\ntotal_inactive_file {GIB // 2}",
            },
            GIB + GIB // 2,
        ),
        ({f"{V1}limit_in_bytes": "9223372036854771712", f"{V1}usage_in_bytes": "5"}, None),
    ],
)
def test_memory_is_left_below_a_limit_and_what_is_cached_counts_as_free(
    root: Path, files: dict[str, str], left: int | None
) -> None:
    tell(root, **files)
    assert container.memory_left(16 * GIB) == left
