"""What a run holds of memory while it goes on: 20 users against the embedded twin, with the official clients.

    python -m tests.benchmarks.held_memory

Summed is the resident set (RSS) of three processes: the command that waits, Locust, and the engine; the twin stands for
the services and is not counted. Pages that several processes share are in each one's RSS; PSS, which divides them, is a
row of its own. Of each process it is the median of its samples, one a second, in the steady part.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from tests.benchmarks import bench
from tests.benchmarks.bench import Row
from tests.support import free_port

USERS, RAMP_S, STEADY_S, AT_MOST_MIB = 20, 5, 40, 190.0
BEGIN_LIMIT_S, END_LIMIT_S = 60.0, 120.0
WORDS: Final = {"locust": "loadtest.locust_main", "engine": "loadtest.engine.process"}
"""Of the command lines of what the command starts and counts."""


def held(command: int) -> dict[str, tuple[float, float]]:
    """RSS and PSS in MiB, by process; without one that isn't there."""
    found = {"command": psutil.Process(command)}
    for child in found["command"].children(recursive=True):
        words = " ".join(child.cmdline())
        found |= {name: child for name, word in WORDS.items() if word in words}
    memory = {name: process.memory_full_info() for name, process in found.items()}
    return {name: (of.rss / 2**20, of.pss / 2**20) for name, of in memory.items()}


def measure(steady_s: int) -> dict[str, Any]:
    """Medians of one run's steady part, in MiB."""
    with tempfile.TemporaryDirectory(prefix="avaload-bench-") as folder:
        run_dir = Path(folder, "run")
        plan = ["--users", str(USERS), "--ramp", f"{RAMP_S}s", "--duration", f"{RAMP_S + steady_s}s"]
        output = ["--metrics-port", str(free_port()), "--metrics-linger", "0s", "--run-dir", str(run_dir)]
        words = [sys.executable, "-P", "-m", "avaload", "run", *plan, *output]
        with bench.started(words, os.environ | bench.MODELS) as process:
            _wait_for_sessions(run_dir, process)
            time.sleep(RAMP_S + 2)
            samples = []
            until_s = time.monotonic() + steady_s - 4
            while time.monotonic() < until_s:
                samples.append(held(process.pid))
                time.sleep(1.0)
            process.wait(END_LIMIT_S)
    of_each = {
        f"{name}_{kind}": statistics.median(sample[name][at] for sample in samples)
        for name in ("command", *WORDS)
        for at, kind in enumerate(("rss", "pss"))
    }
    sums = {kind: sum(of for name, of in of_each.items() if name.endswith(kind)) for kind in ("rss", "pss")}
    return of_each | sums | {"samples": len(samples)}


def _wait_for_sessions(run_dir: Path, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + BEGIN_LIMIT_S
    while not any(b'"session_started"' in path.read_bytes() for path in run_dir.glob("journal/*engine*")):
        assert process.poll() is None, "the run ended before its first session"
        assert time.monotonic() < deadline_s, "no session began"
        time.sleep(0.2)


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    runs = bench.measured(lambda: measure(10 if quick else STEADY_S), rounds)
    what = f"a run of {USERS} users, memory held"
    yield Row(f"{what}: command, Locust and engine together (RSS)", bench.column(runs, "rss"), "MiB",
              at_most=AT_MOST_MIB)  # fmt: skip
    yield Row(f"{what}: the same, shared pages counted once (PSS)", bench.column(runs, "pss"), "MiB")
    for name in ("command", *WORDS):
        yield Row(f"{what}: {name} alone (RSS)", bench.column(runs, f"{name}_rss"), "MiB")


if __name__ == "__main__":
    print(*(f"{row.what}: {row.median:.1f} {row.unit}" for row in rows(1, quick=False)), sep="\n")
