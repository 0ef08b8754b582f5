"""`POST /v1/realtime/client_secrets` answers and refuses as PROTOCOL.md 1 says."""

import time
from typing import Any

import pytest

from tests.twin.process import RunningTwin

REALTIME = {"type": "realtime"}


def test_a_secret_lives_600_seconds_by_default(twin: RunningTwin) -> None:
    answer = twin.mint({"session": REALTIME})

    assert answer.status_code == 200
    assert abs(answer.json()["expires_at"] - time.time() - 600) <= 5
    assert answer.json()["value"].startswith("ek_")


@pytest.mark.parametrize("seconds", [10, 7200])
def test_the_ends_of_the_ttl_range_are_accepted(twin: RunningTwin, seconds: int) -> None:
    answer = twin.mint({"expires_after": {"anchor": "created_at", "seconds": seconds}, "session": REALTIME})

    assert answer.status_code == 200
    assert abs(answer.json()["expires_at"] - time.time() - seconds) <= 5


def test_the_answer_shows_the_whole_effective_session(twin: RunningTwin) -> None:
    wanted = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "cedar"}}}

    session = twin.mint({"session": wanted}).json()["session"]

    assert session["id"].startswith("sess_")
    assert session["object"] == "realtime.session"
    assert session["model"] == "gpt-realtime"
    assert session["instructions"] == "Be brief."
    assert session["expires_at"] == 0
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "cedar",
        "speed": 1.0,
    }
    assert session["audio"]["input"]["transcription"] is None
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    }


def _session(**fields: Any) -> dict[str, Any]:
    return {"session": {"type": "realtime", **fields}}


def _input(**fields: Any) -> dict[str, Any]:
    return _session(audio={"input": fields})


REFUSALS = [
    ({"expires_after": {"seconds": 9}, "session": REALTIME}, "integer_below_min_value", "expires_after.seconds"),
    ({"expires_after": {"seconds": 7201}, "session": REALTIME}, "integer_above_max_value", "expires_after.seconds"),
    ({"expires_after": {"seconds": "60"}, "session": REALTIME}, "invalid_type", "expires_after.seconds"),
    ({"expires_after": {"anchor": "now"}, "session": REALTIME}, "invalid_value", "expires_after.anchor"),
    ({"session": {"model": "gpt-realtime"}}, "missing_required_parameter", "session.type"),
    ({"session": {"type": "chat"}}, "invalid_value", "session.type"),
    ({"session": "realtime"}, "invalid_type", "session"),
    ({"sesion": REALTIME}, "unknown_parameter", "sesion"),
    (_session(model="gpt-9"), "model_not_found", "session.model"),
    (_session(model="gpt-4o-realtime-preview"), "model_not_found", "session.model"),
    (_session(voice="alloy"), "unknown_parameter", "session.voice"),
    (_session(modalities=["audio"]), "unknown_parameter", "session.modalities"),
    (_session(input_audio_format="pcm16"), "unknown_parameter", "session.input_audio_format"),
    (_session(turn_detection=None), "unknown_parameter", "session.turn_detection"),
    (_session(output_modalities=["audio", "text"]), "invalid_value", "session.output_modalities"),
    (_session(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
    (_session(max_output_tokens=4097), "integer_above_max_value", "session.max_output_tokens"),
    (_session(instructions=7), "invalid_type", "session.instructions"),
    (_session(prompt={"version": "1"}), "missing_required_parameter", "session.prompt.id"),
    (_session(tools=[{"type": "function"}]), "missing_required_parameter", "session.tools[0].name"),
    (_session(audio={"output": {"voice": "bogus"}}), "invalid_value", "session.audio.output.voice"),
    (_session(audio={"output": {"speed": 1.6}}), "decimal_above_max_value", "session.audio.output.speed"),
    (_session(audio={"output": {"format": "pcm16"}}), "invalid_type", "session.audio.output.format"),
    (_input(format={"type": "audio/pcm", "rate": 16000}), "invalid_value", "session.audio.input.format.rate"),
    (_input(transcription={"model": "siri"}), "invalid_value", "session.audio.input.transcription.model"),
    (_input(noise_reduction={"type": "loud"}), "invalid_value", "session.audio.input.noise_reduction.type"),
    (_input(turn_detection={}), "missing_required_parameter", "session.audio.input.turn_detection.type"),
    (
        _input(turn_detection={"type": "server_vad", "threshold": 1.5}),
        "decimal_above_max_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        _input(turn_detection={"type": "server_vad", "idle_timeout_ms": 4999}),
        "integer_below_min_value",
        "session.audio.input.turn_detection.idle_timeout_ms",
    ),
    (
        _input(turn_detection={"type": "semantic_vad", "silence_duration_ms": 500}),
        "unknown_parameter",
        "session.audio.input.turn_detection.silence_duration_ms",
    ),
]


@pytest.mark.parametrize(("body", "code", "param"), REFUSALS, ids=[f"{row[2]}:{row[1]}" for row in REFUSALS])
def test_a_bad_body_is_refused_with_its_code_and_param(
    twin: RunningTwin, body: dict[str, Any], code: str, param: str
) -> None:
    answer = twin.mint(body)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert set(error) == {"message", "type", "param", "code"}


def test_a_refusal_is_the_same_the_second_time(twin: RunningTwin) -> None:
    body = {"expires_after": {"seconds": 9}, "session": REALTIME}

    assert twin.mint(body).json() == twin.mint(body).json()


def test_a_body_that_is_no_json_is_refused(twin: RunningTwin) -> None:
    auth = {"authorization": f"Bearer {twin.openai_key}"}

    answer = twin.http.post(f"{twin.openai_url}/realtime/client_secrets", content=b"{", headers=auth)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("key", ["sk-wrong", "ek_0123", "ü".encode().decode("latin-1")])
def test_any_other_key_is_refused(twin: RunningTwin, key: str) -> None:
    headers = {b"authorization": f"Bearer {key}".encode("latin-1")}

    answer = twin.http.post(f"{twin.openai_url}/realtime/client_secrets", json={}, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_a_client_secret_can_not_mint(twin: RunningTwin) -> None:
    assert twin.mint(key=twin.secret()).status_code == 401


def test_the_beta_header_and_the_beta_path_are_refused(twin: RunningTwin) -> None:
    with_header = twin.mint({"session": REALTIME}, headers={"OpenAI-Beta": "realtime=v1"})
    with_path = twin.http.post(f"{twin.openai_url}/realtime/sessions", json={})

    for answer in (with_header, with_path):
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "beta_api_shape_disabled"


def test_every_answer_carries_the_headers_of_the_real_service(twin: RunningTwin) -> None:
    answers = [twin.mint({"session": REALTIME}), twin.mint({"x": 1}), twin.mint(key="sk-wrong")]

    for answer in answers:
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["openai-version"] == "2020-10-01"
        assert "openai-processing-ms" in answer.headers
        assert "x-ratelimit-remaining-requests" in answer.headers
        assert int(answer.headers["x-twin-handled-ns"]) > 0
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


def test_an_unknown_path_is_a_404_with_the_same_envelope(twin: RunningTwin) -> None:
    answer = twin.http.get(f"{twin.openai_url}/models")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert int(answer.headers["x-twin-handled-ns"]) > 0
