"""Which rules an engine can't be judged by, and why: they speak of what only a session of OpenAI's shows."""

from collections.abc import Mapping
from typing import Final

_OF_OPENAI: Final = (
    *("EXP-1", "EXP-1b", "EXP-2", "EXP-3", "EXP-4", "EXP-5", "EXP-6", "EXP-7", "EXP-8"),
    *("DUR-1", "DUR-2", "AUD-2", "TOOL-1", "TOOL-2", "TOOL-3", "GA-1", "GA-2", "GA-4", "ERR-1", "ERR-3", "LIM-2"),
)
_OF_TRANSCRIPTS: Final = ("TR-1", "TR-2", "TR-3", "TR-4", "TR-5", "TR-6", "TR-7")
_OF_SPEECH: Final = ("INT-1", "INT-2", "INT-3", "INT-4", "INT-5", "INT-6", "INT-7", "AUD-1", "AUD-3", "ERR-2")
ALWAYS_JUDGED: Final = frozenset({"TR-7"})
"""Whose breach can be seen all the same, since two sessions may be let into one room."""


def unjudged(engine: str | None, *, by_backend: bool) -> Mapping[str, str]:
    """Rule → why sessions of this engine (None: not said) say nothing about it. `by_backend`: the integrator's own
    endpoint makes them, so nobody here knows what it asks OpenAI for."""
    reasons: dict[str, str] = {}
    if by_backend:
        reasons |= dict.fromkeys(("AUD-2", "TOOL-2", "TOOL-3", "DUR-2"), "what the endpoint asks for isn't known here")
    if engine not in (None, "openai-realtime"):
        reasons |= dict.fromkeys(_OF_OPENAI, f"engine {engine} has no OpenAI session of its own")
        reasons |= dict.fromkeys(_OF_TRANSCRIPTS, f"engine {engine} forwards no transcripts")
    if engine == "text-echo":
        reasons |= dict.fromkeys(_OF_SPEECH, "engine text-echo hears nothing and answers nobody")
    return reasons
