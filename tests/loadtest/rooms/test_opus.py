"""Clips as Opus packets, and packets as PCM."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra webrtc")

from loadtest.rooms import opus
from loadtest.sound.sources import corpus
from loadtest.sound.speech import FRAME_BYTES, RATE_HZ, SILENCE, clip_of, first_loud_ns, is_loud


def tone(frames: int, *, frequency_hz: float = 440.0) -> tuple[bytes, ...]:
    at = np.arange(frames * FRAME_BYTES // 2) / RATE_HZ
    pcm = (8000 * np.cos(2 * np.pi * frequency_hz * at)).astype("<i2").tobytes()
    return tuple(pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES))


def decoded(payloads: tuple[bytes, ...]) -> list[bytes]:
    ear = opus.Decoder()
    return [ear.decode(payload) for payload in payloads]


def rms(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, dtype="<i2").astype(float) ** 2)))


def test_every_frame_is_one_packet_and_comes_back_as_one_frame() -> None:
    sound = (SILENCE, *tone(5), SILENCE)
    back = decoded(opus.encode(sound))
    assert [len(frame) for frame in back] == [FRAME_BYTES] * 7


def test_sound_comes_back_in_the_frame_it_was_in_and_begins_where_it_began() -> None:
    back = decoded(opus.encode((SILENCE, SILENCE, *tone(5), SILENCE, SILENCE)))
    assert [is_loud(frame) for frame in back] == [False, False, True, True, True, True, True, False, False]
    assert first_loud_ns(back[2]) < 1_000_000


def test_sound_comes_back_as_loud_as_it_was() -> None:
    sound = tone(10)
    levels = [rms(frame) for frame in decoded(opus.encode(sound))]
    assert levels == pytest.approx([rms(frame) for frame in sound], rel=0.15)


def test_a_tone_keeps_its_pitch_so_the_rate_is_24_khz() -> None:
    heard = np.frombuffer(b"".join(decoded(opus.encode(tone(50)))[5:45]), dtype="<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() * RATE_HZ / len(heard) == pytest.approx(440, abs=2)


def test_packets_fit_together_whatever_came_before_them() -> None:
    tail_of_one, head_of_other = opus.encode(tone(10))[5:], opus.encode(tone(10, frequency_hz=700))[3:]
    levels = [rms(frame) for frame in decoded(tail_of_one + head_of_other)]
    assert min(levels) > 4000


def test_silence_is_three_bytes_and_comes_back_as_silence() -> None:
    (payload,) = opus.encode((SILENCE,))
    assert len(payload) == opus.SILENT_BYTES
    assert decoded((payload, payload)) == [SILENCE, SILENCE]


@pytest.mark.parametrize(
    ("payload", "ms"),
    [
        (b"", 20),
        (b"\x18", 60),
        (b"\x00\1", 10),
        (b"\x08", 20),
        (b"\x59", 120),
        (b"\x60", 10),
        (b"\x80", 2.5),
        (b"\xf8", 20),
        (b"\xf9", 40),
        (b"\xfb\3", 60),
        (b"\xfb\x3f", 120),
        (b"\xfb\0", 20),
        (b"\xfb", 20),
    ],
)
def test_a_packet_without_sound_is_as_much_silence_as_it_stands_for(payload: bytes, ms: float) -> None:
    assert decoded((payload,)) == [bytes(int(48 * ms))]
    *_, after_sound = decoded((*opus.encode(tone(3)), payload))
    assert after_sound == bytes(int(48 * ms))


def test_a_packet_that_is_no_opus_counts_as_silence() -> None:
    assert opus.Decoder().decode(b"\xf8" + b"\xff" * 2000) == SILENCE
    assert opus.Decoder().decode(b"\xff" * 40) == bytes(5760)


@pytest.mark.parametrize("clip", corpus("corpus:en"), ids=lambda clip: clip.name)
def test_the_voiced_frames_of_a_clip_are_those_its_listener_hears(clip: object) -> None:
    packets = opus.packets_of(clip)  # type: ignore[arg-type]
    loud = [index for index, frame in enumerate(decoded(packets.payloads)) if is_loud(frame)]
    assert (packets.first_voiced, packets.last_voiced) == (loud[0], loud[-1])


def test_under_loud_noise_the_clip_itself_knows_which_frames_are_speech() -> None:
    noisy = clip_of("noise all through", b"".join(tone(6)))
    packets = opus.packets_of(dataclasses.replace(noisy, first_voiced=2, last_voiced=4))
    assert (packets.first_voiced, packets.last_voiced) == (2, 4)
