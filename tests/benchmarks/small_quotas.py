"""Quotas as trial accounts have them, 1 to 10 sessions at once: found exactly in at least 19 of 20 seeds each?

In simulated time with all seeds, and on the real twin (`--room none`).
`python -m tests.benchmarks.small_quotas [SEEDS [QUOTA…]]`; 20 seeds of all ten take an hour and a half.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.capacity_search import search
from tests.loadtest.capacity.simulated import Target
from tests.loadtest.capacity.test_search import searched

QUOTAS: Sequence[int] = range(1, 11)
SHARE = 19 / 20
OPTIONS = ("--by", "users", "--start", "4", "--most", "12", "--stage", "2s", "--settle", "1s", "--sustain", "3s")


def simulated(quota: int, seed: int) -> bool:
    found = searched(Target(seed=seed, quota=quota), open_=False, start=4, most=12).limit
    return found.quota is not None and (found.quota["number"], found.quota["exact"]) == (quota, True)


def on_the_twin(quota: int, seed: int) -> bool:
    found = search(("--set", f"limit.sessions={quota}"), seed, *OPTIONS)
    told: dict[str, Any] = found["quota"] or {}
    exact = (told.get("what"), told.get("number"), told.get("exact")) == ("sessions at once", quota, True)
    print(json.dumps({"quota": quota, "seed": seed, "exact": exact, "said": found["sentence"]}), flush=True)
    return exact


def main() -> int:
    """1 if the bar is missed."""
    seeds = range(1, 1 + (int(sys.argv[1]) if len(sys.argv) > 1 else 20))
    quotas = [int(text) for text in sys.argv[2:]] or QUOTAS
    in_time = {quota: sum(simulated(quota, seed) for seed in range(20)) for quota in quotas}
    found = {quota: sum(on_the_twin(quota, seed) for seed in seeds) for quota in quotas}
    print(json.dumps({"simulated_of_20": in_time, f"on_the_twin_of_{len(seeds)}": found}))
    missed = any(hits < SHARE * 20 for hits in in_time.values())
    return int(missed or any(hits < SHARE * len(seeds) for hits in found.values()))


if __name__ == "__main__":
    sys.exit(main())
