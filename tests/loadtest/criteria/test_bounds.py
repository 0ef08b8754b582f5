"""What so many samples leave open, against the binomial distribution itself."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.criteria.bounds import lower_bound, upper_bound


def at_most(bad: int, count: int, share: float) -> float:
    return sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(bad + 1))


@pytest.mark.parametrize(
    ("bad", "count", "bound"),
    [(0, 6, 0.3930), (0, 100, 0.02951), (0, 1, 0.95), (1, 200, 0.02350), (6, 6, 1.0), (0, 0, 1.0)],
)
def test_what_could_have_passed_unseen(bad: int, count: int, bound: float) -> None:
    assert upper_bound(bad, count) == pytest.approx(bound, abs=5e-5)


def test_the_other_side_is_the_same_of_the_good_ones() -> None:
    assert lower_bound(3, 10) == pytest.approx(0.08726, abs=5e-5)
    assert (lower_bound(0, 10), lower_bound(0, 0)) == (0.0, 0.0)


@given(count=st.integers(1, 80), data=st.data())
def test_at_the_bound_so_few_are_seen_once_in_twenty_times(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, count - 1))
    bound = upper_bound(bad, count)
    assert bad / count < bound < 1
    assert at_most(bad, count, bound) == pytest.approx(0.05, abs=1e-6)
