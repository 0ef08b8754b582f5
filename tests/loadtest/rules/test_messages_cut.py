"""A session of which so many app-messages came that further ones are not in its journal."""

from collections.abc import Iterator

import pytest

from loadtest.errors.kinds import Code
from loadtest.events.kinds import Event, Gone, Mark, Observed, Step
from loadtest.rules.rulebook import FOLDS, Rulebook
from tests.loadtest.rules.session import PROMISE, Session, counts, judged, judged_events
from tests.loadtest.rules.test_cases import ROWS, up

UNWRITTEN = frozenset(
    {
        Mark.USER_TRANSCRIPT,
        Mark.TRANSCRIPT_FAILED,
        Mark.AVATAR_TRANSCRIPT,
        Mark.AVATAR_STARTED,
        Mark.AVATAR_ENDED,
        Mark.PHRASE_STARTED,
        Mark.TOOL_DATA,
    }
)
"""An error of the session is written whatever came before."""
OF_MESSAGES = {fold.rule for fold in FOLDS if fold.counts_messages} | {"TR-5", "TR-7"}


def cuts(session: Session) -> Iterator[list[Event]]:
    """The session's events with the cut before each of its messages, and at its beginning."""
    events = session.events
    places = [at for at, event in enumerate(events) if isinstance(event, Observed) and event.mark in UNWRITTEN]
    for at in {1, *places}:
        t_ns = events[at].t_ns if at < len(events) else events[-1].t_ns
        rest = [event for event in events[at:] if not (isinstance(event, Observed) and event.mark in UNWRITTEN)]
        yield [*events[:at], Observed(t_ns=t_ns, session=session.id, mark=Mark.MESSAGES_CUT), *rest]


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row[0]}: {row[1]}") for row in ROWS if row[2][1] == 0 or row[0] not in OF_MESSAGES]
)
def test_what_is_not_written_breaks_no_rule_and_hides_nothing_of_those_that_ask_for_no_message(row: tuple) -> None:  # type: ignore[type-arg]
    rule, _, expected, make, promise = row
    whole = [session.events for session in make()]
    for number, session in enumerate(make()):
        for events in cuts(session):
            run = [event for each in (*whole[:number], events, *whole[number + 1 :]) for event in each]
            found = counts(judged_events(rule, run, promise=promise))
            if rule not in OF_MESSAGES:
                assert found == expected
            elif len(whole) == 1:  # else the others' messages may count for what this one's excused
                assert found[1] == 0


def test_a_long_talk_is_judged_to_its_end() -> None:
    talk = up().mark(50, Mark.MESSAGES_CUT).turn(60, 62, kind="barge_in", censored=True)
    talk.turn(PROMISE.openai_limit_s + 10, PROMISE.openai_limit_s + 12)
    talk.talked(4_000).deleted(4_001).looked(4_009, Gone.STILL_ALIVE, deleted_s=4_001).over(4_010, answers_searched=7)

    assert {rule: counts(judged(rule, talk)) for rule in ("INT-1", "INT-2", "TD-1", "TD-4", "DUR-1", "SEC-2")} == {
        "INT-1": (1, 1),
        "INT-2": (0, 0),
        "TD-1": (1, 1),
        "TD-4": (1, 1),
        "DUR-1": (1, 0),
        "SEC-2": (7, 0),
    }


def test_a_session_that_is_over_is_nobodys_neighbour_any_more() -> None:
    """Neither in the room that the next one gets, nor among those that a refusal might have harmed."""
    book = Rulebook({"s": PROMISE})
    for number in range(1, 4):
        session = Session(number, begins_s=100.0 * number).up().mark(0.6, Mark.SDK_SESSION, digest="one room")
        for event in session.mark(1, Mark.MESSAGES_CUT).talked(50).deleted(51).over(52).events:
            book.add(event)
    assert counts(book.tally("TR-7")) == (0, 0)

    running = [Session(number, begins_s=400.0).up() for number in (11, 12)]
    refused = Session(13, begins_s=400.0).step(Step.CREATE, 1, 2, code=Code.LIMITS_EXCEEDED)
    for event in [event for session in (*running, refused) for event in session.events]:
        book.add(event)
    for session in running:
        session.mark(1.5, Mark.ROOM_ENDED)
        book.add(session.events[-1])
    assert book.tally("LIM-1").notes[0] == "2 of 2 running sessions ended as it was refused"
