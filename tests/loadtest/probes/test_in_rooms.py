"""What a probe makes of a stay in a room that was not as it should be."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Mark
from loadtest.probes.active_checks import sound, termination, timers, transcripts
from loadtest.probes.active_checks.interruption import unannounced_s
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.reference import Spoken
from loadtest.probes.bench.subject import Subject
from loadtest.probes.bench.visit import Visit
from loadtest.probes.bench.wire import Answer
from loadtest.rooms.app_messages import ENDED, OF_AVATAR, OF_USER, PHRASE_STARTED, STARTED, translated
from loadtest.system.clock import now_ns
from loadtest.twin.pcm import tone
from tests.loadtest.fakes import FakeControl, FakeRoom, forever
from tests.loadtest.probes.doubles import TICKET, answer, findings, ground

S = 1_000_000_000


async def _nothing(_bench: Bench) -> None:
    raise AssertionError("not to be run")


def seen(
    scene: Callable[[Bench, Subject, Visit], Awaitable[object]], room: FakeRoom | None = None, **settings: Any
) -> set[str]:
    """Findings, as "rule outcome", of a scene with a session and somebody's stay in its room."""
    events: list[Event] = []

    async def play() -> None:
        around = ground(FakeControl(), events, room=room, **settings)
        on = Bench(around, TICKET, Probe(rules=("TD-3",), run=_nothing), scale=1.0)
        async with on.subject() as subject:
            await subject.new()
            await scene(on, subject, Visit(subject.record))

    asyncio.run(play())
    return {f"{rule} {outcome}" for rule, outcome in findings(events)}


class ShutRoom(FakeRoom):
    """Whoever comes is shown out at once."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self._why = why

    async def connect(self) -> None:
        assert self.listener is not None
        self.listener.on_closed(now_ns(), StepError(Kind.TRANSPORT, Code.WS_CLOSED, self._why))


async def locked(bench: Bench, subject: Subject, _visit: Visit) -> None:
    assert await timers._is_locked(bench, subject, "TD-3")


async def not_locked(bench: Bench, subject: Subject, _visit: Visit) -> None:
    assert not await timers._is_locked(bench, subject, "TD-3")


def test_a_good_token_of_a_room_that_is_shut_is_a_dead_sessions_and_not_one_that_lives_on() -> None:
    assert seen(locked, ShutRoom("the room closed: 4410 session ended")) == {"TD-5 fail", "TD-3 not_tested"}


def test_a_room_that_lets_its_user_in_is_alive_and_one_that_was_not_reached_says_nothing() -> None:
    assert seen(not_locked, FakeRoom()) == set()
    assert seen(not_locked, ShutRoom("the room closed: 1006 connection lost")) == set()


@pytest.mark.parametrize(
    ("told", "extra_s"),
    [
        ([(11.0, STARTED), (13.0, ENDED)], 2.0),  # heard from 11.1 to 15.1
        ([(10.2, STARTED), (14.2, ENDED)], 0.0),  # both are early: that is AUD-3
        ([(11.0, STARTED), (15.2, ENDED)], 0.0),
        ([(12.1, STARTED), (15.2, ENDED)], 0.0),  # only the beginning is told late: AUD-3, too
        ([(6.0, STARTED), (11.0, STARTED), (13.0, ENDED)], 0.0),  # the end of the answer before: INT-4
        ([(6.0, STARTED), (9.0, ENDED), (11.0, STARTED), (13.0, ENDED)], 2.0),
        ([(11.0, STARTED)], 0.0),  # INT-4
        ([(11.0, STARTED), (11.2, STARTED), (13.0, ENDED)], 0.0),
    ],
)
def test_what_is_heard_after_the_announced_end_of_an_answer_is_measured_against_its_announced_beginning(
    told: list[tuple[float, str]], extra_s: float
) -> None:
    async def scene(_bench: Bench, _subject: Subject, visit: Visit) -> None:
        for t_s, kind in told:
            visit.on_message(int(t_s * S), translated({"type": kind}))
        assert unannounced_s(visit, int(11.1 * S), int(15.1 * S)) == pytest.approx(extra_s)

    assert seen(scene) == set()


def test_an_answer_that_was_told_and_not_heard_is_a_broken_sound() -> None:
    spoken = Spoken(pcm=bytes(48_000), text="well")

    async def told(bench: Bench, subject: Subject, visit: Visit) -> None:
        visit.on_message(1 * S, translated({"type": STARTED}))
        visit.on_message(2 * S, translated({"type": ENDED}))
        sound._judge_unheard(bench, subject, visit, spoken)

    async def interrupted(bench: Bench, subject: Subject, visit: Visit) -> None:
        visit.on_message(1 * S, translated({"type": STARTED}))
        visit.on_message(1 * S + 20_000_000, translated({"type": ENDED}))
        with pytest.raises(NotTestedError, match="did not answer"):
            sound._judge_unheard(bench, subject, visit, spoken)

    assert seen(told) == {"AUD-1 fail"}
    assert seen(interrupted) == set()


@pytest.mark.parametrize(
    ("texts", "at_openai", "expected"),
    [
        (["", " ", ""], "failed", {"TR-4 fail", "TR-1 not_tested"}),
        (["", "", ""], "completed", {"TR-1 pass"}),
        (["so", "and", "so"], "failed", {"TR-1 pass"}),
        (["transcription-failed"] * 3, "failed", {"TR-4 pass", "TR-1 pass"}),
        (["so", "and", "so", "so"], "completed", {"TR-1 fail"}),
    ],
)
def test_an_empty_text_is_no_way_to_tell_that_a_transcription_failed(
    monkeypatch: pytest.MonkeyPatch, texts: list[str], at_openai: str, expected: set[str]
) -> None:
    async def by_openai(_bench: Bench, _subject: Subject) -> str:
        return at_openai

    monkeypatch.setattr(transcripts, "_transcribed_by_openai", by_openai)

    async def scene(bench: Bench, subject: Subject, visit: Visit) -> None:
        for text in texts:
            visit.on_message(1, translated({"type": OF_USER, "transcript": text, "timestamp": 1.0}))
        await transcripts._judge_transcription(bench, subject, visit, [])

    assert seen(scene) == expected


@pytest.mark.parametrize(
    ("late_s", "expected"), [((1, 2, 3), {"TR-1 pass"}), ((9.9, 9.9, 9.9), {"TR-1 pass"}), ((1, 15, 1), {"TR-1 fail"})]
)
def test_a_transcript_that_comes_too_late_is_a_missing_one(late_s: tuple[float, ...], expected: set[str]) -> None:
    said_s = (10, 20, 30)

    async def scene(bench: Bench, subject: Subject, visit: Visit) -> None:
        for end_s, late in zip(said_s, late_s, strict=True):
            visit.on_message(
                int((end_s + late) * S), translated({"type": OF_USER, "transcript": "so", "timestamp": 1.0})
            )
        await transcripts._judge_transcription(bench, subject, visit, [end_s * S for end_s in said_s])

    assert seen(scene) == expected


def test_an_avatar_that_speaks_or_spoke_after_that_moment_was_heard_then() -> None:
    async def scene(_bench: Bench, _subject: Subject, visit: Visit) -> None:
        assert not visit.spoke_at(0)
        visit.stretches.append([1 * S, 2 * S])
        assert (visit.spoke_at(2 * S), visit.spoke_at(3 * S)) == (True, False)
        visit.speaking = True
        assert visit.spoke_at(3 * S)

    assert seen(scene) == set()


class HangingRoom(FakeRoom):
    """Nothing comes of entering it."""

    async def connect(self) -> None:
        await forever()


@pytest.mark.parametrize(
    ("room", "finding"),
    [(FakeRoom(), "pass"), (ShutRoom("the room closed: 4403 full"), "pass"), (HangingRoom(), "fail")],
)
def test_a_room_that_is_entered_and_says_nothing_is_an_opening_that_hangs(room: FakeRoom, finding: str) -> None:
    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        await termination.opened(bench)

    assert seen(scene, room, target={"connect_timeout_s": 0.3}) == {f"SDK-1 {finding}"}


class RevolvingDoor(FakeRoom):
    """Who comes is shown the avatar, and then the door."""

    def __init__(self, *, from_visit: int) -> None:
        super().__init__()
        self._from, self._visits = from_visit, 0

    async def connect(self) -> None:
        assert self.listener is not None
        self._visits += 1
        self.listener.on_mark(now_ns(), Mark.JOINED)
        self.listener.on_mark(now_ns(), Mark.FIRST_FRAME)
        if self._visits >= self._from:
            why = StepError(Kind.TRANSPORT, Code.WS_CLOSED, "the room closed: 4403 only once")
            self.listener.on_closed(now_ns(), why)


@pytest.mark.parametrize(("from_visit", "finding"), [(2, "fail"), (3, "pass")])
def test_who_is_let_in_again_and_shown_out_at_once_has_not_come_back(from_visit: int, finding: str) -> None:
    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        bench.scale = 20
        await timers.left(bench)

    assert seen(scene, RevolvingDoor(from_visit=from_visit)) == {f"TD-2 {finding}"}


def test_a_room_that_closes_with_its_session_alive_shows_no_timer() -> None:
    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        with pytest.raises(NotTestedError, match="lived on"):
            await timers.back_again(bench)

    assert seen(scene, RevolvingDoor(from_visit=1)) == set()


@pytest.mark.parametrize(
    ("told", "answers", "finding"),
    [(3, 3, "pass"), (2, 3, "fail"), (6, 3, "fail"), (2, 2, "not_tested"), (3, 2, "not_tested"), (0, 2, "fail")],
)
def test_transcripts_of_answers_are_counted_also_where_one_turn_was_not_answered(
    told: int, answers: int, finding: str
) -> None:
    async def scene(bench: Bench, subject: Subject, visit: Visit) -> None:
        for number in range(told):
            visit.on_message(number, translated({"type": OF_AVATAR, "transcript": "well", "timestamp": 1.0}))
        transcripts._judge_answers(bench, subject, visit, answers, "with")

    assert seen(scene) == {f"TR-2 {finding}"}


@pytest.mark.parametrize(
    ("told", "phrases", "finding"),
    [(6, 6, "pass"), (5, 5, "pass"), (4, 4, "pass"), (6, 3, "fail"), (3, 6, "fail"), (3, 0, "pass")],
)
@pytest.mark.parametrize("kind", [STARTED, PHRASE_STARTED])
def test_an_answer_in_several_phrases_has_as_many_transcripts(told: int, phrases: int, finding: str, kind: str) -> None:
    async def scene(bench: Bench, subject: Subject, visit: Visit) -> None:
        for _ in range(phrases):
            visit.on_message(1, translated({"type": kind}))
        for _ in range(told):
            visit.on_message(1, translated({"type": OF_AVATAR, "transcript": "well", "timestamp": 1.0}))
        transcripts._judge_answers(bench, subject, visit, 3, "with")

    assert seen(scene) == {f"TR-2 {finding}"}


def looks_answered(bench: Bench, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sdk(*_args: object, **_more: object) -> Answer:
        return answer(status)

    monkeypatch.setattr(bench.wire, "sdk", sdk)


@pytest.mark.parametrize(("status", "end"), [(200, "alive"), (404, "over"), (429, "HTTP 429"), (500, "HTTP 500")])
def test_a_session_is_alive_or_over_only_where_a_look_has_shown_it(
    status: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(bench: Bench, subject: Subject, _visit: Visit) -> None:
        looks_answered(bench, status, monkeypatch)
        try:
            found = "alive" if await subject.end(limit_s=0, every_s=1) is None else "over"
        except StepError as error:
            found = error.detail.rpartition(": ")[2]
        assert found == end

    assert seen(scene) == set()


def test_a_session_that_nobody_joined_is_not_called_alive_by_a_look_that_was_throttled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timers, "UNSTARTED_S", -timers.ABSENCE_S)
    monkeypatch.setattr(timers, "START_UP_S", 0)

    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        looks_answered(bench, 429, monkeypatch)
        with pytest.raises(StepError, match="HTTP 429"):
            await timers.never_joined(bench)

    assert seen(scene, FakeRoom()) == set()


def test_a_room_that_closes_shows_no_timer_where_nobody_knows_of_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        looks_answered(bench, 500, monkeypatch)
        with pytest.raises(StepError, match="HTTP 500"):
            await timers.back_again(bench)

    assert seen(scene, RevolvingDoor(from_visit=1)) == set()


def test_a_silent_room_after_a_delete_in_speech_is_no_living_session_where_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GONE_WITHIN_S", "GRACE_S", "LEAVE_AFTER_S"):
        monkeypatch.setattr(termination, name, 0)

    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        visits = list[Visit]()

        async def speaks(visit: Visit, **_more: object) -> None:
            visit.speaking = True
            visits.append(visit)

        async def falls_silent(_subject: Subject) -> int:
            visits[0].speaking = False
            return now_ns()

        monkeypatch.setattr(bench, "answer_in", speaks)
        monkeypatch.setattr(Subject, "delete", falls_silent)
        looks_answered(bench, 503, monkeypatch)
        with pytest.raises(StepError, match="HTTP 503"):
            await termination.deleted_in_speech(bench)

    assert seen(scene, MuteRoom()) == set()


class MuteRoom(FakeRoom):
    """The avatar is there, and what is said to it is not answered."""

    async def connect(self) -> None:
        assert self.listener is not None
        self.listener.on_mark(now_ns(), Mark.JOINED)
        self.listener.on_mark(now_ns(), Mark.FIRST_FRAME)


def test_an_avatar_that_never_answered_is_no_victim_of_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unheard(*_args: object, **_more: object) -> None:
        return None

    monkeypatch.setattr(Visit, "ask", unheard)

    async def scene(bench: Bench, _subject: Subject, _visit: Visit) -> None:
        with pytest.raises(NotTestedError, match="before the cut"):
            await timers.openai_cut(bench)

    assert seen(scene, MuteRoom()) == set()


@pytest.mark.parametrize(
    ("heard_ms", "heard_hz", "gap_s", "finding"),
    [
        (1000, 440.0, 0.02, "pass"),
        (900, 440.0, 0.02, "fail"),
        (900, 440.0, 0.5, "not_tested"),  # a hole in our own speech may have cut the answer
        (1000, 220.0, 0.5, "fail"),  # no hole changes a pitch
    ],
)
def test_a_sound_is_judged_by_its_pitch_and_its_length(
    heard_ms: int, heard_hz: float, gap_s: float, finding: str
) -> None:
    async def scene(bench: Bench, subject: Subject, visit: Visit) -> None:
        visit.sound += tone(duration_ms=heard_ms, frequency_hz=heard_hz)
        visit.longest_gap_ns = int(gap_s * S)
        subject._visits.append(visit)
        sound._judge_heard(bench, subject, visit, Spoken(pcm=tone(duration_ms=1000), text="well"))

    assert seen(scene) == {f"AUD-1 {finding}"}


def test_two_answers_are_no_answer_that_is_too_long() -> None:
    async def scene(bench: Bench, subject: Subject, visit: Visit) -> None:
        for t_s in (1, 3):
            visit.on_message(t_s * S, translated({"type": STARTED}))
        visit.sound += tone(duration_ms=1500)
        sound._judge_heard(bench, subject, visit, Spoken(pcm=tone(duration_ms=1000), text="well"))

    assert seen(scene) == {"AUD-1 not_tested"}
