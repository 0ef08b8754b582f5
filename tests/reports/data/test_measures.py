"""A table and an objective say the same of the same values."""

import numpy as np
import pytest

from loadtest.criteria.slo import RANKS, Slo
from reports.data.measures import quantile, quantiles
from reports.verdict.gates import observed
from reports.verdict.samples import Samples


@pytest.mark.parametrize("name", ["p50", "p90", "p95", "p99", "max"])
def test_a_quantile_is_the_same_to_the_nanosecond_wherever_it_is_told(name: str) -> None:
    chance = np.random.default_rng(11)
    slo = Slo(name="x", indicator=f"create.{name}", max=1)
    for count in range(1, 300):
        values = chance.integers(1, 50_000_000, count) / 1e9
        numbers = np.arange(count)
        told = quantiles(values)[f"{name}_s"]
        assert told == observed(slo, Samples(numbers, values, numbers)) == quantile(values, float(RANKS[name]))
        assert told == pytest.approx(float(np.quantile(values, float(RANKS[name]))), abs=1.01e-9)


def test_of_no_values_there_is_no_quantile() -> None:
    assert quantiles([]) == dict.fromkeys(("p50_s", "p90_s", "p95_s", "p99_s", "max_s"))
    assert quantile([], 0.5) is None
