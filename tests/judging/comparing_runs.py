"""Pairs of real runs against the twin, compared: does the same build compare as "no change", is a slower create found?

    python -m tests.judging.comparing_runs [--pairs 20] [--only narrow|realistic] [--voice]

Bars: 19 of 20 pairs of equal builds are "no change", at lognormal σ 0.2 and at the spread of the `realistic` profile;
with 500 sessions a side a create slower by 10 % at σ 0.2, by 25 % at σ 0.67, is found in 19 of 20. Without --voice only
what travels over HTTP (`--room none`; a quarter of an hour for each spread); with it whole conversations, three times
as long. `tests.benchmarks.comparing` does the same in simulation.
"""

import argparse
import json
import math
import sys
from collections import Counter
from pathlib import Path

from reports.comparing.compare import compare
from tests.benchmarks import bench

SESSIONS = 500
STEPS = ("mint", "create", "sdk_session", "delete")
NARROW_S, NARROW = 0.1, 0.2
REALISTIC_CREATE = (-1.204, 0.668)
SCENARIO = Path(__file__).with_name("one_turn.toml")


def knobs(spread: str, slower: float = 1.0) -> tuple[str, ...]:
    """Options of the twin: such latencies, its creates slower by this factor."""
    if spread == "realistic":
        middle, sigma = REALISTIC_CREATE
        return ("--profile", "realistic", "--set", f"latency.create=lognormal:{middle + math.log(slower):.4f},{sigma}")
    settings = [f"latency.{step}=lognormal:{math.log(NARROW_S):.4f},{NARROW}" for step in STEPS]
    settings.append(f"latency.create=lognormal:{math.log(NARROW_S * slower):.4f},{NARROW}")
    return tuple(word for setting in settings for word in ("--set", setting))


def run(spread: str, seed: int, *, slower: float = 1.0, voice: bool) -> Path:
    """The directory of a run with SESSIONS arrivals."""
    rate = 25 if voice else 50
    with bench.pinned_twin("--seed", str(seed), *knobs(spread, slower), "--set", "answer_s=1") as twin:
        plan = ("--rate", str(rate), "--ramp", "0s", "--duration", f"{SESSIONS // rate}s", "--max-users", "400")
        if voice:
            return bench.run(twin, str(SCENARIO), *plan, "--graceful-stop", "60s")[1]
        return bench.run(twin, *plan, "--room", "none")[1]


def judge(spread: str, pairs: int, *, voice: bool) -> bool:
    """Print what the pairs compared as; whether both bars were met."""
    slower = 1.10 if spread == "narrow" else 1.25
    equal: Counter[str] = Counter()
    found = 0
    for pair in range(pairs):
        base, same, slow = (
            run(spread, 3 * pair + place, slower=factor, voice=voice) for place, factor in enumerate((1.0, 1.0, slower))
        )
        comparison = compare([base], [same])
        equal[comparison["outcome"]] += 1
        if comparison["outcome"] != "no_change":
            told = comparison["regressions"] + comparison["improvements"] + comparison["not_comparable_because"]
            print(json.dumps({"pair": pair, "told": told}), flush=True)
        found += any("create" in sentence for sentence in compare([base], [slow])["regressions"])
    print(json.dumps({"spread": spread, "voice": voice, "equal": dict(equal), "slower_found": found}), flush=True)
    return equal["no_change"] >= math.floor(0.95 * pairs) and found >= math.floor(0.95 * pairs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judging.comparing_runs", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--only", choices=("narrow", "realistic"))
    parser.add_argument("--voice", action="store_true", help="whole conversations")
    options = parser.parse_args()
    spreads = (options.only,) if options.only else ("narrow", "realistic")
    missed = [spread for spread in spreads if not judge(spread, options.pairs, voice=options.voice)]
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
