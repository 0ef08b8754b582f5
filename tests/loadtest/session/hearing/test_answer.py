"""An answer that is not whole is told by what is wrong with it, and an honest one never."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtest.config.keys import scenario
from loadtest.config.promise import Manner
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code
from loadtest.events.kinds import AnswerEnd, Mark
from loadtest.rooms.app_messages import translated
from loadtest.session import turns as turns_module
from loadtest.session.hearing.answer import Answer
from loadtest.session.hearing.conversation import MAX_MESSAGES, Conversation
from loadtest.session.ports import Listener, Told
from loadtest.session.turns import AnswerOverError, Heard, Turns
from loadtest.sound.speech import FRAME_BYTES, FRAME_NS, SILENCE, Clip
from loadtest.system.clock import now_ns
from tests.loadtest.fakes import CLIP, LOUD_FRAME, FakeRoom

MS = 1_000_000
PLAN = scenario.Conversation(answer_timeout_s=0.3, answer_max_s=3)
STARTED = translated({"type": "avatar_started_speaking"})
ENDED = translated({"type": "avatar_ended_speaking"})
CLIPPED = (b"\xff\x7f" * 24 + b"\x00\x80" * 24) * (FRAME_BYTES // 96)
USUAL = Manner()
FULL_SENTENCE = "The shop opens at nine in the morning."


def words(text: str) -> Told:
    return translated({"type": "ce_events.realtime.response_transcript", "transcript": text, "timestamp": 1.0})


def of_user(text: str) -> Told:
    return translated({"type": "ce_events.realtime.input_transcript", "transcript": text, "timestamp": 1.0})


def phrase(name: str) -> Told:
    return translated({"type": "avatar_started_speaking_phrase", "phrase_id": name})


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "FOLLOWED_S", 0.3)
    monkeypatch.setattr(turns_module, "SETTLE_S", 0.05)
    monkeypatch.setattr(turns_module, "DEAD_AIR_S", 0.1)


class Line:
    """Frames without a hole, one after the other."""

    def __init__(self, listener: Listener, t_ns: int) -> None:
        self.listener, self.t_ns = listener, t_ns

    def play(self, *parts: int, frame: bytes = LOUD_FRAME) -> None:
        """Sound and silence in turn, so many frames of each."""
        for number, frames in enumerate(parts):
            for _ in range(frames):
                self.listener.on_audio(self.t_ns, SILENCE if number % 2 else frame)
                self.t_ns += FRAME_NS

    def tell(self, told: Told) -> None:
        self.listener.on_message(self.t_ns, told)


def judged(
    script: Callable[[Line], None], manner: Manner = USUAL, clip: Clip = CLIP
) -> tuple[Heard, Code | None, Conversation]:
    """What became of the answer that `script` plays once the user has spoken."""

    async def scene() -> tuple[Heard, Code | None, Conversation]:
        talk = Conversation(observe=lambda *_, **__: None, manner=manner)
        talk.on_audio(now_ns(), SILENCE)
        talk.watch_line()

        def answer(listener: Listener) -> None:
            t0 = now_ns()
            listener.on_mark(t0, Mark.SPEECH_START)
            listener.on_mark(t0, Mark.SPEECH_END)
            script(Line(listener, t0 + 20 * MS))

        room = FakeRoom(on_speak=answer)
        room.listener = talk
        heard = Heard()
        try:
            await Turns(talk=talk, room=room, plan=PLAN).say(clip, 0, heard, hear_out=True)
        except StepError as error:
            return heard, error.code, talk
        return heard, None, talk

    return asyncio.run(scene())


def spoken(*parts: int, text: str = FULL_SENTENCE, frame: bytes = LOUD_FRAME) -> Callable[[Line], None]:
    """An answer of these parts, told so."""

    def script(line: Line) -> None:
        line.tell(STARTED)
        line.tell(words(text))
        line.play(*parts, frame=frame)
        line.tell(ENDED)

    return script


@pytest.mark.parametrize(
    "text",
    [
        FULL_SENTENCE,
        "Forty-two",  # too short for a sentence
        "今日は何時に開店しますか。",
        "ร้านเปิดเก้าโมงเช้าทุกวันครับ",  # Thai has no full stop
        "Do you mean “the one in Paris”?",
        "Certainly! Anything else 🙂",
    ],
)
def test_an_answer_that_says_its_sentence_to_the_end_is_whole(text: str) -> None:
    assert judged(spoken(100, 13, text=text))[:2] == (
        Heard(first_audio_ns=20 * MS, dead_air_ns=0, answer=AnswerEnd.WHOLE),
        None,
    )


@pytest.mark.parametrize(
    ("script", "answer", "code"),
    [
        (spoken(20, 13, text=FULL_SENTENCE), AnswerEnd.CUT, Code.ANSWER_CUT),
        (spoken(100, 13, text="The shop opens at nine in the"), AnswerEnd.CUT, None),  # told, but no proof
        (
            spoken(50, 13, text=f"{FULL_SENTENCE} {FULL_SENTENCE[::-1]}."),
            AnswerEnd.CUT,
            Code.ANSWER_CUT,
        ),
        (spoken(100, 13, frame=CLIPPED), AnswerEnd.CLIPPED, Code.VOICE_CLIPPED),
    ],
)
def test_an_answer_that_breaks_off_or_clips_is_told(
    script: Callable[[Line], None], answer: AnswerEnd, code: Code | None
) -> None:
    heard, failed, _ = judged(script)
    assert (heard.answer, failed) == (answer, code)
    assert heard.first_audio_ns == 20 * MS  # a failed turn keeps what it had


def test_words_of_an_engine_that_writes_no_sentences_end_as_they_like() -> None:
    own = Manner(writes_sentences=False)
    assert judged(spoken(100, 13, text="the shop opens at nine"), own)[0].answer is AnswerEnd.WHOLE


def test_a_voice_that_is_sped_up_says_more_letters_a_second() -> None:
    twice = spoken(100, 13, text=f"{FULL_SENTENCE} {FULL_SENTENCE[::-1]}.")  # 60 letters in 2 s
    assert judged(twice)[1] is Code.ANSWER_CUT
    assert judged(twice, Manner(speed=1.5))[1] is None


def test_what_is_only_written_need_not_be_said() -> None:
    answer = Answer(0, USUAL)
    answer.sound_ns = 300 * MS
    answer.told("One of twin-0123456789abcdef.", unsaid="twin-0123456789abcdef")
    assert not answer.is_too_short
    answer.told("Another twin-0123456789abcdef.")
    assert answer.is_too_short


def test_of_a_transcript_of_a_mib_the_first_quarter_of_an_hour_is_measured() -> None:
    answer = Answer(0, USUAL)
    answer.told("a " * 500_000)
    answer.sound_ns = 300 * 1_000 * MS
    assert answer.flaw(silent_ns=0, most_silent_ns=1, loud_frames=1, clipped_frames=0) == (
        AnswerEnd.CUT,
        Code.ANSWER_CUT,
        "300.0 s of it, too short for its 8192 letters",
    )


def test_an_answer_that_is_said_twice_is_told_by_its_phrase_or_by_its_words() -> None:
    def same_phrase(line: Line) -> None:
        line.tell(STARTED)
        for _ in range(2):
            line.tell(phrase("a"))
            line.play(100)
        line.tell(words(FULL_SENTENCE))
        line.play(0, 13)
        line.tell(ENDED)

    def same_words(line: Line) -> None:
        line.tell(STARTED)
        for name in ("a", "b"):
            line.tell(phrase(name))
            line.tell(words(FULL_SENTENCE))
            line.play(100)
        line.play(0, 13)
        line.tell(ENDED)

    for script in (same_phrase, same_words):
        heard, failed, _ = judged(script)
        assert (heard.answer, failed) == (AnswerEnd.TWICE, Code.ANSWERED_TWICE)


@pytest.mark.parametrize(
    ("script", "answer", "code"),
    [
        (spoken(100, 13), AnswerEnd.WHOLE, None),
        (spoken(20, 13), AnswerEnd.CUT, Code.ANSWER_CUT),
        (spoken(100, 13, text="The shop opens at nine in the"), AnswerEnd.CUT, None),
    ],
)
def test_an_answer_is_judged_by_its_words_though_no_message_is_written_down_any_more(
    script: Callable[[Line], None], answer: AnswerEnd, code: Code | None
) -> None:
    def after_many(line: Line) -> None:
        for _ in range(MAX_MESSAGES):
            line.tell(translated({"type": "of no interest"}))
        script(line)

    heard, failed, talk = judged(after_many)
    assert talk.messages > MAX_MESSAGES
    assert (heard.answer, failed) == (answer, code)


def test_a_flood_of_words_and_phrases_in_one_answer_is_looked_at_up_to_a_bound() -> None:
    answer = Answer(0, USUAL)
    for number in range(5_000):
        answer.told(f"{number:04d}.")
        answer.phrase_begins(str(number))
    answer.phrase_begins("4999")
    answer.sound_ns = int(8_000 / 24 * 1e9)
    assert not answer.is_too_short  # 2,000 texts of 4 digits
    answer.sound_ns -= 1_000 * MS
    assert answer.is_too_short
    answer.sound_ns += 1_000 * MS
    assert answer.flaw(silent_ns=0, most_silent_ns=1, loud_frames=1, clipped_frames=0) is None


def test_two_phrases_of_one_answer_are_not_the_same_twice() -> None:
    def script(line: Line) -> None:
        line.tell(STARTED)
        for name, text in (("a", "Let me look that up."), ("b", FULL_SENTENCE)):
            line.tell(phrase(name))
            line.tell(words(text))
            line.play(100)
        line.play(0, 13)
        line.tell(ENDED)

    assert judged(script)[1] is None


def test_an_avatar_that_is_announced_and_not_heard_is_silent_and_not_one_that_does_not_answer() -> None:
    def never_heard(line: Line) -> None:
        line.tell(STARTED)
        line.play(0, 20)

    def silent_at_the_end(line: Line) -> None:
        spoken(100, 120)(line)

    heard, failed, _ = judged(never_heard)
    assert (heard.first_audio_ns, heard.answer, failed) == (None, AnswerEnd.SILENT, Code.VOICE_SILENT)
    heard, failed, _ = judged(silent_at_the_end)
    assert (heard.answer, failed) == (AnswerEnd.SILENT, Code.VOICE_SILENT)
    assert judged(lambda line: line.play(0, 20))[1] is Code.NO_ANSWER


@pytest.mark.parametrize("is_transcribed", [True, False])
def test_an_answer_that_stops_though_nobody_spoke_and_is_followed_by_one_to_nobody_interrupted_itself(
    is_transcribed: bool,
) -> None:
    def script(line: Line) -> None:
        line.tell(STARTED)
        line.tell(of_user("What I said."))
        line.play(10)
        line.tell(words("The shop"))
        line.tell(ENDED)
        line.play(0, 40)
        if is_transcribed:
            line.tell(of_user("The sh"))
        line.tell(STARTED)
        line.play(60, 13)
        line.tell(ENDED)

    heard, failed, talk = judged(script)
    assert (heard.answer, failed) == (AnswerEnd.SELF_INTERRUPTED, Code.SELF_INTERRUPTED)
    assert talk.take_unasked() == int(is_transcribed)  # 0.8 s after the first: one answer in two parts, else
    assert talk.take_unasked() == 0


@pytest.mark.parametrize(
    ("pauses", "parts", "answer", "code"),
    [
        (0, 1, AnswerEnd.SELF_INTERRUPTED, Code.SELF_INTERRUPTED),
        (1, 1, AnswerEnd.CUT, None),
        (1, 2, AnswerEnd.SELF_INTERRUPTED, Code.SELF_INTERRUPTED),
        (2, 2, AnswerEnd.CUT, None),
    ],
)
def test_a_speech_may_be_told_in_a_part_more_than_it_has_pauses_and_nobody_was_interrupted(
    pauses: int, parts: int, answer: AnswerEnd, code: Code | None
) -> None:
    def script(line: Line) -> None:
        line.tell(STARTED)
        line.tell(of_user("What is, well,"))
        line.tell(words("Your code is A B 7 2"))
        line.play(100)
        for _ in range(parts):
            line.tell(of_user("my code?"))
        line.play(0, 13)
        line.tell(ENDED)

    heard, failed, _ = judged(script, clip=replace(CLIP, pauses=pauses))
    assert (heard.answer, failed) == (answer, code)


def test_what_the_avatar_goes_on_with_after_an_answer_that_is_whole_is_no_interruption_of_itself() -> None:
    def script(line: Line) -> None:
        spoken(100, 60)(line)
        line.tell(STARTED)
        line.play(60, 13)
        line.tell(ENDED)

    heard, failed, talk = judged(script)
    assert (heard.answer, failed, talk.take_unasked()) == (AnswerEnd.WHOLE, None, 1)
    assert judged(script, Manner(speaks_unasked=True))[2].take_unasked() == 0


def test_after_a_hole_in_the_line_nothing_is_said_of_the_answer() -> None:
    def script(line: Line) -> None:
        line.play(10)
        line.t_ns += 500 * MS
        spoken(10, 13, text="The shop opens at nine in the")(line)

    heard, failed, _ = judged(script)
    assert (heard.answer, heard.dead_air_ns, failed) == (None, None, None)


def test_a_room_that_closes_in_the_middle_of_an_answer_has_cut_it() -> None:
    closed = StepError(turns_module.Kind.TRANSPORT, Code.WS_CLOSED, "1006")

    def script(line: Line) -> None:
        line.tell(STARTED)
        line.play(20)
        line.listener.on_closed(line.t_ns, closed)

    heard, failed, _ = judged(script)
    assert failed is Code.WS_CLOSED
    assert heard.answer is None  # before anybody waited for its end

    def later(line: Line) -> None:
        line.tell(STARTED)
        line.play(20)
        asyncio.get_running_loop().call_later(0.05, line.listener.on_closed, line.t_ns, closed)

    heard, failed, _ = judged(later)
    assert (heard.answer, failed) == (AnswerEnd.CUT, Code.WS_CLOSED)


def test_the_rest_of_a_speech_that_was_answered_early_is_answered_by_right() -> None:
    talk = Conversation(observe=lambda *_, **__: None)
    line = Line(talk, 10**9)
    talk.begin(0, CLIP)
    talk.on_mark(line.t_ns, Mark.SPEECH_START)
    line.play(10, 13)
    line.tell(ENDED)
    line.play(0, 60)
    talk.on_mark(line.t_ns, Mark.SPEECH_END)
    line.play(0, 60)
    line.play(10, 13)
    assert talk.take_unasked() == 0


def test_talk_over_is_how_long_both_were_heard_at_once() -> None:
    talk = Conversation(observe=lambda *_, **__: None)
    line = Line(talk, 10**9)
    talk.begin(0, CLIP)
    line.play(50)
    talk.on_mark(line.t_ns, Mark.SPEECH_START)
    line.play(20)
    assert talk.talk_over_ns >= 400 * MS  # goes on
    line.play(10, 13)
    talk.on_mark(line.t_ns, Mark.SPEECH_END)
    assert talk.talk_over_ns == 600 * MS
    talk.begin(1, CLIP)
    assert talk.talk_over_ns == 0


LONG = f"{FULL_SENTENCE} {FULL_SENTENCE} It closes at six."
"""Nobody says it in less than 3.5 s."""


def test_an_answer_that_comes_all_at_once_is_whole_and_its_end_is_when_it_would_have_been_heard() -> None:
    def at_once(line: Line) -> None:
        line.tell(STARTED)
        line.tell(words(LONG))
        for part in (LOUD_FRAME,) * 100 + (SILENCE,) * 8 + (LOUD_FRAME,) * 100:
            line.listener.on_audio(line.t_ns, part)
        line.play(0, 13)
        line.t_ns += 3_800 * MS  # announced when it has been played
        line.tell(ENDED)

    heard, code, talk = judged(at_once)
    assert (heard.answer, code) == (AnswerEnd.WHOLE, None)
    assert talk.answer.sound_ns == 208 * FRAME_NS
    assert talk.playout.ahead_ns == pytest.approx(3_860 * MS, abs=41 * MS)


def test_one_that_comes_too_fast_and_breaks_off_is_still_told() -> None:
    def at_once(line: Line) -> None:
        line.tell(STARTED)
        line.tell(words(LONG))
        for _ in range(60):
            line.listener.on_audio(line.t_ns, LOUD_FRAME)
        line.play(0, 13)
        line.tell(ENDED)

    heard, code, _ = judged(at_once)
    assert (heard.answer, code) == (AnswerEnd.CUT, Code.ANSWER_CUT)


def disturbed(*, text: str, after: int, then: Callable[[Line], object] = lambda _line: None) -> Heard | Code | str:
    """An answer of which 0.3 s were heard when the user coughs; it goes on for `after` frames."""

    async def scene() -> Heard | Code | str:
        t0 = now_ns() - 300 * MS
        talk = Conversation(observe=lambda *_, **__: None)
        line = Line(talk, t0)
        talk.begin(0, CLIP)
        talk.on_mark(t0 - MS, Mark.SPEECH_START)
        talk.on_mark(t0 - MS, Mark.SPEECH_END)
        line.tell(STARTED)
        line.tell(words(text))
        line.play(15)

        def coughs(listener: Listener) -> None:
            listener.on_mark(line.t_ns, Mark.SPEECH_START)
            line.play(after, 13)
            line.tell(ENDED)
            then(line)

        room = FakeRoom(on_speak=coughs)
        room.listener = talk
        heard = Heard()
        try:
            await Turns(talk=talk, room=room, plan=PLAN).ignore(CLIP, 1, 0.1, heard, hear_out=False)
        except AnswerOverError:
            return "over"
        except StepError as error:
            assert heard.went_on is False
            return error.code
        return heard

    return asyncio.run(scene())


def test_an_answer_that_ends_by_itself_soon_after_a_noise_is_no_fault_of_anybody() -> None:
    assert disturbed(text="At nine.", after=20) == "over"


@pytest.mark.parametrize(
    ("text", "then"),
    [
        (FULL_SENTENCE, lambda _line: None),
        ("At nine", lambda _line: None),
        ("At nine.", lambda line: asyncio.get_running_loop().call_later(0.1, line.play, 20)),
        ("At nine.", lambda line: (line.tell(of_user("At")), line.tell(of_user("hm")))),
    ],
    ids=["too short for its words", "in mid-sentence", "and it answers the noise", "and it tells the noise as words"],
)
def test_one_that_a_noise_has_stopped_is_told(text: str, then: Callable[[Line], object]) -> None:
    assert disturbed(text=text, after=10, then=then) is Code.STOPPED_BY_NOISE
