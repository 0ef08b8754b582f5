"""The official `openai` npm package in Node against the twin. It is installed by the test, never committed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.programs import needed, npm_install

PACKAGES = ["openai@7.59.0", "ws@8.23.0"]
SCRIPT = Path(__file__).with_name("openai_npm.mjs")
INSTALL_S, DEADLINE_S = 90, 20


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--tls", "--set", "answer_s=0.6") as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and the script."""
    needed("node")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    npm_install(folder, *PACKAGES, timeout_s=INSTALL_S)
    shutil.copy(SCRIPT, folder)
    return folder


def _run(project: Path, scenario: str, twin: RunningTwin, key: str) -> dict[str, Any]:
    command = ["node", SCRIPT.name, scenario, twin.openai_url, key]
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": twin.announcement["ca_file"]},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_it_mints_and_knows_the_errors(project: Path, twin: RunningTwin) -> None:
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


def test_it_holds_a_turn_with_its_secret_in_the_subprotocol(project: Path, twin: RunningTwin) -> None:
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


def test_another_model_than_the_secret_s_is_an_error_event_and_a_close(project: Path, twin: RunningTwin) -> None:
    seen = _run(project, "refused", twin, twin.secret())

    assert seen == {
        "name": "OpenAIRealtimeError",
        "code": "invalid_model",
        "close": 3000,
        "reason": "invalid_request_error.invalid_model",
    }
