"""What it costs that the processes of a run speak CURVE to each other: runs of two load processes with and without
it, in turn. Asked: no more than such runs differ among themselves.
"""

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtest.events.kinds import HealthSampled, StageStarted
from tests.benchmarks import bench
from tests.benchmarks.bench import Row
from tests.benchmarks.rooms_websocket import SCENARIO
from tests.benchmarks.watching import ran

WITHOUT_CURVE: Final = Path(__file__).parent / "without_curve"
OPEN: Final = {"PYTHONPATH": f"{WITHOUT_CURVE}{os.pathsep}{Path.cwd()}"}
RAMP_S, USERS, ROOMS = 2, 50, 100
LEAST_SPREAD: Final = 0.05
"""Of a figure between runs of the same build, where few runs happen to agree better."""


def lifecycles_per_s(environ: dict[str, str], duration_s: float) -> float:
    """HTTP lifecycles of one run."""
    plan = ["--users", str(USERS), "--processes", "2", "--duration", f"{duration_s:g}s", "--ramp", f"{RAMP_S}s"]
    with bench.pinned_twin() as twin:
        return ran(twin, plan, ramp_s=RAMP_S, duration_s=duration_s, **environ).per_s


def late_ms(environ: dict[str, str], duration_s: float) -> float:
    """How late frames leave: the 99th percentile of each second, of those the median."""
    with tempfile.TemporaryDirectory() as folder, bench.pinned_target("tests.benchmarks.frame_source") as target:
        scenario = Path(folder) / "frames.toml"
        scenario.write_text(SCENARIO)
        bench.settle()
        plan = ("--users", str(ROOMS), "--processes", "2", "--ramp", f"{RAMP_S}s", "--duration", f"{duration_s:g}s")
        _, run_dir = bench.run(target, str(scenario), *plan, "--room", "websocket", "--graceful-stop", "0s", **environ)
    events = bench.events_of(run_dir)
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    first_ns, last_ns = began_ns + int((RAMP_S + 1) * 1e9), began_ns + int((duration_s - 1) * 1e9)
    steady = [event for event in events if isinstance(event, HealthSampled) and first_ns < event.t_ns < last_ns]
    return statistics.median(event.pacing_p99_ns / 1e6 for event in steady if event.pacing_p99_ns is not None)


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    duration_s = 8.0 if quick else 12.0
    for what, unit, figure in (
        (f"{USERS} users' HTTP lifecycles over two load processes", "lifecycles/s", lifecycles_per_s),
        (f"{ROOMS} WebSocket rooms over two load processes: frames leave late by", "ms", late_ms),
    ):
        found: dict[bool, list[float]] = {True: [], False: []}
        with bench.aside():
            for number in range(rounds):
                for curve in (True, False) if number % 2 else (False, True):
                    found[curve].append(figure({} if curve else OPEN, duration_s))
                    print(what, f"CURVE {curve}", found[curve][-1], flush=True)
        base = statistics.median(found[False])
        sign = 1 if unit == "ms" else -1  # what is worse
        spread = 100 * max(LEAST_SPREAD, (max(found[False]) - min(found[False])) / base)
        yield Row(f"{what}, with CURVE", found[True], unit)
        yield Row(f"{what}, without", found[False], unit)
        worse = [100 * sign * (each / base - 1) for each in found[True]]
        yield Row(f"{what}: cost of CURVE (bar: spread of the runs without)", worse, "%", at_most=spread)
