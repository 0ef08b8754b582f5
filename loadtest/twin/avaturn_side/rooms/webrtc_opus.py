"""PCM16LE frames as Opus packets and back, cheaply: what was encoded once is remembered, and silence costs nothing.

The twin's sound is periodic and the same in all rooms, so after the first answer nearly every frame is a look-up.
"""

import fractions
from functools import lru_cache
from typing import Any

import av
import numpy as np

from loadtest.twin.pcm import FRAME_BYTES, SAMPLE_RATE_HZ, SILENT_FRAME

SILENT_PAYLOAD_BYTES = 3
"""Opus packets up to this length code no sound (RFC 6716 3.1)."""
_KEPT = 4096
_DELAY = SAMPLE_RATE_HZ // 400
"""Samples by which a decoded packet lags what was fed in: 2.5 ms in the encoder's low-delay mode."""
_SAMPLES = FRAME_BYTES // 2


@lru_cache(maxsize=_KEPT)
def encode(previous: bytes, frame: bytes) -> bytes:
    """The packet that decodes to `frame` (20 ms) where the packet before it held `previous`; about 0.4 ms when new.

    The encoder is told of great losses, so that it codes each frame for itself; then packets that were made one by one
    fit together.
    """
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.bit_rate, codec.sample_rate, codec.format, codec.layout = 32_000, SAMPLE_RATE_HZ, "s16", "mono"
    codec.options = {"application": "lowdelay", "packet_loss": "100"}
    codec.time_base = fractions.Fraction(1, SAMPLE_RATE_HZ)
    sound = np.frombuffer(previous[2 * _DELAY :] + frame + SILENT_FRAME[: 2 * _DELAY], dtype="<i2")
    payload = b""
    for start in (0, _SAMPLES):
        part = av.AudioFrame.from_ndarray(sound[start : start + _SAMPLES].reshape(1, -1), format="s16", layout="mono")
        part.sample_rate, part.pts = SAMPLE_RATE_HZ, start
        payload = b"".join(bytes(packet) for packet in codec.encode(part))
    return payload


class Decoder:
    """The microphone of one user."""

    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate, self._codec.format, self._codec.layout = 2 * SAMPLE_RATE_HZ, "s16", "mono"
        self._heard_sound = False

    def decode(self, payload: bytes) -> bytes:
        """PCM16LE, 24 kHz. Silence, and what can't be decoded, is SILENT_FRAME."""
        has_sound = len(payload) > SILENT_PAYLOAD_BYTES
        if not has_sound and not self._heard_sound:
            return SILENT_FRAME
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            return SILENT_FRAME
        self._heard_sound = has_sound
        if not has_sound:  # it was decoded only for the end of the sound before it to leave the decoder
            return SILENT_FRAME
        # The codec decodes to 48 kHz; the microphones have 24.
        return b"".join(np.frombuffer(f.planes[0], dtype="<i2", count=f.samples)[::2].tobytes() for f in frames)
