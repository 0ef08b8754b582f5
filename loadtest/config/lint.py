"""Warnings about a scenario that can be sent but can't work as meant (rules AUD-2, TOOL-3, DUR-2, GA-4).

Warnings, not errors: a team may want to see what happens. Static: nothing is contacted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from loadtest.config.keys.scenario import Scenario
from loadtest.config.keys.session_object import table

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
"""Announced ends of service (docs/contract.md#what-a-mint-may-ask)."""
PROMPTS_END = date(2026, 11, 30)
"""Of stored prompts, likewise announced."""
RETIRED_PREFIX = "gpt-4o-realtime-preview"
OPENAI_LIMIT_S = 3600
"""A Realtime session's maximum (docs/contract.md#a-realtime-session)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that will not work. `breaks`: today; otherwise it will one day."""

    rule: str
    text: str
    breaks: bool = True


def lint(scenario: Scenario, *, today: date) -> list[str]:
    """One sentence per thing that will not work, or not for long; empty for a sound scenario."""
    return [f"{scenario.name}: {each.text} ({each.rule})" for each in findings(scenario, today=today)]


def findings(scenario: Scenario, *, today: date) -> list[Finding]:
    """The same by rule."""
    realtime = scenario.realtime
    audio = table(realtime, "audio")
    return [
        finding
        for found in (
            _modes(realtime),
            _formats(audio),
            _turn_detection(table(audio, "input")),
            _models(realtime, today),
            _prompt(realtime),
            _voice(table(audio, "output")),
            _tools(realtime),
            _durations(scenario),
        )
        for finding in found
    ]


def _modes(realtime: dict[str, Any]) -> Iterator[Finding]:
    if realtime.get("type") != "realtime":
        yield Finding("GA-4", f"a secret of type {realtime.get('type')!r} drives no avatar")
    if realtime.get("output_modalities") == ["text"]:
        yield Finding("AUD-2", "output_modalities is text: the avatar stays mute")


def _formats(audio: dict[str, Any]) -> Iterator[Finding]:
    for side in ("input", "output"):
        kind = table(table(audio, side), "format").get("type", "audio/pcm")
        if kind != "audio/pcm":
            yield Finding("AUD-2", f"audio.{side}.format is {kind}; this engine speaks 24 kHz PCM")


def _turn_detection(given: dict[str, Any]) -> Iterator[Finding]:
    if "turn_detection" not in given:
        return
    detection = given["turn_detection"]
    if not detection:
        yield Finding("AUD-2", "turn_detection is off: nobody commits the user's audio, so the avatar never answers")
    elif detection.get("create_response") is False:
        yield Finding("AUD-2", "create_response is false: the avatar hears and never answers")


def _models(realtime: dict[str, Any], today: date) -> Iterator[Finding]:
    for model, what in models_of(realtime).items():
        if model.startswith(RETIRED_PREFIX):
            yield Finding("AUD-2", f"{what} {model} is a retired preview")
        elif (end := SHUTDOWN.get(model)) is not None:
            yield Finding("AUD-2", f"{what} {model} {ends(end, today)}", breaks=end <= today)


def models_of(realtime: dict[str, Any]) -> dict[str, str]:
    """The names of models in a session object, and what each is for."""
    audio = table(realtime, "audio")
    transcriber = table(table(audio, "input"), "transcription").get("model")
    found = {"model": realtime.get("model"), "transcription model": transcriber}
    return {model: what for what, model in found.items() if model}


def ends(end: date, today: date) -> str:
    """The predicate of a sentence on a model."""
    left_days = (end - today).days
    return f"was shut down on {end}" if left_days <= 0 else f"is shut down on {end}, in {left_days} days"


def _prompt(realtime: dict[str, Any]) -> Iterator[Finding]:
    if table(realtime, "prompt").get("id"):
        yield Finding(
            "AUD-2",
            f"prompt: OpenAI announced the end of v1/prompts for {PROMPTS_END}; Realtime isn't named there, so try"
            " whether stored prompts still work",
            breaks=False,
        )


def _voice(given: dict[str, Any]) -> Iterator[Finding]:
    voice = given.get("voice")
    if isinstance(voice, str) and voice not in VOICES:
        yield Finding("AUD-2", f"voice {voice} is not one of the known ones")


def _tools(realtime: dict[str, Any]) -> Iterator[Finding]:
    tools = realtime.get("tools") or []
    kinds = {tool.get("type") for tool in tools if tool}
    if "function" in kinds:
        yield Finding("TOOL-3", "function tools are not executed: such a turn ends without an answer")
    if "mcp" in kinds:
        yield Finding("TOOL-3", "mcp tools run at OpenAI; what comes of it through Avaturn is unknown")


def _durations(scenario: Scenario) -> Iterator[Finding]:
    limit_s = scenario.session.max_duration
    if limit_s is not None and limit_s > OPENAI_LIMIT_S:
        yield Finding("DUR-2", f"max_duration is {limit_s} s, but OpenAI ends a session after {OPENAI_LIMIT_S} s")
