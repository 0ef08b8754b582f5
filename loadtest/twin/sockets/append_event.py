"""`input_audio_buffer.append`, the one event sent 50 times a second per session: written and read without JSON.

Only the compact spelling is recognised; any other is left to the ordinary JSON path (docs/contract.md#client-events).
"""

import binascii

from loadtest.twin.pcm import SILENT_FRAME

_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_TAIL = b'"}'


def encode(pcm: bytes) -> bytes:
    """The event's JSON text for this sound."""
    return _HEAD + binascii.b2a_base64(pcm, newline=False) + _TAIL


SILENT_APPEND = encode(SILENT_FRAME)
"""20 ms of silence: by far the most frequent text, so it is composed once and recognised by comparison."""


def decode(payload: bytes) -> bytes | None:
    """The sound in an event that `encode` could have written; None for anything else."""
    if payload == SILENT_APPEND:
        return SILENT_FRAME
    if not payload.startswith(_HEAD) or not payload.endswith(_TAIL):
        return None
    try:
        return binascii.a2b_base64(payload[len(_HEAD) : -len(_TAIL)], strict_mode=True)
    except binascii.Error:
        return None
