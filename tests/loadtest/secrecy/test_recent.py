"""A session's tokens are known while it goes on, and among thousands of newer ones, in whatever spelling."""

import random
import string
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.secrecy import recent as module
from loadtest.secrecy import redact as redacting
from loadtest.secrecy.recent import MOST_ENDED, Recent
from loadtest.secrecy.redact import HIDDEN, redact, remember, reveals
from tests.spellings import PLACES, SPELLINGS, cuts, decoded, pieces_of


class Session:
    """Owns tokens."""


def tokens(count: int, *, seed: int, prefix: str = "") -> Iterator[str]:
    chance = random.Random(seed)
    for _ in range(count):
        yield prefix + "".join(chance.choices(string.ascii_letters + string.digits + "-_.", k=chance.randint(24, 48)))


OURS = list(tokens(40, seed=1))


@cache
def crowded() -> redacting._Process:
    """A process in which as many sessions as are remembered have ended since those of OURS."""
    process = redacting._Process()
    process.is_primed = True
    for token in (*OURS, *tokens(MOST_ENDED - len(OURS), seed=2)):
        process.recent.add(token)
    return process


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_session_s_token_gets_past_in_any_spelling(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redacting, "_process", crowded())
    chance = random.Random(spelling)
    for token in OURS:
        told = chance.choice(PLACES).format(SPELLINGS[spelling](token))
        safe = redact(told)
        assert HIDDEN in safe, (token, told)
        assert not pieces_of(token, decoded(safe)), (token, told, safe)


@given(
    number=st.integers(0, len(OURS) - 1),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    place=st.sampled_from(PLACES),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
)
def test_nor_anywhere_in_a_text(number: int, spelling: str, place: str, before: str, after: str) -> None:
    told = f"{before} {place.format(SPELLINGS[spelling](OURS[number]))} {after}"
    before_process, redacting._process = redacting._process, crowded()
    try:
        safe = redact(told)
    finally:
        redacting._process = before_process
    assert not pieces_of(OURS[number], decoded(safe)), (OURS[number], told, safe)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nor_where_the_text_was_cut(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redacting, "_process", crowded())
    for left in cuts(f"4001 {SPELLINGS[spelling](OURS[0])}"):
        assert not pieces_of(OURS[0], decoded(redact(left))), left


def test_a_running_session_s_tokens_are_known_however_many_others_came_and_went() -> None:
    recent, running, over = Recent(), Session(), Session()
    kept, gone = tokens(2, seed=3)
    recent.add(kept, running)
    recent.add(gone, over)
    del over
    for token in tokens(2 * MOST_ENDED, seed=4):
        recent.add(token)
    assert len(recent) == MOST_ENDED
    assert recent.spans(f"it was {kept}!") == [(7, 7 + len(kept))]
    assert recent.spans(f"it was {gone}!") == []


def test_nor_does_a_target_that_gives_one_session_thousands_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENDED", 100)
    recent, running = Recent(), Session()
    told = list(tokens(1000, seed=5))
    for token in told:
        recent.add(token, running)
    assert len(recent) == 400
    assert len(recent._of_letters) < 400 * 8
    assert sum(recent.spans(token) != [] for token in told) == 400
    assert recent.spans(told[-1]) != []


def test_nor_one_whose_tokens_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SIGNS", 50_000)
    recent = Recent()
    for number in range(100):
        recent.add(f"{number:04}" * 1000)
    assert len(recent) == 12
    assert recent.spans("0099" * 1000) == [(0, 4000)]


def test_what_has_the_same_beginning_is_told_apart_by_the_rest() -> None:
    recent = Recent()
    many = list(tokens(500, seed=6, prefix="eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI"))
    for token in many:
        recent.add(token)
    assert [recent.spans(f"<{token}>") for token in many] == [[(1, 1 + len(token.rstrip("-_.")))] for token in many]


def test_a_token_that_is_mostly_signs_is_one_too() -> None:
    remember("!$%&/(=-_~+.a1")
    assert redact("what is !$%&/(=-_~+.a1 here?") == f"what is {HIDDEN} here?"


def test_a_piece_of_a_token_counts_and_a_short_piece_does_not() -> None:
    (token,) = tokens(1, seed=7)
    remember(token)
    assert redact(f"it ends in {token[-17:]}") == f"it ends in {HIDDEN}"
    assert redact(f"it ends in {token[-6:]}") == f"it ends in {token[-6:]}"


def test_all_that_is_known_of_a_text_is_found_at_once() -> None:
    recent = Recent()
    for token in OURS:
        recent.add(token)
    text = " ".join(OURS)
    spans = recent.spans(text)
    assert [text[first:last].strip("-_.") for first, last in spans] == [token.strip("-_.") for token in OURS]


def test_an_id_is_compared_with_thousands_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redacting, "_process", crowded())
    assert reveals(f"id-{OURS[0]}")
    assert not reveals(f"id-{OURS[0][:20]}")
    assert not reveals("0f8fad5b-d9cb-469f-a165-70867728950e")
