"""What the caller's own line holds up was told in time: the room is judged by when it told it."""

import asyncio
import random
from collections.abc import Callable

import pytest

from loadtest.caller.packets import Downlink
from loadtest.config.keys import scenario
from loadtest.config.keys.caller import Caller, Line
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code
from loadtest.events.kinds import Mark
from loadtest.rooms.app_messages import translated
from loadtest.session import turns as turns_module
from loadtest.session.hearing.conversation import Conversation
from loadtest.session.line import CallersLine
from loadtest.session.ports import Listener
from loadtest.session.turns import Heard, Turns
from loadtest.sound.speech import FRAME_NS, SILENCE
from loadtest.system.clock import now_ns
from tests.loadtest.fakes import CLIP, LOUD_FRAME, FakeRoom

MS = 1_000_000
ENDED = translated({"type": "avatar_ended_speaking"})
PLAN = scenario.Conversation(answer_timeout_s=0.3, answer_max_s=3)


class Held:
    """A line that holds everything up until `let_go`."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def at(self, due_ns: int, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def let_go(self) -> None:
        while self._calls:
            self._calls.pop(0)()


def turn(kind: str, told: Callable[[Listener, int], object]) -> Heard | Code:
    """A turn whose line holds up all that the room tells from the user's first word on, for longer than is waited."""

    async def scene() -> Heard | Code:
        t0, held = now_ns(), Held()
        line = CallersLine(Caller(up=Line(delay_s=0.1), down=Line(delay_s=0.1)), random.Random(1))
        talk = Conversation(observe=lambda *_, **__: None, line=line)
        down = Downlink(line.down, talk, held, None, sends_again=True)
        down.on_message(t0 - 200 * MS, translated({"type": "avatar_started_speaking"}))
        for number in range(10):
            down.on_audio(t0 - 200 * MS + number * FRAME_NS, LOUD_FRAME if kind != "say" else SILENCE)
        held.let_go()
        if kind == "say":
            talk.is_announced = False

        def speaks(listener: Listener) -> None:
            listener.on_mark(t0, Mark.SPEECH_START)
            listener.on_mark(t0 + MS, Mark.SPEECH_END)
            told(down, t0)
            asyncio.get_running_loop().call_later(0.5, held.let_go)

        room, heard = FakeRoom(on_speak=speaks), Heard()
        room.listener = talk
        turns = Turns(talk=talk, room=room, plan=PLAN)
        try:
            if kind == "say":
                await turns.say(CLIP, 1, heard, hear_out=False)
            elif kind == "barge_in":
                await turns.barge_in(CLIP, 1, 0.1, heard, hear_out=False)
            else:
                await turns.ignore(CLIP, 1, 0.1, heard, hear_out=False)
        except StepError as error:
            return error.code
        return heard

    return asyncio.run(scene())


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "YIELD_LIMIT_S", 0.1)
    monkeypatch.setattr(turns_module, "NOISE_WATCH_S", 0.1)
    monkeypatch.setattr(turns_module, "FOLLOWED_S", 0.1)


def frames(listener: Listener, t_ns: int, *parts: int) -> int:
    """Sound and silence in turn, so many frames of each."""
    for number, count in enumerate(parts):
        for _ in range(count):
            listener.on_audio(t_ns, SILENCE if number % 2 else LOUD_FRAME)
            t_ns += FRAME_NS
    return t_ns


def falls_silent(listener: Listener, t0: int) -> None:
    t_ns = frames(listener, t0, 4, 13)
    listener.on_message(t_ns, ENDED)
    frames(listener, t_ns - FRAME_NS, 0, 1, 5)


def test_an_avatar_that_fell_silent_in_time_did_so_though_the_line_hands_it_on_later() -> None:
    heard = turn("barge_in", falls_silent)
    assert isinstance(heard, Heard)
    assert (heard.barge_in_ns, heard.censored) == (60 * MS, False)


def test_one_that_speaks_on_is_told_so_by_when_it_did() -> None:
    assert turn("barge_in", lambda listener, t0: frames(listener, t0, 30)) is Code.NOT_SILENCED


def test_a_sound_has_stopped_an_avatar_though_the_line_hands_it_on_later() -> None:
    assert turn("ignore", lambda listener, t0: frames(listener, t0, 4, 13)) is Code.STOPPED_BY_NOISE


def test_an_answer_that_came_in_time_is_one_though_the_line_hands_it_on_later() -> None:
    heard = turn("say", lambda listener, t0: frames(listener, t0 + 201 * MS, 5))
    assert isinstance(heard, Heard)
    assert heard.first_audio_ns == 200 * MS


def test_a_line_that_holds_nothing_up_is_not_waited_for() -> None:
    assert turn("say", lambda _listener, _t0: None) is Code.NO_ANSWER
