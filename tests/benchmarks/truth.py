"""Is what is reported true? Users paced at one HTTP lifecycle a second with random phases, 20 ms injected per step;
then voice.

Error of a call = what the harness reports minus what the twin says it took (`x-twin-handled-ns`): p50 <= 2 ms, p99 <= 5
ms at 50 users and <= 8 ms at 300. Time to first audio: within 5 ms of the twin's own stamps. `python -m
tests.benchmarks.truth`
"""

import json
import statistics
import sys
import urllib.request
from typing import Any

from loadtest.events import Event, Outcome, SessionFinished, Step, StepFinished
from loadtest.health import quantile_ns
from loadtest.journal import read_run
from tests.benchmarks import bench

INJECTED = [f"--set=latency.{point}=fixed:0.02" for point in ("mint", "create", "sdk_session", "delete")]
P50_MS, P99_MS = 2.0, {50: 5.0, 300: 8.0}
FIRST_AUDIO_MS = 5.0


def call_errors_ms(events: list[Event], warm_up_s: float) -> dict[str, Any]:
    """Quantiles of (reported - handled) over all good calls after the warm-up."""
    steps = [e for e in events if isinstance(e, StepFinished) and e.outcome is Outcome.OK and e.server_ns is not None]
    began_ns = min(e.started_ns for e in steps)
    errors: dict[str, list[int]] = {step: [] for step in (Step.MINT, Step.CREATE, Step.CONNECT, Step.DELETE)}
    for e in steps:
        if e.started_ns - began_ns > warm_up_s * 1e9 and e.server_ns is not None:
            errors[e.step].append(e.t_ns - e.started_ns - e.server_ns)
    every = [error for of_step in errors.values() for error in of_step]
    return {
        "calls": len(every),
        "p50_ms": quantile_ns(every, 0.5) / 1e6,
        "p99_ms": quantile_ns(every, 0.99) / 1e6,
        "max_ms": max(every) / 1e6,
        "p99_ms_by_step": {step: round(quantile_ns(of_step, 0.99) / 1e6, 2) for step, of_step in errors.items()},
    }


def paced(users: int) -> dict[str, Any]:
    """One lifecycle a second per user for 20 s; the first 6 s (ramp, warm-up) are left out."""
    with bench.pinned_twin(*INJECTED) as twin:
        bench.settle()
        plan = ("--users", str(users), "--duration", "20s", "--ramp", "3s", "--pacing", "1s", "--room", "none")
        report, run_dir = bench.run(twin, *plan)
    events = [event for file in read_run(run_dir) for event in file.events]
    done = sum(isinstance(event, SessionFinished) for event in events)
    return call_errors_ms(events, 6.0) | {"sessions": done, "generator": report["generator"]["outcome"]}


def first_audio(users: int) -> dict[str, Any]:
    """Time to first audio of every turn against the twin's stamps of the same turn, matched by trace id."""
    with bench.pinned_twin("--set=answer_after=fixed:0.7") as twin:
        bench.settle()
        report, run_dir = bench.run(twin, "--users", str(users), "--duration", "15s", "--ramp", "8s")
        with urllib.request.urlopen(twin["state_url"]) as answer:
            truth = json.load(answer)
    stamps = {
        (trace_id, index): turn["first_audio_sent_ns"] - turn["last_voiced_ns"]
        for session in truth["sessions"]
        for trace_id in session["trace_ids"]
        for index, turn in enumerate(session["turns"])
        if turn["first_audio_sent_ns"] is not None
    }
    errors = [
        abs(event.first_audio_ns - stamps[event.session, event.turn])
        for file in read_run(run_dir)
        for event in file.events
        if isinstance(event, StepFinished) and event.turn is not None and event.first_audio_ns is not None
    ]
    return {
        "turns": len(errors),
        "p50_ms": quantile_ns(errors, 0.5) / 1e6,
        "p99_ms": quantile_ns(errors, 0.99) / 1e6,
        "max_ms": max(errors) / 1e6,
        "reported_p50_s": report["turns"]["time_to_first_audio"]["p50_s"],
        "generator": report["generator"]["outcome"],
    }


def main() -> int:
    """Print medians of 3; 1 if a bar is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    missed = 0
    for users in (50, 300):
        runs = [paced(users) for _ in range(rounds)]
        p50, p99 = (statistics.median(run[key] for run in runs) for key in ("p50_ms", "p99_ms"))
        print(json.dumps({"users": users, "p50_ms": p50, "p99_ms": p99, "runs": runs}))
        missed += p50 > P50_MS or p99 > P99_MS[users]
    runs = [first_audio(50) for _ in range(rounds)]
    worst = statistics.median(run["p99_ms"] for run in runs)
    print(json.dumps({"first audio": runs}))
    return int(missed > 0 or worst > FIRST_AUDIO_MS)


if __name__ == "__main__":
    sys.exit(main())
