"""Warnings about a scenario that can be sent but can't work as meant (PROTOCOL.md AUD-2, TOOL-3, DUR-2, GA-4).

Warnings, not errors: a team may want to see what happens. Static: nothing is contacted.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from loadtest.scenario import Scenario

VOICES = frozenset({"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"})
SHUTDOWN = {
    "gpt-realtime": date(2027, 1, 20),
    "gpt-realtime-2025-08-28": date(2027, 1, 20),
    "gpt-realtime-mini": date(2027, 1, 20),
    "gpt-realtime-mini-2025-12-15": date(2027, 1, 20),
    "whisper-1": date(2027, 2, 26),
    "gpt-4o-transcribe": date(2027, 2, 26),
    "gpt-4o-mini-transcribe": date(2027, 2, 26),
    "gpt-4o-transcribe-diarize": date(2027, 2, 26),
}
"""Announced ends of service (PROTOCOL.md 1.1)."""
RETIRED_PREFIX = "gpt-4o-realtime-preview"
OPENAI_LIMIT_S = 3600
"""A Realtime session's maximum (PROTOCOL.md 2.2)."""


def lint(scenario: Scenario, *, today: date) -> list[str]:
    """One sentence per thing that will not work, or not for long; empty for a sound scenario."""
    realtime = scenario.realtime
    audio = _table(realtime, "audio")
    return [
        f"{scenario.name}: {text}"
        for found in (
            _modes(realtime),
            _formats(audio),
            _turn_detection(_table(audio, "input")),
            _models(realtime, audio, today),
            _voice(_table(audio, "output")),
            _tools(realtime),
            _durations(scenario),
        )
        for text in found
    ]


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _modes(realtime: dict[str, Any]) -> Iterator[str]:
    if realtime.get("type") != "realtime":
        yield f"a secret of type {realtime.get('type')!r} drives no avatar (GA-4)"
    if realtime.get("output_modalities") == ["text"]:
        yield "output_modalities is text: the avatar stays mute (AUD-2)"


def _formats(audio: dict[str, Any]) -> Iterator[str]:
    for side in ("input", "output"):
        kind = _table(_table(audio, side), "format").get("type", "audio/pcm")
        if kind != "audio/pcm":
            yield f"audio.{side}.format is {kind}; this engine speaks 24 kHz PCM (AUD-2)"


def _turn_detection(given: dict[str, Any]) -> Iterator[str]:
    if "turn_detection" not in given:
        return
    detection = given["turn_detection"]
    if not detection:
        yield "turn_detection is off: nobody commits the user's audio, so the avatar never answers (AUD-2)"
    elif isinstance(detection, dict) and detection.get("create_response") is False:
        yield "create_response is false: the avatar hears and never answers (AUD-2)"


def _models(realtime: dict[str, Any], audio: dict[str, Any], today: date) -> Iterator[str]:
    transcriber = _table(_table(audio, "input"), "transcription").get("model")
    for what, model in (("model", realtime.get("model")), ("transcription model", transcriber)):
        if not isinstance(model, str):
            continue
        if model.startswith(RETIRED_PREFIX):
            yield f"{what} {model} is a retired preview (AUD-2)"
        elif (end := SHUTDOWN.get(model)) is not None:
            left_days = (end - today).days
            told = f"was shut down on {end}" if left_days <= 0 else f"is shut down on {end}, in {left_days} days"
            yield f"{what} {model} {told} (AUD-2)"


def _voice(given: dict[str, Any]) -> Iterator[str]:
    voice = given.get("voice")
    if isinstance(voice, str) and voice not in VOICES:
        yield f"voice {voice} is not one of the known ones (AUD-2)"


def _tools(realtime: dict[str, Any]) -> Iterator[str]:
    tools = realtime.get("tools") or []
    kinds = {tool.get("type") for tool in tools if isinstance(tool, dict)}
    if "function" in kinds:
        yield "function tools are not executed: such a turn ends without an answer (TOOL-3)"
    if "mcp" in kinds:
        yield "mcp tools run at OpenAI; what comes of it through Avaturn is unknown (TOOL-3)"


def _durations(scenario: Scenario) -> Iterator[str]:
    limit_s = scenario.session.max_duration
    if limit_s is not None and limit_s > OPENAI_LIMIT_S:
        yield f"max_duration is {limit_s} s, but OpenAI ends a session after {OPENAI_LIMIT_S} s (DUR-2)"
