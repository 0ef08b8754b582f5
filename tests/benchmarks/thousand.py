"""A thousand idle-talking sessions at once on this machine, with a generator that is fit to judge.

The twin answers inside its own process (`upstream=inline`); each session speaks a short turn now and then, and its
microphone sends silence in between (`between_turns = "silence"`), 50 frames a second each way. Give `none` as an
argument for a machine of two cores on which that is too much: the microphone then sends nothing between turns, which is
not what a browser does. `python -m tests.benchmarks.thousand [silence|none] [SESSIONS]`
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import bench

CLIP = Path(__file__).parents[2] / "loadtest" / "sound" / "corpus" / "en" / "reset_password.wav"
RAMP_S, HOLD_S = 60, 60

SCENARIO = """
name = "thousand"
[load]
users = {users}
ramp = "{ramp}s"
duration = "{duration}s"
graceful_stop = "90s"
[conversation]
between_turns = "{between}"
repeat_for = "{repeat}s"
[[conversation.turns]]
kind = "say"
clip = "{clip}"
[[conversation.turns]]
kind = "pause"
for_s = 20
"""


def measure(between: str, users: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "thousand.toml"
        length_s = RAMP_S + HOLD_S
        path.write_text(
            SCENARIO.format(users=users, ramp=RAMP_S, duration=length_s, between=between, repeat=length_s, clip=CLIP)
        )
        with bench.pinned_twin("--set", "upstream=inline", "--set", "answer_s=1") as twin:
            bench.settle()
            report, run_dir = bench.run(twin, str(path))
    generator, sessions = report["generator"], report["sessions"]
    return {
        "between_turns": between,
        "at_once": sessions["peak_active"],
        "completed": sessions["completed"],
        "failed": sessions["failed"],
        "left_behind": sessions["leaked"],
        "turns": report["turns"]["count"],
        "first_audio_p95_s": report["turns"]["time_to_first_audio"]["p95_s"],
        "generator": generator["outcome"],
        "because": generator["invalid_because"] + generator["suspect_because"],
        "engine_lag_p99_ms": round(1000 * (generator["engine_lag_p99_s"] or 0), 2),
        "pacing_error_p99_ms": round(1000 * (generator["pacing_error_p99_s"] or 0), 2),
        "cpu_percent_p95": generator["cpu_percent_p95"],
        "rss_mb_max": round((generator["rss_bytes_max"] or 0) / 1e6),
        "run_dir": str(run_dir),
    }


def main() -> int:
    """Print it; 1 unless so many sessions went on at once, none failed, and the generator was valid."""
    between = sys.argv[1] if len(sys.argv) > 1 else "silence"
    users = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    found = measure(between, users)
    print(json.dumps(found, indent=1))
    return 0 if found["at_once"] >= users and not found["failed"] and found["generator"] == "valid" else 1


if __name__ == "__main__":
    sys.exit(main())
