import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from loadtest import scenario
from loadtest.clock import now_ns
from loadtest.conversation import Conversation
from loadtest.errors import Code, Kind, StepError
from loadtest.events import Mark
from loadtest.ports import Listener
from loadtest.speech import FRAME_NS, QUIET_NS, SILENCE
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
        talk = Conversation(observe=lambda t_ns, mark, _turn: marks.append((mark, t_ns - t0)))
        talk.on_audio(t0, SILENCE)
        if before is not None:
            before(talk)
        room = FakeRoom(on_speak=lambda listener: script(listener, t0))
        room.listener = talk
        return await talk.say(room, CLIP, PLAN, 0)

    try:
        return asyncio.run(scene()), marks
    except StepError as error:
        return error, marks


def test_time_to_first_audio_runs_from_the_last_voiced_frame_to_the_onset() -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0 + 100 * MS, Mark.SPEECH_END)
        hear(listener, t0 + 800 * MS, loud=10)
        listener.on_message(t0 + 1_000 * MS, {"type": "avatar_ended_speaking"})

    first_audio_ns, marks = say(answer)
    assert first_audio_ns == 700 * MS
    assert (Mark.FIRST_AUDIO, 800 * MS) in marks
    assert (Mark.LAST_AUDIO, 1_000 * MS) in marks


def test_the_onset_is_where_the_sound_begins_inside_its_frame() -> None:
    half = SILENCE[: len(SILENCE) // 2] + LOUD_FRAME[len(SILENCE) // 2 :]

    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        listener.on_audio(t0 + 500 * MS, half)
        hear(listener, t0 + 520 * MS, loud=5)
        listener.on_message(t0 + 640 * MS, {"type": "avatar_ended_speaking"})

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
        listener.on_message(t0 + 200 * MS, {"type": "avatar_ended_speaking"})
        listener.on_mark(t0 + 400 * MS, Mark.SPEECH_END)

    error, marks = say(interrupt)
    assert (error.kind, error.code) == (Kind.ANSWERED_EARLY, Code.ANSWERED_EARLY)
    assert "350 ms" in error.detail
    assert (Mark.FIRST_AUDIO, 50 * MS) in marks


def test_an_answer_with_a_pause_between_its_sentences_is_one_answer() -> None:
    def two_sentences(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        end_ns = hear(listener, t0 + 100 * MS, loud=5, quiet_ns=QUIET_NS + 100 * MS)
        hear(listener, end_ns + QUIET_NS + 120 * MS, loud=5)
        listener.on_message(t0 + 900 * MS, {"type": "avatar_ended_speaking"})

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
    error, _ = say(lambda listener, t0: listener.on_message(t0, message))
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.LIMITS_EXCEEDED)


def test_a_room_that_closes_ends_the_turn_at_once() -> None:
    error, _ = say(lambda listener, t0: listener.on_closed(t0, 1000, "session ended"))
    assert (error.kind, error.code) == (Kind.TRANSPORT, Code.WS_CLOSED)
    assert "1000" in error.detail


def test_a_transcription_failure_is_not_user_speech() -> None:
    def answer(listener: Listener, t0: int) -> None:
        listener.on_mark(t0, Mark.SPEECH_END)
        kind = "ce_events.realtime.input_transcript"
        listener.on_message(t0 + 1, {"type": kind, "transcript": "transcription-failed", "timestamp": 1.0})
        listener.on_message(t0 + 2, {"type": kind, "transcript": "hello", "timestamp": 1.0})
        hear(listener, t0 + 10 * MS, loud=5)
        listener.on_message(t0 + 3, {"type": "avatar_ended_speaking"})

    _, marks = say(answer)
    assert (Mark.TRANSCRIPT_FAILED, 1) in marks
    assert (Mark.USER_TRANSCRIPT, 2) in marks


def test_a_stream_that_stalls_is_said_to_have_stalled() -> None:
    def stale(talk: Conversation) -> None:
        talk.on_audio(now_ns() - 6_000 * MS, SILENCE)

    error, _ = say(lambda _listener, _t0: None, before=stale)
    assert (error.kind, error.code) == (Kind.TRANSPORT, Code.MEDIA_STALLED)
