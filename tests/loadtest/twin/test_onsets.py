"""When an answer becomes audible: at the moment that it is due, inside a frame if need be."""

from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.twin.avaturn_side import voice
from loadtest.twin.avaturn_side.rooms.mouth import Playout
from loadtest.twin.avaturn_side.rooms.room import Room
from loadtest.twin.avaturn_side.voice import Codec, Voice
from loadtest.twin.command_line.loading import load
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.parts import honest
from loadtest.twin.pcm import BYTES_PER_MS, FRAME_BYTES, SILENT_FRAME, tone

MS = 1_000_000
LOUD = tone(duration_ms=20)


class Nobody:
    """A room's host, a microphone and the one user, who keeps what he hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None

    def send_binary(self, payload: bytes) -> None:
        self.heard.append(payload)


class Clock:
    """perf_counter_ns of the voice, moved by hand."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def perf_counter_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    by_hand = Clock()
    monkeypatch.setattr(voice, "time", by_hand)
    return by_hand


def answering(clock: Clock, *, after_ms: float, codec: Codec) -> tuple[Voice, Nobody]:
    """A voice whose user has just said his last frame, and whose answer of 40 ms is there at once."""
    nobody = Nobody()
    room = Room(nobody, keeps_errors=False)
    room.enter(nobody)
    chance = Chance(load(name="instant", settings=[f"answer_after=fixed:{after_ms / 1000}"]), seed=0)
    speaker = Voice(room=room, microphone=nobody, listener=None, chance=chance, make=honest, codec=codec)
    speaker.hear(LOUD)
    speaker.user_stopped()
    speaker.answer_begins()
    speaker.queue("a", 2 * LOUD)
    speaker.complete("a")
    return speaker, nobody


def ticked(speaker: Voice, clock: Clock, times: int) -> None:
    for _ in range(times):
        clock.now_ns += 20 * MS
        speaker.tick()


@pytest.mark.parametrize(("codec", "silence_ms"), [("pcm", 7), ("opus", 7.5)])
def test_an_answer_that_is_due_between_two_ticks_begins_inside_the_frame(
    clock: Clock, codec: Codec, silence_ms: float
) -> None:
    start_ns = clock.now_ns
    speaker, user = answering(clock, after_ms=47, codec=codec)

    ticked(speaker, clock, 5)

    lead = bytes(round(silence_ms * BYTES_PER_MS))
    said = (lead + 2 * LOUD).ljust(3 * FRAME_BYTES, b"\0")
    assert user.heard == [SILENT_FRAME, *(said[at : at + FRAME_BYTES] for at in (0, 960, 1920)), SILENT_FRAME]
    assert speaker.turns[0].record() == {
        "last_voiced_ns": start_ns,
        "first_audio_sent_ns": start_ns + (40 + silence_ms) * MS,
        "barge_in_heard_ns": None,
        "echo_heard_ns": None,
        "silenced_ns": None,
    }


@pytest.mark.parametrize("after_ms", [40, 30, 20.001, 0])
def test_an_answer_that_is_due_at_a_tick_or_is_late_takes_the_next_frame_whole(clock: Clock, after_ms: float) -> None:
    start_ns = clock.now_ns
    speaker, user = answering(clock, after_ms=after_ms, codec="pcm")
    clock.now_ns += 20 * MS  # a tick that was dropped

    ticked(speaker, clock, 2)

    assert user.heard == [LOUD, LOUD]
    assert speaker.turns[0].first_audio_sent_ns == start_ns + 40 * MS


def test_the_silence_before_an_onset_does_not_count_as_played() -> None:
    class Engine(Nobody):
        def playback_interrupted(self, phrase_id: str, *, played_s: float) -> None:
            told.append((phrase_id, played_s))

    told: list[tuple[str, float]] = []
    playout = Playout(Engine())
    playout.queue("a", 2 * LOUD)

    assert playout.next_frame(lead=5 * BYTES_PER_MS) == bytes(5 * BYTES_PER_MS) + LOUD[: 15 * BYTES_PER_MS]
    playout.discard()

    assert told == [("a", 0.015)]
