"""The search for the limit against targets of known capacity: ten seeds in simulated time, and on the real twin.

Asked, in at least 9 of 10 seeds: the knee of a server of K slots within 10 %, and a quota of 50 sessions named at
exactly 50. `python -m tests.benchmarks.capacity_search [SEEDS ON THE TWIN]`; with 10 it takes half an hour.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import bench
from tests.loadtest.capacity.simulated import Target
from tests.loadtest.capacity.test_search import searched

SLOTS, SERVICE_S, SPREAD, QUOTA = 4, 0.1, 0.3, 50
KNEE_PER_S = SLOTS / SERVICE_S


def simulated(seeds: int) -> dict[str, Any]:
    knees, cliffs = [], []
    for seed in range(seeds):
        knee = searched(Target(seed=seed, slots=SLOTS, service_s=SERVICE_S, spread=SPREAD), open_=True).limit
        knees.append(knee.passing.level if knee.passing is not None and knee.kind == "knee" else None)
        cliff = searched(Target(seed=seed, quota=QUOTA, slots=40, service_s=0.05, alive_s=1.0), open_=False).limit
        cliffs.append(cliff.quota["number"] if cliff.quota is not None and cliff.quota["exact"] else None)
    return summary(knees, cliffs)


def on_the_twin(seeds: int) -> dict[str, Any]:
    knees, cliffs, generators = [], [], []
    for seed in range(seeds):
        mu = math.log(SERVICE_S) - SPREAD**2 / 2
        knobs = ("--set", f"limit.slots={SLOTS}", "--set", f"latency.create=lognormal:{mu:.4f},{SPREAD}")
        found = search(knobs, seed, "--by", "arrivals", "--start", "5", "--most", "160")
        knees.append(found["max_passing"]["level"] if found["kind"] == "knee" and found["max_passing"] else None)
        generators.append(found["kind"] == "generator")
        knobs = ("--set", f"limit.sessions={QUOTA}", "--set", "latency.sdk_session=fixed:1")
        found = search(knobs, seed, "--by", "users", "--start", "5", "--most", "160")
        exact = found["quota"] is not None and found["quota"]["exact"]
        cliffs.append(found["quota"]["number"] if exact and found["kind"] == "quota" else None)
        generators.append(found["kind"] == "generator")
        print(json.dumps({"seed": seed, "knee": knees[-1], "quota": cliffs[-1]}), flush=True)
    return summary(knees, cliffs) | {"ended_by_the_generator": sum(generators)}


def search(knobs: tuple[str, ...], seed: int, *options: str) -> dict[str, Any]:
    """One `avaload capacity`, harness and twin each on a core: its `capacity`."""
    with bench.pinned_twin("--seed", str(seed), *knobs) as twin:
        run_dir = Path(tempfile.mkdtemp(prefix="avaload-bench-"))
        command = ["taskset", "-c", str(bench.HARNESS_CORE), sys.executable, "-m", "loadtest.cli", "capacity", "--json"]
        command += ["--openai-base-url", twin["openai_base_url"], "--avaturn-base-url", twin["avaturn_base_url"]]
        command += ["--metrics-port", "off", "--run-dir", str(run_dir), "--room", "none", "--seed", str(seed)]
        command += ["--stage", "6s", "--settle", "2s", "--sustain", "15s", *options]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=1800, env=bench.keys(twin)
        )
    assert done.stdout, f"the search printed nothing; see {run_dir}"
    found: dict[str, Any] = json.loads(done.stdout)["capacity"]
    return found


def summary(knees: list[float | None], cliffs: list[int | None]) -> dict[str, Any]:
    within = [knee for knee in knees if knee is not None and abs(knee - KNEE_PER_S) <= 0.1 * KNEE_PER_S]
    return {
        "knee_is": KNEE_PER_S,
        "knees": knees,
        "median": statistics.median(within) if within else None,
        "within_10_percent": f"{len(within)} of {len(knees)}",
        "quota_is": QUOTA,
        "quotas": cliffs,
        "exact": f"{sum(cliff == QUOTA for cliff in cliffs)} of {len(cliffs)}",
        "met": len(within) >= 0.9 * len(knees) and sum(cliff == QUOTA for cliff in cliffs) >= 0.9 * len(cliffs),
    }


def main() -> int:
    """Print both; 1 if a bar is missed."""
    result = {"simulated": simulated(10), "on_the_twin": on_the_twin(int(sys.argv[1]) if len(sys.argv) > 1 else 10)}
    print(json.dumps(result, indent=1))
    return 0 if all(part["met"] for part in result.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
