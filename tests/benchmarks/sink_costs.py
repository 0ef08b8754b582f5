"""What each sink costs: HTTP lifecycles per second with it alone over those of runs that end in the journal, in turn.

Asked: all sinks together at most 10 % (`watching` measures the same with more pairs and a confidence interval).
"""

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from tests.benchmarks import bench
from tests.benchmarks.bench import Row
from tests.benchmarks.watching import SINKS_SHARE, WITHOUT_SINKS, ran, scraped
from tests.exporters.traces.receiver import Receiver
from tests.support import free_port

USERS, RAMP_S = 50, 2
EVERY: Final = "every"
BASE: Final = "the journal alone"
SINKS: Final[dict[str, Sequence[str]]] = {
    BASE: (),
    "metrics, scraped every second": ("prometheus",),
    "log": ("log",),
    "traces at 10 %": ("traces",),
    "all": (EVERY,),
}


def lifecycles_per_s(kept: Sequence[str], duration_s: float) -> float:
    """Of one run in which only these sinks work."""
    port, everything = free_port(), EVERY in kept
    plan = ["--users", str(USERS), "--duration", f"{duration_s:g}s", "--ramp", f"{RAMP_S}s"]
    environ = {"PYTHONPATH": f"{WITHOUT_SINKS}{os.pathsep}{Path.cwd()}", "BENCH_SINKS": ",".join(kept)}
    scraping = everything or "prometheus" in kept
    with bench.pinned_twin() as twin, Receiver() as receiver, scraped(port) if scraping else nullcontext():
        if scraping:
            plan += ["--metrics-port", str(port), "--metrics-linger", "0s"]
        if everything or "traces" in kept:
            plan += ["--otlp-endpoint", receiver.url, "--trace-share", "0.1"]
        return ran(twin, plan, ramp_s=RAMP_S, duration_s=duration_s, **({} if everything else environ)).per_s


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    found: dict[str, list[float]] = {name: [] for name in SINKS}
    with bench.aside():
        for number in range(rounds):
            names = list(SINKS) if number % 2 else list(reversed(SINKS))
            for name in names:
                found[name].append(lifecycles_per_s(SINKS[name], 6.0 if quick else 8.0))
                print(name, found[name][-1], flush=True)
    yield Row(f"sinks: {BASE}", found[BASE], "lifecycles/s")
    base = statistics.median(found[BASE])
    for name in (name for name in SINKS if name != BASE):
        bar = 100 * SINKS_SHARE if name == "all" else None
        yield Row(f"sinks: cost of {name}", [100 * (1 - each / base) for each in found[name]], "% of them", at_most=bar)
