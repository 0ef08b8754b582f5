"""WebSocket rooms: what a conversing session costs the whole harness, and how many one core holds.

Asked: <= 1.0 ms CPU per session-second at 200-600 sessions with frames both ways all the time, and >= 1,000 sessions on
one core with <= 1 % of frames more than 40 ms apart as the target saw them. `python -m
tests.benchmarks.rooms_websocket`
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtest.events import HealthSampled, StageStarted
from loadtest.journal import read_run
from tests.benchmarks import bench

SIZES = (200, 600, 1000)
RAMP_S = {200: 8, 600: 12, 1000: 20}
STEADY_S = 20
CPU_MS, LATE_SHARE = 1.0, 0.01
SCENARIO = """
name = "frames"
[[conversation.turns]]
kind = "pause"
for_s = 600
"""


def measure(sessions: int) -> dict[str, Any]:
    """CPU ms per session-second of engine and Locust together in the steady part; frames the target saw late."""
    plan_s = RAMP_S[sessions] + STEADY_S
    with tempfile.TemporaryDirectory() as folder, bench.pinned_target("tests.benchmarks.frame_source") as target:
        scenario = Path(folder) / "frames.toml"
        scenario.write_text(SCENARIO)
        bench.settle()
        options = ("--users", str(sessions), "--ramp", f"{RAMP_S[sessions]}s", "--duration", f"{plan_s}s")
        report, run_dir = bench.run(target, str(scenario), *options, "--graceful-stop", "0s")
    events = [event for file in read_run(run_dir) for event in file.events]
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    steady = [
        event
        for event in events
        if isinstance(event, HealthSampled) and RAMP_S[sessions] + 3 < (event.t_ns - began_ns) / 1e9 < plan_s - 1
    ]
    cpu = {s: statistics.mean(e.cpu_percent for e in steady if e.source == s) for s in ("engine", "hub")}
    counts = target["printed"]
    return {
        "sessions": counts["rooms_peak"],
        "cpu_ms_per_session_s": (cpu["engine"] + cpu["hub"]) * 10 / sessions,
        "engine_percent": cpu["engine"],
        "hub_percent": cpu["hub"],
        "late_share": counts["late"] / max(1, counts["frames"]),
        "pacing_p99_ms": max(e.pacing_p99_ns or 0 for e in steady) / 1e6,
        "rss_mb": max(e.rss_bytes for e in steady) / 1e6,
        "failed": report["sessions"]["failed"],
    }


def main() -> int:
    """Print medians of 3; 1 if a bar is missed."""
    missed = False
    for sessions in SIZES:
        runs = [measure(sessions) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)]
        median = {key: round(statistics.median(run[key] for run in runs), 4) for key in runs[0]}
        print(json.dumps(median), flush=True)
        missed |= median["sessions"] < sessions or median["late_share"] > LATE_SHARE
        missed |= sessions <= 600 and median["cpu_ms_per_session_s"] > CPU_MS
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
