"""Numbers as people read them: a load, a share, a bound and what was observed beside it."""

import pytest

from loadtest.criteria.slo import COUNT, PER_MINUTE, SECONDS, SHARE
from loadtest.criteria.words import amount, bound, load_words


@pytest.mark.parametrize(
    ("value", "unit", "alone", "held"),
    [
        (1, "users", "1 user", "1 user was"),
        (1.0, "users", "1 user", "1 user was"),
        (2, "users", "2 users", "2 users were"),
        (12_000, "users", "12,000 users", "12,000 users were"),
        (1, "arrivals/s", "1 arrivals/s", "1 arrivals/s were"),
        (2.5, "arrivals/s", "2.5 arrivals/s", "2.5 arrivals/s were"),
    ],
)
def test_one_is_one_user_and_everything_else_is_several(value: float, unit: str, alone: str, held: str) -> None:
    assert (load_words(value, unit), load_words(value, unit, ("was", "were"))) == (alone, held)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (1 / 50_000, "0.002 %"),
        (1e-9, "0.0000001 %"),
        (0.1234, "12.3 %"),
        (0.9996, "99.96 %"),
        (1 - 1 / 50_000, "99.998 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_nothing_only_of_none_and_all_only_of_all(share: float, words: str) -> None:
    assert amount(share, SHARE) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.9995, SHARE, "99.95 %"),
        (0.07, SHARE, "7 %"),
        (1.2345, SECONDS, "1.2345 s"),
        (0.25, SECONDS, "250 ms"),
        (1500, SECONDS, "1,500 s"),
        (0.001, PER_MINUTE, "0.001 a minute"),
        (2.5, COUNT, "2.5"),
    ],
)
def test_a_bound_has_all_the_digits_that_were_written(value: float, unit: str, words: str) -> None:
    assert (bound(False, value, unit), bound(True, value, unit)) == (f"≤ {words}", f"≥ {words}")


@pytest.mark.parametrize(
    ("observed", "asked", "unit", "words"),
    [
        (1.504, 1.5, SECONDS, "1.504 s"),
        (1.514, 1.512, SECONDS, "1.514 s"),
        (0.9996, 1.0, SECONDS, "0.9996 s"),
        (0.0100001, 0.01, SHARE, "1.00001 %"),
        (0.01, 0.01, SHARE, "1 %"),
        (0.3 + 1e-17, 0.3, SECONDS, "300 ms"),
        (1.504, 1.504, SECONDS, "1.504 s"),
        (1.234567, 1.5, SECONDS, "1.23 s"),
    ],
)
def test_what_was_observed_stands_to_its_bound_in_print_as_it_does_in_truth(
    observed: float, asked: float, unit: str, words: str
) -> None:
    assert amount(observed, unit, asked) == words
