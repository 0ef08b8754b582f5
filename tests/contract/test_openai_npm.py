"""The official `openai` npm package in Node against the twin. It is installed by the test, never committed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.loadtest.twin.process import RunningTwin, running_twin

PACKAGES = ["openai@7.59.0", "ws@8.23.0"]
SCRIPT = Path(__file__).with_name("openai_npm.mjs")
INSTALL_S, DEADLINE_S = 90, 20


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--tls", "--set", "answer_s=0.6") as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> node.Project:
    return node.project(tmp_path_factory.mktemp("npm"), SCRIPT, *PACKAGES, timeout_s=INSTALL_S)


def _run(project: node.Project, scenario: str, twin: RunningTwin, key: str) -> dict[str, Any]:
    return project.run(scenario, twin.openai_url, key, twin=twin, timeout_s=DEADLINE_S)


def test_it_mints_and_knows_the_errors(project: node.Project, twin: RunningTwin) -> None:
    seen = _run(project, "mint", twin, twin.openai_key)

    assert seen["value"].startswith("ek_")
    assert seen["voice"] == "marin"
    assert seen["errors"] == [
        {
            "name": "BadRequestError",
            "status": 400,
            "code": "integer_below_min_value",
            "param": "expires_after.seconds",
            "hasRequestId": True,
        },
        {
            "name": "BadRequestError",
            "status": 400,
            "code": "unknown_parameter",
            "param": "session.voice",
            "hasRequestId": True,
        },
        {
            "name": "AuthenticationError",
            "status": 401,
            "code": "invalid_api_key",
            "param": None,
            "hasRequestId": True,
        },
    ]


def test_it_holds_a_turn_with_its_secret_in_the_subprotocol(project: node.Project, twin: RunningTwin) -> None:
    seen = _run(project, "turn", twin, twin.secret())

    assert seen == {
        "protocol": "realtime",
        "events": [
            "session.created",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ],
        "status": "completed",
        "close": 1000,
    }


def test_another_model_than_the_secret_s_is_an_error_event_and_a_close(
    project: node.Project, twin: RunningTwin
) -> None:
    seen = _run(project, "refused", twin, twin.secret())

    assert seen == {
        "name": "OpenAIRealtimeError",
        "code": "invalid_model",
        "close": 4000,
        "reason": "invalid_request_error.invalid_model",
    }
