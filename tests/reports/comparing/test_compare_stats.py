"""Is a change told from chance? Simulated runs: how often equal builds are called equal, and slow ones slow."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.comparing import compare_stats as stats
from reports.comparing.compare import ALPHA, ALPHA_BETTER, MARGIN
from reports.verdict.samples import Samples

STEPS = 5
Values = Callable[[np.random.Generator, int, float], np.ndarray]


def of_sessions(values: np.ndarray) -> Samples:
    """A sample a session, a second apart."""
    return begun(np.arange(len(values)) * 1_000_000_000, values, np.arange(len(values)))


def begun(began_ns: np.ndarray, values: np.ndarray, sessions: np.ndarray) -> Samples:
    """Samples of what began then."""
    return Samples(began_ns + (values * 1e9).astype(np.int64), values, sessions, began_ns=began_ns)


def lognormal(sigma: float) -> Values:
    return lambda chance, count, slower: 0.3 * slower * np.exp(chance.normal(0, sigma, count))


def told(draw: Values, chance: np.random.Generator, *, sessions: int, slower: float = 1.0, runs: int = 1) -> list[str]:
    """The verdict on each of five steps between `runs` a side, of which the first step is `slower` in the new build."""
    contrasts = [
        stats.contrast(
            *[
                [stats.log_mean(stats.blocks(of_sessions(draw(chance, sessions, factor)))) for _ in range(runs)]
                for factor in (1.0, slower if step == 0 else 1.0)
            ]
        )
        for step in range(STEPS)
    ]
    bound = np.log1p(MARGIN)
    worse = stats.holm([each.p_above(bound) for each in contrasts], ALPHA)
    better = stats.holm([each.p_below(-bound) for each in contrasts], ALPHA_BETTER)
    return ["worse" if bad else "better" if good else "no change" for bad, good in zip(worse, better, strict=True)]


def share_called_equal(draw: Values, *, sessions: int, pairs: int = 80, seed: int = 1) -> float:
    chance = np.random.default_rng(seed)
    return float(np.mean([set(told(draw, chance, sessions=sessions)) == {"no change"} for _ in range(pairs)]))


@pytest.mark.parametrize("sigma", [0.2, 0.67])
@pytest.mark.parametrize("sessions", [60, 500])
def test_two_runs_of_the_same_build_are_no_change_in_19_of_20_pairs(sigma: float, sessions: int) -> None:
    assert share_called_equal(lognormal(sigma), sessions=sessions) >= 0.95


@pytest.mark.parametrize(("sigma", "slower"), [(0.2, 1.1), (0.67, 1.25)])
def test_a_slower_step_is_found_in_19_of_20_pairs_of_500_sessions(sigma: float, slower: float) -> None:
    chance = np.random.default_rng(2)
    found = [told(lognormal(sigma), chance, sessions=500, slower=slower)[0] == "worse" for _ in range(80)]
    assert np.mean(found) >= 0.95


def drifting(chance: np.random.Generator, count: int, slower: float) -> np.ndarray:
    """A queue that comes and goes: neighbours are slow together, half of the spread lasts for 30 sessions."""
    slow = np.repeat(chance.normal(0, 0.14, count // 30 + 1), 30)[:count]
    return 0.3 * slower * np.exp(slow + chance.normal(0, 0.14, count))


def test_sessions_that_are_slow_together_do_not_count_as_independent_ones() -> None:
    assert share_called_equal(drifting, sessions=600) >= 0.95
    chance = np.random.default_rng(3)
    known = [stats.blocks(of_sessions(drifting(chance, 600, 1.0))).in_time for _ in range(50)]
    assert np.mean(known) > 0.9
    alike = [stats.blocks(of_sessions(lognormal(0.2)(chance, 600, 1.0))).in_time for _ in range(100)]
    assert np.mean(alike) <= 0.1


def test_runs_that_differ_by_themselves_widen_the_interval() -> None:
    chance = np.random.default_rng(4)

    def rough_run() -> stats.Estimate:
        return stats.log_mean(
            stats.blocks(of_sessions(lognormal(0.2)(chance, 500, float(np.exp(chance.normal(0, 0.1))))))
        )

    pairs = [stats.contrast([rough_run() for _ in range(3)], [rough_run() for _ in range(3)]) for _ in range(60)]
    assert np.mean([each.p_above(np.log1p(MARGIN)) < ALPHA for each in pairs]) <= 0.05
    assert np.mean([each.between for each in pairs]) > 0.95
    assert all(each.df == 4 for each in pairs if each.between)


def bursts(chance: np.random.Generator, slower: float = 1.0) -> Samples:
    """Ten arrivals at once, every minute, for ten minutes: what they queue behind is another thing each time."""
    values = 0.3 * slower * np.exp(np.repeat(chance.normal(0, 0.2, 10), 10) + chance.normal(0, 0.02, 100))
    return begun(np.repeat(np.arange(10) * 60_000_000_000 + 500_000_000, 10), values, np.arange(100))


def test_what_began_in_the_same_second_does_not_count_as_independent() -> None:
    chance = np.random.default_rng(7)
    pairs = [stats.contrast(*[[stats.log_mean(stats.blocks(bursts(chance)))] for _ in range(2)]) for _ in range(200)]
    assert np.mean([each.p_above(np.log1p(MARGIN)) < ALPHA for each in pairs]) <= 0.02
    assert {stats.log_mean(stats.blocks(bursts(chance))).df for _ in range(20)} == {9}
    slow = stats.contrast(*[[stats.log_mean(stats.blocks(bursts(chance, slower)))] for slower in (1.0, 2.0)])
    assert slow.p_above(np.log1p(MARGIN)) < ALPHA


def test_turns_of_a_session_are_one_unit() -> None:
    chance = np.random.default_rng(5)
    of_session = np.exp(chance.normal(0, 0.3, 200))
    turns = begun(np.arange(800) * 1_000_000_000, np.repeat(of_session, 4), np.repeat(np.arange(200), 4))
    alone = of_sessions(of_session)
    assert stats.log_mean(stats.blocks(turns)).variance == pytest.approx(stats.log_mean(stats.blocks(alone)).variance)


@pytest.mark.parametrize("rank", [0.5, 0.95])
def test_the_interval_of_a_quantile_covers_the_true_one(rank: float) -> None:
    chance = np.random.default_rng(6)
    covered = []
    for _ in range(30):
        sides = [
            [stats.log_quantiles(stats.blocks(of_sessions(lognormal(0.5)(chance, 150, 1.0))), [rank], chance)[0]]
            for _ in range(2)
        ]
        both = stats.contrast(*sides)
        covered.append(both.low <= 0 <= both.high)
    assert np.mean(covered) >= 0.85


@given(df=st.sampled_from([2, 3, 10, 24, 499, 2000]), tail=st.floats(min_value=1e-4, max_value=0.49))
def test_the_bound_of_a_tail_leaves_that_tail(df: int, tail: float) -> None:
    assert stats.t_tail(stats.t_bound(tail, df), df) == pytest.approx(tail, rel=1e-3)


def test_tails_are_those_of_the_tables() -> None:
    assert [round(stats.t_bound(0.025, df), 3) for df in (2, 4, 24, 1e9)] == [4.303, 2.776, 2.064, 1.96]
    assert stats.t_tail(-1.476, 5) == pytest.approx(0.9, abs=1e-4)


def test_fishers_test_is_that_of_the_lady_tasting_tea() -> None:
    assert stats.more_often((1, 4), (3, 4)) == pytest.approx(17 / 70)
    assert stats.more_often((0, 500), (0, 500)) == 1.0
    assert stats.more_often((0, 500), (10, 500)) < 0.001


def test_holm_rejects_step_by_step() -> None:
    assert stats.holm([0.01, 0.04, 0.03], 0.05) == [True, False, False]
    assert stats.holm([0.01, 0.04, 0.02], 0.05) == [True, True, True]
    assert stats.holm([], 0.05) == []
