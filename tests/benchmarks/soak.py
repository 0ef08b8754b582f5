"""Half an hour at 200 sessions: is the memory of engine and Locust flat (± 5 % after warm-up), does the pacing drift?

`python -m tests.benchmarks.soak [MINUTES]`
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtest.events.kinds import HealthSampled, StageStarted
from loadtest.journal import read_run
from tests.benchmarks import bench

SESSIONS, RAMP_S, WARM_UP_S = 200, 20, 180
FLAT_SHARE, DRIFT_MS = 0.05, 5.0
SCENARIO = """
name = "soak"
[conversation]
repeat_for = "45s"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "barge_in"
"""


def measure(minutes: float) -> dict[str, Any]:
    """Memory (MB) and pacing (ms) at the beginning and at the end of the steady part, by process."""
    with tempfile.TemporaryDirectory() as folder, bench.pinned_twin("--set=answer_s=3") as twin:
        scenario = Path(folder) / "soak.toml"
        scenario.write_text(SCENARIO)
        plan = ("--users", str(SESSIONS), "--ramp", f"{RAMP_S}s", "--duration", f"{minutes:g}m")
        report, run_dir = bench.run(twin, str(scenario), *plan)
    events = [event for file in read_run(run_dir) for event in file.events]
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    steady = [
        event
        for event in events
        if isinstance(event, HealthSampled) and WARM_UP_S < (event.t_ns - began_ns) / 1e9 < minutes * 60
    ]
    result: dict[str, Any] = {key: report["sessions"][key] for key in ("completed", "failed", "leaked", "peak_active")}
    result["generator"] = report["generator"]["outcome"]
    for source in ("engine", "hub"):
        samples = [event for event in steady if event.source == source]
        fifth = max(1, len(samples) // 5)
        first, last = samples[:fifth], samples[-fifth:]
        rss_mb = [statistics.median(event.rss_bytes for event in part) / 1e6 for part in (first, last)]
        result[source] = {
            "rss_mb": [round(value, 1) for value in rss_mb],
            "rss_change": round(rss_mb[1] / rss_mb[0] - 1, 4),
            "pacing_p99_ms": [
                round(statistics.median(event.pacing_p99_ns or 0 for event in part) / 1e6, 2) for part in (first, last)
            ],
        }
    return result


def main() -> int:
    """1 if memory grew or pacing drifted."""
    result = measure(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
    print(json.dumps(result))
    grew = max(abs(result[source]["rss_change"]) for source in ("engine", "hub"))
    drift_ms = result["engine"]["pacing_p99_ms"][1] - result["engine"]["pacing_p99_ms"][0]
    return int(grew > FLAT_SHARE or drift_ms > DRIFT_MS or result["failed"] > 0 or result["leaked"] > 0)


if __name__ == "__main__":
    sys.exit(main())
