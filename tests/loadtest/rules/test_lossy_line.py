"""What the line did to a speech is known: turns that it may have split are judged by no rule, and the row says why."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loadtest.events.kinds import Mark
from loadtest.rules.rulebook import Rulebook
from tests.loadtest.rules.session import PROMISE, Session, counts, judged, ns

NOT_JUDGED = "not judged: the line lost or held up what was said"
Line = Callable[[Session, float], dict[str, Any]]

IMPAIRED: dict[str, Line] = {
    "packets of the avatar's were lost": lambda _session, _t_s: {"packets_lost": 3, "hole_ns": ns(0.06)},
    "the line stood still": lambda _session, _t_s: {"hole_ns": ns(0.3)},
    "packets of ours were lost": lambda session, t_s: session.mark(t_s + 2, Mark.SENT_LOST) and {},
}
SOUND: dict[str, Line] = {
    "nothing was lost": lambda _session, _t_s: {"packets_lost": 0, "hole_ns": ns(0.02)},
    "a room that numbers nothing": lambda _session, _t_s: {},
    "jitter": lambda _session, _t_s: {"hole_ns": ns(0.06)},
}


def up(number: int = 1) -> Session:
    return Session(number).up()


def split(session: Session, t_s: float, line: Line, *, of_user: int, of_avatar: int) -> Session:
    """A speech that may have been heard in parts: so many transcripts of it, and of what was answered in one phrase."""
    session.mark(t_s, Mark.SPEECH_START).mark(t_s + 1, Mark.SPEECH_END)
    for number in range(of_user):
        session.transcript(t_s + 0.6 + number / 5, Mark.USER_TRANSCRIPT)
    session.mark(t_s + 1.5, Mark.AVATAR_STARTED).mark(t_s + 1.5, Mark.PHRASE_STARTED, digest=f"{t_s}")
    for number in range(of_avatar):
        session.transcript(t_s + 1.6 + number / 5, Mark.AVATAR_TRANSCRIPT, digest=f"{session.id}-{t_s}-{number}")
    facts = line(session, t_s)
    session.mark(t_s + 2.8, Mark.AVATAR_ENDED).mark(t_s + 2.8, Mark.LAST_AUDIO)
    return session.turn(t_s, t_s + 3, first_audio_ns=ns(0.5), **facts)


def talk(line: Line, *, of_user: int = 1, of_avatar: int = 1) -> list[Session]:
    """Three sessions with one such speech, and whole ones around it."""
    return [
        split(up(number).say(1), 5, line, of_user=of_user, of_avatar=of_avatar).say(9).talked(30).deleted(31).over(32)
        for number in (1, 2, 3)
    ]


def summary(rule: str, sessions: list[Session]) -> str:
    book = Rulebook({"s": PROMISE})
    for session in sessions:
        for event in session.events:
            book.add(event)
    return next(str(row["summary"]) for row in book.rows() if row["id"] == rule)


@pytest.mark.parametrize("line", IMPAIRED.values(), ids=IMPAIRED)
@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("TR-1", {"of_user": 2}),
        ("TR-1", {"of_user": 4}),
        ("TR-2", {"of_user": 2, "of_avatar": 2}),
        ("TR-2", {"of_avatar": 3}),
        ("TR-2", {"of_avatar": 0}),
    ],
)
def test_a_speech_that_the_line_may_have_split_is_blamed_on_nobody(rule: str, told: dict[str, int], line: Line) -> None:
    sessions = talk(line, **told)
    assert judged(rule, *sessions).violations == 0
    assert NOT_JUDGED in summary(rule, sessions)


@pytest.mark.parametrize("line", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize(
    ("rule", "told"), [("TR-1", {"of_user": 2}), ("TR-2", {"of_avatar": 3})], ids=["the user's", "the avatar's"]
)
def test_the_same_on_a_sound_line_is_the_targets(rule: str, told: dict[str, int], line: Line) -> None:
    sessions = talk(line, **told)
    assert judged(rule, *sessions).violations == 3
    assert NOT_JUDGED not in summary(rule, sessions)


def test_turns_that_are_as_they_should_be_count_on_a_lossy_line_too() -> None:
    for line in IMPAIRED.values():
        assert counts(judged("TR-2", *talk(line))) == (9, 0)


def test_a_late_answer_to_a_split_speech_does_not_spoil_the_next_turn() -> None:
    line = IMPAIRED["the line stood still"]
    late = split(up(1), 1, line, of_user=2, of_avatar=1).say(5, said=2).say(9).talked(30).over(32)
    assert counts(judged("TR-2", late)) == (2, 0)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"packets_lost": 0, "hole_ns": ns(0.02)}, (1, 1)),
        ({"packets_lost": 5, "hole_ns": ns(0.06)}, (0, 0)),
        ({"hole_ns": ns(0.4)}, (1, 0)),
    ],
    ids=["on a sound line", "where packets were lost", "by less than the line stood still"],
)
def test_an_avatar_that_falls_silent_late(facts: dict[str, Any], expected: tuple[int, int]) -> None:
    interrupted = up().turn(1, 4, kind="barge_in", barge_in_ns=ns(1.2), **facts)
    assert counts(judged("INT-1", interrupted)) == expected


LOUD = replace(PROMISE, quiet_caller=False)


@pytest.mark.parametrize(("rule", "told"), [("TR-1", {"of_user": 2}), ("TR-2", {"of_avatar": 3})])
def test_more_speeches_than_were_said_are_no_fault_of_the_target_where_the_caller_is_loud(
    rule: str, told: dict[str, int]
) -> None:
    sessions = talk(SOUND["nothing was lost"], **told)
    assert judged(rule, *sessions, promise=LOUD).violations == 0
    assert judged(rule, *sessions).violations == 3


def test_a_session_that_was_left_by_a_cut_and_ended_by_absence_breaks_no_word() -> None:
    whole, cut = (up(number).say(1).talked(5) for number in (1, 2))
    cut.mark(4, Mark.LINE_CUT)
    assert judged("TD-2", whole.deleted(5.1, status=404).over(6)).violations == 1
    assert judged("TD-2", cut.deleted(5.1, status=404).over(6)).violations == 0


def hesitant(number: int, *, of_user: int, pauses: int = 1) -> Session:
    """Three speeches, so many of them with a pause for thought; so many transcripts came of the user in all."""
    session = up(number)
    for turn in range(3):
        at_s = 1 + 4 * turn
        session.mark(at_s, Mark.SPEECH_START).mark(at_s + 1, Mark.SPEECH_END)
        for part in range(of_user // 3 + (turn < of_user % 3)):
            session.transcript(at_s + 0.5 + part / 5, Mark.USER_TRANSCRIPT)
        session.turn(at_s, at_s + 3, kind="hesitate" if turn < pauses else "say", first_audio_ns=ns(0.5))
    return session.talked(30).deleted(31).over(32)


@pytest.mark.parametrize(
    ("of_user", "pauses", "expected", "told"),
    [
        (3, 1, (3, 0), False),
        (4, 1, (0, 0), True),
        (6, 3, (0, 0), True),
        (5, 1, (3, 3), False),
        (4, 0, (3, 3), False),
        (2, 1, (3, 3), False),
        (2, 3, (3, 3), False),
    ],
    ids=[
        "heard as one",
        "its pause as an end",
        "each pause as an end",
        "more than its pause explains",
        "nobody hesitated",
        "one is missing",
        "of many that hesitate one is missing",
    ],
)
def test_a_pause_for_thought_may_be_the_end_of_a_speech_and_explains_one_transcript_more(
    of_user: int, pauses: int, expected: tuple[int, int], told: bool
) -> None:
    sessions = [hesitant(number, of_user=of_user, pauses=pauses) for number in (1, 2, 3)]
    assert counts(judged("TR-1", *sessions)) == expected
    assert (NOT_JUDGED in summary("TR-1", sessions)) is told
