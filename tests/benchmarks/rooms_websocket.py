"""WebSocket rooms: what a conversing session costs the whole harness, and how many one core holds.

Asked: <= 1.0 ms CPU per session-second at 200-600 sessions with frames both ways all the time (a session costs less the
more there are: 200 is the dearest), and >= 1,000 sessions on one core with <= 1 % of frames more than 40 ms apart as
the target saw them.
"""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtest.events.kinds import HealthSampled, StageStarted
from tests.benchmarks import bench
from tests.benchmarks.bench import Row

RAMP_S = {200: 8, 1000: 20}
STEADY_S = 15
CPU_MS, CPU_MS_UP_TO, LATE_PERCENT = 1.0, 600, 1.0
PEERS = {
    200: "at 100 sessions: k6 3.3 (at 50), Artillery 2.3, `websockets` on uvloop 1.7",
    1000: "holding 1,050: Artillery 0.92; k6 has 4.7 % late at 250",
}
SCENARIO = """
name = "frames"
[[conversation.turns]]
kind = "pause"
for_s = 600
"""


def measure(sessions: int, steady_s: int) -> dict[str, Any]:
    """CPU ms per session-second of engine and Locust together in the steady part; frames the target saw late."""
    plan_s = RAMP_S[sessions] + steady_s
    with tempfile.TemporaryDirectory() as folder, bench.pinned_target("tests.benchmarks.frame_source") as target:
        scenario = Path(folder) / "frames.toml"
        scenario.write_text(SCENARIO)
        bench.settle()
        options = ("--users", str(sessions), "--ramp", f"{RAMP_S[sessions]}s", "--duration", f"{plan_s}s")
        options += ("--room", "websocket", "--graceful-stop", "0s")
        report, run_dir = bench.run(target, str(scenario), *options)
    events = bench.events_of(run_dir)
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
        "late_percent": 100 * counts["late"] / max(1, counts["frames"]),
        "pacing_p99_ms": max(e.pacing_p99_ns or 0 for e in steady) / 1e6,
        "rss_mb": max(e.rss_bytes for e in steady) / 1e6,
        "failed": report["sessions"]["failed"],
    }


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    for sessions in (200,) if quick else RAMP_S:
        runs = bench.measured(lambda: measure(sessions, 8 if quick else STEADY_S), rounds)  # noqa: B023
        what = f"{sessions:,} WebSocket rooms, frames both ways all the time"
        bar = CPU_MS if sessions <= CPU_MS_UP_TO else None
        cpu = bench.column(runs, "cpu_ms_per_session_s")
        yield Row(f"{what}: CPU", cpu, "ms per session-second", at_most=bar, others=PEERS.get(sessions, ""))
        yield Row(f"{what}: at once", bench.column(runs, "sessions"), "sessions", at_least=sessions)
        late = bench.column(runs, "late_percent")
        yield Row(f"{what}: more than 40 ms apart", late, "% of frames", at_most=LATE_PERCENT)
