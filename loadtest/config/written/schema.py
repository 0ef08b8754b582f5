"""The scenario file as JSON Schema, for editors: they complete keys and values, show what each means, mark mistakes.

It is made of the settings' own models. What a file says otherwise than the settings that come of it is put in here.
"""

from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from loadtest.config.environment import PREFIX
from loadtest.config.keys.scenario import KINDS, NAME, DurationS
from loadtest.config.settings import Settings
from loadtest.criteria.slo import INDICATORS, KEYS

FILE: Final = "avaload.schema.json"
"""What it is called beside a scenario."""
LINE: Final = f"#:schema ./{FILE}"
"""First line of a scenario that names it, as Taplo and the editors that build on it read it."""


def schema() -> dict[str, Any]:
    """Of a scenario file. Draft 2020-12."""
    made: dict[str, Any] = _tidy(Settings.model_json_schema(schema_generator=_Untitled))
    tables = made["$defs"]
    for kind in KINDS.values():
        tables[kind.__name__]["required"] = ["kind"]
    load, target = tables["Load"]["properties"], tables["Target"]["properties"]
    load["trace"] = {"type": "string", "description": "open arrivals at the start times of this CSV file"}
    target["live"] = {
        "const": False,
        "description": f"said by whoever starts the run: --live or {PREFIX}TARGET__LIVE=true; not by a file",
    }
    top = made["properties"]
    top["tags"] = {"type": "object", "description": Settings.model_fields["tags"].description}
    top["mix"] = _described("mix", {"type": "array", "items": _MIXED})
    top["slo"] = _described("slo", {"type": "array", "items": _objective()})
    del tables["Scenario"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario of avaload",
        **made,
        "description": "What a load test's sessions do, how many there are, and what is expected of them.",
    }


class _Untitled(GenerateJsonSchema):
    """A title would only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


_MIXED: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["scenario"],
    "properties": {
        "scenario": {
            "type": "string",
            "description": "a scenario file; name, secret, session, realtime, conversation, caller and waive count",
        },
        "weight": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 1,
            "description": "its share of the sessions, against the others' weights",
        },
    },
}


def _described(key: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"description": Settings.model_fields[key].description, **said}


def _objective() -> dict[str, Any]:
    duration = _tidy(TypeAdapter(DurationS).json_schema())
    kinds: dict[str, dict[str, Any]] = {
        "name": {"type": "string"},
        "indicator": {"enum": list(INDICATORS)},
        "scenario": {"type": "string", "pattern": NAME},
        "max": {"type": "number"},
        "min": {"type": "number"},
        "window": duration,
        "abort": {"type": "boolean", "default": False},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["indicator"],
        "oneOf": [{"required": ["max"]}, {"required": ["min"]}],
        "properties": {key: {"description": text, **kinds[key]} for key, text in KEYS.items()},
    }


def _tidy(tree: Any) -> Any:
    """TOML has no null, so nothing may be one; and of what may be one of a single thing, that thing."""
    if isinstance(tree, list):
        return [_tidy(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {key: _tidy(value) for key, value in tree.items() if key != "discriminator"}
    if kept.get("default", 0) is None:
        del kept["default"]
    if isinstance(choices := kept.get("anyOf"), list):
        choices = [each for each in choices if each != {"type": "null"}]
        flat = [part for each in choices for part in (each["anyOf"] if list(each) == ["anyOf"] else [each])]
        del kept["anyOf"]
        kept = {**kept, **flat[0]} if len(flat) == 1 else {**kept, "anyOf": flat}
    return kept
