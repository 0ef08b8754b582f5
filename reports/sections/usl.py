"""The Universal Scalability Law through the stages of a capacity search: X(N) = γN / (1 + σ(N-1) + κN(N-1)).

N sessions in progress, X of them completed per second; γ what one alone gets done, σ the share that waits in line
(contention), κ what keeping each other informed costs (coherency). N/X is linear in its coefficients, so that the fit
needs no iteration; none of them may be negative. (Gunther, Guerrilla Capacity Planning, ch. 4-6.)
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadtest.criteria.words import plural

RESAMPLED: Final = 500
LEAST_POINTS: Final = 4
LEAST_SPAN: Final = 3.0
ROUNDING = 1e-12
"""A coefficient that is smaller beside the constant is zero: which one it is else depends on the machine's BLAS."""
LEAST_R2: Final = 0.95
"""Of the throughput itself; below it the curve doesn't describe what was measured."""
FARTHEST: Final = 2.0
"""A peak further away than so many times the highest N that was measured is a guess."""

Floats = npt.NDArray[np.float64]


def fit(points: Sequence[tuple[float, float]], *, seed: int = 1) -> dict[str, Any]:
    """`capacity.usl` of report.json from (N, X) points. `trusted` is false where `because` says why the numbers must
    not be used; the coefficients are null where there are too few points for any."""
    usable = [(n, x) for n, x in points if n > 0 and x > 0]
    n, x = (np.array(column, dtype=float) for column in (zip(*usable, strict=True) if usable else ((), ())))
    if len(set(np.round(n, 6))) < LEAST_POINTS:
        return {
            "trusted": False,
            "because": [f"only {plural(len(usable), 'level')} measured below the limit"],
            "points": len(n),
        }
    gamma, sigma, kappa = _coefficients(n, x)
    predicted = throughput(n, gamma, sigma, kappa)
    spread = float(((x - x.mean()) ** 2).sum())
    r2 = 1 - float(((x - predicted) ** 2).sum()) / spread if spread else 0.0
    drawn = _bootstrap(n, x, predicted, seed)
    peak_n = float(np.sqrt((1 - sigma) / kappa)) if kappa > 0 and sigma < 1 else None
    because = []
    if n.max() < LEAST_SPAN * n.min():
        because.append(f"the levels span less than a factor of {LEAST_SPAN:g}")
    if r2 < LEAST_R2:
        because.append(f"the curve explains only {100 * r2:.0f} % of what was measured")
    if peak_n is not None and peak_n > FARTHEST * n.max():
        because.append("its peak lies far beyond what was measured")
    if sigma == 0 and kappa == 0:
        because.append("throughput grew in proportion: nothing in these levels says where it would bend")
    return {
        "trusted": not because,
        "because": because,
        "points": len(n),
        "gamma": _with_interval(gamma, drawn[:, 0]),
        "sigma": _with_interval(sigma, drawn[:, 1]),
        "kappa": _with_interval(kappa, drawn[:, 2]),
        "r2": round(r2, 4),
        "peak_n": None if peak_n is None else round(peak_n, 1),
        "peak_per_s": None
        if peak_n is None
        else round(float(throughput(np.array([peak_n]), gamma, sigma, kappa)[0]), 2),
    }


def throughput(n: Floats, gamma: float, sigma: float, kappa: float) -> Floats:
    """X at N."""
    found: Floats = gamma * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    return found


def _coefficients(n: Floats, x: Floats) -> tuple[float, float, float]:
    """Least squares of N/X over 1, N-1 and N(N-1), each row weighed by X/N: relative errors count alike."""
    rows = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])
    wanted, weights = n / x, x / n
    best: tuple[float, tuple[float, float, float]] | None = None
    for size in (3, 2, 1):
        for chosen in itertools.combinations(range(3), size):
            if 0 not in chosen:
                continue
            columns = rows[:, list(chosen)]
            solved, *_ = np.linalg.lstsq(columns * weights[:, None], wanted * weights, rcond=None)
            if solved[0] <= 0 or (solved < -ROUNDING * solved[0]).any():
                continue
            full = np.zeros(3)
            full[list(chosen)] = np.where(solved > ROUNDING * solved[0], solved, 0.0)
            error = float((((rows @ full - wanted) * weights) ** 2).sum())
            if best is None or error < best[0] - 1e-15:
                best = (error, (1 / full[0], full[1] / full[0], full[2] / full[0]))
    assert best is not None, "a positive constant alone always fits"
    return best[1]


def _bootstrap(n: Floats, x: Floats, predicted: Floats, seed: int) -> Floats:
    """Coefficients of curves through the fit plus resampled relative residuals."""
    chance = np.random.default_rng(seed)
    residuals = x / predicted
    drawn = [_coefficients(n, predicted * chance.choice(residuals, len(n))) for _ in range(RESAMPLED)]
    return np.array(drawn)


def _with_interval(value: float, drawn: Floats) -> dict[str, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"value": round(value, 6), "low": round(float(low), 6), "high": round(float(high), 6)}
