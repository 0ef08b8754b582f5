"""Orders that the wire doesn't keep: no rule may ask that words come before or after the sound, or one before the
other. What is judged is that each came, and not when."""

import random

import pytest

from loadtest.criteria.statements import RULES
from loadtest.events.kinds import Event, Mark
from loadtest.rules.rulebook import Rulebook
from tests.loadtest.rules.session import PROMISE, Session, ns

TURNS = 8
LENGTH_S = 4.0

WINDOWS = {
    "before the sound": (1.05, 1.45),
    "in the middle of the answer": (1.9, 2.6),
    "after the answer": (2.85, 3.9),
    "while the user says the next thing": (LENGTH_S + 0.1, LENGTH_S + 0.9),
    "before the sound of the next answer": (LENGTH_S + 1.05, LENGTH_S + 1.45),
    "at any of these moments": (1.05, LENGTH_S + 1.45),
}
"""When a transcript comes, in s after the user begins to speak: he speaks for 1 s, and is answered 1.5 to 2.8 s after
he began."""


def talk(seed: int, of_user: tuple[float, float], of_avatar: tuple[float, float], *, phrases: int = 1) -> list[Event]:
    """A session whose transcripts come in their order, at moments of these windows."""
    chance = random.Random(seed)
    session = Session(seed).up()
    at_s = {Mark.USER_TRANSCRIPT: 0.0, Mark.AVATAR_TRANSCRIPT: 0.0}
    for turn in range(TURNS):
        t_s = 2 + turn * LENGTH_S
        session.mark(t_s, Mark.SPEECH_START).mark(t_s + 1, Mark.SPEECH_END)
        session.mark(t_s + 1.5, Mark.AVATAR_STARTED).mark(t_s + 1.5, Mark.FIRST_AUDIO)
        for phrase in range(phrases):
            session.mark(t_s + 1.5 + phrase / 10, Mark.PHRASE_STARTED, digest=f"{turn}-{phrase}")
        for mark, window, count in (
            (Mark.USER_TRANSCRIPT, of_user, 1),
            (Mark.AVATAR_TRANSCRIPT, of_avatar, phrases),
        ):
            for number in range(count):
                at_s[mark] = max(at_s[mark] + 0.03, t_s + chance.uniform(*window))
                session.transcript(at_s[mark], mark, digest=f"{seed}-{mark}-{turn}-{number}")
        session.mark(t_s + 2.8, Mark.AVATAR_ENDED).mark(t_s + 2.8, Mark.LAST_AUDIO)
        session.turn(t_s, t_s + 3, first_audio_ns=ns(0.5))
    end_s = 2 + (TURNS + 1) * LENGTH_S
    session.talked(end_s).deleted(end_s + 0.1).over(end_s + 0.2)
    return sorted(session.events, key=lambda event: event.t_ns)


def broken(events: list[Event]) -> dict[str, str]:
    book = Rulebook({"s": PROMISE})
    for event in events:
        book.add(event)
    return {rule: tally.notes[0] for rule in RULES if (tally := book.tally(rule)).violations}


@pytest.mark.parametrize("of_avatar", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("of_user", WINDOWS.values(), ids=WINDOWS)
def test_no_rule_blames_an_order(of_user: tuple[float, float], of_avatar: tuple[float, float]) -> None:
    for seed in range(1, 9):
        assert broken(talk(seed, of_user, of_avatar)) == {}
        assert broken(talk(seed, of_user, of_avatar, phrases=2)) == {}


def test_the_same_orders_hide_no_transcript_that_is_missing() -> None:
    for window in WINDOWS.values():
        events = talk(1, window, window)
        lost = [e for e in events if getattr(e, "mark", None) is Mark.AVATAR_TRANSCRIPT][::3]
        assert "TR-2" in broken([event for event in events if event not in lost])
