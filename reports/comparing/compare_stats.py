"""Did a measure change between two sets of runs? Estimates with honest errors, and tests against a practical margin.

A run gives one estimate of each statistic: the mean of the logarithms (so that a change is a ratio, and a rare slow one
doesn't drown it), or the logarithm of a quantile. Its error is that of independent sessions, or of the seconds in which
samples began where that is larger: those of one burst meet the same queue. Where stretches of time differ by more than
chance it is that of whole blocks of time. With several runs a side the error is never smaller than what the runs of a
side show among themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.verdict.samples import Samples

Floats = npt.NDArray[np.float64]

FEWEST: Final = 20
"""Sessions a side below which nothing is said."""
FEWEST_SECONDS: Final = 3
"""The same of the seconds in which their samples began: one burst may straddle two."""
BLOCKS: Final = 25
"""Stretches of a run that are asked whether they differ."""
LONG_BLOCKS: Final = 12
"""Where they do: what is slow together may last longer than one of those."""
_FINE_BLOCKS: Final = 200
_FEWEST_OF_A_BLOCK: Final = 4
_BINS: Final = 2000
REPLICATES: Final = 1000
SHORTEST_S: Final = 1e-6
_NORMAL_DF: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One run's estimate of a statistic on the log scale. `df`: how well its variance is known. `in_time`: it is
    that of stretches of time, not of sessions. `replicates`: of a bootstrap, where there was one."""

    value: float
    variance: float
    df: float
    in_time: bool = False
    replicates: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """New minus base on the log scale, its standard error, and the degrees of freedom of that error. `between`: the
    error is what runs of one side differ by. `low` and `high`: 95 % confidence interval."""

    value: float
    error: float
    df: float
    between: bool
    low: float
    high: float

    def p_above(self, bound: float) -> float:
        """One-sided: how likely a contrast this large is if the true one is `bound`."""
        return t_tail((self.value - bound) / self.error, self.df) if self.error > 0 else float(self.value <= bound)

    def p_below(self, bound: float) -> float:
        """The same for a contrast this small."""
        return t_tail((bound - self.value) / self.error, self.df) if self.error > 0 else float(self.value >= bound)


@dataclass(frozen=True, slots=True)
class Blocks:
    """A run's samples by session, in the order in which these began: `of` says which of `count` sessions each is of,
    `at` in which of `seconds` it began. `in_time`: stretches of time differ by more than chance."""

    logs: Floats
    of: npt.NDArray[np.int64]
    count: int
    at: npt.NDArray[np.int64]
    seconds: int
    in_time: bool = False


def blocks(samples: Samples) -> Blocks:
    """Group a run's samples, of steps or turns. They are in the order in which their sessions began."""
    assert samples.began_ns is not None
    logs = np.log(np.maximum(samples.values, SHORTEST_S))
    of, sessions = pd.factorize(samples.sessions)
    at, seconds = pd.factorize(samples.began_ns // 1_000_000_000)
    grouped = Blocks(logs, of, len(sessions), at, len(seconds))
    if grouped.count < BLOCKS * _FEWEST_OF_A_BLOCK:
        return grouped
    influence = _influence(grouped, of, grouped.count)
    of_blocks = _error(np.array([part.mean() for part in np.array_split(influence, BLOCKS)]))
    return replace(grouped, in_time=of_blocks > _error(influence) * _chance_ratio(BLOCKS - 1))


def is_told(grouped: Blocks) -> bool:
    """Whether its samples are enough, and of enough moments, to say how much they differ by chance."""
    return grouped.count >= FEWEST and grouped.seconds >= FEWEST_SECONDS


def log_mean(grouped: Blocks) -> Estimate:
    """Mean of the logarithms. The unit is the session: its turns are not independent of each other. Where seconds, or
    blocks of time, differ by more than chance, the error is theirs; and of a few seconds nobody can say that."""
    of_sessions = _influence(grouped, grouped.of, grouped.count)
    of_seconds = _influence(grouped, grouped.at, grouped.seconds)
    units = [of_sessions]
    if grouped.seconds < BLOCKS or _error(of_seconds) > _error(of_sessions) * _chance_ratio(grouped.seconds - 1):
        units.append(of_seconds)
    if grouped.in_time:
        units.append(np.array([part.mean() for part in np.array_split(of_sessions, LONG_BLOCKS)]))
    variances = [_error(unit) for unit in units]
    return Estimate(
        value=float(grouped.logs.mean()),
        variance=max(variances),
        df=min(map(len, units)) - 1,
        in_time=max(variances) > variances[0],
    )


def log_quantiles(grouped: Blocks, ranks: Sequence[float], chance: np.random.Generator) -> list[Estimate]:
    """Logarithms of quantiles, with a bootstrap over blocks of sessions that follow each other: small blocks, but no
    more than there are seconds, or LONG_BLOCKS where stretches of time differ."""
    number = min(grouped.count, grouped.seconds, LONG_BLOCKS if grouped.in_time else _FINE_BLOCKS)
    block = grouped.of * number // grouped.count
    edges = np.unique(np.quantile(grouped.logs, np.linspace(0, 1, _BINS)))
    bins = np.searchsorted(edges, grouped.logs)
    table = np.zeros((number, len(edges)))
    np.add.at(table, (block, bins), 1)
    weights = chance.multinomial(number, np.full(number, 1 / number), size=REPLICATES).astype(np.float64)
    cumulated = weights @ np.cumsum(table, axis=1)
    found = []
    for rank in ranks:
        replicates = edges[np.argmax(cumulated >= rank * cumulated[:, -1:], axis=1)]
        value = math.log(np.quantile(np.exp(grouped.logs), rank))  # interpolated as all quantiles are that people read
        variance = float(np.var(replicates, ddof=1)) * number / (number - 1)
        found.append(Estimate(value=value, variance=variance, df=number - 1, replicates=replicates))
    return found


def contrast(base: Sequence[Estimate], new: Sequence[Estimate]) -> Contrast:
    """New minus base. Runs of a side weigh the same: each is one draw of what a run of that build is like."""
    sides = (base, new)
    value = float(np.mean([each.value for each in new]) - np.mean([each.value for each in base]))
    parts = [(each.variance / len(side) ** 2, each.df) for side in sides for each in side]
    within = sum(variance for variance, _ in parts)
    df = within**2 / sum(variance**2 / own for variance, own in parts) if within > 0 else 1.0
    runs_df = len(base) + len(new) - 2
    squares = sum(float(np.var([each.value for each in side])) * len(side) for side in sides)
    runs = squares / runs_df * (1 / len(base) + 1 / len(new)) if runs_df else 0.0
    between = runs_df >= 2 and runs > within
    error, df = math.sqrt(max(within, runs)), float(runs_df) if between else df
    low, high = value - t_bound(0.025, df) * error, value + t_bound(0.025, df) * error
    drawn = [[each.replicates for each in side if each.replicates is not None] for side in sides]
    if not between and all(len(own) == len(side) for own, side in zip(drawn, sides, strict=True)):
        replicates = np.mean(drawn[1], axis=0) - np.mean(drawn[0], axis=0)
        low, high = (float(bound) for bound in np.quantile(replicates, (0.025, 0.975)))
    return Contrast(value=value, error=error, df=df, between=between, low=low, high=high)


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses fall, the chance that a true one is among them being `alpha` (Holm 1979)."""
    fallen = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[index] > alpha / (len(p_values) - place):
            break
        fallen[index] = True
    return fallen


def more_often(base: tuple[int, int], new: tuple[int, int]) -> float:
    """Fisher's exact test, one-sided: (bad, all) of base and new; how likely so many bad ones in new are if bad ones
    fall to both alike."""
    (base_bad, base_all), (new_bad, new_all) = base, new
    bad, total = base_bad + new_bad, base_all + new_all
    whole = _log_choose(total, bad)
    tail = [
        math.exp(_log_choose(new_all, k) + _log_choose(base_all, bad - k) - whole)
        for k in range(new_bad, min(bad, new_all) + 1)
    ]
    return min(1.0, math.fsum(tail))


def t_tail(t: float, df: float) -> float:
    """Upper tail of Student's t."""
    if df > _NORMAL_DF:
        return 0.5 * math.erfc(t / math.sqrt(2))
    angles, tails = _tails(df)
    tail = float(np.interp(math.atan(abs(t) / math.sqrt(df)), angles, tails))
    return tail if t >= 0 else 1 - tail


def t_bound(tail: float, df: float) -> float:
    """The t above which that much of the tail lies, at most one half."""
    if df > _NORMAL_DF:
        return NormalDist().inv_cdf(1 - tail)
    angles, tails = _tails(df)
    return math.tan(float(np.interp(-tail, -tails, angles))) * math.sqrt(df)


@lru_cache(maxsize=64)
def _tails(df: float) -> tuple[Floats, Floats]:
    """Angles from 0 to π/2 and the tail beyond each: t's density in the angle atan(t/√df) is as cos^(df−1)."""
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angles) ** (df - 1)
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return angles, 0.5 * (1 - below / below[-1])


def _influence(grouped: Blocks, unit: npt.NDArray[np.int64], count: int) -> Floats:
    """What each of `count` units adds to the mean, around 0, in their order; `unit` says of which each sample is."""
    sums = np.bincount(unit, weights=grouped.logs - grouped.logs.mean(), minlength=count)
    return np.asarray(sums / (len(grouped.logs) / count), dtype=np.float64)


def _error(parts: Floats) -> float:
    """Variance of the mean of parts that are independent of each other."""
    return float(np.var(parts, ddof=1)) / len(parts)


def _chance_ratio(df: int) -> float:
    """What the ratio of both variances exceeds by chance in 5 of 100 cases: chi² over df (Wilson and Hilferty)."""
    return float((1 - 2 / (9 * df) + 1.645 * math.sqrt(2 / (9 * df))) ** 3)


def _log_choose(n: int, k: int) -> float:
    if not 0 <= k <= n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
