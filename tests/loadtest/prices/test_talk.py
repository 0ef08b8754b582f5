"""What a talk costs: its tokens, its money, and what isn't known of it."""

from dataclasses import replace

import pytest

from loadtest.prices.table import prices
from loadtest.prices.talk import NOTHING, Talk, Usd, bill, bills, tokens, usd_words

TABLE = prices({"avatar": {"per_minute": 0.1}, "speech": {"text_per_audio_token": 0.5, "cached_share": 0.75}})
TALK = Talk(model="gpt-realtime-2.1", transcriber="whisper-1", instructions=400, turns=[(2.0, 3.0)] * 2, lived_s=60.0)


def test_an_answer_reads_all_that_was_said_before_it_again() -> None:
    used = tokens(TALK, TABLE)
    # The first reads 20 of the user, the second these, 60 of the answer and 20 more.
    assert (used.audio_in, used.audio_again, used.audio_out) == (20 + 100, 20, 120)
    # 100 of instructions, then these and 30 of the answer's words.
    assert (used.text_in, used.text_again, used.text_out) == (100 + 130, 100, 60)


def test_cached_tokens_are_part_of_the_input_and_no_more() -> None:
    cost = bill(TALK, TABLE).model
    audio = (120 - 15) * 32 + 15 * 0.4 + 120 * 64
    text = (230 - 75) * 4 + 75 * 0.4 + 60 * 24
    assert cost.value == pytest.approx((audio + text) / 1e6)
    all_cached = (100 * 32 + 20 * 0.4 + 120 * 64 + 130 * 4 + 100 * 0.4 + 60 * 24) / 1e6
    none_cached = (120 * 32 + 120 * 64 + 230 * 4 + 60 * 24) / 1e6
    assert (cost.low, cost.high) == (pytest.approx(all_cached), pytest.approx(none_cached))


def test_minutes_are_charged_by_their_seconds() -> None:
    found = bill(TALK, TABLE)
    assert found.transcription == Usd(*[pytest.approx(4 / 60 * 0.006)] * 3)
    assert found.avatar == Usd(*[pytest.approx(0.1)] * 3)


def test_a_session_without_a_talk_costs_its_minutes_alone() -> None:
    found = bill(replace(TALK, turns=[], model=None, transcriber=None), TABLE)
    assert (found.model, found.transcription) == (Usd(), Usd())
    assert found.total.value == pytest.approx(0.1)


def test_what_has_no_price_makes_the_sum_unknown_and_keeps_the_rest() -> None:
    found = bill(replace(TALK, model="mine", transcriber="ours"), prices()).total
    assert found.unknown == {"model mine", "transcription by ours", "the avatar's minutes"}
    assert not found.is_known
    assert found.as_dict()["usd"] is None
    some = bill(TALK, prices()).total
    assert (
        some.words()
        == f"unknown: no price for the avatar's minutes; the rest {Usd(some.value, some.low, some.high).words()}"
    )


def test_many_talks_are_the_sum_of_each() -> None:
    assert bills([(1, TALK), (1, TALK)], TABLE).total.value == pytest.approx(2 * bill(TALK, TABLE).total.value)
    assert bills([], TABLE) == NOTHING


def test_at_the_most_each_character_beyond_ascii_is_a_token_of_its_own() -> None:
    """Four hundred of them are read twice: 300 tokens more each time than at four characters a token."""
    cost, dense = bill(TALK, TABLE).model, bill(replace(TALK, dense=400), TABLE).model
    assert (dense.value, dense.low) == (cost.value, cost.low)
    assert dense.high - cost.high == pytest.approx(2 * 300 * 4 / 1e6)


def test_what_is_read_and_has_no_length_makes_the_model_unknown_where_it_answers() -> None:
    unread = replace(TALK, unread=frozenset({"the stored prompt"}))
    assert bill(unread, TABLE).total.unknown == {"the stored prompt"}
    assert bill(replace(unread, turns=[]), TABLE).total.is_known


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (Usd(1.234, 1.0, 2.0), "1.23 USD (1.00 to 2.00)"),
        (Usd(0.01234, 0.01234, 0.01234), "0.0123 USD"),
        (Usd(), "0 USD"),
        (Usd(1234.5, 1234.5, 1234.5), "1,234.50 USD"),
    ],
)
def test_money_is_told_in_cents_or_three_digits(usd: Usd, words: str) -> None:
    assert usd.words() == words


@pytest.mark.parametrize(
    ("usd", "words"),
    [(1234.5, "1,234.50"), (0.1, "0.10"), (0.004, "0.004"), (0.0123, "0.0123"), (0.00004, "0.00004"), (0.0, "0")],
)
def test_small_amounts_are_told_in_full(usd: float, words: str) -> None:
    assert usd_words(usd) == words
