"""What a whole session of a minute costs the whole harness: mint, create, connect, a conversation with frames both ways
all the time, delete, proof of gone, with every sink on.

Counted is the CPU time of everything that `avaload run` starts (engine, Locust with its rules, table, log and metrics,
which are scraped every 5 s, the trace exporter at 10 %), from the first session's beginning to the last one's end; and,
in a row of its own, of the whole command from its start to its written reports. Asked: <= 70 ms a session. The twin and
what receives scrapes and spans are on the other core and not counted.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.events.kinds import HealthSampled, SessionFinished, SessionStarted
from tests.benchmarks import bench
from tests.benchmarks.bench import Row
from tests.benchmarks.watching import scraped
from tests.exporters.traces.receiver import Receiver
from tests.support import free_port

SESSIONS, RAMP_S, LIMIT_S = 600, 15, 240.0
"""As many as the rooms' own benchmark goes to: a wake-up of the engine is shared by all that are there (400: 73 ms)."""
SCRAPE_EVERY_S, SAMPLE_S = 5.0, 0.25
CPU_MS = 70.0
PEERS = "frames alone: k6 about 200, Artillery 95 to 140"
SCENARIO = (
    """
name = "minute"
[conversation]
repeat_for = "57s"
[[conversation.turns]]
kind = "say"
"""
    + bench.PATIENT
)


@dataclass(frozen=True)
class Used:
    """CPU seconds of all processes of a run, by the monotonic clock (ns), and at its end."""

    by_time: Sequence[tuple[int, float]]
    total_s: float

    def between_s(self, first_ns: int, last_ns: int) -> float:
        """To a sample's distance: from the last sample before it began to the first after it ended."""
        before = [used_s for at_ns, used_s in self.by_time if at_ns <= first_ns]
        after = [used_s for at_ns, used_s in self.by_time if at_ns >= last_ns]
        return (after[0] if after else self.total_s) - (before[-1] if before else 0.0)


def follow(process: subprocess.Popen[bytes]) -> Used:
    """Wait for the command's end."""
    by_time: list[tuple[int, float]] = []
    deadline = time.monotonic() + LIMIT_S
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < deadline, "the run did not end"
        by_time.append((time.perf_counter_ns(), bench.tree_cpu_s(process.pid)))
        time.sleep(SAMPLE_S)
    total_s = bench.tree_cpu_s(process.pid)  # it waits to be waited for, and so still has its account
    process.wait()
    return Used(by_time, total_s)


def measure(sessions: int) -> dict[str, Any]:
    """CPU ms per session, and what says that the sessions were whole."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="avaload-bench-") as folder,
        bench.pinned_twin("--set", "upstream=inline", "--set", "answer_s=4") as twin,
        Receiver() as receiver,
        scraped(port, every_s=SCRAPE_EVERY_S),
    ):
        scenario, run_dir = Path(folder, "minute.toml"), Path(folder, "run")
        scenario.write_text(SCENARIO)
        bench.settle()
        options = ["--users", str(sessions), "--ramp", f"{RAMP_S}s", "--duration", f"{RAMP_S + 2}s"]
        options += ["--graceful-stop", "120s", "--room", "websocket"]
        options += ["--metrics-port", str(port), "--metrics-linger", "0s"]
        options += ["--otlp-endpoint", receiver.url, "--trace-share", "0.1"]
        with bench.started(bench.command(twin, run_dir, str(scenario), *options), bench.keys(twin)) as process:
            used = follow(process)
        logged = (run_dir / "log.jsonl").exists()
        events = bench.events_of(run_dir)
        traces = len(receiver.traces())
    started = {event.session: event.t_ns for event in events if isinstance(event, SessionStarted)}
    ended = [event for event in events if isinstance(event, SessionFinished)]
    first_ns, last_ns = min(started.values()), max(event.t_ns for event in ended)
    return {
        "sessions": len(ended),
        "failed": sum(event.failure is not None for event in ended),
        "failures": Counter(event.failure.code for event in ended if event.failure is not None),
        "length_s": statistics.mean((event.t_ns - started[event.session]) / 1e9 for event in ended),
        "cpu_ms": 1e3 * used.between_s(first_ns, last_ns) / len(ended),
        "cpu_ms_of_command": 1e3 * used.total_s / len(ended),
        "lag_max_ms": max(e.lag_max_ns for e in events if isinstance(e, HealthSampled)) / 1e6,
        "traces": traces,
        "log": logged,
    }


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    sessions = 200 if quick else SESSIONS
    with bench.aside():
        runs = bench.measured(lambda: measure(sessions), rounds)
    what = f"a whole WebSocket session of {statistics.median(bench.column(runs, 'length_s')):.1f} s, {sessions} of them"
    yield Row(f"{what}: CPU, all sinks on", bench.column(runs, "cpu_ms"), "ms each", at_most=CPU_MS, others=PEERS)
    whole = bench.column(runs, "cpu_ms_of_command")
    yield Row(f"{what}: CPU with the command's start and its reports", whole, "ms each")
    yield Row(f"{what}: failed", bench.column(runs, "failed"), "sessions", at_most=0)
