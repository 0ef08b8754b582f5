"""What avaload costs beside plain Locust: the same four calls of a lifecycle by `FastHttpUser` (`plain_locustfile`) and
by avaload without proof of gone, with the official clients and without, in turn, against the same lean target, each on
one core.

Plain Locust sends requests and counts them. avaload keeps the lifecycle's state, writes every event to its journal
before it acts on the next, checks the rules, folds metrics and can delete what it made after any kill. The target says
how many lifecycles it saw; the CPU time is that of all processes of the tool.
"""

import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import bench
from tests.benchmarks.bench import Row

USERS = 50
UNDER_WAY, SETTLE_S, START_LIMIT_S = 300, 2.0, 60.0
"""Measured is from so many lifecycles and seconds on."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LOCUSTFILE = Path(__file__).with_name("plain_locustfile.py")
TOOLS: dict[str, tuple[str, int | None]] = {
    "plain": ("plain Locust `FastHttpUser`", None),
    "official": ("avaload with the official clients, without proof of gone, all processes", 1_000),
    "lean": ("avaload with lean HTTP, without proof of gone, all processes", 2_600),
}
"""Names, and how many lifecycles a second are asked of each."""
PEERS = "FastHttpUser beside a C server: 2,566 (0.39 ms); k6: 4,479 (0.22 ms); Artillery: 474 (2.1 ms)"


def plain(target: dict[str, Any], plan_s: float) -> list[str]:
    """The command of plain Locust, on the harness core."""
    words = ["taskset", "-c", str(bench.HARNESS_CORE), sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
    return [*words, "--headless", "-u", str(USERS), "-r", str(USERS), "-t", f"{plan_s:.0f}s", "--only-summary"]


def measure(tool: str, window_s: float) -> dict[str, Any]:
    """Of one of TOOLS: lifecycles per second as the target counts them, and CPU ms of each."""
    plan_s = window_s + SETTLE_S + 4
    with (
        tempfile.TemporaryDirectory(prefix="avaload-bench-") as folder,
        bench.pinned_target("tests.benchmarks.frame_source") as target,
    ):
        bench.settle()
        options = ("--users", str(USERS), "--ramp", "0s", "--duration", f"{plan_s}s", "--room", "none")
        if tool == "plain":
            words = plain(target, plan_s)
        else:
            words = bench.command(target, Path(folder, "run"), *options, "--http", tool)
        environ = bench.keys(target) | {name.upper(): target[name] for name in ("openai_base_url", "avaturn_base_url")}
        with bench.started(words, environ | {"AVALOAD_TARGET__PROVE_GONE": "false"}) as process:
            _wait_until_under_way(target)
            (first, from_ns, used_s), (last, to_ns, used_at_last_s) = [
                (_made(target, wait_s), time.perf_counter_ns(), bench.tree_cpu_s(process.pid))
                for wait_s in (SETTLE_S, window_s)
            ]
            process.wait(plan_s + START_LIMIT_S)
    made, took_s = last - first, (to_ns - from_ns) / 1e9
    cpu_s = used_at_last_s - used_s
    return {"tool": tool, "per_s": made / took_s, "cpu_ms": cpu_s * 1e3 / made, "core_percent": 100 * cpu_s / took_s}


def _wait_until_under_way(target: dict[str, Any]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while _made(target, 0.1) < UNDER_WAY:
        assert time.monotonic() < deadline, "no lifecycles"


def _made(target: dict[str, Any], wait_s: float) -> int:
    """Sessions that the target created until then."""
    time.sleep(wait_s)
    with DIRECT.open(f"{target['avaturn_base_url']}/made", timeout=10) as answer:
        return int(json.load(answer)["made"])


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    window_s = 3.0 if quick else 8.0
    turns: list[dict[str, dict[str, Any]]] = []
    with bench.aside():
        for _ in range(rounds):
            turns.append({tool: measure(tool, window_s) for tool in TOOLS})
            print(json.dumps(turns[-1]), flush=True)
    what = "HTTP lifecycles of four calls at a lean target"
    for tool, (name, asked) in TOOLS.items():
        runs = [turn[tool] for turn in turns]
        full = statistics.median(bench.column(runs, "core_percent"))
        others = PEERS if tool == "plain" else ""
        rate = f"{what}: {name}, at {full:.0f} % of the core"
        yield Row(rate, bench.column(runs, "per_s"), "lifecycles/s", at_least=asked, others=others)
        yield Row(f"{what}: {name}: CPU", bench.column(runs, "cpu_ms"), "ms each")
    for tool in ("official", "lean"):
        ratios = [turn[tool]["cpu_ms"] / turn["plain"]["cpu_ms"] for turn in turns]
        yield Row(f"{what}: CPU of avaload, {tool} HTTP, over plain Locust's", ratios, "ratio")
