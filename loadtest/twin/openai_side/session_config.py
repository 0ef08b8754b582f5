"""The Realtime session object: what may be in it, its defaults, how an update changes it (PROTOCOL.md 1.1, 2.2)."""

import copy
from collections.abc import Mapping
from typing import Any

from loadtest.twin.openai_side.errors import RefusedError
from loadtest.twin.openai_side.validation import (
    Rule,
    anything,
    boolean,
    either,
    integer,
    list_of,
    nullable,
    number,
    one_of,
    record,
    tagged,
    text,
)

MODELS = [
    "gpt-realtime",
    "gpt-realtime-2025-08-28",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-mini",
    "gpt-realtime-mini-2025-10-06",
    "gpt-realtime-mini-2025-12-15",
    "gpt-audio",
    "gpt-audio-1.5",
    "gpt-audio-mini",
    "gpt-audio-mini-2025-10-06",
    "gpt-audio-mini-2025-12-15",
]
"""The live ones; the beta previews are dead and unknown here."""

_SNAPSHOTS = {"gpt-realtime": "gpt-realtime-2025-08-28", "gpt-realtime-mini": "gpt-realtime-mini-2025-12-15"}
_TRANSCRIBERS = [
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
]
_VOICES = ["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]

_TURN_DETECTION_DEFAULTS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    },
    "semantic_vad": {"eagerness": "auto", "create_response": True, "interrupt_response": True},
}

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
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
    },
}


def _model(value: object, path: str) -> None:
    text(value, path)
    if value not in MODELS:
        raise RefusedError(f"The model '{value}' does not exist.", code="model_not_found", param=path)


_FORMAT = tagged(
    {
        "audio/pcm": record({"type": text, "rate": one_of(24000)}),
        "audio/pcmu": record({"type": text}),
        "audio/pcma": record({"type": text}),
    }
)
_TURN_DETECTION = tagged(
    {
        "server_vad": record(
            {
                "type": text,
                "threshold": number(0, 1),
                "prefix_padding_ms": integer(0, 10_000),
                "silence_duration_ms": integer(0, 10_000),
                "create_response": boolean,
                "interrupt_response": boolean,
                "idle_timeout_ms": nullable(integer(5000, 30_000)),
            }
        ),
        "semantic_vad": record(
            {
                "type": text,
                "eagerness": one_of("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
    }
)
_INPUT = record(
    {
        "format": _FORMAT,
        "transcription": nullable(
            record(
                {
                    "model": one_of(*_TRANSCRIBERS),
                    "language": text,
                    "prompt": text,
                    "languages": list_of(text),
                    "keywords": list_of(text),
                    "delay": anything,
                }
            )
        ),
        "noise_reduction": nullable(record({"type": one_of("near_field", "far_field"), "strength": anything})),
        "turn_detection": nullable(_TURN_DETECTION),
    }
)
_OUTPUT = record(
    {
        "format": _FORMAT,
        "voice": either(record({"id": text}, required=("id",)), one_of(*_VOICES)),
        "speed": number(0.25, 1.5),
    }
)
_TOOL = tagged(
    {
        "function": record(
            {"type": text, "name": text, "description": text, "parameters": anything}, required=("name",)
        ),
        "mcp": anything,
    }
)
_REALTIME = record(
    {
        "type": text,
        "model": _model,
        "instructions": text,
        "output_modalities": one_of(["audio"], ["text"]),
        "max_output_tokens": either(one_of("inf"), integer(1, 4096)),
        "prompt": nullable(record({"id": text, "version": nullable(text), "variables": anything}, required=("id",))),
        "tools": list_of(_TOOL),
        "tool_choice": either(one_of("auto", "none", "required"), tagged({"function": anything, "mcp": anything})),
        "parallel_tool_calls": boolean,
        "reasoning": record({"effort": text}),
        "tracing": nullable(
            either(one_of("auto"), record({"workflow_name": text, "group_id": text, "metadata": anything}))
        ),
        "truncation": either(
            one_of("auto", "disabled"),
            record({"type": one_of("retention_ratio"), "retention_ratio": number(0, 1), "token_limits": anything}),
        ),
        "include": nullable(list_of(one_of("item.input_audio_transcription.logprobs"))),
        "audio": record({"input": _INPUT, "output": _OUTPUT}),
    }
)
_TRANSCRIPTION = record({"type": text, "include": nullable(list_of(text)), "audio": record({"input": _INPUT})})

SESSION: Rule = tagged({"realtime": _REALTIME, "transcription": _TRANSCRIPTION})
"""The `session` of a mint and of `session.update`."""


def effective(request: Mapping[str, Any]) -> dict[str, Any]:
    """The whole session object for a valid request; all that it leaves out has its default."""
    defaults = copy.deepcopy(_DEFAULTS)
    if request.get("type") == "transcription":
        defaults = {"object": "realtime.transcription_session", "audio": {"input": defaults["audio"]["input"]}}
    return _merged(defaults, request)


def updated(current: Mapping[str, Any], patch: Mapping[str, Any], *, has_spoken: bool) -> dict[str, Any]:
    """The session object after `session.update` with a valid `patch`; absent means unchanged, null and "" clear.

    Raises RefusedError when the patch changes what can't be changed any more.
    """
    after = _merged(current, patch)
    if after["type"] != current["type"]:
        raise RefusedError("The type of a session cannot be changed.", code="invalid_value", param="session.type")
    if "model" in patch and resolved_model(patch["model"]) != current["model"]:
        raise RefusedError("The model of a session cannot be changed.", code="invalid_value", param="session.model")
    if has_spoken and after["audio"]["output"]["voice"] != current["audio"]["output"]["voice"]:
        raise RefusedError(
            "Cannot update a conversation's voice if assistant audio is present.",
            code="cannot_update_voice",
            param="session.audio.output.voice",
        )
    return after | ({"model": current["model"]} if "model" in current else {})


def resolved_model(name: str) -> str:
    """The dated snapshot that a model name stands for, as `session.created` shows it."""
    return _SNAPSHOTS.get(name, name)


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
