"""How often does a comparison cry wolf, and what does it find? Simulated pairs of runs through the whole comparison.

    python -m tests.benchmarks.comparing [--sessions 500] [--pairs 100] [--seed 1]

Bars: equal builds are "no change" in 19 of 20 pairs; a create slower by 10 % at σ 0.2, by 25 % at the spread of the
twin's realistic profile (σ 0.67), is found in 19 of 20 pairs of 500 sessions a side.
"""

import argparse
from collections import Counter

import numpy as np

from loadtest.config.run_dir import Written
from reports.comparing.compare import contrast
from reports.comparing.compare_runs import FAILING, MEASURES, Measured
from reports.verdict.samples import Samples

REALISTIC = {"mint": 0.626, "create": 0.668, "connect": 0.732, "converse": 0.08, "delete": 0.668}
TURN = 0.5
STEADY_S = 300
FAILED = 0.004


def run(name: str, sessions: int, chance: np.random.Generator, *, sigma: float | None, slower: float = 1.0) -> Measured:
    """A run of so many sessions, two turns each; `slower`: its creates. `sigma`: of all steps (None: realistic)."""
    found = {}
    arrivals_s = np.sort(np.random.default_rng(sum(name.encode())).uniform(0, STEADY_S, sessions))
    for measure in MEASURES:
        each = 2 if measure.startswith("turn.") else 1
        spread = sigma or REALISTIC.get(measure, TURN)
        values = 0.3 * np.exp(chance.normal(0, spread, sessions * each)) * (slower if measure == "create" else 1)
        numbers = np.arange(len(values)) // each
        began_ns = (arrivals_s[numbers] * 1e9).astype(np.int64)
        found[measure] = Samples(began_ns, values, numbers, began_ns=began_ns)
    return Measured(
        name=name, run_id=name, scenario="s", started_at=None, written=Written(), sessions=sessions, generator="valid",
        generator_why=[], aborted=False, interrupted=False, lighter=None, unreached=None, own_s=0.0005, samples=found,
        failures={}, rules={}, failing={what: (int(chance.binomial(sessions, FAILED)), sessions) for what in FAILING},
    )  # fmt: skip


def main() -> None:
    """Print a line for each of the two spreads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = np.random.default_rng(options.seed)
    for words, sigma, slower in (("σ 0.2", 0.2, 1.10), ("realistic", None, 1.25)):
        outcomes: Counter[str] = Counter()
        found = 0
        for _ in range(options.pairs):
            base = run("base", options.sessions, chance, sigma=sigma)
            equal = contrast([base], [run("equal", options.sessions, chance, sigma=sigma)])
            slow = contrast([base], [run("slow", options.sessions, chance, sigma=sigma, slower=slower)])
            outcomes[equal["outcome"]] += 1
            found += any(each.startswith("create is slower") for each in slow["regressions"])
        print(
            f"{words}, {options.sessions} sessions a side, {options.pairs} pairs: equal builds {dict(outcomes)}; "
            f"create slower by {slower - 1:.0%} found in {found}",
            flush=True,
        )


if __name__ == "__main__":
    main()
