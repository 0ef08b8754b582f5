"""Is what is reported true? HTTP: users paced at one lifecycle a second with random phases, 20 ms injected per step.
Voice: answers exactly 700 ms after the user's last voiced frame, and barge-ins.

Error = what the harness reports minus what the twin says (`x-twin-handled-ns`, `state_url`). Asked: calls p50 <= 2 ms,
p99 <= 5 ms at 50 users and <= 8 ms at 300, lean <= 1.5 ms; time to first audio and barge-in p99 <= 2 ms at 50
sessions, <= 5 ms at 300 or tainted.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtest.commands.work.calibration import KNOWN_DELAYS, call_errors, summary, turn_errors
from loadtest.events.kinds import Event, StageStarted
from loadtest.http_client import loopback
from tests.benchmarks import bench
from tests.benchmarks.bench import Row

INJECTED = [f"--set=latency.{point}=fixed:0.02" for point in ("mint", "create", "sdk_session", "delete")]
ANSWER_AFTER = ("--answer-after", "0.02")
PEERS = {300: "the same at p99: k6 4, `FastHttpUser` 3, `HttpUser` 22, one httpx client for all 1,680"}
CALL_P50_MS = 2.0
CALL_P99_MS = {(50, "official"): 5.0, (300, "official"): 8.0, (300, "lean"): 1.5}
VOICE_P99_MS = {50: 2.0, 300: 5.0}
SCENARIO = (
    """
name = "voice"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "barge_in"
after_s = 1.0
"""
    + bench.PATIENT
)


def _steady(run_dir: Path, warm_up_s: float) -> list[Event]:
    """Events of a run without its first seconds: ramp, first connections."""
    events = bench.events_of(run_dir)
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    return [event for event in events if event.t_ns - began_ns > warm_up_s * 1e9]


def paced(users: int, http: str) -> dict[str, Any]:
    """One lifecycle a second per user for 15 s; the first 6 s (ramp, warm-up) are left out. Lean calls are held against
    the lean target: what a twin's own queue takes is more than they are asked for."""
    lean = http == "lean"
    module, options = ("tests.benchmarks.frame_source", ANSWER_AFTER) if lean else ("loadtest.twin", INJECTED)
    with bench.pinned_target(module, *options) as target:
        bench.settle()
        plan = ("--users", str(users), "--duration", "15s", "--ramp", "3s", "--pacing", "1s", "--room", "none")
        report, run_dir = bench.run(target, *plan, "--http", http)
    errors = call_errors(_steady(run_dir, 6.0))
    every = {"all calls": [error for of_step in errors.values() for error in of_step]}
    return {"errors": summary(every | errors), "generator": report["generator"]["outcome"]}


def voice(users: int) -> dict[str, Any]:
    """Time to first audio and barge-in of every turn against the twin's stamps of the same turn."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench.pinned_twin(*(f"--set={knob}" for knob in KNOWN_DELAYS)) as twin,
    ):
        scenario = Path(folder) / "voice.toml"
        scenario.write_text(SCENARIO)
        bench.settle()
        report, run_dir = bench.run(
            twin, str(scenario), "--users", str(users), "--duration", "20s", "--ramp", f"{max(8, users / 20):g}s"
        )
        truth = loopback.state(twin["state_url"])
    errors, not_comparable = turn_errors(_steady(run_dir, 0), truth)
    return {
        "errors": summary(errors),
        "not_comparable": not_comparable,
        "reported_p50_s": report["turns"]["time_to_first_audio"]["p50_s"],
        "tainted": report["turns"]["tainted"],
        "generator": report["generator"]["outcome"],
    }


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    for (users, http), p99_ms in CALL_P99_MS.items():
        runs = bench.measured(lambda: paced(users, http), rounds)  # noqa: B023
        lean = ", lean HTTP" if http == "lean" else ""
        what = f"error of a reported HTTP step, {users} users with one lifecycle a second each{lean}"
        yield Row(f"{what}: p50", _errors(runs, "all calls", "p50_ms"), "ms", at_most=CALL_P50_MS)
        p99s = _errors(runs, "all calls", "p99_ms")
        yield Row(f"{what}: p99", p99s, "ms", at_most=p99_ms, others=PEERS.get(users, ""))
    for users, p99_ms in list(VOICE_P99_MS.items())[: 1 if quick else None]:
        runs = bench.measured(lambda: voice(users), rounds)  # noqa: B023
        said_so = all(run["tainted"] for run in runs)
        for quantity in ("time to first audio", "barge-in"):
            what = f"error of {quantity}, {users} WebSocket rooms{' (told as tainted)' if said_so else ''}"
            yield Row(f"{what}: p50", _errors(runs, quantity, "p50_ms"), "ms")
            yield Row(f"{what}: p99", _errors(runs, quantity, "p99_ms"), "ms", at_most=None if said_so else p99_ms)


def _errors(runs: list[dict[str, Any]], quantity: str, name: str) -> list[float]:
    return [run["errors"][quantity][name] for run in runs]
