"""Before the start: which objectives the plan will give too few samples, and how long a conversation is taken to be."""

import wave
from pathlib import Path
from typing import Any

import pytest

from loadtest.commands.work.expected_samples import too_few
from loadtest.config.clips.lengths import ANSWER_S
from loadtest.config.resolve import resolve
from loadtest.config.settings import Settings

AUDIO = {"name": "first audio", "indicator": "turn.time_to_first_audio.p95", "max": 2}


def settings(*slos: dict[str, Any], **options: Any) -> Settings:
    named = {name.replace("__", "."): value for name, value in options.items()}
    return resolve(None, {**named, "slo": list(slos)}, {"AVATURN_API_KEY": "key"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"load__users": 4, "load__duration": "10s"}, "p95 needs 20 turns, about 8 are planned"),
        ({"load__users": 10, "load__duration": "10s"}, None),
        ({"load__users": 4, "load__duration": "5m"}, None),
        ({"load__users": 4, "load__duration": "5m", "target__max_sessions": 3}, "about 6 are planned"),
        ({"load__users": 4, "load__duration": "5m", "load__pacing": "4m"}, "about 10 are planned"),
        ({"load__rate": 1, "load__ramp": 0, "load__duration": "9s"}, "about 18 are planned"),
        ({"load__rate": 1, "load__duration": "60s"}, None),
        ({"load__users": 40, "load__duration": "60s", "target__room": "none"}, "about 0 are planned"),
    ],
)
def test_a_plan_that_is_too_short_for_a_quantile_is_told(options: dict[str, Any], said: str | None) -> None:
    told = list(too_few(settings(AUDIO, **options)))
    assert len(told) == (said is not None)
    assert said is None or told[0].startswith("first audio (turn.time_to_first_audio.p95): p95 needs 20 turns, ")
    assert said is None or told[0].endswith(said)


def test_rates_counts_and_extremes_need_no_more_than_a_run_has() -> None:
    names = ("session.failed_rate", "session.failed", "create.max")
    assert list(too_few(settings(*({"indicator": name, "max": 1} for name in names), load__users=1))) == []


WITHOUT_ROOM: dict[str, Any] = {"target__room": "none"}
AT_BACKEND: dict[str, Any] = {
    "target__backend": {"url": "http://127.0.0.1:1/s"},
    "target__avaturn_base_url": "http://127.0.0.1:1",
}


@pytest.mark.parametrize(
    ("indicator", "options", "told"),
    [
        ("converse.p50", WITHOUT_ROOM, True),
        ("turn.barge_in.p50", WITHOUT_ROOM, True),
        ("connect.p50", WITHOUT_ROOM, False),
        ("session.setup.p50", WITHOUT_ROOM, False),
        ("secret.margin.min", WITHOUT_ROOM, False),
        ("mint.p50", AT_BACKEND, True),
        ("secret.margin.min", AT_BACKEND, True),
        ("create.p50", AT_BACKEND, False),
    ],
)
def test_what_a_plan_can_never_show_is_told_and_nothing_else(
    indicator: str, options: dict[str, Any], told: bool
) -> None:
    slo = {"indicator": indicator, "min" if indicator.endswith("min") else "max": 1}
    found = list(too_few(settings(slo, load__users=40, load__duration="60s", **options)))
    assert [sentence.endswith("about 0 are planned") for sentence in found] == [True] * told


def test_a_search_for_the_limit_is_not_warned() -> None:
    assert list(too_few(settings(AUDIO, load__users=1, load__duration="6s", capacity__most=5))) == []


def clip(path: Path, length_s: int) -> str:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", "not compressed"))
        file.writeframes((b"\x00\x10" * 12 + b"\x00\xf0" * 12) * 1000 * length_s)
    return str(path)


def test_a_conversation_is_as_long_as_its_clips_and_its_longest_thoughts(tmp_path: Path) -> None:
    minute = clip(tmp_path / "minute.wav", 60)
    said = [{"kind": "say", "clip": minute}, {"kind": "pause", "for_s": 7}]
    talk = settings(conversation__turns=said, conversation__think_max_s=20)
    assert talk.conversation_s == 60 + ANSWER_S + 7 + 2 * 20
    assert talk.graceful_stop_s == talk.conversation_s + 30
    clip(tmp_path / "short.wav", 1)
    folder = settings(conversation__turns=[{"kind": "say", "clip": str(tmp_path)}])
    assert folder.conversation_s == pytest.approx(60 + ANSWER_S + 0.8)


def test_settings_of_a_run_whose_clips_are_elsewhere_can_still_be_read(tmp_path: Path) -> None:
    gone = settings(load__rate=1, conversation__turns=[{"kind": "say", "clip": str(tmp_path / "gone.wav")}])
    assert gone.conversation_s == pytest.approx(ANSWER_S + 0.8)
