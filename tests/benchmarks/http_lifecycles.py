"""HTTP lifecycles per second (`--room none`) through the whole path, engine and Locust on one core, the twin on the
other.

Asked: >= 550/s without proof of gone (a prototype made 600). `python -m tests.benchmarks.http_lifecycles`
"""

import json
import statistics
import sys

from loadtest.events import HealthSampled, SessionFinished, StageStarted
from loadtest.journal import read_run
from tests.benchmarks import bench

USERS, DURATION_S, RAMP_S = 50, 12, 2
ASKED_PER_S = 550


def measure(*, prove_gone: bool) -> dict[str, float]:
    """Sessions finished per second, and CPU ms per session, between the ramp's end and the plan's end."""
    with bench.pinned_twin() as twin:
        bench.settle()
        plan = ("--users", str(USERS), "--duration", f"{DURATION_S}s", "--ramp", f"{RAMP_S}s", "--room", "none")
        report, run_dir = bench.run(twin, *plan, AVALOAD_TARGET__PROVE_GONE=str(prove_gone).lower())
    events = [event for file in read_run(run_dir) for event in file.events]
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    steady = [e for e in events if RAMP_S + 1 < (e.t_ns - began_ns) / 1e9 < DURATION_S - 0.5]
    per_s = sum(isinstance(e, SessionFinished) for e in steady) / (DURATION_S - 1.5 - RAMP_S)
    cpu = {
        source: statistics.mean(e.cpu_percent for e in steady if isinstance(e, HealthSampled) and e.source == source)
        for source in ("engine", "hub")
    }
    return {
        "per_s": per_s,
        "engine_cpu_ms": cpu["engine"] * 10 / per_s,
        "locust_cpu_ms": cpu["hub"] * 10 / per_s,
        "core_percent": cpu["engine"] + cpu["hub"],
        "failed": report["sessions"]["failed"],
    }


def main() -> int:
    """Print medians of 3; 1 if the bar is missed."""
    result = {}
    for prove_gone in (False, True):
        runs = [measure(prove_gone=prove_gone) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)]
        name = "with proof of gone" if prove_gone else "without proof of gone"
        result[name] = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    print(json.dumps(result, indent=1))
    return 0 if result["without proof of gone"]["per_s"] >= ASKED_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
