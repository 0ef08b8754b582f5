"""OpenAI's Agents SDK for Node at its own default address, with a client secret."""

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

PACKAGES = ["@openai/agents@0.20.0", "ws@8.23.0"]
SCRIPT = Path(__file__).with_name("agents_realtime.mjs")
INSTALL_S, DEADLINE_S = 180, 40


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--tls", "--set", "answer_s=2") as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed("node")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    npm_install(folder, *PACKAGES, timeout_s=INSTALL_S)
    shutil.copy(SCRIPT, folder)
    return folder


def _seen(project: Path, scenario: str, twin: RunningTwin) -> dict[str, Any]:
    done = subprocess.run(
        ["node", SCRIPT.name, scenario, twin.realtime_url, twin.secret({"model": "gpt-realtime"})],
        cwd=project,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": twin.announcement["ca_file"]},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["dialled"] == "wss://api.openai.com/v1/realtime?model=gpt-realtime"
    return seen


def test_a_spoken_turn_is_answered(project: Path, twin: RunningTwin) -> None:
    seen = _seen(project, "turn", twin)
    assert seen["audio_ms"] == 2000
    assert seen["events"][-1] == "response.done"


def test_a_tool_is_called_and_its_result_is_spoken_of(project: Path, twin: RunningTwin) -> None:
    seen = _seen(project, "tool", twin)
    assert seen["cities"] == ["example"]
    assert seen["audio_ms"] == 2000


def test_who_speaks_into_an_answer_ends_it(project: Path, twin: RunningTwin) -> None:
    seen = _seen(project, "barge", twin)
    assert {"audio_interrupted", "conversation.item.truncated"} <= set(seen["events"])
