"""The parts that need no socket: chance, the energy VAD, the playout, the hot event."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.twin.avaturn_side.rooms.mouth import Playout
from loadtest.twin.command_line import points
from loadtest.twin.command_line.loading import load
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.openai_side.turns.vad import SpeechStarted, SpeechStopped, Vad
from loadtest.twin.pcm import FRAME_BYTES, SILENT_FRAME, rms, tone
from loadtest.twin.sockets import append_event

SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
SOUND = bytes(48 * 400) + tone(duration_ms=200) + bytes(48 * 700) + tone(duration_ms=60) + bytes(48 * 600)


def _square(amplitude: int) -> bytes:
    return amplitude.to_bytes(2, "little", signed=True) * (FRAME_BYTES // 2)


@given(st.integers(1, 9000))
@settings(max_examples=50, deadline=None)
def test_what_the_vad_finds_does_not_depend_on_the_chunks(size: int) -> None:
    vad = Vad(SERVER_VAD)

    found = [each for start in range(0, len(SOUND), size) for each in vad.hear(SOUND[start : start + size])]

    assert found == [SpeechStarted(100), SpeechStopped(1100), SpeechStarted(1000), SpeechStopped(1860)]


def test_one_voiced_frame_is_not_speech() -> None:
    vad = Vad(SERVER_VAD)

    assert list(vad.hear(_square(9000) + SILENT_FRAME + _square(9000) + SILENT_FRAME)) == []


@pytest.mark.parametrize(("amplitude", "heard"), [(199, False), (200, True)])
def test_the_default_threshold_is_an_rms_of_200(amplitude: int, heard: bool) -> None:
    assert bool(list(Vad(SERVER_VAD).hear(_square(amplitude) * 2))) is heard


@pytest.mark.parametrize(("threshold", "rms_needed"), [(0.0, 20), (0.3, 80), (0.9, 1262), (1.0, 2000)])
def test_a_higher_threshold_asks_for_a_louder_voice(threshold: float, rms_needed: int) -> None:
    detection = {**SERVER_VAD, "threshold": threshold}

    assert list(Vad(detection).hear(_square(rms_needed - 1) * 3)) == []
    assert list(Vad(detection).hear(_square(rms_needed) * 3)) == [SpeechStarted(0)]


NOISE, VOICE, SECONDS_10 = _square(400), _square(3000), 500


@pytest.mark.parametrize("reduction", ["near_field", "far_field"])
def test_with_noise_reduction_a_steady_noise_is_soon_no_speech_and_a_voice_above_it_is(reduction: str) -> None:
    vad = Vad(SERVER_VAD, {"type": reduction})
    of_noise = list(vad.hear(NOISE * SECONDS_10))
    assert [type(each) for each in of_noise] == [SpeechStarted, SpeechStopped]
    assert [type(each) for each in vad.hear(VOICE * 20 + NOISE * 50)] == [SpeechStarted, SpeechStopped]


def test_without_noise_reduction_a_steady_noise_above_the_threshold_is_speech_for_ever() -> None:
    assert [type(each) for each in Vad(SERVER_VAD).hear(NOISE * SECONDS_10)] == [SpeechStarted]


def test_a_tone_is_loud_from_its_first_sample() -> None:
    sound = tone(duration_ms=20)

    assert int.from_bytes(sound[:2], "little", signed=True) == 8000
    assert 5000 < rms(sound) < 6000


@given(st.binary(max_size=3000))
def test_the_hot_event_is_json_and_reads_back(pcm: bytes) -> None:
    payload = append_event.encode(pcm)

    assert json.loads(payload)["type"] == "input_audio_buffer.append"
    assert append_event.decode(payload) == pcm


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"type":"input_audio_buffer.append","audio":"?"}'])
def test_any_other_text_is_left_to_the_json_path(payload: bytes) -> None:
    assert append_event.decode(payload) is None


def test_phrases_play_in_order_and_say_so() -> None:
    playout = Playout()
    playout.queue("a", bytes([1]) * (FRAME_BYTES + 10))
    playout.complete("a")
    playout.queue("b", bytes([2]) * FRAME_BYTES)
    playout.complete("b")

    frames = [playout.next_frame() for _ in range(4)]

    assert frames == [b"\1" * FRAME_BYTES, b"\1" * 10 + bytes(FRAME_BYTES - 10), b"\2" * FRAME_BYTES, None]
    assert list(playout.events) == [
        {"type": "avatar_started_speaking", "phrase_id": "a"},
        {"type": "avatar_started_speaking_phrase", "phrase_id": "a"},
        {"type": "avatar_ended_speaking_phrase", "phrase_id": "a"},
        {"type": "avatar_started_speaking_phrase", "phrase_id": "b"},
        {"type": "avatar_ended_speaking_phrase", "phrase_id": "b"},
        {"type": "avatar_ended_speaking"},
    ]


def test_an_unfinished_phrase_waits_for_more_sound() -> None:
    playout = Playout()
    playout.queue("a", bytes([1]) * (FRAME_BYTES - 1))

    assert playout.next_frame() is None
    playout.queue("a", bytes([1]))
    assert playout.next_frame() == b"\1" * FRAME_BYTES


@pytest.mark.parametrize(("played", "before"), [(0, 2), (3, 3), (4, 4)])
def test_dead_air_is_put_into_the_middle_of_a_phrase_or_where_it_has_got_to(played: int, before: int) -> None:
    playout = Playout()
    playout.queue("a", bytes([1]) * FRAME_BYTES * 4)
    frames = [playout.next_frame() for _ in range(played)]
    playout.pause("a", 2 * FRAME_BYTES)
    playout.complete("a")
    while (frame := playout.next_frame()) is not None:
        frames.append(frame)

    loud, silent = bytes([1]) * FRAME_BYTES, bytes(FRAME_BYTES)
    gap = [silent] * 2 if before < 4 else []
    assert frames == [loud] * before + gap + [loud] * (4 - before)
    assert [each["type"] for each in playout.events].count("avatar_ended_speaking") == 1


def test_what_is_discarded_never_comes_back() -> None:
    playout = Playout()
    playout.queue("a", bytes([1]) * FRAME_BYTES * 3)
    playout.next_frame()

    assert playout.discard() is True
    assert playout.next_frame() is None
    assert [each["type"] for each in playout.events][-2:] == ["avatar_ended_speaking_phrase", "avatar_ended_speaking"]
    assert playout.discard() is False


def test_equal_seeds_draw_equal_latencies_at_every_point() -> None:
    profile = load(name="realistic", settings=[])
    first, second, other = (Chance(profile, seed=seed) for seed in (1, 1, 2))

    draws = {point: first.latency_s(point) for point in profile.latency}

    # Drawn in another order: each point has a stream of its own.
    assert {point: second.latency_s(point) for point in reversed([*profile.latency])} == draws
    assert {point: other.latency_s(point) for point in profile.latency} != draws
    assert min(draws.values()) > 0


def test_the_instant_profile_draws_nothing() -> None:
    chance = Chance(load(name="instant", settings=[]), seed=random.Random(0).randrange(99))

    assert {chance.latency_s(point) for point in points.LATENCY_POINTS} == {0.0}
    assert {chance.fault(point) for point in points.FAULT_POINTS} == {None}
    assert chance.answer_after_s() is None
    assert chance.dead_air_s() == 0
