from datetime import date
from typing import Any

import pytest

from loadtest.config.keys.scenario import Scenario
from loadtest.config.keys.session_object import default_realtime
from loadtest.config.lint import findings, lint

BEFORE, AFTER = date(2026, 11, 1), date(2027, 6, 1)


def linted(today: date = BEFORE, *, session: dict[str, Any] | None = None, **realtime: Any) -> list[str]:
    sound = default_realtime() | {"model": "gpt-realtime-2"}
    sound["audio"]["input"]["transcription"] = {"model": "gpt-transcribe"}
    scenario = Scenario.model_validate({"name": "s", "realtime": sound | realtime, "session": session or {}})
    return lint(scenario, today=today)


def test_a_sound_scenario_has_no_warning() -> None:
    assert linted() == []


@pytest.mark.parametrize(
    ("realtime", "told"),
    [
        ({"type": "transcription"}, "drives no avatar"),
        ({"output_modalities": ["text"]}, "stays mute"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "audio.input.format is audio/pcmu"),
        ({"audio": {"input": {"turn_detection": None}}}, "never answers"),
        ({"audio": {"input": {"turn_detection": {"create_response": False}}}}, "never answers"),
        ({"audio": {"output": {"voice": "bogus"}}}, "voice bogus"),
        ({"model": "gpt-4o-realtime-preview-2024-12-17"}, "retired preview"),
        ({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}, "in 117 days"),
        ({"tools": [{"type": "function", "name": "f"}]}, "not executed"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "unknown"),
    ],
)
def test_what_can_not_work_is_said_in_one_sentence(realtime: dict[str, Any], told: str) -> None:
    (warning,) = linted(**realtime)
    assert warning.startswith("s: ")
    assert told in warning


def test_a_model_is_warned_of_before_and_after_its_end() -> None:
    assert linted(model="gpt-realtime") == ["s: model gpt-realtime is shut down on 2027-01-20, in 80 days (AUD-2)"]
    assert linted(AFTER, model="gpt-realtime") == ["s: model gpt-realtime was shut down on 2027-01-20 (AUD-2)"]


def test_the_built_in_scenario_uses_no_model_whose_end_is_announced() -> None:
    assert lint(Scenario(name="s", realtime=default_realtime()), today=BEFORE) == []


@pytest.mark.parametrize("today", [BEFORE, AFTER])
def test_a_stored_prompt_is_warned_of_and_breaks_nothing(today: date) -> None:
    scenario = Scenario(name="s", realtime=default_realtime() | {"prompt": {"id": "pmpt_1"}})
    (found,) = findings(scenario, today=today)
    assert not found.breaks
    assert found.text == (
        "prompt: OpenAI announced the end of v1/prompts for 2026-11-30; Realtime isn't named there, so try whether"
        " stored prompts still work"
    )


def test_a_session_longer_than_the_model_allows_is_warned_of() -> None:
    assert "DUR-2" in linted(session={"max_duration": 7200})[0]
    assert linted(session={"max_duration": 3600}) == []
