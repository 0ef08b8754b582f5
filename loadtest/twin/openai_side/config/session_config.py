"""The whole Realtime session object: its defaults, and how an update changes it.

Source: docs/contract.md#what-a-mint-may-ask, #what-a-mint-answers, #a-realtime-session.
"""

import copy
from collections.abc import Mapping
from typing import Any

from loadtest.twin.knobs.openai import OpenAIKnobs
from loadtest.twin.openai_side.config.session_rules import check_whole, reasons
from loadtest.twin.openai_side.errors import RefusedError

_SNAPSHOTS = {"gpt-realtime": "gpt-realtime-2025-08-28", "gpt-realtime-mini": "gpt-realtime-mini-2025-12-15"}
_TURN_DETECTION_DEFAULTS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": None,  # goes by the model
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    },
    "semantic_vad": {"eagerness": "auto", "create_response": True, "interrupt_response": True},
}
_WITHOUT_TURNS = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""Transcribers that find no turns by themselves: in a session of their own the client commits."""
_OF_ANSWERS = ("create_response", "interrupt_response", "idle_timeout_ms")
"""Members of `turn_detection` that a session without answers doesn't show."""
# Recordings of the real service show them for gpt-realtime and gpt-realtime-2.1; the kin of the two are assumed alike.
_SILENCE_MS = {False: 200, True: 500}
_VOICE = {False: "alloy", True: "marin"}
"""By whether the model reasons."""

_HONEST = OpenAIKnobs()
_DEFAULTS: dict[str, Any] = {
    "object": "realtime.session",
    "type": "realtime",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "Speak kindly and briefly, in the language of the user.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "include": None,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {"type": "server_vad", **_TURN_DETECTION_DEFAULTS["server_vad"]},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": None, "speed": 1.0},
    },
}


def effective(request: Mapping[str, Any], *, knobs: OpenAIKnobs = _HONEST) -> dict[str, Any]:
    """The whole session object for a valid request; all that it leaves out has its default.

    Raises RefusedError for fields that don't go together.
    """
    defaults = copy.deepcopy(_DEFAULTS)
    if request.get("type") == "transcription":
        defaults = {
            "object": "realtime.transcription_session",
            "include": None,
            "audio": {"input": defaults["audio"]["input"]},
        }
    whole = _completed(_merged(defaults, request), knobs, asked=request)
    check_whole(whole, path="session")
    return whole


def updated(
    current: Mapping[str, Any], patch: Mapping[str, Any], *, has_spoken: bool, knobs: OpenAIKnobs = _HONEST
) -> dict[str, Any]:
    """The session object after `session.update` with a valid `patch`; absent means unchanged, null and "" clear.

    Raises RefusedError when the patch changes what can't be changed any more.
    """
    if patch["type"] != current["type"]:
        raise RefusedError(
            f"Passing a {patch['type']} session update event to a {current['type']} session is not allowed.",
            code="invalid_parameter",
            param="session.type",
        )
    after = _completed(_merged(current, patch), knobs, asked=patch)
    if "model" in patch and not is_same_model(patch["model"], current["model"]):
        raise RefusedError("The model of a session cannot be changed.", code="invalid_value", param="session.model")
    if has_spoken and after["audio"]["output"]["voice"] != current["audio"]["output"]["voice"]:
        raise voice_is_fixed()
    if current.get("tracing") is not None and after.get("tracing") != current["tracing"]:
        raise RefusedError("Tracing cannot be changed once it is on.", code="invalid_value", param="session.tracing")
    after |= {"model": current["model"]} if "model" in current else {}
    check_whole(after, path="session")
    return after


def resolved_model(name: str) -> str:
    """The dated snapshot that a model name stands for."""
    return _SNAPSHOTS.get(name, name)


def is_same_model(one: str, other: str) -> bool:
    """Whether two names stand for the same model."""
    return resolved_model(one) == resolved_model(other)


def voice_is_fixed() -> RefusedError:
    """The voice can't change once it has spoken."""
    return RefusedError(
        "Cannot update a conversation's voice if assistant audio is present.", code="cannot_update_voice"
    )


def _completed(session: dict[str, Any], knobs: OpenAIKnobs, *, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The session with what it leaves to its model, and with the members that OpenAI shows in any case; `asked` is what
    its client has just said."""
    reasoning = reasons(session.get("model", ""))
    audio = session["audio"]
    transcription, detection = audio["input"]["transcription"], audio["input"]["turn_detection"]
    if transcription is not None and knobs.shapes == "recorded":
        transcription = {"model": None, "language": None, "prompt": None} | transcription
    if "tools" in session and knobs.shapes == "recorded":
        session["tools"] = [
            {"description": None} | each if each["type"] == "function" else each for each in session["tools"]
        ]
    if detection is not None and detection.get("silence_duration_ms", ...) is None:
        silence_ms = _SILENCE_MS[reasoning] if knobs.silence_ms is None else knobs.silence_ms
        detection = detection | {"silence_duration_ms": silence_ms}
    if detection is not None and session["type"] == "transcription":
        detection = {name: each for name, each in detection.items() if name not in _OF_ANSWERS}
        if transcription is not None and transcription.get("model") in _WITHOUT_TURNS:
            if asked.get("audio", {}).get("input", {}).get("turn_detection") is not None:
                raise RefusedError(
                    "Turn detection is not supported for this transcription model.",
                    code="invalid_value",
                    param="session.audio.input.turn_detection",
                )
            detection = None
    session["audio"] = {
        **audio,
        "input": {**audio["input"], "transcription": transcription, "turn_detection": detection},
    }
    if "output" in audio:
        session["audio"]["output"] = {**audio["output"], "voice": audio["output"]["voice"] or _VOICE[reasoning]}
    return session


def _merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`base` overridden by `patch`, objects field by field, unless `type` makes it another kind of object."""
    result = dict(base)
    for name, value in patch.items():
        before = base.get(name)
        if not isinstance(value, dict):
            result[name] = value
        elif isinstance(before, dict) and value.get("type", before.get("type")) == before.get("type"):
            result[name] = _merged(before, value)
        elif name == "turn_detection":
            result[name] = {**_TURN_DETECTION_DEFAULTS[value["type"]], **value}
        else:
            result[name] = value
    return result
