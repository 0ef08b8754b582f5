"""Opus as WebRTC rooms carry it: clips encoded once per process, incoming packets decoded only where they hold sound.

Outside everything is frames of 20 ms, 24 kHz mono PCM16LE, as `speech` has it. The encoder runs in its low-delay mode
and is fed ahead by its own look-ahead, so that packet n decodes to frame n and not to something 2.5 ms later: the
stamps of speech count on it.
"""

import fractions
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from loadtest.caller.microphone import Marks, Sends
from loadtest.sound.speech import FRAME_SAMPLES, RATE_HZ, SILENCE, Clip, is_loud

BIT_RATE = 32_000
"""What browsers send for a voice."""
SILENT_BYTES = 3
"""A packet of up to three bytes codes no sound: silence, or a frame that was not sent at all (RFC 6716 3.1)."""
CLOCK_HZ = 48_000
"""Of RTP timestamps, whatever rate the sound has (RFC 7587 4.1)."""
_LOOK_AHEAD = RATE_HZ // 400
_DECODED_HZ = 48_000
_STEP = _DECODED_HZ // RATE_HZ
_LONGEST = 6 * FRAME_SAMPLES
"""Samples of a packet: 120 ms (RFC 6716 3.1)."""


@dataclass(frozen=True, slots=True)
class Packets:
    """A clip as Opus packets. The voiced frames are those of the decoded sound: what whoever listens will find."""

    payloads: tuple[bytes, ...]
    first_voiced: int
    last_voiced: int


@lru_cache(maxsize=1024)
def packets_of(clip: Clip) -> Packets:
    """The clip's packets; encoded at the first call (about 60 us per frame), from then on found."""
    payloads = encode(clip.frames)
    ear = Decoder()
    loud = [index for index, payload in enumerate(payloads) if is_loud(ear.decode(payload))]
    was_loud = [index for index, frame in enumerate(clip.frames) if is_loud(frame)]
    # With loud noise under the speech the clip knows better than its loudness which frames are speech.
    by_loudness = bool(loud) and was_loud[:1] == [clip.first_voiced] and was_loud[-1:] == [clip.last_voiced]
    first, last = (loud[0], loud[-1]) if by_loudness else (clip.first_voiced, clip.last_voiced)
    return Packets(payloads, first, last)


@lru_cache(maxsize=64)
def encode(frames: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """One packet per frame. Each can be decoded after any other: a microphone cuts from clip to clip."""
    if not any(frame.strip(b"\0") for frame in frames):
        return (_silent_payload(),) * len(frames)
    return tuple(_encode(frames))


@lru_cache(maxsize=1)
def _silent_payload() -> bytes:
    return next(iter(_encode((SILENCE,))))


def _encoder() -> Any:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.bit_rate, codec.sample_rate, codec.format, codec.layout = BIT_RATE, RATE_HZ, "s16", "mono"
    # The loss makes the encoder code every frame for itself: no frame is wrong because of the one before it.
    codec.options = {"application": "lowdelay", "packet_loss": "100"}
    codec.time_base = fractions.Fraction(1, RATE_HZ)
    return codec


def _encode(frames: tuple[bytes, ...]) -> Iterable[bytes]:
    codec = _encoder()
    samples = np.frombuffer(SILENCE[2 * _LOOK_AHEAD :] + b"".join(frames) + SILENCE[: 2 * _LOOK_AHEAD], dtype="<i2")
    for number, at in enumerate(range(0, len(samples), FRAME_SAMPLES)):
        payloads = _packets(codec, samples[at : at + FRAME_SAMPLES], at)
        if number:  # the first one is the silence that leads in
            yield from payloads


def _packets(codec: Any, samples: npt.NDArray[np.int16], at: int) -> list[bytes]:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE_HZ, at
    return [bytes(packet) for packet in codec.encode(frame)]


class EncodedMicrophone:
    """A microphone whose frames aren't known ahead, as packets. It is one frame behind: a frame is encoded together
    with the beginning of the next one, so that packet n decodes to frame n here, too."""

    def __init__(self, microphone: Sends) -> None:
        self._microphone = microphone
        self._codec = _encoder()
        self._next: tuple[bytes | None, Marks] | None = None
        self._at = 0
        self._is_flushed = True

    def speak(self, frames: Sequence[bytes], *, first_voiced: int, last_voiced: int) -> None:
        self._microphone.speak(frames, first_voiced=first_voiced, last_voiced=last_voiced)

    def take(self) -> tuple[bytes | None, Marks]:
        frame, marks = self._microphone.take() if self._next is None else self._next
        self._next = self._microphone.take()
        if frame is None:
            return None, marks
        following = self._next[0] or SILENCE
        is_silent = frame == SILENCE and following == SILENCE
        if is_silent and self._is_flushed:
            return _silent_payload(), marks
        self._is_flushed = is_silent
        samples = np.frombuffer(frame[2 * _LOOK_AHEAD :] + following[: 2 * _LOOK_AHEAD], dtype="<i2")
        packets = _packets(self._codec, samples, self._at)
        self._at += FRAME_SAMPLES
        return b"".join(packets) or _silent_payload(), marks


class Decoder:
    """One stream's packets as PCM. Silence costs a comparison, sound about 15 us."""

    def __init__(self) -> None:
        self._codec: Any = None
        self._is_flushed = True

    def decode(self, payload: bytes) -> bytes:
        """The 20 ms frame of this packet; longer or shorter packets give longer or shorter PCM. A packet that can't be
        decoded counts as silence."""
        is_silent = len(payload) <= SILENT_BYTES
        if not payload or (is_silent and self._is_flushed):  # nothing at all would end the stream for the codec
            return _silence(payload[:2])
        if self._codec is None:
            self._codec = av.CodecContext.create("libopus", "r")
            self._codec.sample_rate, self._codec.format, self._codec.layout = _DECODED_HZ, "s16", "mono"
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            return _silence(payload[:2])
        # After sound one packet of silence is decoded, to let the sound's last overlap out of the decoder; what is
        # heard of it is the codec's, not the speaker's.
        self._is_flushed = is_silent
        if is_silent:
            return _silence(payload[:2])
        # The services' sound has 24 kHz, so of the decoder's 48 every second sample says all there is.
        return b"".join(
            np.frombuffer(frame.planes[0], dtype="<i2", count=frame.samples)[::_STEP].tobytes() for frame in frames
        )


@lru_cache(maxsize=256)
def _silence(begins: bytes) -> bytes:
    """As long as the packet is by its first byte, and by its second where that counts frames (RFC 6716 3.1)."""
    if not begins:
        return SILENCE
    config, code = begins[0] >> 3, begins[0] & 3
    if config < 12:
        samples = FRAME_SAMPLES * (1, 2, 4, 6)[config & 3] // 2  # SILK: 10 to 60 ms
    elif config < 16:
        samples = FRAME_SAMPLES * (1, 2)[config & 1] // 2  # hybrid: 10 or 20 ms
    else:
        samples = FRAME_SAMPLES * (1, 2, 4, 8)[config & 3] // 8  # CELT: 2.5 to 20 ms
    frames = (1, 2, 2, begins[1] & 63 if len(begins) > 1 else 1)[code]
    length = 2 * min(samples * frames, _LONGEST)
    return SILENCE if length in (0, len(SILENCE)) else bytes(length)
