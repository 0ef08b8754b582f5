"""What the pytest plugin costs a project that has it, and how soon a test has its twin."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

import loadtest
from tests.benchmarks.bench import Row

IMPORT_MS: Final = 50.0
TWIN_S: Final = 1.0
_IMPORT: Final = """
import pytest, time
began = time.perf_counter()
import avaload_pytest
print(time.perf_counter() - began)
"""
TIMES: Final = 7


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    times = rounds if quick else max(rounds, TIMES)
    yield Row("pytest plugin: its import, beside pytest's own", tuple(_import_ms() for _ in range(times)), "ms",
              at_most=IMPORT_MS)  # fmt: skip
    yield Row("pytest plugin: a twin is up", tuple(_twin_s() for _ in range(times)), "s", at_most=TWIN_S)


def _import_ms() -> float:
    command = [sys.executable, "-P", "-c", _IMPORT]
    return 1e3 * float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def _twin_s() -> float:
    began = time.perf_counter()
    with loadtest.start_twin() as twin:
        took_s = time.perf_counter() - began
        assert twin.state()["sessions"] == []
    return took_s
