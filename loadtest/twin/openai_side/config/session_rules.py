"""What may be in a Realtime session object, field by field (docs/contract.md#what-a-mint-may-ask).

Where the documents only say that a field is "supported by" some models, any other model refuses it here.
"""

import re
from collections.abc import Mapping
from typing import Any

from loadtest.twin.openai_side.config.validation import (
    Rule,
    anything,
    boolean,
    either,
    exactly_one_of,
    integer,
    list_of,
    map_of,
    nullable,
    number,
    one_of,
    record,
    starting_with,
    tagged,
    text,
)
from loadtest.twin.openai_side.errors import RefusedError

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

TRANSCRIBERS = [
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
_REASONING_MODELS = re.compile(r"gpt-realtime-2(?![0-9])")
"""How the names of the models begin that reason; gpt-realtime-2025-08-28 is none."""
_TRANSCRIBERS_WITH = {
    "delay": ("gpt-realtime-whisper",),
    "languages": ("gpt-transcribe", "gpt-live-transcribe"),
    "keywords": ("gpt-transcribe", "gpt-live-transcribe"),
    "prompt": tuple(each for each in TRANSCRIBERS if each != "gpt-realtime-whisper"),
}
"""Fields of `transcription` that not every transcriber has."""


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
_TRANSCRIPTION_FIELDS = record(
    {
        "model": one_of(*TRANSCRIBERS),
        "language": nullable(text),
        "prompt": nullable(text),
        "languages": list_of(text),
        "keywords": list_of(text),
        "delay": one_of("minimal", "low", "medium", "high", "xhigh"),
    }
)


def _transcription(value: object, path: str) -> None:
    _TRANSCRIPTION_FIELDS(value, path)
    assert isinstance(value, dict)
    model = value.get("model")
    for name, each in value.items():
        if None not in (model, each) and model not in _TRANSCRIBERS_WITH.get(name, (model,)):
            raise _unsupported(f"{path}.{name}", model)


_INPUT = record(
    {
        "format": _FORMAT,
        "transcription": nullable(_transcription),
        "noise_reduction": nullable(
            record({"type": one_of("near_field", "far_field"), "strength": number(0, 1)}, required=("type",))
        ),
        "turn_detection": nullable(_TURN_DETECTION),
    }
)
_VOICE = either(record({"id": starting_with("voice_")}, required=("id",)), one_of(*_VOICES))
_OUTPUT = record({"format": _FORMAT, "voice": _VOICE, "speed": number(0.25, 1.5)})
_TOOL_NAMES = record({"read_only": boolean, "tool_names": list_of(text)})
_TOOL = tagged(
    {
        "function": record(
            {"type": text, "name": text, "description": nullable(text), "parameters": map_of(anything)},
            required=("name",),
        ),
        "mcp": exactly_one_of(
            *("server_url", "connector_id", "tunnel_id"),
            rule=record(
                {
                    "type": text,
                    "server_label": text,
                    "server_description": text,
                    "server_url": text,
                    "connector_id": starting_with("connector_"),
                    "tunnel_id": text,
                    "authorization": text,
                    "headers": nullable(map_of(text)),
                    "allowed_callers": nullable(list_of(one_of("direct", "programmatic"))),
                    "allowed_tools": nullable(either(list_of(text), _TOOL_NAMES)),
                    "require_approval": nullable(
                        either(record({"always": _TOOL_NAMES, "never": _TOOL_NAMES}), one_of("always", "never"))
                    ),
                    "defer_loading": boolean,
                },
                required=("server_label",),
            ),
        ),
    }
)
_TOOL_CHOICE = either(
    tagged(
        {
            "function": record({"type": text, "name": text}, required=("name",)),
            "mcp": record({"type": text, "server_label": text, "name": nullable(text)}, required=("server_label",)),
        }
    ),
    one_of("auto", "none", "required"),
)
_PROMPT = record(
    {"id": text, "version": nullable(text), "variables": nullable(map_of(either(map_of(anything), text)))},
    required=("id",),
)
SPEECH: dict[str, Rule] = {
    "instructions": text,
    "output_modalities": one_of(["audio"], ["text"]),
    "max_output_tokens": either(integer(1, 4096), one_of("inf")),
    "prompt": nullable(_PROMPT),
    "tools": list_of(_TOOL),
    "tool_choice": _TOOL_CHOICE,
    "parallel_tool_calls": boolean,
    "reasoning": record({"effort": nullable(one_of("minimal", "low", "medium", "high", "xhigh"))}),
}
"""What a session says about all its responses, and `response.create` about one."""

RESPONSE_AUDIO = record({"output": record({"format": _FORMAT, "voice": _VOICE})})
"""The `audio` of `response.create`."""

_INCLUDE = nullable(list_of(one_of("item.input_audio_transcription.logprobs")))
_REALTIME = record(
    {
        "type": text,
        "model": _model,
        **SPEECH,
        "tracing": nullable(
            either(
                record({"workflow_name": text, "group_id": text, "metadata": map_of(anything)}),
                one_of("auto"),
            )
        ),
        "truncation": either(
            record(
                {
                    "type": one_of("retention_ratio"),
                    "retention_ratio": number(0, 1),
                    "token_limits": record({"post_instructions": integer(0, 1_000_000)}),
                },
                required=("type", "retention_ratio"),
            ),
            one_of("auto", "disabled"),
        ),
        "include": _INCLUDE,
        "audio": record({"input": _INPUT, "output": _OUTPUT}),
    }
)
_TRANSCRIPTION = record({"type": text, "include": _INCLUDE, "audio": record({"input": _INPUT})})

SESSION: Rule = tagged({"realtime": _REALTIME, "transcription": _TRANSCRIPTION})
"""The `session` of a mint and of `session.update`."""


def check_whole(session: Mapping[str, Any], *, path: str) -> None:
    """What only shows when all fields are known: those that the model doesn't have, and a choice among the tools."""
    if session["type"] != "realtime":
        return
    for name in ("reasoning", "parallel_tool_calls"):
        if name in session and not reasons(session["model"]):
            raise _unsupported(f"{path}.{name}", session["model"])
    choice = session["tool_choice"]
    if isinstance(choice, dict):
        key = "name" if choice["type"] == "function" else "server_label"
        if not any(tool["type"] == choice["type"] and tool.get(key) == choice[key] for tool in session["tools"]):
            raise RefusedError(
                f"Tool choice '{choice[key]}' not found in 'tools'.", code="invalid_value", param=f"{path}.tool_choice"
            )


def reasons(model: str) -> bool:
    """Whether a model thinks before it speaks: gpt-realtime-2 and its kin."""
    return _REASONING_MODELS.match(model) is not None


def _unsupported(param: str, model: object) -> RefusedError:
    return RefusedError(
        f"Unsupported parameter: '{param}' is not supported with the model '{model}'.",
        code="unsupported_parameter",
        param=param,
    )
