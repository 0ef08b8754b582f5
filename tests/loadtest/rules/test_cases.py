"""For each rule that load sessions show: events that keep it, that break it, and that say nothing about it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loadtest.config.promise import Promise
from loadtest.errors.kinds import Code
from loadtest.events.kinds import Gone, Mark, Outcome, Step
from loadtest.rules.rulebook import FOLDS
from loadtest.session.ports import is_deleted
from tests.loadtest.rules.session import PROMISE, Session, counts, judged, ns

KEPT, BROKEN, NOTHING = (1, 0), (1, 1), (0, 0)
OFF = replace(PROMISE, transcribes=False)
TOOLS = replace(PROMISE, has_tools=True, forces_tool=True)
LOUD_NOISE = replace(PROMISE, quiet_noise=False)
LINTED = replace(PROMISE, lint={"AUD-2": "mute", "TOOL-3": "tools", "DUR-2": "too long"})

UNHEARD: dict[str, Any] = {"code": Code.NO_ANSWER, "outcome": Outcome.CANCELLED}
"""No answer to what the caller's own line has swallowed."""


def up(number: int = 1) -> Session:
    return Session(number).up()


def barge_in(session: Session, t_s: float, *, late_s: float | None = 0.4, **more: object) -> Session:
    session.mark(t_s, Mark.SPEECH_START).mark(t_s, Mark.BARGE_IN).mark(t_s + 0.4, Mark.SILENCED)
    barge_in_ns = None if late_s is None else ns(late_s)
    return session.turn(t_s, t_s + 3, kind="barge_in", barge_in_ns=barge_in_ns, censored=late_s is None, **more)


def barge_in_and_phrases(*, phrases: int, said: int) -> Session:
    session = up().say(1)
    session.mark(4, Mark.SPEECH_START).mark(4, Mark.BARGE_IN)
    for number in range(phrases):
        session.mark(6, Mark.PHRASE_STARTED, digest=f"new {number}")
    for _ in range(said):
        session.transcript(6, Mark.AVATAR_TRANSCRIPT)
    return session.mark(8, Mark.LAST_AUDIO).turn(4, 8, kind="barge_in", barge_in_ns=ns(0.3)).talked(9)


def twice_and_interrupted(*, apart_s: float) -> Session:
    session = up().mark(1, Mark.SPEECH_START).mark(2, Mark.SPEECH_END).mark(2.5, Mark.PHRASE_STARTED, digest="p")
    for t_s in (2.5, 2.5 + apart_s):
        session.transcript(t_s, Mark.AVATAR_TRANSCRIPT, digest="its words")
    return barge_in(session.turn(1, 5), 5).talked(9).over(10)


def noise(number: int, *, silent_after_s: float | None) -> Session:
    session = up(number).mark(2, Mark.SPEECH_START)
    if silent_after_s is None:
        return session.turn(2, 3, kind="ignore")
    return session.mark(2 + silent_after_s, Mark.SILENCED).turn(2, 3, kind="ignore", code=Code.STOPPED_BY_NOISE)


def startled(number: int) -> Session:
    """It ended at once and began again, too soon for anybody to hear it; told twice, the answer fails by that."""
    session = up(number).mark(2, Mark.SPEECH_START).mark(2.01, Mark.AVATAR_ENDED).mark(2.1, Mark.AVATAR_STARTED)
    return session.turn(2, 3, kind="ignore", code=Code.ANSWERED_TWICE, went_on=True)


def refused(number: int) -> Session:
    return Session(number).minted().step(Step.CREATE, 0.1, 5.0, code=Code.RATE_LIMITED, http_status=429)


def denied(number: int, *statuses: int) -> Session:
    session = up(number)
    for attempt, status in enumerate(statuses, 1):
        session.deleted(5 + attempt, status=status, attempt=attempt)
    return session if is_deleted(statuses[-1]) else session.left(5 + len(statuses))


Row = tuple[str, str, tuple[int, int], Callable[[], list[Session]], Promise]


def row(
    rule: str,
    what: str,
    expected: tuple[int, int],
    make: Callable[[], Session | list[Session]],
    promise: Promise = PROMISE,
) -> Row:
    def sessions() -> list[Session]:
        made = make()
        return made if isinstance(made, list) else [made]

    return rule, what, expected, sessions, promise


ROWS = [
    row("EXP-2", "talks on after the expiry", KEPT, lambda: Session().up(lives_s=10, ttl_s=10).say(15)),
    row("EXP-2", "ends at the expiry", BROKEN, lambda: Session().up(lives_s=10, ttl_s=10).mark(10.3, Mark.ROOM_ENDED)),
    row("EXP-2", "ends long before it", NOTHING, lambda: Session().up(lives_s=10, ttl_s=10).mark(5, Mark.ROOM_ENDED)),
    row("EXP-2", "ends with it, at max_duration", NOTHING, lambda: Session().up(lives_s=100, ttl_s=100).mark(
        100.4, Mark.ROOM_ENDED)),
    row("EXP-2", "is told an error at that moment", NOTHING, lambda: Session().up(lives_s=10, ttl_s=10).mark(
        10, Mark.SESSION_ERROR, well_formed=True).mark(10.1, Mark.ROOM_ENDED)),
    row("EXP-3", "as asked for", KEPT, lambda: Session().minted(lives_s=600)),
    row("EXP-3", "4 s less is within the tolerance", KEPT, lambda: Session().minted(lives_s=596)),
    row("EXP-3", "a minute instead of ten", BROKEN, lambda: Session().minted(lives_s=60)),
    row("EXP-3", "our wrong clock doesn't matter where the provider tells its own", KEPT,
        lambda: Session().minted(lives_s=600 + 900, provider_s=1_790_000_000 + 900)),
    row("EXP-3", "without its clock a slow mint is no breach", KEPT,
        lambda: Session().minted(9.0, lives_s=591, provider_s=None)),
    row("EXP-3", "a refused mint", NOTHING, lambda: Session().step(Step.MINT, 0, 1, code=Code.RATE_LIMITED)),
    row("EXP-3", "an answer without expires_at in seconds", BROKEN, lambda: Session().step(
        Step.MINT, 0, 1, code=Code.BAD_SHAPE, detail="the mint's expires_at is missing", field="expires_at")),
    row("EXP-3", "an answer that could not be read", NOTHING, lambda: Session().step(
        Step.MINT, 0, 1, code=Code.BAD_SHAPE, http_status=200)),
    row("EXP-5", "its own secret", (2, 0), lambda: [up(1), up(2)]),
    row("EXP-5", "the secret of another", (2, 1), lambda: [Session(1).up(secret="x"), Session(2).up(secret="x")]),
    row("EXP-5", "an old secret", BROKEN, lambda: Session().minted().step(Step.CREATE, 90, 91)),
    row("EXP-5", "no create", NOTHING, lambda: Session().minted()),
    row("EXP-8", "up in time", KEPT, up),
    row("EXP-8", "up late", BROKEN, lambda: Session().up(9.5, ttl_s=10, lives_s=10)),
    row("EXP-8", "up on a secret that had expired when it was handed out", BROKEN, lambda: Session().up(lives_s=-30)),
    row("EXP-8", "up on one that expired in that second", BROKEN, lambda: Session().up(lives_s=0)),
    row("EXP-8", "nobody knows how long it lives", NOTHING, lambda: Session().minted(
        lives_s=60, provider_s=None).step(Step.CONNECT, 0.2, 1)),
    row("EXP-8", "never up", NOTHING, lambda: Session().minted().step(Step.CONNECT, 0, 9, code=Code.TIMEOUT)),
    row("TD-1", "gone at once", KEPT, lambda: up().deleted(5).looked(5.2, deleted_s=5)),
    row("TD-1", "still alive", BROKEN, lambda: up().deleted(5).looked(10, Gone.STILL_ALIVE, deleted_s=5)),
    row("TD-1", "the look showed nothing", NOTHING, lambda: up().deleted(5).looked(
        10, Gone.UNCONFIRMED, deleted_s=5)),
    row("TD-1", "a look that was answered late", NOTHING, lambda: up().deleted(5).looked(12, deleted_s=5)),
    row("TD-1", "most deletes are denied", (3, 3), lambda: [denied(n, 500, 500, 500) for n in range(3)]),
    row("TD-1", "most deletes are denied, with the right key", (3, 3), lambda: [denied(n, 403) for n in range(3)]),
    row("TD-1", "most deletes are denied and done", (3, 3), lambda: [denied(n, 500, 404) for n in range(3)]),
    row("TD-1", "some deletes are denied", (4, 0), lambda: [denied(n, 500, 500, 500) for n in range(3)] + [
        up(n).deleted(5).looked(5.2, deleted_s=5) for n in range(3, 7)]),
    row("TD-1", "denied at first, done then", NOTHING, lambda: [denied(n, 500, 200) for n in range(3)]),
    row("TD-1", "busy five times, done then", NOTHING, lambda: [denied(n, *[409] * 5, 204) for n in range(3)]),
    row("TD-1", "a gateway says no", NOTHING, lambda: [denied(n, 503, 503, 503) for n in range(3)]),
    row("TD-2", "had ended before its delete", BROKEN, lambda: up().say(1).talked(4).deleted(4.1, status=404).over(
        4.2)),
    row("TD-2", "its delete found nothing, and it lives", NOTHING, lambda: up().say(1).talked(4).deleted(
        4.1, status=404).looked(9, Gone.STILL_ALIVE, deleted_s=4.1).over(9.1)),
    row("TD-2", "over before, as its last turn shows", NOTHING, lambda: up().turn(1, 9, code=Code.NO_ANSWER).talked(
        9.1).deleted(9.2, status=404).over(9.3)),
    row("TD-2", "over before, as a turn may show", NOTHING, lambda: up().turn(1, 9, **UNHEARD).talked(9.1).deleted(
        9.2, status=404).over(9.3)),
    row("TD-2", "the room had shown its end", NOTHING, lambda: up().mark(3, Mark.ROOM_ENDED).talked(3).deleted(
        4, status=404).over(5)),
    row("TD-2", "deleted after the absence", NOTHING, lambda: up().say(1).talked(4).deleted(40, status=404).over(41)),
    row("TD-2", "a repeated delete", NOTHING, lambda: up().say(1).talked(4).deleted(4.1, status=404, attempt=2).over(
        5)),
    row("TD-3b", "there after user_absent_timeout", KEPT, lambda: up().say(36)),
    row("TD-3b", "ends as if nobody had come", BROKEN, lambda: up().mark(30.3, Mark.ROOM_ENDED)),
    row("TD-3b", "ends at another time", NOTHING, lambda: up().mark(20, Mark.ROOM_ENDED)),
    row("TD-4", "ends at max_duration", KEPT, lambda: up().mark(100.4, Mark.ROOM_ENDED)),
    row("TD-4", "talks on after it", BROKEN, lambda: up().say(115)),
    row("TD-4", "shorter than that", NOTHING, lambda: up().say(10).talked(14)),
    row("TD-5", "dead after its end", KEPT, lambda: up().deleted(5).looked(5.1, deleted_s=5)),
    row("TD-5", "ended, and its token is good", BROKEN, lambda: up().deleted(5, status=410).looked(
        9, Gone.STILL_ALIVE, deleted_s=5)),
    row("TD-5", "alive, as TD-1 says", NOTHING, lambda: up().deleted(5).looked(9, Gone.STILL_ALIVE, deleted_s=5)),
    row("TD-6", "a delete finds nothing", KEPT, lambda: up().mark(4, Mark.ROOM_ENDED).deleted(5, status=404)),
    row("TD-6", "a delete of an ended session fails for good", BROKEN, lambda: up().mark(4, Mark.ROOM_ENDED).deleted(
        5, status=500, attempt=3, code=Code.HTTP_5XX)),
    row("TD-6", "a delete of a living one fails", NOTHING, lambda: up().deleted(5, status=503, attempt=3,
                                                                              code=Code.HTTP_5XX)),
    row("DUR-1", "an answer after an hour", KEPT, lambda: up().say(3700)),
    row("DUR-1", "a room without answers after an hour", BROKEN, lambda: up().turn(3700, 3710, code=Code.NO_ANSWER)),
    row("DUR-1", "nobody may have heard the user", NOTHING, lambda: up().turn(3700, 3710, **UNHEARD)),
    row("DUR-1", "no answer in the first hour", NOTHING, lambda: up().turn(370, 380, code=Code.NO_ANSWER)),
    row("DUR-2", "settings that ask for more", KEPT, up, LINTED),
    row("DUR-2", "settings that don't", NOTHING, up),
    row("TR-1", "on, and there", KEPT, lambda: up().say(1).talked(5).over(6)),
    row("TR-1", "on, and overdue", BROKEN, lambda: up().say(1).say(4, heard=0).talked(20).over(21)),
    row("TR-1", "on, and perhaps only late", NOTHING, lambda: up().say(1, heard=0).talked(4).over(5)),
    row("TR-1", "on, and in ten sessions never one", (10, 10), lambda: [
        up(n).say(1, heard=0).talked(6).over(7) for n in range(10)]),
    row("TR-1", "on, and in ten sessions only one", (1, 0), lambda: [up(99).say(1).talked(6).over(7)] + [
        up(n).say(1, heard=0).talked(6).over(7) for n in range(10)]),
    row("TR-1", "on, and twice each time", (2, 2), lambda: [up(n).say(1, heard=2).talked(6).over(7) for n in (1, 2)]),
    row("TR-1", "on, and twice in one session of three", (2, 0), lambda: [up(9).say(1, heard=2).talked(6).over(7)] + [
        up(n).say(1).talked(6).over(7) for n in (1, 2)]),
    row("TR-1", "off, and none", KEPT, lambda: up().say(1, heard=0).talked(5).over(6), OFF),
    row("TR-1", "off, and there", BROKEN, lambda: up().say(1).talked(5).over(6), OFF),
    row("TR-2", "one for each phrase", (2, 0), lambda: up().say(1, phrases=2, said=2).say(5).talked(9).over(10)),
    row("TR-2", "twice", BROKEN, lambda: up().say(1, said=2).talked(5).over(6)),
    row("TR-2", "none", BROKEN, lambda: up().say(1, said=0).talked(5).over(6)),
    row("TR-2", "one that is late comes in the next turn", (1, 0), lambda: up().say(1, said=0).say(5, said=2).talked(
        9).over(10)),
    row("TR-2", "none in a session that was cut off", NOTHING, lambda: up().say(1, said=0).over(6, Outcome.CANCELLED)),
    row("TR-2", "an interrupted answer", NOTHING, lambda: barge_in(up(), 1).talked(5).over(6)),
    row("TR-2", "an answer after a barge-in", (2, 0), lambda: barge_in_and_phrases(phrases=1, said=1).over(10)),
    row("TR-2", "twice in an interrupted answer", BROKEN, lambda: twice_and_interrupted(apart_s=0.1)),
    row("TR-2", "the same words in two answers", NOTHING, lambda: twice_and_interrupted(apart_s=2)),
    row("TR-3", "both in a turn", KEPT, lambda: up().say(1)),
    row("TR-3", "one in a turn", NOTHING, lambda: up().say(1, heard=0)),
    row("TR-4", "told", KEPT, lambda: up().mark(1, Mark.TRANSCRIPT_FAILED, well_formed=True, stamped_s=1.0)),
    row("TR-4", "swallowed among others", BROKEN, lambda: [up(1).say(1).talked(5).over(6),
                                                          up(2).say(1, heard=0).talked(20).over(21)]),
    row("TR-4", "no transcripts at all", NOTHING, lambda: up().say(1, heard=0).talked(20).over(21)),
    row("TR-5", "in seconds", KEPT, lambda: up().transcript(1, Mark.AVATAR_TRANSCRIPT)),
    row("TR-5", "in milliseconds", BROKEN, lambda: up().transcript(1, Mark.AVATAR_TRANSCRIPT, stamped_s=1.79e12)),
    row("TR-5", "five minutes off", BROKEN, lambda: up().transcript(1, Mark.AVATAR_TRANSCRIPT, skew_s=-300)),
    row("TR-5", "five minutes off, as its secret's expiry is: our clock", KEPT, lambda: Session().minted(
        lives_s=300, provider_s=None).transcript(1, Mark.AVATAR_TRANSCRIPT, skew_s=-300)),
    row("TR-5", "a text", BROKEN, lambda: up().transcript(1, Mark.AVATAR_TRANSCRIPT, well_formed=False,
                                                         stamped_s=None)),
    row("TR-5", "backwards", (2, 1), lambda: up().transcript(1, Mark.AVATAR_TRANSCRIPT).transcript(
        2, Mark.AVATAR_TRANSCRIPT, skew_s=-2)),
    row("TR-5", "backwards of another kind", (2, 0), lambda: up().transcript(1, Mark.AVATAR_TRANSCRIPT).transcript(
        2, Mark.USER_TRANSCRIPT, skew_s=-2)),
    row("TR-5", "a journal that doesn't say", NOTHING, lambda: up().mark(1, Mark.AVATAR_TRANSCRIPT)),
    row("TR-6", "an interrupted answer", KEPT, lambda: barge_in(up().say(1), 4)),
    row("TR-6", "no answer", NOTHING, lambda: barge_in(up(), 4)),
    row("TR-7", "its own", KEPT, lambda: up().say(1).talked(5)),
    row("TR-7", "nothing to compare", NOTHING, lambda: up().say(1, said=0).talked(5)),
    row("INT-1", "silent soon", KEPT, lambda: barge_in(up(), 1)),
    row("INT-1", "silent late", BROKEN, lambda: barge_in(up(), 1, late_s=1.3)),
    row("INT-1", "late by our own lag", KEPT, lambda: barge_in(up(), 1, late_s=1.3, lag_ns=ns(0.5))),
    row("INT-1", "never silent", BROKEN, lambda: barge_in(up(), 1, late_s=None, code=Code.NOT_SILENCED)),
    row("INT-1", "the answer was over", NOTHING, lambda: up().turn(1, 2, kind="barge_in", outcome=Outcome.CANCELLED)),
    row("INT-2", "silent soon", KEPT, lambda: barge_in(up().say(1), 4)),
    row("INT-2", "silent late", BROKEN, lambda: barge_in(up().say(1), 4, late_s=1.3)),
    row("INT-2", "not yet generated", NOTHING, lambda: barge_in(up().say(1, said=0), 4, late_s=1.3)),
    row("INT-3", "a phrase with its transcript", KEPT, lambda: barge_in_and_phrases(phrases=1, said=1)),
    row("INT-3", "one more than that", BROKEN, lambda: barge_in_and_phrases(phrases=2, said=1)),
    row("INT-3", "one more, and other answers lack transcripts too", (0, 0), lambda: [up(2).say(
        1, said=0).say(5, said=0).talked(9), barge_in_and_phrases(phrases=2, said=1)]),
    row("INT-3", "the old phrase begins again", BROKEN, lambda: up().mark(1, Mark.PHRASE_STARTED, digest="old").mark(
        2, Mark.BARGE_IN).mark(4, Mark.PHRASE_STARTED, digest="old")),
    row("INT-3", "no transcripts", NOTHING, lambda: barge_in_and_phrases(phrases=2, said=0)),
    row("INT-4", "start and end", KEPT, lambda: up().say(1)),
    row("INT-4", "two starts", BROKEN, lambda: up().mark(1, Mark.AVATAR_STARTED).mark(3, Mark.AVATAR_STARTED)),
    row("INT-4", "a start, and the run ends", NOTHING, lambda: up().mark(1, Mark.AVATAR_STARTED).over(2)),
    row("INT-5", "goes on", KEPT, lambda: noise(1, silent_after_s=None)),
    row("INT-5", "stops at once", (2, 2), lambda: [noise(n, silent_after_s=0.1) for n in (1, 2)]),
    row("INT-5", "one of many that ends by itself", (3, 0), lambda: [noise(9, silent_after_s=0.1)] + [
        noise(n, silent_after_s=None) for n in (1, 2, 3)]),
    row("INT-5", "is ended at once and begins again", (2, 2), lambda: [startled(n) for n in (1, 2)]),
    row("INT-5", "ends later", NOTHING, lambda: [noise(n, silent_after_s=0.9) for n in (1, 2)]),
    row("INT-5", "a noise that may be speech", NOTHING, lambda: [noise(n, silent_after_s=0.1) for n in (1, 2)],
        LOUD_NOISE),
    row("AUD-2", "sound settings", KEPT, up),
    row("AUD-2", "mute settings", BROKEN, up, LINTED),
    row("AUD-3", "together", KEPT, lambda: up().say(1)),
    row("AUD-3", "early", BROKEN, lambda: up().mark(1, Mark.SPEECH_START).mark(2, Mark.SPEECH_END).mark(
        2.5, Mark.AVATAR_STARTED).mark(3.2, Mark.FIRST_AUDIO).turn(1, 4)),
    row("AUD-3", "not announced so far", NOTHING, lambda: up().mark(1, Mark.SPEECH_START).mark(2, Mark.SPEECH_END).mark(
        3.2, Mark.FIRST_AUDIO).turn(1, 4)),
    row("AUD-3", "heard to its end, not announced", BROKEN, lambda: up().mark(1, Mark.SPEECH_START).mark(
        2, Mark.SPEECH_END).mark(3.2, Mark.FIRST_AUDIO).mark(3.9, Mark.LAST_AUDIO).turn(1, 4)),
    row("AUD-3", "announced before the user spoke, and not ended", NOTHING, lambda: up().mark(
        0.9, Mark.AVATAR_STARTED).mark(1, Mark.SPEECH_START).mark(2, Mark.SPEECH_END).mark(3.2, Mark.FIRST_AUDIO).mark(
        3.9, Mark.LAST_AUDIO).turn(1, 4)),
    row("TOOL-1", "tools, and no call to be seen", KEPT, lambda: up().say(1).over(5), TOOLS),
    row("TOOL-1", "a call", BROKEN, lambda: up().mark(1, Mark.TOOL_DATA).mark(2, Mark.TOOL_DATA).over(5)),
    row("TOOL-1", "no tools", NOTHING, lambda: up().say(1).over(5)),
    row("TOOL-2", "one that may not have been heard", NOTHING, lambda: up().turn(1, 5, **UNHEARD), TOOLS),
    row("TOOL-2", "a dead turn", KEPT, lambda: up().turn(1, 5, code=Code.NO_ANSWER), TOOLS),
    row("TOOL-2", "an answer", BROKEN, lambda: up().say(1), TOOLS),
    row("TOOL-2", "a call that may be announced", NOTHING, lambda: up().say(1), replace(TOOLS, announces_calls=True)),
    row("TOOL-2", "tools that need not be used", NOTHING, lambda: up().say(1), replace(TOOLS, forces_tool=False)),
    row("TOOL-3", "none", KEPT, up),
    row("TOOL-3", "some", BROKEN, up, LINTED),
    row("GA-3", "nested", KEPT, lambda: up().mark(1, Mark.SESSION_ERROR, well_formed=True)),
    row("GA-3", "flat", BROKEN, lambda: up().mark(1, Mark.SESSION_ERROR, well_formed=False)),
    row("GA-3", "no error", NOTHING, up),
    row("ERR-2", "no answer, no latency", KEPT, lambda: up().turn(1, 9, code=Code.NO_ANSWER)),
    row("ERR-2", "no answer, but a latency", BROKEN, lambda: up().turn(1, 9, code=Code.NO_ANSWER, first_audio_ns=1)),
    row("ERR-2", "an answer", NOTHING, lambda: up().say(1)),
    row("ERR-3", "told", KEPT, lambda: Session().mark(1, Mark.JOINED).mark(2, Mark.SESSION_ERROR).step(
        Step.CONNECT, 0, 3, code=Code.INTERNAL_ERROR)),
    row("ERR-3", "silence", BROKEN, lambda: Session().mark(1, Mark.JOINED).step(Step.CONNECT, 0, 20,
                                                                               code=Code.TIMEOUT)),
    row("ERR-3", "never in the room", NOTHING, lambda: Session().step(Step.CONNECT, 0, 20, code=Code.TIMEOUT)),
    row("LIM-1", "refused, and nobody suffers", KEPT, lambda: [up(1), up(2), refused(3)]),
    row("LIM-1", "refused in its room", KEPT, lambda: [up(1), up(2), Session(3).minted().created(0.2).step(
        Step.CONNECT, 0.2, 1, code=Code.LIMITS_EXCEEDED)]),
    row("LIM-1", "a room that fails otherwise", NOTHING, lambda: Session().minted().created(0.2).step(
        Step.CONNECT, 0.2, 1, code=Code.INTERNAL_ERROR)),
    row("LIM-1", "a create that fails otherwise", NOTHING, lambda: Session().step(
        Step.CREATE, 0, 1, code=Code.HTTP_5XX, http_status=503)),
    row("LIM-2", "refused once", KEPT, lambda: Session().step(Step.MINT, 0, 1, code=Code.RATE_LIMITED)),
    row("LIM-2", "minted again", (2, 1), lambda: Session().step(Step.MINT, 0, 1, code=Code.QUOTA).step(
        Step.MINT, 1, 2)),
    row("LIM-2", "no refusal", NOTHING, up),
    row("SEC-1", "a clean text", KEPT, lambda: up().turn(1, 2, code=Code.NO_ANSWER, detail="nothing")),
    row("SEC-1", "a key in a text", BROKEN, lambda: up().turn(1, 2, code=Code.NO_ANSWER, detail="sk-abcdefgh")),
    row("SEC-1", "no texts", NOTHING, lambda: up().say(1)),
    row("SEC-2", "answers with nothing of it", (3, 0), lambda: up().over(9, answers_searched=3)),
    row("SEC-2", "an answer with the token", (3, 1), lambda: up().gives_back(2).over(9, answers_searched=2)),
    row("SEC-2", "a journal of before it was looked for", NOTHING, lambda: up().over(9)),
    row("SDK-1", "settles", KEPT, up),
    row("SDK-1", "fails in time", KEPT, lambda: Session().step(
        Step.CONNECT, 0, 1, code=Code.NOT_FOUND, http_status=404)),
    row("SDK-1", "answered, and its room was not reached", KEPT, lambda: Session().mark(0.3, Mark.SDK_SESSION).step(
        Step.CONNECT, 0, 20, code=Code.TIMEOUT, http_status=200)),
    *(row("SDK-1", f"not answered: {code}", NOTHING, lambda code=code: Session().step(Step.CONNECT, 0, 1, code=code))
      for code in (Code.CONNECT_FAILED, Code.CONNECTION_LOST, Code.BAD_SHAPE, Code.OPEN_FILES)),
    row("SDK-1", "hangs", BROKEN, lambda: Session().step(Step.CONNECT, 0, 20, code=Code.TIMEOUT)),
    row("SDK-1", "cancelled", NOTHING, lambda: Session().step(Step.CONNECT, 0, 9, outcome=Outcome.CANCELLED)),
    row("SDK-2", "the room ends", KEPT, lambda: up().mark(5, Mark.ROOM_ENDED)),
    row("SDK-2", "only silence", BROKEN, lambda: up().talked(9, code=Code.MEDIA_STALLED).deleted(9, status=404)),
    row("SDK-2", "its last turn unanswered", BROKEN, lambda: up().turn(1, 9, code=Code.NO_ANSWER).talked(9.1).deleted(
        9.2, status=404)),
    row("SDK-2", "its last turn may not have been heard", NOTHING, lambda: up().turn(1, 9, **UNHEARD).talked(
        9.1).deleted(9.2, status=404)),
    row("SDK-2", "an unanswered turn before the last", NOTHING, lambda: up().turn(1, 9, code=Code.NO_ANSWER).say(
        10).talked(14).deleted(14.1, status=404)),
    row("SDK-2", "silence, but alive", NOTHING, lambda: up().talked(9, code=Code.MEDIA_STALLED).deleted(9)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected", "make", "promise"),
    [(rule, expected, make, promise) for rule, _, expected, make, promise in ROWS],
    ids=[f"{rule}: {what}" for rule, what, *_ in ROWS],
)
def test_a_rule_counts_what_could_be_observed(
    rule: str, expected: tuple[int, int], make: Callable[[], list[Session]], promise: Promise
) -> None:
    sessions = make()

    tally = judged(rule, *sessions, promise=promise)

    assert counts(tally) == expected
    assert len(tally.evidence) == len(set(tally.evidence))
    if tally.violations:
        assert set(tally.evidence) <= {session.id for session in sessions}
        assert tally.evidence
        assert tally.notes[0]


def test_every_fold_is_seen_kept_broken_and_without_a_case() -> None:
    shown = {
        rule: {(cases > violations, violations > 0) for other, _, (cases, violations), *_ in ROWS if other == rule}
        for rule in {fold.rule for fold in FOLDS}
    }
    never_kept = {"TD-2"}  # that we could delete at once doesn't show that the session would have lived on
    never_broken = {"DUR-2", "TR-3", "TR-6"}  # only told
    among_others = {"TR-7", "LIM-1"}  # breaches take several sessions at a time: test_rulebook
    for rule, outcomes in shown.items():
        assert rule in {"AUD-2", "TOOL-3"} or (False, False) in outcomes, rule
        assert rule in never_kept or any(kept for kept, _ in outcomes), rule
        assert rule in never_broken | among_others or any(broken for _, broken in outcomes), rule
