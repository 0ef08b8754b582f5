"""Anything that fits the twin's own OpenAPI, nearly fits it, or doesn't at all: never a 5xx."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loadtest.twin.process import RunningTwin, running_twin

METHODS = ("get", "post", "put", "patch", "delete", "options")
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin() as started:
        yield started


@pytest.fixture(scope="module")
def openapi(twin: RunningTwin) -> dict[str, Any]:
    found: dict[str, Any] = twin.http.get(f"{twin.avaturn_url}/api/v1/openapi.json").json()
    return found


def _fitting(schema: Any, definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the JSON schema allows, now and then with one part that it doesn't."""
    return st.integers(0, 9).flatmap(lambda die: anything if die == 0 else _exactly(schema, definitions))


def _exactly(schema: Any, definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _fitting(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return st.one_of([_fitting(choice, definitions) for choice in choices])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            required = schema.get("required", ())
            fields = {name: _fitting(each, definitions) for name, each in properties.items()}
            return st.fixed_dictionaries(
                {name: fields[name] for name in required},
                optional={name: each for name, each in fields.items() if name not in required},
            )
        case "array":
            return st.lists(_fitting(schema.get("items", {}), definitions), max_size=3)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "string":
            return st.text(max_size=8)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return anything


@given(data=st.data())
@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_request_to_avaturn_s_side_is_answered_5xx(
    data: st.DataObject, twin: RunningTwin, openapi: dict[str, Any]
) -> None:
    path = data.draw(st.sampled_from(sorted(openapi["paths"])))
    described = openapi["paths"][path]
    method = data.draw(st.sampled_from([*described, *described, *described, *METHODS]))
    content = described.get(method, {}).get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    body = data.draw(_fitting(schema, openapi.get("components", {}).get("schemas", {})))
    session = twin.new_session()
    session_id = data.draw(st.sampled_from([session["session_id"], "unknown", "%2F", "..%00", "ü"]))
    headers = {
        "authorization": f"Bearer {twin.avaturn_key}",
        "x-session-token": data.draw(st.sampled_from([session["token"], "unknown", ""])),
        "content-type": data.draw(st.sampled_from(["application/json", "application/json", "text/plain"])),
    }
    filled = path
    for parameter in described.get(method, {}).get("parameters", []):
        filled = filled.replace(f"{{{parameter['name']}}}", session_id)

    answer = twin.http.request(method, f"{twin.avaturn_url}{filled}", content=json.dumps(body), headers=headers)

    assert answer.status_code < 500, (method, filled, body)
    assert "x-twin-handled-ns" in answer.headers
    twin.delete(session["session_id"])


FIELDS = [
    *("model", "instructions", "output_modalities", "max_output_tokens", "prompt", "tools", "tool_choice", "tracing"),
    *("truncation", "include", "reasoning", "parallel_tool_calls"),
]
minted = st.fixed_dictionaries(
    {},
    optional={
        "expires_after": anything | st.fixed_dictionaries({"seconds": st.integers()}),
        "session": anything
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["realtime", "transcription", "chat"])},
            optional=dict.fromkeys(FIELDS, anything)
            | {
                "audio": anything
                | st.fixed_dictionaries(
                    {},
                    optional={
                        side: st.dictionaries(
                            st.sampled_from(["format", "transcription", "turn_detection", "voice", "noise_reduction"]),
                            anything | st.dictionaries(st.sampled_from(["type", "model", "id", "rate"]), anything),
                        )
                        for side in ("input", "output")
                    },
                )
            },
        ),
    },
)


@given(body=minted | anything)
@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_mint_is_answered_5xx(twin: RunningTwin, body: Any) -> None:
    headers = {"authorization": f"Bearer {twin.openai_key}"}

    answer = twin.http.post(f"{twin.openai_url}/realtime/client_secrets", content=json.dumps(body), headers=headers)

    assert answer.status_code in (200, 400), body
    if answer.status_code == 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
