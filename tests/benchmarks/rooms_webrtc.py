"""WebRTC rooms: what a session that talks all the time costs the whole harness, and whether its stamps are true.

Asked: <= 6 ms CPU per session-second, >= 100 sessions on one core with pacing p99 <= 10 ms, and time to first audio and
barge-in p99 <= 3 ms at 50 sessions against the twin's own stamps. Sessions last longer than is measured; what
connecting adds (5 ms of CPU per handshake, on either side) shows in a row of its own, whose sessions last 20 s. Needs
the extra webrtc.
"""

import statistics
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loadtest.commands.work.calibration import KNOWN_DELAYS, summary, turn_errors
from loadtest.events.kinds import HealthSampled, Mark, Observed, StageStarted, Step, StepFinished
from loadtest.http_client import loopback
from tests.benchmarks import bench
from tests.benchmarks.bench import Row

SIZES = (50, 100)
RAMP_S, STEADY_S = 10, 16
LONG_S, SHORT_S = 60, 15
CPU_MS, PACING_MS, ERROR_MS, ERROR_SESSIONS = 6.0, 10.0, 3.0, 50
SCENARIO = (
    """
name = "talk"
[conversation]
repeat_for = "{talk_s}s"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "barge_in"
after_s = 1.0
"""
    + bench.PATIENT
)


def measure(sessions: int, talk_s: int) -> dict[str, Any]:
    """CPU ms per session-second of engine and Locust together once the ramp is over; errors of what was reported."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench.pinned_twin(*(f"--set={knob}" for knob in ("room=webrtc", *KNOWN_DELAYS))) as twin,
    ):
        scenario = Path(folder) / "talk.toml"
        scenario.write_text(SCENARIO.format(talk_s=talk_s))
        bench.settle()
        plan = ("--users", str(sessions), "--ramp", f"{RAMP_S}s", "--duration", f"{RAMP_S + STEADY_S}s")
        report, run_dir = bench.run(twin, str(scenario), *plan, "--room", "webrtc", "--graceful-stop", "0s")
        truth = loopback.state(twin["state_url"])
    whole = bench.events_of(run_dir)
    began_ns = min(event.t_ns for event in whole if isinstance(event, StageStarted))
    events = [event for event in whole if RAMP_S + 2 < (event.t_ns - began_ns) / 1e9 < RAMP_S + STEADY_S - 1]
    health = [event for event in events if isinstance(event, HealthSampled)]
    cpu = {s: statistics.mean(e.cpu_percent for e in health if e.source == s) for s in ("engine", "hub")}
    active = statistics.mean(e.sessions_active for e in health if e.source == "engine")
    signalled = {e.session: e.t_ns for e in events if isinstance(e, Observed) and e.mark is Mark.SIGNALLED}
    joined = [
        (e.t_ns - signalled[e.session]) / 1e6
        for e in events
        if isinstance(e, Observed) and e.mark is Mark.DTLS_CONNECTED and e.session in signalled
    ]
    # The marks of a turn that ended in the steady part may lie before it.
    marks = [event for event in whole if isinstance(event, Observed)]
    ended = [event for event in events if isinstance(event, StepFinished)]
    of_turns, not_comparable = turn_errors([*marks, *ended], truth)
    errors = summary(of_turns)
    counters = truth["counters"]
    return {
        "sessions_active": active,
        "cpu_ms_per_session_s": (cpu["engine"] + cpu["hub"]) * 10 / active,
        "engine_percent": cpu["engine"],
        "hub_percent": cpu["hub"],
        "first_audio_p99_ms": errors["time to first audio"]["p99_ms"],
        "barge_in_p99_ms": errors["barge-in"]["p99_ms"],
        "turns": sum(isinstance(e, StepFinished) and e.step is Step.TURN for e in events),
        "turns_without_truth": not_comparable,
        "tainted": report["turns"]["tainted"],
        "answer_to_dtls_p50_ms": statistics.median(joined) if joined else 0,
        "engine_lag_p99_ms": max(e.lag_p99_ns for e in health if e.source == "engine") / 1e6,
        "pacing_p99_ms": statistics.median(e.pacing_p99_ns or 0 for e in health if e.source == "engine") / 1e6,
        "rss_mb": max(e.rss_bytes for e in health if e.source == "engine") / 1e6,
        "failed": report["sessions"]["failed"],
        "twin_late_share": counters["audio_ticks_late"] / max(1, counters["audio_ticks"]),
    }


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    if find_spec("aiortc") is None:
        yield Row("WebRTC rooms: skipped, needs the extra webrtc", (), "")
        return
    for sessions in SIZES[:1] if quick else SIZES:
        runs = bench.measured(lambda: measure(sessions, LONG_S), rounds)  # noqa: B023
        what = f"{sessions} WebRTC rooms, talking all the time"
        cpu = bench.column(runs, "cpu_ms_per_session_s")
        yield Row(f"{what}: CPU", cpu, "ms per session-second", at_most=CPU_MS)
        pacing = bench.column(runs, "pacing_p99_ms")
        yield Row(f"{what}: error of pacing, p99", pacing, "ms", at_most=PACING_MS)
        yield Row(f"{what}: failed", bench.column(runs, "failed"), "sessions", at_most=0)
        if sessions == ERROR_SESSIONS:
            first, barge_in = (bench.column(runs, name) for name in ("first_audio_p99_ms", "barge_in_p99_ms"))
            yield Row(f"{what}: error of time to first audio, p99", first, "ms", at_most=ERROR_MS)
            yield Row(f"{what}: error of barge-in, p99", barge_in, "ms", at_most=ERROR_MS)
    if not quick:
        runs = bench.measured(lambda: measure(ERROR_SESSIONS, SHORT_S), 1)
        what = f"{ERROR_SESSIONS} WebRTC rooms, sessions of 20 s, connecting included (one run): CPU"
        yield Row(what, bench.column(runs, "cpu_ms_per_session_s"), "ms per session-second")
