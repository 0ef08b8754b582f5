"""The Universal Scalability Law: fitted to curves that are known, and not trusted where it must not be."""

import numpy as np
import pytest

from reports.sections import usl


def points(gamma: float, sigma: float, kappa: float, ns: list[float], *, noise: float = 0.0, seed: int = 1):  # type: ignore[no-untyped-def]
    n = np.array(ns, dtype=float)
    chance = np.random.default_rng(seed)
    x = usl.throughput(n, gamma, sigma, kappa) * (1 + noise * chance.standard_normal(len(n)))
    return list(zip(n.tolist(), x.tolist(), strict=True))


def test_an_exact_curve_gives_its_own_coefficients() -> None:
    found = usl.fit(points(10, 0.05, 0.001, [1, 2, 4, 8, 16, 32]))
    assert found["trusted"], found["because"]
    assert found["gamma"]["value"] == pytest.approx(10, rel=1e-4)
    assert found["sigma"]["value"] == pytest.approx(0.05, rel=1e-3)
    assert found["kappa"]["value"] == pytest.approx(0.001, rel=1e-3)
    assert found["peak_n"] == pytest.approx((0.95 / 0.001) ** 0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_intervals_of_a_noisy_curve_are_about_its_coefficients(seed: int) -> None:
    found = usl.fit(points(10, 0.05, 0.002, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32], noise=0.01, seed=seed))
    assert found["trusted"], found["because"]
    assert found["gamma"]["low"] < found["gamma"]["value"] < found["gamma"]["high"]
    assert found["kappa"]["value"] == pytest.approx(0.002, rel=0.25)
    assert found["kappa"]["high"] - found["kappa"]["low"] < 0.002


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (points(10, 0.05, 0.001, [1, 2, 4]), "only 3 levels measured below the limit"),
        (points(10, 0.05, 0.001, [10, 11, 12, 13, 14]), "the levels span less than a factor of 3"),
        (points(10, 0, 0, [1, 2, 4, 8]), "throughput grew in proportion"),
        (points(10, 0.001, 0.000001, [1, 2, 4, 8]), "its peak lies far beyond what was measured"),
        ([(1, 10), (2, 5), (4, 30), (8, 7), (16, 40)], "the curve explains only"),
        ([], "only 0 levels measured"),
    ],
)
def test_a_fit_that_must_not_be_trusted_says_why(given: list[tuple[float, float]], told: str) -> None:
    found = usl.fit(given)
    assert not found["trusted"]
    assert any(told in why for why in found["because"]), found["because"]


def test_no_coefficient_is_ever_negative() -> None:
    superlinear = [(n, 10 * n**1.1) for n in (1, 2, 4, 8, 16)]
    found = usl.fit(superlinear)
    assert found["sigma"]["value"] == found["kappa"]["value"] == 0
