"""What can be said of a scenario's clips before they are spoken: how long they are, and whether they can be. Their
sound, and NumPy with it, is loaded for what a user brings himself."""

from collections.abc import Mapping
from typing import assert_never

from loadtest.config.keys.scenario import (
    Backchannel,
    BargeIn,
    Conversation,
    Hesitate,
    Ignore,
    Pause,
    Say,
    Scenario,
    Silence,
    Turn,
)
from loadtest.config.keys.session_object import vad_silence_s
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.recordings import is_ours, lengths_s, pauses_s

ANSWER_S = 3.0
"""A guess of how long an answer takes, its first audio included."""


def nominal_s(plan: Conversation) -> float:
    """About how long a conversation lasts at most: its clips as long as they are, answers as they usually are, pauses
    for thought at their longest. A clip that can't be read here counts as nothing: whoever is to speak it says so."""
    once = plan.think_max_s * len(plan.turns)
    for turn in plan.turns:
        once += _about_s(turn)
    return once if plan.repeat_for is None else plan.repeat_for + once


def _about_s(turn: Turn) -> float:
    match turn:
        case Say():
            return _longest_s(turn.clip) + ANSWER_S
        case Hesitate():
            return _longest_s(turn.clip) + turn.pause_s + ANSWER_S
        case BargeIn() | Ignore() | Backchannel():
            return turn.after_s + _longest_s(turn.clip) + ANSWER_S
        case Silence() | Pause():
            return turn.for_s
        case _:
            assert_never(turn)


def _longest_s(source: str) -> float:
    try:
        return max(lengths_s(source), default=0.0)
    except ConfigError:
        return 0.0


def check_clips(scenarios: tuple[Scenario, ...], *, by_backend: bool = False) -> None:
    """Raises ConfigError unless every clip can be read, and spoken without a pause that the service takes for the end
    of the turn. What an endpoint of one's own asks of it isn't known: of that `long_pauses` only warn."""
    found = long_pauses(scenarios)
    if found and not by_backend:
        waits = "silence_duration_ms in [realtime.audio.input.turn_detection] makes it wait longer"
        raise ConfigError([f"{sentence}; {waits}" for sentence in found])


def long_pauses(scenarios: tuple[Scenario, ...]) -> list[str]:
    """Of the clips of turns that are to be fluent, a sentence for each that pauses as long as the service waits: it
    would answer into the user's sentence. Raises ConfigError for a clip that can't be read."""
    found = []
    for scenario in scenarios:
        silence_s = vad_silence_s(scenario.realtime) if scenario.is_of_openai else None
        spoken = scenario.conversation.fluent()
        for source, pauses in _pauses_s(scenario).items():
            if silence_s is not None and source in spoken:
                found += too_long(pauses, silence_s)
    return found


def _pauses_s(scenario: Scenario) -> Mapping[str, Mapping[str, float]]:
    """By source and clip."""
    sources, caller = scenario.conversation.clips(), scenario.caller
    if all(map(is_ours, sources)) and not caller.changes_speech and caller.noise_dbfs is None:
        return {source: pauses_s(source) for source in sorted(sources)}
    from loadtest.config.clips.microphone import microphone

    spoken = microphone(scenario.conversation, caller).clips
    return {source: {clip.name: clip.longest_pause_s for clip in clips} for source, clips in spoken.items()}


def too_long(pauses_s: Mapping[str, float], vad_silence_s: float) -> list[str]:
    """A sentence for each clip that pauses as long as the service waits."""
    return [
        f"{name}: pauses for {pause_s:.2f} s, but the service takes {vad_silence_s:.2f} s of silence"
        " as the end of the turn"
        for name, pause_s in pauses_s.items()
        if pause_s >= vad_silence_s
    ]


def brings_clips(scenarios: tuple[Scenario, ...]) -> bool:
    """Whether any of them speaks what doesn't come with avaload."""
    return any(not is_ours(source) for scenario in scenarios for source in scenario.conversation.clips())
