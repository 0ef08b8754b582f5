"""A load as people read it."""

import pytest

from loadtest.criteria.words import load_words


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
