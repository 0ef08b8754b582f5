"""HTTP lifecycles (`--room none`) per second through the whole path, engine and Locust on one core, the twin on the
other.

Asked: >= 550/s without proof of gone (a prototype made 600).
"""

import statistics
from collections.abc import Iterator

from loadtest.events.kinds import HealthSampled, SessionFinished, StageStarted
from tests.benchmarks import bench
from tests.benchmarks.bench import Row

USERS, RAMP_S = 50, 2
ASKED_PER_S = 550
PEERS = "both official clients under Locust's own greenlets: 449 (2.2 ms); k6's: 4,479; Artillery's: 474 (2.1 ms)"


def measure(*, prove_gone: bool, duration_s: int) -> dict[str, float]:
    """Sessions finished per second, and CPU ms per session, between the ramp's end and the plan's end."""
    with bench.pinned_twin() as twin:
        bench.settle()
        plan = ("--users", str(USERS), "--duration", f"{duration_s}s", "--ramp", f"{RAMP_S}s", "--room", "none")
        report, run_dir = bench.run(twin, *plan, AVALOAD_TARGET__PROVE_GONE=str(prove_gone).lower())
    events = bench.events_of(run_dir)
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    steady = [e for e in events if RAMP_S + 1 < (e.t_ns - began_ns) / 1e9 < duration_s - 0.5]
    per_s = sum(isinstance(e, SessionFinished) for e in steady) / (duration_s - 1.5 - RAMP_S)
    cpu = {
        source: statistics.mean(e.cpu_percent for e in steady if isinstance(e, HealthSampled) and e.source == source)
        for source in ("engine", "hub")
    }
    return {
        "per_s": per_s,
        "engine_cpu_ms": cpu["engine"] * 10 / per_s,
        "locust_cpu_ms": cpu["hub"] * 10 / per_s,
        "cpu_ms": sum(cpu.values()) * 10 / per_s,
        "core_percent": sum(cpu.values()),
        "failed": report["sessions"]["failed"],
    }


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    for prove_gone, asked in ((False, ASKED_PER_S), (True, None)):
        what = f"HTTP lifecycles, official clients, {'with' if prove_gone else 'without'} proof of gone"
        runs = bench.measured(lambda: measure(prove_gone=prove_gone, duration_s=7 if quick else 12), rounds)  # noqa: B023
        yield Row(what, bench.column(runs, "per_s"), "lifecycles/s", at_least=asked, others=PEERS if asked else "")
        yield Row(f"{what}: CPU of engine and Locust", bench.column(runs, "cpu_ms"), "ms each")
