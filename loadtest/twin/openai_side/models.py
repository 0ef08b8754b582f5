"""`GET /v1/models`: what models there are, and which of them have an announced end
(docs/contract.md#what-a-mint-may-ask)."""

import json
from typing import Final

from loadtest.twin.openai_side.config.session_rules import MODELS, TRANSCRIBERS

PATH: Final = "/v1/models"
_ENDS: Final = {
    "2027-01-20": (
        *("gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-mini", "gpt-realtime-mini-2025-12-15"),
        *("gpt-audio-mini", "gpt-audio-mini-2025-10-06", "gpt-audio-mini-2025-12-15"),
    ),
    "2027-02-26": ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize"),
}
_CREATED_S: Final = 1_756_000_000


def listed() -> bytes:
    """The answer."""
    end_of = {name: day for day, names in _ENDS.items() for name in names}
    rows = [
        {"id": name, "object": "model", "created": _CREATED_S, "owned_by": "system", "shutdown_date": end_of.get(name)}
        for name in (*MODELS, *TRANSCRIBERS)
    ]
    return json.dumps({"object": "list", "data": rows}).encode()
