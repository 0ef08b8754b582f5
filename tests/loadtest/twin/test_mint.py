"""`POST /v1/realtime/client_secrets` answers and refuses as docs/contract.md#minting-a-client-secret says."""

import time
from typing import Any

import pytest

from tests.loadtest.twin.process import RunningTwin

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
        "silence_duration_ms": 200,
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    }


def _session(**fields: Any) -> dict[str, Any]:
    return {"session": {"type": "realtime", **fields}}


def _input(**fields: Any) -> dict[str, Any]:
    return _session(audio={"input": fields})


def _invalid(field: str) -> tuple[str, str]:
    return "invalid_value", f"session.audio.input.{field}"


def _unsupported(field: str) -> tuple[str, str]:
    return "unsupported_parameter", f"session.audio.input.{field}"


_TOOL = "session.tools[0]"
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
    (_input(turn_detection={"type": "semantic_vad", "eagerness": "very"}), *_invalid("turn_detection.eagerness")),
    (_input(noise_reduction={"strength": 1}), "missing_required_parameter", "session.audio.input.noise_reduction.type"),
    (_input(transcription={"model": "whisper-1", "delay": "low"}), *_unsupported("transcription.delay")),
    (_input(transcription={"model": "whisper-1", "keywords": ["a"]}), *_unsupported("transcription.keywords")),
    (_input(transcription={"model": "gpt-realtime-whisper", "prompt": "a"}), *_unsupported("transcription.prompt")),
    (_session(audio={"output": {"voice": {"id": "mine"}}}), "invalid_value", "session.audio.output.voice.id"),
    (_session(audio={"output": {"speed": 0.2}}), "decimal_below_min_value", "session.audio.output.speed"),
    (_session(max_output_tokens="all"), "invalid_value", "session.max_output_tokens"),
    (_session(reasoning={"effort": "low"}), "unsupported_parameter", "session.reasoning"),
    (_session(parallel_tool_calls=True), "unsupported_parameter", "session.parallel_tool_calls"),
    (
        _session(model="gpt-realtime-2", reasoning={"effort": "extreme"}),
        "invalid_value",
        "session.reasoning.effort",
    ),
    (_session(tracing="on"), "invalid_value", "session.tracing"),
    (_session(tracing={"name": "a"}), "unknown_parameter", "session.tracing.name"),
    (_session(truncation="never"), "invalid_value", "session.truncation"),
    (
        _session(truncation={"type": "retention_ratio", "retention_ratio": 1.1}),
        "decimal_above_max_value",
        "session.truncation.retention_ratio",
    ),
    (
        _session(truncation={"type": "retention_ratio"}),
        "missing_required_parameter",
        "session.truncation.retention_ratio",
    ),
    (_session(include=["everything"]), "invalid_value", "session.include[0]"),
    (_session(prompt={"id": "pmpt_1", "variables": {"a": 1}}), "invalid_type", "session.prompt.variables.a"),
    (_session(tools=[{"type": "function", "name": "a", "parameters": 1}]), "invalid_type", _TOOL + ".parameters"),
    (_session(tools=[{"type": "mcp", "server_url": "a"}]), "missing_required_parameter", _TOOL + ".server_label"),
    (_session(tools=[{"type": "mcp", "server_label": "a"}]), "missing_required_parameter", _TOOL),
    (_session(tools=[{"type": "browser"}]), "invalid_value", _TOOL + ".type"),
    (_session(tool_choice="maybe"), "invalid_value", "session.tool_choice"),
    (_session(tool_choice={"type": "function", "name": "a"}), "invalid_value", "session.tool_choice"),
    (
        {"session": {"type": "transcription", "model": "gpt-realtime"}},
        "unknown_parameter",
        "session.model",
    ),
    (
        {"session": {"type": "transcription", "audio": {"output": {}}}},
        "unknown_parameter",
        "session.audio.output",
    ),
]

ACCEPTED: list[dict[str, Any]] = [
    {"prompt": {"id": "pmpt_1", "version": "6", "variables": {"tone": "dry", "logo": {"type": "input_image"}}}},
    {"tools": [{"type": "function", "name": "a", "description": "b", "parameters": {"type": "object"}}]},
    {"tools": [{"type": "mcp", "server_label": "a", "server_url": "https://a.example", "require_approval": "never"}]},
    {
        "tools": [{"type": "function", "name": "a", "description": None}],
        "tool_choice": {"type": "function", "name": "a"},
    },
    {"model": "gpt-realtime-2", "reasoning": {"effort": "high"}, "parallel_tool_calls": False},
    {"tracing": {"workflow_name": "a", "group_id": "b", "metadata": {"c": 1}}},
    {"truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 5000}}},
    {"include": ["item.input_audio_transcription.logprobs"]},
    {"max_output_tokens": 4096},
    {"output_modalities": ["text"]},
    {"audio": {"output": {"voice": {"id": "voice_1"}, "speed": 1.5, "format": {"type": "audio/pcmu"}}}},
    {"audio": {"input": {"noise_reduction": {"type": "far_field"}, "turn_detection": None}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 30_000}}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}},
    {"audio": {"input": {"transcription": {"model": "gpt-realtime-whisper", "delay": "xhigh", "language": "en"}}}},
]


@pytest.mark.parametrize("fields", ACCEPTED, ids=lambda fields: "+".join(fields))
def test_what_the_documents_allow_is_accepted_and_shown(twin: RunningTwin, fields: dict[str, Any]) -> None:
    answer = twin.mint(_session(**fields))

    assert answer.status_code == 200, answer.text
    assert _holds(answer.json()["session"], fields)


def _holds(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(name in whole and _holds(whole[name], value) for name, value in part.items())
    return bool(whole == part)


def test_a_transcription_session_has_no_voice(twin: RunningTwin) -> None:
    session = twin.mint({"session": {"type": "transcription"}}).json()["session"]

    assert session["object"] == "realtime.transcription_session"
    assert set(session) == {"object", "type", "id", "expires_at", "audio", "include"}
    assert set(session["audio"]) == {"input"}


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


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"[" * 300 + b"]" * 300])
def test_a_body_that_is_no_json_is_refused(twin: RunningTwin, body: bytes) -> None:
    auth = {"authorization": f"Bearer {twin.openai_key}"}

    answer = twin.http.post(f"{twin.openai_url}/realtime/client_secrets", content=body, headers=auth)

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
    answer = twin.http.get(f"{twin.openai_url}/files")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert int(answer.headers["x-twin-handled-ns"]) > 0


def test_models_are_listed_with_the_ends_that_are_announced(twin: RunningTwin) -> None:
    url, auth = f"{twin.openai_url}/models", {"authorization": f"Bearer {twin.openai_key}"}
    answer = twin.http.get(url, headers=auth)
    ends = {row["id"]: row["shutdown_date"] for row in answer.json()["data"]}
    assert (ends["gpt-realtime"], ends["whisper-1"], ends["gpt-realtime-2.1"]) == ("2027-01-20", "2027-02-26", None)
    assert twin.http.get(url, headers={"authorization": "Bearer sk-no"}).status_code == 401
    assert twin.http.get(url).json()["error"]["message"] == "You didn't provide an API key."
    assert twin.http.post(url, headers=auth).status_code == 404
