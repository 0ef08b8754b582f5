"""`[realtime]`: the session object of the mint, passed on as it stands (docs/contract.md#what-a-mint-may-ask).

Unknown keys are the service's to judge. What avaload reads itself must have the type that it reads.
"""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, GetPydanticSchema, WithJsonSchema
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from loadtest.config.sendable import checked_json

_REASONING_MODELS: Final = re.compile(r"gpt-realtime-2(?![0-9])")
"""How the names of the models begin that reason: their default silence is longer, and they announce calls of tools.
gpt-realtime-2025-08-28 is none of them, but gpt-realtime of that day."""
_SILENCE_MS, _PATIENT_SILENCE_MS = 200, 500
"""`silence_duration_ms` of a session that asks for none, as recordings of the service show it for gpt-realtime and
gpt-realtime-2.1; the kin of the two are assumed alike. The documents say 500 for all."""


def _number(given: Any) -> Any:
    """As it stands; in quotes it is one too, as for other keys."""
    if isinstance(given, str) and re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", given):
        return float(given) if "." in given else int(given)
    if isinstance(given, bool) or not isinstance(given, int | float | None):
        raise PydanticKnownError("float_type")
    return given


def _tokens(given: Any) -> Any:
    number = given if given == "inf" else _number(given)
    if (isinstance(number, int) and number < 1) or (isinstance(number, str | float) and number != "inf"):
        raise ValueError('must be a whole number, at least 1, or "inf"')
    return number


def _table(**places: CoreSchema) -> CoreSchema:
    """A table that may hold more than that, or null."""
    return core_schema.nullable_schema(_given_table(**places))


def _given_table(**places: CoreSchema) -> CoreSchema:
    fields = {name: core_schema.typed_dict_field(schema, required=False) for name, schema in places.items()}
    return core_schema.typed_dict_schema(fields, extra_behavior="allow")


def _as_it_is_read() -> CoreSchema:
    text = core_schema.nullable_schema(core_schema.str_schema())
    number = core_schema.no_info_plain_validator_function(_number)
    heard = {
        "format": _table(type=text),
        "transcription": _table(model=text),
        "turn_detection": _table(type=text, silence_duration_ms=number),
    }
    return _given_table(
        type=text,
        model=text,
        instructions=text,
        prompt=_table(),
        tools=core_schema.nullable_schema(core_schema.list_schema(_table(type=text))),
        max_output_tokens=core_schema.no_info_plain_validator_function(_tokens),
        audio=_table(input=_table(**heard), output=_table(format=_table(type=text), speed=number)),
    )


SessionObject = Annotated[
    dict[str, Any],
    GetPydanticSchema(lambda _source, _handler: _as_it_is_read()),
    AfterValidator(checked_json),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]


def default_realtime() -> dict[str, Any]:
    """The mint's session object; how long a silence ends a turn is left to the service, as most users do. Its models
    are those that OpenAI recommends instead of the ones with an announced end (`lint.SHUTDOWN`), which have none."""
    return {
        "type": "realtime",
        "model": "gpt-realtime-2.1",
        "instructions": "You are a helpful assistant. Answer in one short sentence.",
        "audio": {
            "input": {
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {"type": "server_vad", "threshold": 0.5},
            },
            "output": {"voice": "marin"},
        },
    }


def completed(given: Any) -> Any:
    """The mint's, with what the scenario doesn't say. A stored prompt has instructions of its own."""
    default = default_realtime()
    if isinstance(given, dict) and given.get("prompt") and "instructions" not in given:
        del default["instructions"]
    return _with_nulls(_deep_merge(default, given))


def vad_silence_s(realtime: dict[str, Any]) -> float | None:
    """The silence after which the service takes a turn as ended; None where no server VAD is configured."""
    detection = _server_vad(realtime)
    if detection is None:
        return None
    asked_ms = detection.get("silence_duration_ms")
    return (_default_silence_ms(realtime) if asked_ms is None else float(asked_ms)) / 1000


def assumed(realtime: dict[str, Any]) -> list[str]:
    """What of the session is left to the service and was taken for its default, one phrase each."""
    detection = _server_vad(realtime)
    if detection is None or detection.get("silence_duration_ms") is not None:
        return []
    return [f"silence_duration_ms {_default_silence_ms(realtime)}, the default of {_model(realtime)}"]


def announces_calls(realtime: dict[str, Any]) -> bool:
    """Whether the model may speak before it calls a tool, in the same response, as gpt-realtime-2.1 was recorded to."""
    return _reasons(realtime)


def table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    """A table in it, empty where it is lacking or null."""
    return tree.get(key) or {}


def _server_vad(realtime: dict[str, Any]) -> dict[str, Any] | None:
    """What is asked of it; None where there is none. What is left out is the service's default, which is one; a null
    switches it off."""
    found = realtime
    for key in ("audio", "input", "turn_detection"):
        found = found.get(key, {})
        if found is None:
            return None
    return found if found.get("type", "server_vad") == "server_vad" else None


def _model(realtime: dict[str, Any]) -> str:
    return str(realtime.get("model") or "gpt-realtime")


def _reasons(realtime: dict[str, Any]) -> bool:
    return _REASONING_MODELS.match(_model(realtime)) is not None


def _default_silence_ms(realtime: dict[str, Any]) -> int:
    return _PATIENT_SILENCE_MS if _reasons(realtime) else _SILENCE_MS


def _deep_merge(base: dict[str, Any], over: Any) -> Any:
    """`over` wins; tables are merged key by key, so that a scenario may set one field of the mint alone. A table of
    another `type` is another thing: nothing of a server_vad is left in a semantic_vad."""
    if not isinstance(over, dict) or over.get("type", base.get("type")) != base.get("type"):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _deep_merge(base[key], value) if isinstance(base.get(key), dict) else value
    return merged


def _with_nulls(tree: Any) -> Any:
    """TOML has no null, and a mint needs one to switch a default off: there it is written "null"."""
    if isinstance(tree, dict):
        return {key: _with_nulls(value) for key, value in tree.items()}
    return None if tree == "null" else tree
