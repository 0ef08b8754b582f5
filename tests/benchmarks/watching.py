"""What watching a run costs it: the fold of the metrics, a scrape, all sinks together, and a collector in trouble.

Asked: ≤ 3 µs an event; a scrape of two workers ≤ 15 ms and ≤ 1,400 samples; all sinks, traces at 10 %, ≤ 10 % of the
lifecycles/s without them; for each state of the collector, at a fixed arrival rate and against runs without exporter in
turn: the confidence interval of the ratio of throughputs within ± 5 %, step p99 moved by ≤ 1 ms, hub lag p99 < 10 ms,
the end ≤ 2 s later. On a quiet machine with two cores, about 50 minutes:

    python -m tests.benchmarks.watching            [--pairs 10] [--only fold,scrape,sinks,collector] [--state hung …]
    python -m tests.benchmarks.watching --smoke    two minutes, to see that it works; its figures mean nothing
"""

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from exporters.metrics.aggregate import Aggregate
from exporters.metrics.exposition import OPENMETRICS, exposition
from exporters.metrics.snapshot import merged
from loadtest.events.kinds import HealthSampled, Outcome, SessionFinished, StageStarted, StepFinished
from loadtest.journal import read_run
from tests.benchmarks import bench
from tests.exporters.traces.receiver import Receiver
from tests.exporters.traces.script import health, run_started, session
from tests.support import free_port

EVENT_US, SCRAPE_MS, SAMPLES = 3.0, 15.0, 1400
SINKS_SHARE: Final = 0.10
THROUGHPUT, STEP_S, HUB_LAG_S, LATER_S = 0.05, 0.001, 0.010, 2.0
RATE_PER_S: Final = 60
SLOW_S: Final = 1.5
WITHOUT_SINKS = Path(__file__).with_name("without_sinks")


def fold_us() -> float:
    """µs per event of the aggregation, over whole sessions, each with an id of its own; the median of 9."""
    sessions = [
        [replace(event, session=f"{number:032x}") for event in session(1, turn_fails=number % 20 == 0)]
        for number in range(500)
    ]
    events = [event for each in sessions for event in each]
    taken = []
    for _ in range(9):
        aggregate = Aggregate(["support"], trace_share=0.1)
        aggregate.add(run_started())
        began = time.perf_counter()
        for event in events:
            aggregate.add(event)
        taken.append((time.perf_counter() - began) / len(events) * 1e6)
    return statistics.median(taken)


def scrape() -> tuple[float, int]:
    """ms from two workers' reports to the body, the median of 50, and its samples."""
    workers = []
    for process in range(2):
        aggregate = Aggregate(["support"])
        for event in (run_started(process=process), *session(1), *session(2, turn_fails=True)):
            aggregate.add(event)
        for source in ("engine", "hub"):
            aggregate.add(health(process=process, source=source))
        workers.append(aggregate.snapshot())
    own, taken, body = Aggregate(["support"]), [], b""
    for _ in range(50):
        began = time.perf_counter()
        body = exposition(merged([own.snapshot(), *workers]), OPENMETRICS)
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken), sum(not line.startswith(b"#") for line in body.splitlines())


@dataclass
class Ran:
    """Of one run, from its journals: sessions per second of its steady part, seconds otherwise."""

    per_s: float
    step_p99_s: float
    hub_lags_s: list[float]
    tail_s: float
    traces: dict[str, Any] | None = field(default=None, repr=False)


def ran(twin: dict[str, Any], plan: Sequence[str], *, ramp_s: float, duration_s: float, **environ: str) -> Ran:
    """`tail_s`: from the end of the last session until the command was over."""
    bench.settle()
    report, run_dir = bench.run(twin, *plan, "--room", "none", **environ)
    over_ns = time.perf_counter_ns()
    events = [event for file in read_run(run_dir) for event in file.events]
    began_ns = min(event.t_ns for event in events if isinstance(event, StageStarted))
    first_ns, last_ns = began_ns + int((ramp_s + 1) * 1e9), began_ns + int((duration_s - 0.5) * 1e9)
    steady = [event for event in events if first_ns < event.t_ns < last_ns]
    ended = [event for event in steady if isinstance(event, SessionFinished) and event.outcome == Outcome.OK]
    steps = [event.t_ns - event.started_ns for event in steady if isinstance(event, StepFinished)]
    lags_s = [event.lag_p99_ns / 1e9 for event in steady if isinstance(event, HealthSampled) and event.source == "hub"]
    last = max(event.t_ns for event in events if isinstance(event, SessionFinished))
    return Ran(
        per_s=len(ended) / ((last_ns - first_ns) / 1e9),
        step_p99_s=_p99(steps) / 1e9,
        hub_lags_s=lags_s,
        tail_s=(over_ns - last) / 1e9,
        traces=report.get("traces"),
    )


def _p99(values: Sequence[int]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else float(sum(values))


def sustained_s(runs: Sequence[Ran]) -> float:
    """What 99 % of a second stayed under, in 95 % of the seconds of all runs: as the report has it
    (reports/sections/generator.py)."""
    return statistics.quantiles([lag_s for each in runs for lag_s in each.hub_lags_s], n=20)[18]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the mean: a bootstrap with a seed."""
    chance = random.Random(1)
    means = sorted(statistics.fmean(chance.choices(values, k=len(values))) for _ in range(5000))
    return means[125], means[4874]


@contextlib.contextmanager
def scraped(port: int, every_s: float = 1.0) -> Iterator[None]:
    """A scraper so often, as long as the context lasts."""
    over = threading.Event()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"}
    )

    def scrape_on() -> None:
        while not over.wait(every_s):
            with contextlib.suppress(OSError):
                opener.open(request, timeout=5).read()

    thread = threading.Thread(target=scrape_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def sinks(pairs: int, duration_s: float) -> dict[str, Any]:
    """Lifecycles/s with every sink (metrics scraped each second, Locust's table, rules, traces at 10 %) and without."""
    plan = ("--users", "50", "--duration", f"{duration_s:g}s", "--ramp", "2s")
    ratios, rates = [], {True: [], False: []}  # type: tuple[list[float], dict[bool, list[float]]]
    for pair in range(pairs):
        found: dict[bool, float] = {}
        for watched in sorted((True, False), key=lambda each: each == bool(pair % 2)):
            with bench.pinned_twin() as twin, Receiver() as receiver:
                port = free_port()
                with scraped(port) if watched else contextlib.nullcontext():
                    more = ["--metrics-port", str(port), "--metrics-linger", "0s", "--trace-share", "0.1"]
                    more += ["--otlp-endpoint", receiver.url]
                    environ = {} if watched else {"PYTHONPATH": f"{WITHOUT_SINKS}{os.pathsep}{Path.cwd()}"}
                    done = ran(twin, (*plan, *(more if watched else ())), ramp_s=2, duration_s=duration_s, **environ)
                    found[watched] = done.per_s
                    rates[watched].append(done.per_s)
        ratios.append(found[True] / found[False])
    low, high = interval(ratios)
    return {
        "per_s_with": round(statistics.median(rates[True]), 1),
        "per_s_without": round(statistics.median(rates[False]), 1),
        "ratio": round(statistics.fmean(ratios), 4),
        "interval": [round(low, 4), round(high, 4)],
        "met": statistics.fmean(ratios) >= 1 - SINKS_SHARE,
    }


@contextlib.contextmanager
def collector(state: str) -> Iterator[str]:
    """The URL of a collector in that state."""
    if state == "refusing":
        yield f"http://127.0.0.1:{free_port()}"
        return
    if state == "absent":  # packets get no answer: a listener whose queue is full
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                caller = stack.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex(listener.getsockname())
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        return
    given = {"hung": {"hung": True}, "slow": {"delay_s": SLOW_S}, "503": {"status": 503}, "good": {}}[state]
    with Receiver(**given) as receiver:  # type: ignore[arg-type]
        yield receiver.url


STATES: Final = ("good", "absent", "refusing", "hung", "slow", "503")


def against(state: str, pairs: int, duration_s: float) -> dict[str, Any]:
    """Runs with a collector in that state and runs without exporter, in turn, at the same arrival rate."""
    plan = ("--rate", str(RATE_PER_S), "--duration", f"{duration_s:g}s", "--ramp", "0s")
    with_it: list[Ran] = []
    without: list[Ran] = []
    for pair in range(pairs):
        for exporting in sorted((True, False), key=lambda each: each == bool(pair % 2)):
            with bench.pinned_twin() as twin, collector(state) as url:
                more = ("--otlp-endpoint", url) if exporting else ()
                (with_it if exporting else without).append(ran(twin, (*plan, *more), ramp_s=0, duration_s=duration_s))
    low, high = interval([a.per_s / b.per_s for a, b in zip(with_it, without, strict=True)])
    moved_s = statistics.median([a.step_p99_s - b.step_p99_s for a, b in zip(with_it, without, strict=True)])
    later_s = statistics.median([a.tail_s - b.tail_s for a, b in zip(with_it, without, strict=True)])
    lag_s = sustained_s(with_it)
    traces = with_it[-1].traces or {}
    return {
        "throughput_interval": [round(low, 4), round(high, 4)],
        "step_p99_moved_ms": round(moved_s * 1e3, 3),
        "hub_lag_p99_ms": round(lag_s * 1e3, 2),
        "hub_lag_p99_ms_without": round(sustained_s(without) * 1e3, 2),
        "end_later_s": round(later_s, 2),
        "spans_sent_and_dropped": [traces.get("spans"), traces.get("dropped")],
        "met": low >= 1 - THROUGHPUT
        and high <= 1 + THROUGHPUT
        and moved_s <= STEP_S
        and lag_s < HUB_LAG_S
        and later_s <= LATER_S,
    }


def main(argv: Sequence[str] = ()) -> int:
    """Print what was measured as JSON lines; 1 if a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.watching")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--only", default="fold,scrape,sinks,collector")
    parser.add_argument("--state", nargs="*", choices=STATES, default=STATES)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    pairs, duration_s = (1, 4.0) if options.smoke else (options.pairs, 12.0)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "fold": lambda: {"us_per_event": round(us := fold_us(), 3), "met": us <= EVENT_US},
        "scrape": lambda: {
            "ms": round((found := scrape())[0], 2),
            "samples": found[1],
            "met": found[0] <= SCRAPE_MS and found[1] <= SAMPLES,
        },
        "sinks": lambda: sinks(pairs, duration_s),
        **{f"collector {state}": lambda state=state: against(state, pairs, duration_s) for state in options.state},  # type: ignore[misc]
    }
    os.sched_setaffinity(0, {bench.TARGET_CORE})  # receivers and scrapers watch from the target's core
    missed = 0
    for name, measure in parts.items():
        if name.partition(" ")[0] in options.only.split(","):
            result = measure()
            missed += not result["met"]
            print(json.dumps({name: result}), flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
