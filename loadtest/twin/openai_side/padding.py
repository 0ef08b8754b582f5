"""`obfuscation`: what fills each delta of text up, so that nobody on the way can tell words by their length."""

import itertools
import random
import string
from typing import Any

from loadtest.twin.openai_side.surroundings import Emit

_BLOCK = 16
"""Delta and padding together are a multiple of it, as in recordings of the real service."""
_CHARACTERS = "".join(random.Random(0).choices(string.ascii_letters + string.digits, k=4096))
_SOUND = "response.output_audio.delta"


def padded(emit: Emit) -> Emit:
    """The same, with padding in every delta that is no sound."""
    places = itertools.cycle(range(0, len(_CHARACTERS) - _BLOCK, 7))

    def emit_padded(event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind.endswith(".delta") and kind != _SOUND:
            at = next(places)
            event = {**event, "obfuscation": _CHARACTERS[at : at + _BLOCK - len(event["delta"]) % _BLOCK]}
        emit(event)

    return emit_padded
