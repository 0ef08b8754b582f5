import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from loadtest.config.keys import scenario
from loadtest.config.keys.caller import Caller
from loadtest.config.promise import Manner
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Mark, Outcome, StepFinished
from loadtest.rooms.app_messages import translated
from loadtest.session import turns as turns_module
from loadtest.session.converse import Place, converse
from loadtest.session.hearing.conversation import Conversation
from loadtest.session.hearing.ear import QUIET_NS
from loadtest.session.line import CallersLine
from loadtest.session.ports import Listener
from loadtest.session.record import Record
from loadtest.session.turns import AnswerOverError, Heard, Turns, UndecidedError
from loadtest.sound.speech import FRAME_NS, SILENCE
from loadtest.system.clock import now_ns
from tests.loadtest.fakes import CLIP, LOUD_FRAME, FakeRoom

MS = 1_000_000
PLAN = scenario.Conversation(answer_timeout_s=0.3, answer_max_s=3)


def hear(listener: Listener, first_ns: int, *, loud: int, quiet_ns: int = QUIET_NS) -> int:
    """`loud` loud frames from `first_ns` on, then silence; returns when the last loud one ended."""
    t_ns = first_ns
    for _ in range(loud):
        listener.on_audio(t_ns, LOUD_FRAME)
        t_ns += FRAME_NS
    for quiet in range(0, quiet_ns + FRAME_NS, FRAME_NS):
        listener.on_audio(t_ns + quiet, SILENCE)
    return t_ns


def say(script: Callable[[Listener, int], Any], *, before: Callable[[Conversation], None] | None = None) -> Any:
    """What `say` returns or raises, and the marks, when `script(listener, t0)` plays once the user speaks."""
    marks: list[tuple[Mark, int]] = []

    async def scene() -> int:
        t0 = now_ns()
        talk = Conversation(observe=lambda t_ns, mark, _turn, _text, **_: marks.append((mark, t_ns - t0)))
        talk.on_audio(t0, SILENCE)
        if before is not None:
            before(talk)
        room = FakeRoom(on_speak=lambda listener: script(listener, t0))
        room.listener = talk
        heard = Heard()
        await Turns(talk=talk, room=room, plan=PLAN).say(CLIP, 0, heard, hear_out=True)
        assert heard.first_audio_ns is not None
        return heard.first_audio_ns

    try:
        return asyncio.run(scene()), marks
    except StepError as error:
        return error, marks


def test_time_to_first_audio_runs_from_the_last_voiced_frame_to_the_onset() -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0 + 100 * MS, Mark.SPEECH_END)
        hear(listener, t0 + 800 * MS, loud=10)
        listener.on_message(t0 + 1_000 * MS, translated({"type": "avatar_ended_speaking"}))

    first_audio_ns, marks = say(answer)
    assert first_audio_ns == 700 * MS
    assert (Mark.FIRST_AUDIO, 800 * MS) in marks
    assert (Mark.LAST_AUDIO, 980 * MS) in marks


def test_the_onset_is_where_the_sound_begins_inside_its_frame() -> None:
    half = SILENCE[: len(SILENCE) // 2] + LOUD_FRAME[len(SILENCE) // 2 :]

    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        listener.on_audio(t0 + 500 * MS, half)
        hear(listener, t0 + 520 * MS, loud=5)
        listener.on_message(t0 + 640 * MS, translated({"type": "avatar_ended_speaking"}))

    assert say(answer)[0] == 510 * MS


def test_a_single_loud_frame_is_a_click_and_no_answer() -> None:
    def click(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        hear(listener, t0 + 100 * MS, loud=1)

    error, _ = say(click)
    assert (error.kind, error.code) == (Kind.NO_RESPONSE, Code.NO_ANSWER)


def test_an_answer_into_the_users_sentence_is_answered_early_and_never_a_negative_number() -> None:
    def interrupt(listener: Listener, t0: int) -> None:
        hear(listener, t0 + 50 * MS, loud=5)
        listener.on_message(t0 + 200 * MS, translated({"type": "avatar_ended_speaking"}))
        listener.on_mark(t0 + 400 * MS, Mark.SPEECH_END)

    error, marks = say(interrupt)
    assert (error.kind, error.code) == (Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY)
    assert "350 ms" in error.detail
    assert (Mark.FIRST_AUDIO, 50 * MS) in marks


@pytest.mark.parametrize(
    ("frames_ms", "sent_lost", "whose"),
    [
        (tuple(range(20, 200, 20)), False, StepError),
        ((20, 110, 190), False, StepError),  # jitter
        ((20, 40, 190), False, UndecidedError),
        (tuple(range(20, 200, 20)), True, UndecidedError),
    ],
)
def test_an_early_answer_after_a_hole_in_the_line_says_nothing_about_anybody(
    frames_ms: tuple[int, ...], sent_lost: bool, whose: type[StepError]
) -> None:
    def interrupt(listener: Listener, t0: int) -> None:
        for at_ms in frames_ms:
            listener.on_audio(t0 + at_ms * MS, SILENCE)
        if sent_lost:
            listener.on_mark(t0, Mark.SENT_LOST)
        hear(listener, t0 + 200 * MS, loud=5)
        listener.on_message(t0 + 350 * MS, translated({"type": "avatar_ended_speaking"}))
        listener.on_mark(t0 + 400 * MS, Mark.SPEECH_END)

    error, _ = say(interrupt, before=Conversation.watch_line)
    assert type(error) is whose
    assert error.kind is Kind.ANSWERED_EARLY


def line_split(talk: Conversation) -> None:
    talk.on_mark(now_ns(), Mark.SENT_LOST)


def line_cut(talk: Conversation) -> None:
    talk.cut(now_ns())
    talk.on_mark(now_ns(), Mark.FIRST_FRAME)


@pytest.mark.parametrize("happened", [line_split, line_cut])
@pytest.mark.parametrize(("turns_since", "whose"), [(1, UndecidedError), (2, StepError)])
def test_the_answer_to_a_speech_that_the_line_has_split_or_that_it_was_cut_in_may_come_in_the_turn_after(
    turns_since: int, whose: type[StepError], happened: Callable[[Conversation], None]
) -> None:
    def split(talk: Conversation) -> None:
        talk.watch_line()
        happened(talk)
        for _ in range(turns_since):
            talk.watch_line()

    def interrupt(listener: Listener, t0: int) -> None:
        hear(listener, t0 + 50 * MS, loud=5)
        listener.on_message(t0 + 200 * MS, translated({"type": "avatar_ended_speaking"}))
        listener.on_mark(t0 + 400 * MS, Mark.SPEECH_END)

    error, _ = say(interrupt, before=split)
    assert type(error) is whose
    assert error.kind is Kind.ANSWERED_EARLY


@pytest.mark.parametrize("happened", [line_split, line_cut])
@pytest.mark.parametrize(("turns_since", "whose"), [(1, UndecidedError), (2, StepError)])
def test_such_an_answer_is_not_blamed_on_a_silent_turn(
    turns_since: int, whose: type[StepError], happened: Callable[[Conversation], None]
) -> None:
    async def scene() -> None:
        talk = Conversation(observe=lambda *_, **__: None)
        talk.begin(0, CLIP)
        hear(talk, now_ns() - 2_000 * MS, loud=5)
        talk.on_message(now_ns(), ENDED)
        happened(talk)
        for _ in range(turns_since):
            talk.watch_line()
        asyncio.get_running_loop().call_soon(lambda: on_line(talk, now_ns(), 2))
        with pytest.raises(StepError) as caught:
            await Turns(talk=talk, room=FakeRoom(), plan=PLAN).silence(5.0, 1)
        assert (type(caught.value), caught.value.code) == (whose, Code.SPOKE_UNASKED)
        assert talk.take_unasked() == (whose is StepError)

    asyncio.run(scene())


def test_a_turn_that_a_hole_has_made_early_is_cancelled_and_the_conversation_goes_on() -> None:
    def interrupt_once(listener: Listener) -> None:
        spoken.append(now_ns())
        t0 = spoken[-1]
        if len(spoken) == 1:
            listener.on_audio(t0 + 150 * MS, SILENCE)
        listener.on_mark(t0 + (400 if len(spoken) == 1 else 170) * MS, Mark.SPEECH_END)
        hear(listener, t0 + 200 * MS, loud=5)
        listener.on_message(t0 + 350 * MS, translated({"type": "avatar_ended_speaking"}))

    spoken: list[int] = []
    events: list[Event] = []

    async def scene() -> None:
        talk = Conversation(observe=lambda *_args, **_facts: None)
        talk.on_audio(now_ns(), SILENCE)
        room = FakeRoom(interrupt_once)
        room.listener = talk
        turns = (scenario.Say(kind="say"), scenario.Say(kind="say"))
        plan = PLAN.model_copy(update={"turns": turns, "think_min_s": 0, "think_max_s": 0})
        record = Record(emit=events.append, lag_ns=lambda: 0, scenario="test", purpose="load")
        clips = {"corpus:en": (CLIP,)}
        await converse(plan, talk, room, clips=clips, chance=random.Random(1), record=record, span="0" * 16)

    asyncio.run(scene())
    first, second = (event for event in events if isinstance(event, StepFinished))
    assert first.outcome is Outcome.CANCELLED
    assert first.failure is not None
    assert first.failure.kind is Kind.ANSWERED_EARLY
    assert (second.outcome, second.failure) == (Outcome.OK, None)


def test_a_conversation_that_was_cut_off_and_goes_on_still_fails_with_its_failed_turn() -> None:
    events: list[Event] = []

    async def scene() -> None:
        talk = Conversation(observe=lambda *_args, **_facts: None)
        talk.on_audio(now_ns(), SILENCE)
        room = FakeRoom(lambda listener: listener.on_mark(now_ns(), Mark.SPEECH_END))
        room.listener = talk
        turns = (scenario.Say(kind="say"), scenario.Pause(kind="pause", for_s=60))
        plan = PLAN.model_copy(update={"turns": turns, "think_min_s": 0, "think_max_s": 0, "answer_timeout_s": 0.01})
        has_failed, place = asyncio.Event(), Place()

        def emit(event: Event) -> None:
            events.append(event)
            has_failed.set()

        record = Record(emit=emit, lag_ns=lambda: 0, scenario="test", purpose="load")

        async def go_on() -> None:
            clips, chance = {"corpus:en": (CLIP,)}, random.Random(1)
            await converse(plan, talk, room, clips=clips, chance=chance, record=record, span="0" * 16, place=place)

        first = asyncio.ensure_future(go_on())
        await has_failed.wait()
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        talk.cut(now_ns())
        await go_on()

    with pytest.raises(StepError) as caught:
        asyncio.run(scene())
    assert caught.value.code is Code.NO_ANSWER
    assert len(events) == 1


def on_a_line(*, arrived: int, took_ms: int = 0) -> Conversation:
    """Of a speech of 50 frames so many arrived; what came behind its first and its last took so much longer."""
    line = CallersLine(Caller(), random.Random(1))
    talk = Conversation(observe=lambda *_, **__: None, line=line)
    talk.on_audio(now_ns(), SILENCE)
    talk.watch_line()
    for number in range(50):
        marks = {0: (Mark.SPEECH_START,), 49: (Mark.SPEECH_END,)}.get(number, ())
        line.up.speech.sends(marks)
        line.up.speech.arrives(0, 0, marks, is_lost=number > arrived)
    for took_ns in (0, took_ms * MS):
        line.up.speech.arrives(0, took_ns, (), is_lost=False)
    return talk


def spoken_on(talk: Conversation, answer: Callable[[Listener], None]) -> Heard:
    room, heard = FakeRoom(answer), Heard()
    room.listener = talk
    plan = PLAN.model_copy(update={"answer_timeout_s": 0.01})
    asyncio.run(Turns(talk=talk, room=room, plan=plan).say(CLIP, 0, heard, hear_out=False))
    return heard


@pytest.mark.parametrize(("arrived", "whose"), [(10, UndecidedError), (40, StepError)])
def test_who_does_not_answer_what_the_callers_own_line_has_swallowed_is_not_blamed(
    arrived: int, whose: type[StepError]
) -> None:
    with pytest.raises(StepError) as caught:
        spoken_on(on_a_line(arrived=arrived), lambda listener: listener.on_mark(now_ns(), Mark.SPEECH_END))
    assert (type(caught.value), caught.value.code) == (whose, Code.NO_ANSWER)


@pytest.mark.parametrize(("arrived", "whose"), [(10, UndecidedError), (40, StepError)])
def test_nor_who_does_not_fall_silent(arrived: int, whose: type[StepError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "YIELD_LIMIT_S", 0.05)
    talk, heard = on_a_line(arrived=arrived), Heard()
    t0 = now_ns()
    for frame in range(5):
        talk.on_audio(t0 + frame * FRAME_NS, LOUD_FRAME)
    room = FakeRoom(lambda listener: listener.on_mark(t0 + 100 * MS, Mark.SPEECH_START))
    room.listener = talk
    with pytest.raises(StepError) as caught:
        asyncio.run(Turns(talk=talk, room=room, plan=PLAN).barge_in(CLIP, 1, 0.0, heard, hear_out=False))
    assert (type(caught.value), caught.value.code) == (whose, Code.NOT_SILENCED)
    assert heard.censored is (whose is StepError)


@pytest.mark.parametrize(("took_ms", "first_audio_ms"), [(90, 700), (100, None)])
def test_time_to_first_audio_is_left_out_where_the_callers_own_line_has_a_share_in_it(
    took_ms: int, first_audio_ms: int | None
) -> None:
    def answer(listener: Listener) -> None:
        t0 = now_ns()
        listener.on_mark(t0, Mark.SPEECH_END)
        hear(listener, t0 + 700 * MS, loud=5)

    heard = spoken_on(on_a_line(arrived=50, took_ms=took_ms), answer)
    assert heard.first_audio_ns == (None if first_audio_ms is None else first_audio_ms * MS)


@pytest.mark.parametrize(("took_ms", "barge_in_ms"), [(90, 280), (100, None)])
def test_so_is_the_time_until_it_falls_silent(took_ms: int, barge_in_ms: int | None) -> None:
    talk, heard, t0 = on_a_line(arrived=50, took_ms=took_ms), Heard(), now_ns()
    for frame in range(5):
        talk.on_audio(t0 + frame * FRAME_NS, LOUD_FRAME)

    def yields(listener: Listener) -> None:
        listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
        hear(listener, t0 + 200 * MS, loud=15)
        listener.on_mark(t0 + 1_000 * MS, Mark.SPEECH_END)
        hear(listener, t0 + 1_600 * MS, loud=5)

    room = FakeRoom(yields)
    room.listener = talk
    asyncio.run(Turns(talk=talk, room=room, plan=PLAN).barge_in(CLIP, 1, 0.1, heard, hear_out=False))
    assert heard.barge_in_ns == (None if barge_in_ms is None else barge_in_ms * MS)
    assert not heard.censored


def test_packets_that_were_lost_while_the_line_is_watched_have_broken_it() -> None:
    talk = Conversation(observe=lambda *_args, **_facts: None)
    talk.watch_line(5)
    assert [talk.line_broke(lost) for lost in (None, 5, 6, 4)] == [False, False, True, True]


def test_an_answer_with_a_pause_between_its_sentences_is_one_answer() -> None:
    def two_sentences(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        end_ns = hear(listener, t0 + 100 * MS, loud=5, quiet_ns=QUIET_NS + 100 * MS)
        hear(listener, end_ns + QUIET_NS + 120 * MS, loud=5)
        listener.on_message(t0 + 900 * MS, translated({"type": "avatar_ended_speaking"}))

    first_audio_ns, marks = say(two_sentences)
    assert first_audio_ns == 100 * MS
    assert [mark for mark, _ in marks].count(Mark.LAST_AUDIO) == 1


def test_silence_is_a_failed_turn_and_not_a_latency() -> None:
    error, marks = say(lambda listener, t0: listener.on_mark(t0, Mark.SPEECH_END))
    assert error.kind is Kind.NO_RESPONSE
    assert Mark.FIRST_AUDIO not in [mark for mark, _ in marks]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "error", "error": {"type": "session_lifecycle_error", "code": "limits_exceeded", "message": "no"}},
        {"type": "session_lifecycle_error", "code": "limits_exceeded"},
    ],
)
def test_a_lifecycle_error_ends_the_turn_nested_or_flat(message: dict[str, Any]) -> None:
    error, _ = say(lambda listener, t0: listener.on_message(t0, translated(message)))
    assert (error.kind, error.code) == (Kind.REJECTED, Code.LIMITS_EXCEEDED)


def test_a_room_that_closes_ends_the_turn_at_once() -> None:
    why = StepError(Kind.TRANSPORT, Code.WS_CLOSED, "the room closed: 1000 session ended")
    error, _ = say(lambda listener, t0: listener.on_closed(t0, why))
    assert error is why


def test_a_transcription_failure_is_not_user_speech() -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        kind = "ce_events.realtime.input_transcript"
        listener.on_message(t0 + 1, translated({"type": kind, "transcript": "transcription-failed", "timestamp": 1.0}))
        listener.on_message(t0 + 2, translated({"type": kind, "transcript": "hello", "timestamp": 1.0}))
        hear(listener, t0 + 10 * MS, loud=5)
        listener.on_message(t0 + 3, translated({"type": "avatar_ended_speaking"}))

    _, marks = say(answer)
    assert (Mark.TRANSCRIPT_FAILED, 1) in marks
    assert (Mark.USER_TRANSCRIPT, 2) in marks


def test_a_stream_that_stalls_is_said_to_have_stalled() -> None:
    def stale(talk: Conversation) -> None:
        talk.on_audio(now_ns() - 6_000 * MS, SILENCE)

    error, _ = say(lambda _listener, _t0: None, before=stale)
    assert (error.kind, error.code) == (Kind.TRANSPORT, Code.MEDIA_STALLED)


# Turns that interrupt

Act = Callable[[Listener, int], Any]


def interrupt(
    kind: str, *, answer_frames: int, then: Act, announced: bool = False
) -> tuple[StepError | Heard | str, list[tuple[Mark, int]]]:
    """A user who speaks 100 ms into an answer that began at t0; `then` plays what the room tells once he does.

    The answer has `answer_frames` loud frames before he speaks; whatever follows is the script's. `announced`: so it
    is, by a message.
    """
    marks: list[tuple[Mark, int]] = []

    async def scene() -> Heard | str:
        t0 = now_ns()
        talk = Conversation(observe=lambda t_ns, mark, _turn, _text, **_: marks.append((mark, t_ns - t0)))
        if announced:
            talk.on_message(t0, STARTED)
        for frame in range(answer_frames):
            talk.on_audio(t0 + frame * FRAME_NS, LOUD_FRAME)

        def on_speak(listener: Listener) -> None:
            if kind == "ignore":
                listener.on_mark(t0 + 110 * MS, Mark.SPEECH_START)
            then(listener, t0)

        room = FakeRoom(on_speak=on_speak)
        room.listener = talk
        turns, heard = Turns(talk=talk, room=room, plan=PLAN), Heard()
        try:
            if kind == "barge_in":
                await turns.barge_in(CLIP, 1, 0.1, heard, hear_out=False)
            else:
                await turns.ignore(CLIP, 1, 0.1, heard, hear_out=False)
        except AnswerOverError:
            return "over"
        return heard

    try:
        return asyncio.run(scene()), marks
    except StepError as error:
        return error, marks


def test_barge_in_runs_from_the_users_speech_to_the_last_loud_frame() -> None:
    def yields(listener: Listener, t0: int) -> None:
        listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
        hear(listener, t0 + 200 * MS, loud=15)
        listener.on_mark(t0 + 1_000 * MS, Mark.SPEECH_END)
        hear(listener, t0 + 1_600 * MS, loud=5)

    heard, marks = interrupt("barge_in", answer_frames=5, then=yields)
    assert heard == Heard(first_audio_ns=600 * MS, barge_in_ns=280 * MS, censored=False)
    assert (Mark.BARGE_IN, 200 * MS) in marks
    assert (Mark.SILENCED, 480 * MS) in marks


def test_an_avatar_that_goes_on_is_censored_and_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "YIELD_LIMIT_S", 0.05)
    error, marks = interrupt(
        "barge_in", answer_frames=5, then=lambda listener, t0: listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
    )
    assert isinstance(error, StepError)
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.NOT_SILENCED)
    assert Mark.SILENCED not in [mark for mark, _ in marks]


@pytest.mark.parametrize("kind", ["barge_in", "ignore"])
def test_an_answer_that_ended_before_it_was_interrupted_says_nothing_about_anybody(kind: str) -> None:
    assert interrupt(kind, answer_frames=0, then=lambda _listener, _t0: None)[0] == "over"


def test_a_speech_that_just_missed_the_answers_end_is_finished_and_its_answer_heard() -> None:
    spoken: list[str] = []

    def too_late(listener: Listener, t0: int) -> None:
        spoken.append("began")
        # Two more frames of the answer, then quiet: its end shows only once the user has begun to speak.
        hear(listener, t0 + 100 * MS, loud=2, quiet_ns=0)
        listener.on_mark(t0 + 130 * MS, Mark.SPEECH_START)
        listener.on_audio(t0 + 120 * MS + QUIET_NS, SILENCE)

        def ends() -> None:
            spoken.append("ended")
            listener.on_mark(t0 + 900 * MS, Mark.SPEECH_END)
            hear(listener, t0 + 1_500 * MS, loud=5)

        asyncio.get_running_loop().call_later(0.05, ends)

    heard, marks = interrupt("barge_in", answer_frames=5, then=too_late)

    assert (heard, spoken) == ("over", ["began", "ended"])
    assert (Mark.FIRST_AUDIO, 1_500 * MS) in marks
    assert Mark.SILENCED not in [mark for mark, _ in marks]


def test_a_noise_that_stops_the_avatar_is_reported() -> None:
    error, _ = interrupt("ignore", answer_frames=5, then=lambda listener, t0: hear(listener, t0 + 200 * MS, loud=5))
    assert isinstance(error, StepError)
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.STOPPED_BY_NOISE)


def test_a_noise_that_the_avatar_ignores_is_a_good_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "NOISE_WATCH_S", 0.05)
    assert interrupt("ignore", answer_frames=5, then=lambda _listener, _t0: None)[0] == Heard(went_on=True)


PAUSE, YIELD = 16, 13
"""Silent frames: 320 ms, as between two sentences; and what is over."""


@pytest.mark.parametrize(
    ("announced", "ends_ms"),
    [
        (True, 700),  # the user has ended in the pause: what is said then is no answer to him, for none was announced
        (False, 1_300),  # no announcements at all: while the user speaks nobody answers him
    ],
)
def test_a_pause_between_the_sentences_of_an_interrupted_answer_is_no_silence(*, announced: bool, ends_ms: int) -> None:
    def pauses(listener: Listener, t0: int) -> None:
        listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
        t_ns = on_line(listener, t0 + 100 * MS, 15, PAUSE)  # until 400 ms, and a pause until 720 ms
        if announced:
            listener.on_mark(t0 + ends_ms * MS, Mark.SPEECH_END)
        on_line(listener, t_ns, 20, YIELD)  # until 1,120 ms
        if announced:
            listener.on_message(t0 + 1_130 * MS, ENDED)
            listener.on_message(t0 + 1_690 * MS, STARTED)
        else:
            listener.on_mark(t0 + ends_ms * MS, Mark.SPEECH_END)
        hear(listener, t0 + 1_700 * MS, loud=5)

    heard, marks = interrupt("barge_in", answer_frames=5, then=pauses, announced=announced)
    assert heard == Heard(first_audio_ns=(1_700 - ends_ms) * MS, barge_in_ns=900 * MS, censored=False)
    assert [t_ns for mark, t_ns in marks if mark is Mark.SILENCED] == [1_100 * MS]


def test_an_answer_that_is_announced_just_after_its_first_sound_is_another_one() -> None:
    def yields(listener: Listener, t0: int) -> None:
        listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
        on_line(listener, t0 + 100 * MS, 15, YIELD)
        listener.on_mark(t0 + 600 * MS, Mark.SPEECH_END)
        hear(listener, t0 + 1_100 * MS, loud=5)  # and no end of the one before was announced
        listener.on_message(t0 + 1_300 * MS, STARTED)

    heard, _ = interrupt("barge_in", answer_frames=5, then=yields, announced=True)
    assert heard == Heard(first_audio_ns=500 * MS, barge_in_ns=180 * MS, censored=False)


def test_an_avatar_that_goes_on_with_pauses_does_not_fall_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "YIELD_LIMIT_S", 0.05)

    def goes_on(listener: Listener, t0: int) -> None:
        listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
        listener.on_mark(t0 + 600 * MS, Mark.SPEECH_END)
        on_line(listener, t0 + 100 * MS, 15, PAUSE, 40, PAUSE, 40)

    error, marks = interrupt("barge_in", answer_frames=5, then=goes_on, announced=True)
    assert isinstance(error, StepError)
    assert error.code is Code.NOT_SILENCED
    assert not {Mark.SILENCED, Mark.FIRST_AUDIO} & {mark for mark, _ in marks}


def test_a_pause_between_two_sentences_is_no_stop_by_a_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "NOISE_WATCH_S", 0.05)

    def pauses(listener: Listener, t0: int) -> None:
        t_ns = on_line(listener, t0 + 100 * MS, 15, PAUSE)
        asyncio.get_running_loop().call_later(0.02, on_line, listener, t_ns, 20)

    assert interrupt("ignore", answer_frames=5, then=pauses)[0] == Heard(went_on=True)


@pytest.mark.parametrize(
    ("messages", "code"),
    [([], None), (["STARTED"], Code.STOPPED_BY_NOISE), (["ENDED", "STARTED"], Code.STOPPED_BY_NOISE)],
)
def test_a_pause_of_more_than_a_second_in_an_answer_that_is_announced_throughout_is_no_stop_by_a_noise(
    messages: list[str], code: Code | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "NOISE_WATCH_S", 0.05)
    monkeypatch.setattr(turns_module, "ANNOUNCED_LATE_NS", 20 * MS)

    def pauses(listener: Listener, t0: int) -> None:
        t_ns = on_line(listener, t0 + 100 * MS, 15, 65)  # 1.3 s
        for message in messages:
            listener.on_message(t_ns, {"STARTED": STARTED, "ENDED": ENDED}[message])
        asyncio.get_running_loop().call_later(0.02, on_line, listener, t_ns, 20)

    found, _ = interrupt("ignore", answer_frames=5, then=pauses, announced=True)
    assert found == Heard(went_on=True) if code is None else isinstance(found, StepError) and found.code is code


@pytest.mark.parametrize(("ended", "silent_frames"), [(True, 30), (False, 55)])
def test_an_answer_to_a_noise_tells_that_it_has_stopped_the_one_before(*, ended: bool, silent_frames: int) -> None:
    """Its end was announced, or the silence was longer than a pause."""

    def stops(listener: Listener, t0: int) -> None:
        t_ns = on_line(listener, t0 + 100 * MS, 5, silent_frames)
        if ended:
            listener.on_message(t_ns, ENDED)
        asyncio.get_running_loop().call_later(0.02, on_line, listener, t_ns, 5, YIELD)

    error, _ = interrupt("ignore", answer_frames=5, then=stops)
    assert isinstance(error, StepError)
    assert error.code is Code.STOPPED_BY_NOISE


def test_an_avatar_that_speaks_unasked_fails_a_silent_turn() -> None:
    async def scene() -> None:
        talk = Conversation(observe=lambda *_, **__: None)
        talk.on_audio(now_ns(), SILENCE)
        asyncio.get_running_loop().call_later(0.02, lambda: [talk.on_audio(now_ns(), LOUD_FRAME) for _ in range(2)])
        await Turns(talk=talk, room=FakeRoom(), plan=PLAN).silence(5.0, 0)

    with pytest.raises(StepError) as caught:
        asyncio.run(scene())
    assert caught.value.code is Code.SPOKE_UNASKED


def test_a_transcript_belongs_to_the_turn_it_transcribes_even_when_the_next_has_begun() -> None:
    marks: list[tuple[Mark, int | None]] = []
    talk = Conversation(observe=lambda _t, mark, turn, _text, **_: marks.append((mark, turn)))
    talk.begin(4)
    talk.on_mark(1, Mark.SPEECH_END)
    hear(talk, 2, loud=3, quiet_ns=0)
    talk.begin(5)
    talk.on_message(3, translated({"type": "ce_events.realtime.input_transcript", "transcript": "a", "timestamp": 1.0}))
    talk.on_message(
        4, translated({"type": "ce_events.realtime.response_transcript", "transcript": "b", "timestamp": 1.0})
    )
    talk.on_message(5, translated({"type": "avatar_ended_speaking"}))
    assert marks[1:] == [(Mark.USER_TRANSCRIPT, 4), (Mark.AVATAR_TRANSCRIPT, 4), (Mark.AVATAR_ENDED, 5)]


def test_the_text_of_a_transcript_is_told_only_on_request_and_redacted() -> None:
    for keep, told in ((False, None), (True, "my key is [redacted]")):
        texts: list[str | None] = []
        talk = Conversation(observe=lambda _t, _mark, _turn, text, **_: texts.append(text), keep_transcripts=keep)  # noqa: B023
        message = {"type": "ce_events.realtime.input_transcript", "transcript": "my key is sk-abcdef123456"}
        talk.on_message(1, translated(message))
        assert texts == [told]


def test_a_long_transcript_is_kept_up_to_a_bound_and_says_where_it_was_cut() -> None:
    texts: list[str | None] = []
    talk = Conversation(observe=lambda _t, _mark, _turn, text, **_: texts.append(text), keep_transcripts=True)
    for said in ("seven words that " * 100, "seven words that " * 1000):
        talk.on_message(1, translated({"type": "ce_events.realtime.input_transcript", "transcript": said}))
    assert texts == ["seven words that " * 100, ("seven words that " * 1000)[:2045].rstrip() + " …"]


def facts_of(message: dict[str, Any]) -> list[tuple[Mark, dict[str, Any]]]:
    told: list[tuple[Mark, dict[str, Any]]] = []
    talk = Conversation(observe=lambda _t, mark, _turn, _text, **facts: told.append((mark, facts)), digest=str.upper)
    talk.on_message(1, translated(message))
    return told


TRANSCRIPT = "ce_events.realtime.response_transcript"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {"type": TRANSCRIPT, "transcript": "hi", "timestamp": 12.5},
            (Mark.AVATAR_TRANSCRIPT, {"well_formed": True, "stamped_s": 12.5, "digest": "HI"}),
        ),
        (
            {"type": TRANSCRIPT, "transcript": "hi", "timestamp": "2026"},
            (Mark.AVATAR_TRANSCRIPT, {"well_formed": False, "stamped_s": None, "digest": "HI"}),
        ),
        ({"type": TRANSCRIPT, "timestamp": 1}, (Mark.AVATAR_TRANSCRIPT, {"well_formed": False, "stamped_s": 1})),
        ({"type": "avatar_started_speaking_phrase", "phrase_id": "p"}, (Mark.PHRASE_STARTED, {"digest": "P"})),
        ({"type": "avatar_started_speaking"}, (Mark.AVATAR_STARTED, {})),
        (
            {"type": "error", "error": {"type": "session_lifecycle_error", "code": "internal_error"}},
            (Mark.SESSION_ERROR, {"well_formed": True}),
        ),
        ({"type": "session_lifecycle_error", "code": "x"}, (Mark.SESSION_ERROR, {"well_formed": False})),
        ({"type": "error", "error": "broken"}, (Mark.SESSION_ERROR, {"well_formed": False})),
        ({"type": "response.function_call_arguments.done"}, (Mark.TOOL_DATA, {})),
        ({"type": "anything", "call_id": "c"}, (Mark.TOOL_DATA, {})),
    ],
)
def test_of_a_message_its_shape_its_stamp_and_a_hash_are_told(
    message: dict[str, Any], expected: tuple[Mark, dict[str, Any]]
) -> None:
    assert facts_of(message) == [expected]


def test_a_message_that_no_rule_asks_for_is_not_told() -> None:
    assert facts_of({"type": "conversation_engine.external.message.received", "data": {}}) == []


def test_the_end_of_a_room_is_a_mark() -> None:
    marks: list[tuple[Mark, int]] = []
    talk = Conversation(observe=lambda t_ns, mark, _turn, _text, **_: marks.append((mark, t_ns)))
    talk.on_closed(7, StepError(Kind.TRANSPORT, Code.WS_CLOSED))
    assert marks == [(Mark.ROOM_ENDED, 7)]


def test_a_hole_in_the_line_is_the_longest_time_without_a_frame_where_silence_comes_as_frames() -> None:
    talk = Conversation(observe=lambda *_args, **_facts: None)
    t0 = now_ns()
    talk.on_audio(t0, SILENCE)
    talk.watch_line()
    for at_ms in (20, 40, 340, 360):
        talk.on_audio(t0 + at_ms * MS, SILENCE)
    assert talk.hole_ns == 300 * MS


@pytest.mark.parametrize("length_ms", [10, 20, 60, 100, 120, 200, 1_000])
def test_a_message_that_comes_when_the_one_before_has_been_played_is_behind_no_hole(length_ms: int) -> None:
    talk = Conversation(observe=lambda *_args, **_facts: None)
    t0, message = now_ns() - length_ms // 2 * MS, bytes(48 * length_ms)  # the next one is due in half its length
    talk.on_audio(t0, message)
    talk.watch_line()
    for number in range(1, 10):
        talk.on_audio(t0 + number * length_ms * MS, message)
    assert talk.hole_ns == min(length_ms, 20) * MS
    assert not talk.line_broke(None)


@pytest.mark.parametrize("length_ms", [20, 60, 200])
def test_what_comes_later_than_that_is_a_hole_whatever_the_messages_lengths(length_ms: int) -> None:
    talk = Conversation(observe=lambda *_args, **_facts: None)
    t0, message = now_ns(), bytes(48 * length_ms)
    talk.on_audio(t0, message)
    talk.watch_line()
    talk.on_audio(t0 + (length_ms + 150) * MS, message)
    assert talk.hole_ns == 170 * MS
    assert talk.line_broke(None)


def test_a_room_that_sends_nothing_while_the_avatar_is_silent_has_no_holes() -> None:
    talk = Conversation(observe=lambda *_args, **_facts: None)
    t0 = now_ns()
    talk.on_audio(t0 - 10**9, SILENCE)
    talk.watch_line()
    talk.on_audio(t0 + 2 * 10**9, LOUD_FRAME)
    assert talk.hole_ns is None


def silences(script: Callable[[Listener, int], None]) -> int | None:
    """The dead air of the answer that `script(listener, t0)` plays, in ms."""

    async def scene() -> int | None:
        t0 = now_ns()
        talk = Conversation(observe=lambda *_, **__: None)
        talk.on_audio(t0, SILENCE)
        talk.watch_line()
        room = FakeRoom(on_speak=lambda listener: script(listener, t0))
        room.listener = talk
        heard = Heard()
        await Turns(talk=talk, room=room, plan=PLAN).say(CLIP, 0, heard, hear_out=True)
        return heard.dead_air_ns

    found = asyncio.run(scene())
    return None if found is None else found // MS


def on_line(listener: Listener, t_ns: int, *parts: int) -> int:
    """Sound and silence in turn, so many frames of each, without a hole between them."""
    for number, frames in enumerate(parts):
        for _ in range(frames):
            listener.on_audio(t_ns, SILENCE if number % 2 else LOUD_FRAME)
            t_ns += FRAME_NS
    return t_ns


ENDED = translated({"type": "avatar_ended_speaking"})
STARTED = translated({"type": "avatar_started_speaking"})


@pytest.mark.parametrize(
    ("parts", "dead_air_ms"),
    [
        ((20, 13), 0),
        ((20, 8, 20, 13), 0),  # 160 ms between two words
        ((20, 45, 20, 13), 900),
        ((20, 20, 20, 45, 5, 13, 5, 13), 900),  # the longest of several
    ],
)
def test_dead_air_is_the_longest_silence_between_two_sounds_of_an_answer(
    parts: tuple[int, ...], dead_air_ms: int
) -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        on_line(listener, t0 + 20 * MS, *parts)
        listener.on_message(t0, ENDED)

    assert silences(answer) == dead_air_ms


def test_what_is_said_after_the_announced_end_is_another_answer_and_no_dead_air() -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        listener.on_message(t0, STARTED)
        t_ns = on_line(listener, t0 + 20 * MS, 20, 13)
        listener.on_message(t_ns, ENDED)
        on_line(listener, t_ns, 0, 50, 20, 13)
        listener.on_message(t_ns, ENDED)

    assert silences(answer) == 0


def test_silence_of_a_line_with_a_hole_is_nobodys_dead_air() -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        t_ns = on_line(listener, t0 + 20 * MS, 20, 5)
        on_line(listener, t_ns + 800 * MS, 0, 3, 20, 13)
        listener.on_message(t0, ENDED)

    assert silences(answer) is None


def after_a_pause(turn: str, rest: Callable[[Listener, int], None]) -> Heard | StepError:
    """A turn into an answer that outlasts `answer_max_s` and pauses just then; `rest` plays once the user speaks."""

    async def scene() -> Heard | StepError:
        t0, heard = now_ns(), Heard()
        talk = Conversation(observe=lambda *_, **__: None)
        talk.on_message(t0, STARTED)
        t_ns = on_line(talk, t0, 20, 14)

        def speaks(listener: Listener) -> None:
            listener.on_mark(t_ns, Mark.SPEECH_START)
            rest(listener, t_ns)

        room = FakeRoom(on_speak=speaks)
        room.listener = talk
        turns = Turns(talk=talk, room=room, plan=PLAN.model_copy(update={"answer_max_s": 0.05}))
        try:
            if turn == "say":
                await turns.say(CLIP, 1, heard, hear_out=False)
            else:
                asyncio.get_running_loop().call_later(0.1, on_line, talk, t_ns, 5)
                await turns.silence(0.5, 1)
        except StepError as error:
            assert talk.take_unasked() == 0
            return error
        return heard

    return asyncio.run(scene())


@pytest.mark.parametrize("goes_on", [20, 0])
def test_an_answer_that_outlasts_our_patience_is_spoken_into_and_its_rest_answers_nobody(goes_on: int) -> None:
    def rest(listener: Listener, t0: int) -> None:
        listener.on_message(on_line(listener, t0, goes_on, 13), ENDED)
        listener.on_mark(t0 + 1_000 * MS, Mark.SPEECH_END)
        listener.on_message(t0 + 1_700 * MS, STARTED)
        on_line(listener, t0 + 1_700 * MS, 5)

    assert after_a_pause("say", rest) == Heard(first_audio_ns=700 * MS)


def into_speech(first_audio: list[int], rest: Callable[[Listener, int], None]) -> Heard:
    """A turn into an answer that outlasts `answer_max_s` and can be heard just then."""

    async def scene() -> Heard:
        t0, heard = now_ns(), Heard()

        def observe(t_ns: int, mark: Mark, *_: Any, **__: Any) -> None:
            if mark is Mark.FIRST_AUDIO:
                first_audio.append((t_ns - t0) // MS)

        talk = Conversation(observe=observe)
        for frame in range(10):
            talk.on_audio(t0 + frame * FRAME_NS, LOUD_FRAME)

        def speaks(listener: Listener) -> None:
            listener.on_mark(t0 + 200 * MS, Mark.SPEECH_START)
            rest(listener, t0)

        room = FakeRoom(on_speak=speaks)
        room.listener = talk
        plan = PLAN.model_copy(update={"answer_max_s": 0.05, "answer_timeout_s": 0.05})
        await Turns(talk=talk, room=room, plan=plan).say(CLIP, 1, heard, hear_out=False)
        return heard

    return asyncio.run(scene())


def test_an_answer_that_is_spoken_into_and_stops_only_then_is_no_early_one() -> None:
    def rest(listener: Listener, t0: int) -> None:
        for frame in range(10, 30):
            listener.on_audio(t0 + frame * FRAME_NS, LOUD_FRAME)
        listener.on_mark(t0 + 400 * MS, Mark.SPEECH_END)
        asyncio.get_running_loop().call_soon(stops_and_answers, listener, t0)

    def stops_and_answers(listener: Listener, t0: int) -> None:
        hear(listener, t0 + 600 * MS, loud=1)
        hear(listener, t0 + 1_200 * MS, loud=5)

    first_audio: list[int] = []
    assert into_speech(first_audio, rest) == Heard(first_audio_ns=800 * MS)
    assert first_audio == [1_200]


def test_one_that_does_not_stop_at_all_says_nothing_about_the_answer_that_nobody_heard() -> None:
    def rest(listener: Listener, t0: int) -> None:
        for frame in range(10, 30):
            listener.on_audio(t0 + frame * FRAME_NS, LOUD_FRAME)
        listener.on_mark(t0 + 400 * MS, Mark.SPEECH_END)

    first_audio: list[int] = []
    with pytest.raises(UndecidedError, match="still audible: the answer before goes on") as caught:
        into_speech(first_audio, rest)
    assert caught.value.code is Code.NOT_SILENCED
    assert first_audio == []


def test_what_goes_on_of_such_an_answer_is_not_blamed_on_a_silent_turn() -> None:
    assert type(after_a_pause("silence", lambda _listener, _t0: None)) is UndecidedError


def test_an_answer_that_is_not_over_is_not_judged() -> None:
    text = "It is a long answer, and most of it has not been said when nobody waits for it any more."

    async def scene() -> Heard:
        talk = Conversation(observe=lambda *_, **__: None)

        def answer(listener: Listener) -> None:
            t0 = now_ns()
            listener.on_mark(t0, Mark.SPEECH_END)
            listener.on_message(t0, STARTED)
            told = {"type": "ce_events.realtime.response_transcript", "transcript": text, "timestamp": 1.0}
            listener.on_message(t0, translated(told))
            on_line(listener, t0 + 20 * MS, 20, 14)

        room, heard = FakeRoom(on_speak=answer), Heard()
        room.listener = talk
        plan = PLAN.model_copy(update={"answer_max_s": 0.05})
        await Turns(talk=talk, room=room, plan=plan).say(CLIP, 0, heard, hear_out=True)
        return heard

    assert asyncio.run(scene()) == Heard(first_audio_ns=20 * MS)


@pytest.mark.parametrize(
    ("speaks_unasked", "onset_ms", "whose"),
    [(True, 200, UndecidedError), (True, 1_200, StepError), (False, 200, StepError)],
)
def test_an_avatar_that_may_speak_by_itself_may_begin_as_the_user_does(
    speaks_unasked: bool, onset_ms: int, whose: type[StepError]
) -> None:
    async def scene() -> None:
        talk = Conversation(observe=lambda *_, **__: None, manner=Manner(speaks_unasked=speaks_unasked))

        def speaks(listener: Listener) -> None:
            t0 = now_ns()
            listener.on_mark(t0, Mark.SPEECH_START)
            listener.on_message(on_line(listener, t0 + onset_ms * MS, 5, 13), ENDED)
            listener.on_mark(t0 + 2_000 * MS, Mark.SPEECH_END)

        room = FakeRoom(on_speak=speaks)
        room.listener = talk
        await Turns(talk=talk, room=room, plan=PLAN).say(CLIP, 0, Heard(), hear_out=True)

    with pytest.raises(StepError) as caught:
        asyncio.run(scene())
    assert (type(caught.value), caught.value.code) == (whose, Code.ANSWERED_EARLY)


def test_an_avatar_that_may_speak_by_itself_may_do_so_in_a_silent_turn() -> None:
    async def scene() -> Conversation:
        talk = Conversation(observe=lambda *_, **__: None, manner=Manner(speaks_unasked=True))
        talk.on_audio(now_ns(), SILENCE)
        asyncio.get_running_loop().call_later(0.02, on_line, talk, now_ns(), 2)
        with pytest.raises(UndecidedError):
            await Turns(talk=talk, room=FakeRoom(), plan=PLAN).silence(5.0, 0)
        return talk

    assert asyncio.run(scene()).take_unasked() == 0


def test_what_is_said_within_one_message_is_heard_in_a_silent_turn() -> None:
    async def scene() -> None:
        talk = Conversation(observe=lambda *_, **__: None)
        talk.on_audio(now_ns(), SILENCE)
        blip = SILENCE * 5 + LOUD_FRAME * 10 + SILENCE * 35
        asyncio.get_running_loop().call_soon(talk.on_audio, now_ns(), blip)
        with pytest.raises(StepError) as caught:
            await Turns(talk=talk, room=FakeRoom(), plan=PLAN).silence(0.2, 0)
        assert (type(caught.value), caught.value.code) == (StepError, Code.SPOKE_UNASKED)

    asyncio.run(scene())


def test_an_avatar_that_is_announced_as_speaking_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it goes on with is of the same answer; one that never ends holds up a session a single time."""
    monkeypatch.setattr(turns_module, "SETTLE_S", 0.05)
    monkeypatch.setattr(turns_module, "DEAD_AIR_S", 0.4)

    async def scene(*, goes_on: bool) -> tuple[int | None, bool]:
        talk = Conversation(observe=lambda *_, **__: None)
        talk.on_audio(now_ns(), SILENCE)

        def answer(listener: Listener) -> None:
            t0 = now_ns()
            listener.on_mark(t0, Mark.SPEECH_END)
            listener.on_message(t0, STARTED)
            t_ns = on_line(listener, t0 + 20 * MS, 5, 13)
            if goes_on:
                asyncio.get_running_loop().call_later(0.2, rest, t_ns)

        def rest(t_ns: int) -> None:
            on_line(talk, t_ns, 0, 7, 5, 13)
            talk.on_message(t_ns, ENDED)

        room = FakeRoom(on_speak=answer)
        room.listener = talk
        heard = Heard()
        await Turns(talk=talk, room=room, plan=PLAN).say(CLIP, 0, heard, hear_out=True)
        return heard.dead_air_ns, talk.was_misled

    assert asyncio.run(scene(goes_on=True)) == (400 * MS, False)
    assert asyncio.run(scene(goes_on=False)) == (0, True)
