"""Open arrivals: constant 50/s for a minute, and a target that stands still for 5 s in the middle of it.

Asked: achieved rate within 1 %, error of due times p99 <= 5 ms; in the freeze latency from due shows it (p99 >= 4 s)
where latency from start hides it (p99 < 1 s). `python -m tests.benchmarks.arrivals`
"""

import json
import sys
from typing import Any

from tests.benchmarks import bench

RATE, DURATION_S = 50, 60
FREEZE_AT_S, FREEZE_FOR_S = 30, 5
PLAN = ("--rate", str(RATE), "--ramp", "0s", "--duration", f"{DURATION_S}s", "--room", "none")


def constant() -> dict[str, Any]:
    with bench.pinned_twin() as twin:
        bench.settle()
        report, _ = bench.run(twin, *PLAN)
    arrivals = report["arrivals"]
    return {
        "scheduled": arrivals["scheduled"],
        "started": arrivals["started"],
        "dropped": arrivals["dropped"],
        "achieved_per_s": arrivals["achieved_per_s"],
        "due_error_p99_ms": round(1000 * arrivals["due_error"]["p99_s"], 2),
        "generator": report["generator"]["outcome"],
    }


def frozen() -> dict[str, Any]:
    with bench.pinned_twin("--set", f"freeze={FREEZE_AT_S},{FREEZE_FOR_S}") as twin:
        report, _ = bench.run(twin, *PLAN, "--max-users", "20", "--max-lateness", "10s")
    sessions = report["sessions"]
    return {
        "from_start_p99_s": sessions["setup"]["p99_s"],
        "from_due_p99_s": sessions["setup_from_due"]["p99_s"],
        "started": sessions["started"],
        "dropped": sessions["dropped"],
        "generator": report["generator"]["outcome"],
    }


def main() -> int:
    """Print both; 1 if a bar is missed."""
    even, still = constant(), frozen()
    print(json.dumps({"constant": even, "frozen": still}, indent=1))
    met = (
        abs(even["achieved_per_s"] - RATE) <= 0.01 * RATE
        and even["due_error_p99_ms"] <= 5
        and still["from_due_p99_s"] >= 4
        and still["from_start_p99_s"] < 1
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
