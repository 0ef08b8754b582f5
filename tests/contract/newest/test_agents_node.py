"""OpenAI's Agents SDK for Node at its own default address, with a client secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.loadtest.twin.process import RunningTwin, running_twin

PACKAGES = ["@openai/agents@0.20.0", "ws@8.23.0"]
SCRIPT = Path(__file__).with_name("agents_realtime.mjs")
INSTALL_S, DEADLINE_S = 180, 40


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--tls", "--set", "answer_s=2") as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> node.Project:
    return node.project(tmp_path_factory.mktemp("npm"), SCRIPT, *PACKAGES, timeout_s=INSTALL_S)


def _seen(project: node.Project, scenario: str, twin: RunningTwin) -> dict[str, Any]:
    secret = twin.secret({"model": "gpt-realtime"})
    seen = project.run(scenario, twin.realtime_url, secret, twin=twin, timeout_s=DEADLINE_S)
    assert seen["dialled"] == "wss://api.openai.com/v1/realtime?model=gpt-realtime"
    return seen


def test_a_spoken_turn_is_answered(project: node.Project, twin: RunningTwin) -> None:
    seen = _seen(project, "turn", twin)
    assert seen["audio_ms"] == 2000
    assert seen["events"][-1] == "response.done"


def test_a_tool_is_called_and_its_result_is_spoken_of(project: node.Project, twin: RunningTwin) -> None:
    seen = _seen(project, "tool", twin)
    assert seen["cities"] == ["example"]
    assert seen["audio_ms"] == 2000


def test_who_speaks_into_an_answer_ends_it(project: node.Project, twin: RunningTwin) -> None:
    seen = _seen(project, "barge", twin)
    assert {"audio_interrupted", "conversation.item.truncated"} <= set(seen["events"])
