"""`[realtime]` is passed on as it stands; what avaload reads of it itself must be what it reads."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.config.keys.session_object import vad_silence_s
from loadtest.config.resolve import resolve
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError

SILENCE = "AVALOAD_REALTIME__AUDIO__INPUT__TURN_DETECTION__SILENCE_DURATION_MS"


def resolved(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    return resolve(path, {}, environ)


def realtime(tmp_path: Path, text: str, **environ: str) -> dict[str, Any]:
    return resolved(tmp_path, text, **environ).realtime


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[realtime.audio.input]\nturn_detection = "server_vad"', ":2: realtime.audio.input.turn_detection: {table}"),
        ("[realtime.audio.input]\nturn_detection = false", ":2: realtime.audio.input.turn_detection: {got_false}"),
        ('[realtime]\naudio = "x"', ":2: realtime.audio: {table}"),
        ('[realtime]\naudio.output = "x"', ":2: realtime.audio.output: {table}"),
        ('[realtime]\nprompt = "x"', ":2: realtime.prompt: {table}"),
        ('[realtime.audio.output]\nformat = "pcm16"', ":2: realtime.audio.output.format: {table}"),
        ("[realtime]\nmodel = 3", ":2: realtime.model: must be text, in quotes; got 3"),
        ("[realtime]\ntools = 3", ":2: realtime.tools: must be a list, in brackets"),
        ('[realtime]\ntools = ["x"]', ":2: realtime.tools[1]: {table}"),
        ('[[realtime.tools]]\ntype = ["x"]', ":2: realtime.tools[1].type: must be text, in quotes; got a list"),
        ('[realtime.audio.output]\nspeed = "fast"', ":2: realtime.audio.output.speed: must be a number; got 'fast'"),
        (
            '[realtime.audio.input.turn_detection]\nsilence_duration_ms = "500ms"',
            ":2: realtime.audio.input.turn_detection.silence_duration_ms: must be a number; got '500ms'",
        ),
        (
            "[realtime]\nmax_output_tokens = -5",
            ':2: realtime.max_output_tokens: must be a whole number, at least 1, or "inf"',
        ),
        (
            "[realtime]\nuntil = 2026-01-01",
            ":1: realtime: until: JSON has no dates and no times; write it as text, in quotes",
        ),
        ("[realtime]\nextra = [{ a = nan }]", ":1: realtime: extra[1].a: JSON has no such number"),
    ],
)
def test_a_wrong_shape_of_what_is_read_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    words = {"table": "must be a table; got text", "got_false": "must be a table; got false"}
    with pytest.raises(ConfigError) as caught:
        resolved(tmp_path, text)
    said = says.replace("{table}", words["table"]).replace("{got_false}", words["got_false"])
    assert caught.value.problems == [f"{tmp_path / 'scenario.toml'}{said}"]


def test_what_is_not_read_is_passed_on_as_it_stands(tmp_path: Path) -> None:
    text = (
        '[realtime]\nvoice_of_tomorrow = { a = [1, 1.5, true] }\nmax_output_tokens = "inf"\n'
        '[realtime.audio.input]\nnoise_reduction = 7\nturn_detection = "null"\n[[realtime.tools]]\nname = "n"\nx.y = 1'
    )
    settings = resolved(tmp_path, text)
    found = settings.realtime
    assert found["voice_of_tomorrow"] == {"a": [1, 1.5, True]}
    assert (found["max_output_tokens"], found["tools"]) == ("inf", [{"name": "n", "x": {"y": 1}}])
    assert found["audio"]["input"]["noise_reduction"] == 7
    assert found["audio"]["input"]["turn_detection"] is None
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_a_number_stays_as_it_is_written_and_that_of_a_variable_is_one(tmp_path: Path) -> None:
    written = realtime(tmp_path, "[realtime.audio.input.turn_detection]\nsilence_duration_ms = 350")
    of_variable = realtime(tmp_path, "[load]\nusers = 1", **{SILENCE: "450"})
    silences = [one["audio"]["input"]["turn_detection"]["silence_duration_ms"] for one in (written, of_variable)]
    assert (silences, [type(silence) for silence in silences]) == ([350, 450], [int, int])
    assert vad_silence_s(of_variable) == 0.45


def test_a_scenario_of_a_mix_is_held_to_the_same(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('[realtime.audio]\ninput = "x"')
    with pytest.raises(ConfigError) as caught:
        resolved(tmp_path, "[[mix]]\nscenario = 'other.toml'")
    assert caught.value.problems == [f"{other}:2: realtime.audio.input: must be a table; got text"]
