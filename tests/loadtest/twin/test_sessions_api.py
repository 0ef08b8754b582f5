"""Avaturn's HTTP: create, delete, the SDK's session, and how each refuses (docs/contract.md#avaturn)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.loadtest.twin.process import RunningTwin

ENGINE = {"type": "openai-realtime", "client_secret": "ek_0"}

INVALID = [
    ({"user_absent_timeout": 9}, "greater_than_equal", ["body", "user_absent_timeout"]),
    ({"max_duration": 59}, "greater_than_equal", ["body", "max_duration"]),
    ({"max_duration": 86401}, "less_than_equal", ["body", "max_duration"]),
    ({"background": "blue"}, "literal_error", ["body", "background"]),
    ({"model": "epsilon"}, "literal_error", ["body", "model"]),
    ({"render_model": "epsilon"}, "literal_error", ["body", "render_model"]),
    ({"conversation_engine": {"type": "foo"}}, "union_tag_invalid", ["body", "conversation_engine"]),
    ({"conversation_engine": {}}, "union_tag_not_found", ["body", "conversation_engine"]),
    (
        {"conversation_engine": {"type": "openai-realtime"}},
        "missing",
        ["body", "conversation_engine", "openai-realtime", "client_secret"],
    ),
    ({"max_duration": 100.5}, "int_from_float", ["body", "max_duration"]),
    ({"max_duration": "x"}, "int_parsing", ["body", "max_duration"]),
]


@pytest.mark.parametrize(("body", "kind", "loc"), INVALID, ids=[row[1] + ":" + row[2][-1] for row in INVALID])
def test_an_invalid_body_is_a_422_that_names_its_place(
    twin: RunningTwin, body: dict[str, Any], kind: str, loc: list[str]
) -> None:
    answer = twin.create(body)

    assert answer.status_code == 422
    assert [(item["type"], item["loc"]) for item in answer.json()["detail"]] == [(kind, loc)]
    assert int(answer.headers["x-twin-handled-ns"]) > 0


def test_messages_and_contexts_are_those_of_fastapi(twin: RunningTwin) -> None:
    too_short = twin.create({"user_absent_timeout": 9}).json()["detail"][0]
    blue = twin.create({"background": "blue"}).json()["detail"][0]

    assert too_short["msg"] == "Input should be greater than or equal to 10"
    assert (too_short["ctx"], too_short["input"]) == ({"ge": 10}, 9)
    assert blue["msg"] == "Input should be 'transparent' or 'default'"


def test_broken_json_is_a_422(twin: RunningTwin) -> None:
    headers = {"authorization": f"Bearer {twin.avaturn_key}", "content-type": "application/json"}

    answer = twin.http.post(f"{twin.avaturn_url}/api/v1/sessions", content=b'{"a":', headers=headers)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"
    deep = twin.http.post(f"{twin.avaturn_url}/api/v1/sessions", content=b"[" * 100_000, headers=headers)
    assert deep.status_code in (400, 422)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_absent_timeout": 10, "max_duration": 60},
        {"max_duration": 86400},
        {"max_duration": "60"},
        {"background": "transparent", "model": "golf", "unknown": 1},
        {"conversation_engine": ENGINE},
        {"conversation_engine": {"type": "text-echo", "tts": {"voice_id": "v"}}},
        {"conversation_engine": {"type": "cartesia", "access_token": "t", "agent_id": "a"}},
        {"conversation_engine": {"type": "external", "url": "wss://localhost/x"}},
    ],
)
def test_a_valid_body_makes_a_session(twin: RunningTwin, body: dict[str, Any]) -> None:
    answer = twin.create(body)

    assert answer.status_code == 200
    assert set(answer.json()) == {"session_id", "token"}
    assert twin.delete(answer.json()["session_id"]).status_code == 200


def test_the_sdk_session_tells_where_the_room_is(twin: RunningTwin) -> None:
    session = twin.new_session(background="transparent")

    grant = twin.sdk(session["token"]).json()

    assert grant["id"] == session["session_id"]
    assert grant["room_url"] == f"{twin.avaturn_url.replace('http', 'ws')}/rooms/{session['session_id']}"
    assert grant["session_config"] == {"uses_stacked_alpha": True}
    assert grant["limited_access_token"] != session["token"]


def test_a_call_without_credentials_is_a_401(twin: RunningTwin) -> None:
    answer = twin.http.post(f"{twin.avaturn_url}/api/v1/sessions", json={})

    assert answer.status_code == 401
    assert answer.json() == {"detail": "Not authenticated"}
    assert answer.headers["www-authenticate"] == "Bearer"
    assert twin.http.get(f"{twin.avaturn_url}/_sdk/v0/sessions").status_code == 401


def test_keys_and_tokens_open_only_their_own_door(twin: RunningTwin) -> None:
    session = twin.new_session()
    room_token = twin.sdk(session["token"]).json()["limited_access_token"]

    assert twin.create({}, key=session["token"]).status_code == 401
    assert twin.delete(session["session_id"], key=session["token"]).status_code == 401
    assert twin.delete(session["session_id"], key=twin.openai_key).status_code == 401
    assert twin.sdk(twin.avaturn_key).status_code == 401
    assert twin.sdk(room_token).status_code == 401
    assert twin.sdk(session["token"]).status_code == 200


def test_an_ended_session_is_gone_for_its_token_and_its_id(twin: RunningTwin) -> None:
    session = twin.new_session()

    first = twin.delete(session["session_id"])

    assert (first.status_code, first.text) == (200, "null")
    assert twin.sdk(session["token"]).status_code == 404
    assert twin.delete(session["session_id"]).status_code == 404
    truth = twin.truth(session["session_id"])
    assert (truth["state"], truth["end_reason"]) == ("ended", "termination_command_received")


def test_an_unknown_session_is_a_404(twin: RunningTwin) -> None:
    assert twin.delete("no-such-session").status_code == 404


def test_a_browser_may_call_from_any_origin(twin: RunningTwin) -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "content-type,x-session-token",
    }

    preflight = twin.http.options(f"{twin.avaturn_url}/_sdk/v0/sessions", headers=asked)
    refused = twin.http.get(f"{twin.avaturn_url}/_sdk/v0/sessions", headers={"origin": "https://app.example"})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert "x-session-token" in preflight.headers["access-control-allow-headers"].lower()
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"


def test_the_schema_is_served(twin: RunningTwin) -> None:
    paths = twin.http.get(f"{twin.avaturn_url}/api/v1/openapi.json").json()["paths"]

    assert "/api/v1/sessions" in paths
    assert "delete" in paths["/api/v1/sessions/{session_id}"]


def test_the_quota_is_a_clean_429(start_twin: Callable[..., RunningTwin]) -> None:
    twin = start_twin("--set", "limit.sessions=1")
    first = twin.new_session()

    refused = twin.create({})

    assert refused.status_code == 429
    assert refused.json()["detail"].startswith("limits_exceeded")
    assert twin.sdk(first["token"]).status_code == 200
    twin.delete(first["session_id"])
    assert twin.create({}).status_code == 200


def test_the_status_of_an_ended_session_is_a_knob(start_twin: Callable[..., RunningTwin]) -> None:
    twin = start_twin("--set", "gone_status=410")
    session = twin.new_session()
    twin.delete(session["session_id"])

    assert twin.sdk(session["token"]).status_code == 410
    assert twin.delete(session["session_id"]).status_code == 410


def test_after_a_delete_the_sdk_session_can_be_made_unreachable(start_twin: Callable[..., RunningTwin]) -> None:
    twin = start_twin("--set", "fault.sdk_session_after_delete=503:1")
    session = twin.new_session()

    assert twin.sdk(session["token"]).status_code == 200
    assert twin.delete(session["session_id"]).status_code == 200
    assert twin.sdk(session["token"]).status_code == 503


def test_faults_hit_their_share_and_leave_nothing(start_twin: Callable[..., RunningTwin]) -> None:
    twin = start_twin("--set", "fault.mint=429:1", "--set", "fault.create=500:1")

    minted, created = twin.mint(), twin.create({})

    assert (minted.status_code, minted.headers["retry-after"]) == (429, "1")
    assert minted.json()["error"]["code"] == "rate_limit_exceeded"
    assert created.status_code == 500
    assert twin.state()["sessions"] == []
    assert twin.state()["counters"]["requests"]["create"] == {"500": 1}
