"""What the microphone sends, on the caller's line: what came of it is known when it arrives."""

import random
from collections.abc import Callable

import pytest

from loadtest.caller import packets
from loadtest.caller.packets import Downlink, Uplink
from loadtest.config.keys.caller import Line
from loadtest.events.kinds import Mark, Way
from loadtest.session.hearing.conversation import Conversation
from loadtest.session.hearing.tape import Tape
from loadtest.session.line import Direction
from loadtest.sound.speech import FRAME_NS, SILENCE
from tests.loadtest.fakes import CLIP, LOUD_FRAME

MS = 1_000_000


class Clock:
    """Calls what is due when a test says that it is time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.t_ns = 0
        self._due: list[tuple[int, Callable[[], None]]] = []
        monkeypatch.setattr(packets, "now_ns", lambda: self.t_ns)

    def at(self, due_ns: int, call: Callable[[], None]) -> None:
        self._due.append((due_ns, call))

    def run(self) -> None:
        for due_ns, call in self._due:
            self.t_ns = due_ns
            call()
        self._due = []


def test_of_a_speech_it_is_counted_how_much_of_it_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, put = Clock(monkeypatch), list[bytes | None]()
    way = Direction(Way.UP, Line(loss=0.5), random.Random(1), round_trip_ns=0)
    uplink = Uplink(way, Conversation(observe=lambda *_, **__: None), clock, put.append, sends_again=False)
    for number in range(40):
        clock.t_ns = number * FRAME_NS
        uplink.send(LOUD_FRAME, {0: (Mark.SPEECH_START,), 39: (Mark.SPEECH_END,)}.get(number, ()))
    assert (way.speech.sent, way.speech.arrived) == (40, 0)
    clock.run()
    assert (way.speech.sent, way.speech.arrived) == (40, 40 - put.count(None))
    assert 15 <= way.speech.arrived <= 25


def test_an_echo_is_on_the_tape_where_the_speech_is_that_it_was_sent_with(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tape = Clock(monkeypatch), Tape()
    way = Direction(Way.UP, Line(delay_s=0.1), random.Random(1), round_trip_ns=0)
    talk = Conversation(observe=lambda *_, **__: None, tape=tape)
    uplink = Uplink(way, talk, clock, lambda _frame: None, sends_again=False)
    talk.begin(0, CLIP)
    tape.begin(0)
    mixed = b"\x00\x30" * (len(LOUD_FRAME) // 2)
    uplink.send(LOUD_FRAME, (Mark.SPEECH_START,))
    clock.t_ns = FRAME_NS
    uplink.on_sent(FRAME_NS, mixed)
    uplink.send(mixed, (Mark.SPEECH_END,))
    clock.run()
    assert tape.tracks()[0] == SILENCE * 5 + LOUD_FRAME + mixed


def test_a_room_that_rests_is_not_held_up_by_the_callers_line(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, talk = Clock(monkeypatch), Conversation(observe=lambda *_, **__: None)
    way = Direction(Way.DOWN, Line(delay_s=0.1), random.Random(1), round_trip_ns=0)
    downlink = Downlink(way, talk, clock, None, sends_again=False)
    talk.on_mark(1, Mark.FIRST_FRAME)
    for at_ms, pcm, rest_ms in (
        (0, LOUD_FRAME, 0),
        (20, LOUD_FRAME, 0),
        (420, SILENCE * 3, 380),
        (880, LOUD_FRAME, 400),
    ):
        downlink.on_audio(at_ms * MS + 1, pcm, 0, rest_ms * MS)
    clock.run()
    assert (way.heard.underruns, way.heard.longest_gap_ns) == (0, 60 * MS)
    assert talk.playout.underruns == 0
    assert talk.last_audio_ns == 20 * MS + 1
