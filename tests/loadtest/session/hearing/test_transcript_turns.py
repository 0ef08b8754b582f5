"""Whose words a transcript holds, whichever comes first: the words, the sound, or the next turn."""

import itertools
import random
from collections.abc import Callable

import pytest

from loadtest.events.kinds import Mark
from loadtest.rooms.app_messages import translated
from loadtest.session.hearing.conversation import Conversation
from loadtest.session.hearing.transcript_turns import Attribution
from tests.loadtest.session.hearing.test_conversation import hear

USER, AVATAR = "ce_events.realtime.input_transcript", "ce_events.realtime.response_transcript"

Moments = dict[str, Callable[[Attribution, int], object]]
MOMENTS: Moments = {
    "(": lambda words, turn: words.speech_begins(turn),
    ")": lambda words, turn: words.speech_ends(turn),
    "p": lambda words, _: words.phrase_begins(None),
    "s": lambda words, _: words.answer_begins(),
    "u": lambda words, _: words.of_user(),
    "a": lambda words, _: words.of_avatar(),
}
"""The user's speech from ( to ), a phrase and the sound of the answer, transcripts of user and avatar."""


def told(*turns: str) -> tuple[list[int | None], list[int | None]]:
    """The turns of the user's transcripts and of the avatar's, in their order."""
    words = Attribution()
    found: dict[str, list[int | None]] = {"u": [], "a": []}
    for turn, moments in enumerate(turns):
        for moment in moments:
            of = MOMENTS[moment](words, turn)
            if moment in found:
                found[moment].append(of)  # type: ignore[arg-type]
    return found["u"], found["a"]


ORDERS = ["".join(order) for order in itertools.permutations("psua")]


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_words_and_sound_is_kept_with_its_turn(order: str) -> None:
    assert told(*[f"(){order}"] * 3) == ([0, 1, 2], [0, 1, 2])


def test_orders_may_change_from_turn_to_turn() -> None:
    for seed in range(50):
        orders = [f"(){order}" for order in random.Random(seed).choices(ORDERS, k=6)]
        assert told(*orders) == (list(range(6)), list(range(6))), orders


def test_an_answer_in_two_phrases_has_two_transcripts_before_or_after_its_sound() -> None:
    assert told("()uaapsp", "()upsapa", "()uaapps") == ([0, 1, 2], [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize(
    ("turns", "of_user", "of_avatar"),
    [
        (("()ps", "(u)apsu"), [0, 1], [None]),
        (("()ups", "(a)upsa"), [0, 1], [0, 1]),
        (("()psa", "()uups", "()u"), [None, 1, 2], [0]),
        (("()ups", "()uapsa"), [0, 1], [None, 1]),
        (("()psa", "()u", "()u"), [None, 2], [0]),
        (("()upsa", "(u)upsa"), [0, 1, 1], [0, 1]),
    ],
    ids=[
        "the user's while he says the next thing",
        "the avatar's while the user speaks again",
        "the user's when the next speech is over: of which of two?",
        "the avatar's when the next speech is over: of which of two?",
        "one that never comes costs the next turn its certainty, and no other",
        "a second one while he goes on: the service heard a hole",
    ],
)
def test_a_transcript_that_is_late_is_of_the_turn_before_or_of_nobody_knows_which(
    turns: tuple[str, ...], of_user: list[int | None], of_avatar: list[int | None]
) -> None:
    assert told(*turns) == (of_user, of_avatar)


def test_a_turn_without_an_audible_answer_owes_no_words_to_the_next() -> None:
    assert told("()u", "()uaps") == ([0, 1], [1])


def test_a_transcript_with_the_id_of_its_phrase_belongs_to_it_in_any_order() -> None:
    words = Attribution()
    words.speech_ends(0)
    words.phrase_begins("one")
    words.answer_begins()
    words.speech_ends(1)
    assert words.of_avatar("two") == 1  # whose phrase is yet to begin
    assert words.of_avatar("one") == 0
    words.phrase_begins("two")
    words.answer_begins()
    assert words.of_avatar("two") == 1


def test_what_is_said_before_anybody_asked_is_of_no_turn() -> None:
    assert told("a") == ([], [None])


def test_a_noise_into_an_answer_is_no_speech_that_a_transcript_could_be_of() -> None:
    marks: list[tuple[Mark, int | None]] = []
    talk = Conversation(observe=lambda _t, mark, turn, _text, **_: marks.append((mark, turn)))
    talk.begin(4)
    talk.on_mark(1, Mark.SPEECH_END)
    hear(talk, 2, loud=3, quiet_ns=0)
    talk.begin(5, asks=False)
    talk.on_mark(3, Mark.SPEECH_START)
    talk.on_mark(4, Mark.SPEECH_END)
    talk.on_message(5, translated({"type": USER, "transcript": "a", "timestamp": 1.0}))
    talk.on_message(6, translated({"type": AVATAR, "transcript": "b", "timestamp": 1.0}))
    assert marks[-2:] == [(Mark.USER_TRANSCRIPT, 4), (Mark.AVATAR_TRANSCRIPT, 4)]


def test_words_that_come_before_the_sound_are_written_down_with_the_turn_that_they_answer() -> None:
    marks: list[tuple[Mark, int | None]] = []
    talk = Conversation(observe=lambda _t, mark, turn, _text, **_: marks.append((mark, turn)))
    for turn in (0, 1):
        talk.begin(turn)
        talk.forget_answer()
        talk.on_mark(turn * 10**9 + 1, Mark.SPEECH_START)
        talk.on_mark(turn * 10**9 + 2, Mark.SPEECH_END)
        talk.on_message(turn * 10**9 + 3, translated({"type": AVATAR, "transcript": "b", "timestamp": 1.0}))
        hear(talk, turn * 10**9 + 4, loud=3)
        talk.on_message(turn * 10**9 + 5, translated({"type": USER, "transcript": "a", "timestamp": 1.0}))
    assert [turn for mark, turn in marks if mark is Mark.AVATAR_TRANSCRIPT] == [0, 1]
    assert [turn for mark, turn in marks if mark is Mark.USER_TRANSCRIPT] == [0, 1]


def test_of_a_speech_with_a_pause_a_detector_may_make_two() -> None:
    words = Attribution()
    words.speech_begins(0, most=2)
    words.speech_ends(0)
    told = []
    for _ in range(3):
        words.of_user()
        told.append(words.tells_too_much)
    assert told == [False, False, True]
