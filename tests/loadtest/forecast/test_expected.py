"""What a plan would do and cost, before it is run."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loadtest.config.settings import Settings
from loadtest.forecast.expected import TWIN_ANSWER_S, forecast
from loadtest.forecast.plan import Range
from loadtest.twin.knobs.profiles import Profile
from tests.loadtest.sound.test_speech import tone, wav

TODAY = date(2026, 12, 1)
AVATAR = {"prices": {"avatar": {"per_minute": 0.1}}}


def settings(load: dict[str, Any], **changes: Any) -> Settings:
    return Settings.model_validate({"load": load, "target": {"room": "none"}} | changes)


def test_the_twins_answer_is_as_long_as_its_own_profile_has_it() -> None:
    assert Profile().answer_s == TWIN_ANSWER_S


def test_a_forecast_says_what_is_unknown_and_what_it_assumed() -> None:
    made = Settings.model_validate({"load": {"users": 2, "duration": 20}})
    found = forecast(made, answer_s=None, twin=False, today=TODAY)
    told = found.as_dict()
    assert told["cost"]["total"]["usd"] is None
    assert told["cost"]["total"]["unknown"] == ["the avatar's minutes"]
    assert told["cost"]["model"]["usd"] > 0
    assert "answers of 4 s are assumed; --answer says otherwise" in told["notes"]
    assert told["sessions"]["low"] <= told["sessions"]["value"] <= told["sessions"]["high"]
    assert told["reserved_per_session"] == {}


def test_longer_answers_cost_more_and_leave_room_for_fewer_sessions() -> None:
    made = Settings.model_validate({"load": {"users": 20, "duration": 120}})
    short = forecast(made, answer_s=1, twin=True, today=TODAY)
    long = forecast(made, answer_s=10, twin=True, today=TODAY)
    assert long.sessions.value < short.sessions.value
    assert long.bill.model.value / long.sessions.value > short.bill.model.value / short.sessions.value


def test_secrets_beyond_the_accounts_limit_are_told_of_a_live_plan_alone() -> None:
    made = settings({"rate": 10, "ramp": 0, "duration": 120, "max_users": 100})
    live = forecast(made, answer_s=None, twin=False, today=TODAY)
    assert "600 secrets in a minute is more than the account's 400 requests" in live.notes
    assert not any("account" in note for note in forecast(made, answer_s=None, twin=True, today=TODAY).notes)


def test_a_talk_that_the_run_cuts_short_costs_what_it_lives() -> None:
    load = {"users": 10, "ramp": 0, "duration": 60}
    talk = {"conversation": {"repeat_for": 600}, "cost": AVATAR}
    short = Settings.model_validate({"load": load | {"graceful_stop": 5}} | talk)
    found = forecast(short, answer_s=None, twin=True, today=TODAY)
    assert found.sessions == Range(10, 10, 10)
    assert found.session_s.value == 65
    assert found.avatar_minutes.value == pytest.approx(10 * 65 / 60)
    assert found.bill.avatar.value == pytest.approx(10 * 65 / 60 * 0.1)
    whole = forecast(Settings.model_validate({"load": load} | talk), answer_s=None, twin=True, today=TODAY)
    assert whole.avatar_minutes.value > 100
    assert whole.bill.model.value > 10 * found.bill.model.value  # each answer reads all before it


def test_a_caller_whose_line_is_cut_for_long_has_two_sessions_a_secret_each(tmp_path: Path) -> None:
    """The first lives for 20.1 s, and the second, from 22.1 s on, for 14.5 s."""
    clip = str(wav(tmp_path / "a.wav", tone(5_000, 48_000)))
    talk = {"turns": [{"kind": "say", "clip": clip}] * 6, "think_min_s": 0.3, "think_max_s": 0.3}
    made = {"load": {"users": 10, "ramp": 0, "duration": 60}, "conversation": talk, "cost": AVATAR}
    whole = forecast(Settings.model_validate(made), answer_s=2, twin=True, today=TODAY)
    assert (whole.sessions.value, whole.avatar_minutes.value) == (30, pytest.approx(30 * 28.9 / 60))
    cut = made | {"caller": {"cut_after_s": 10, "cut_for_s": 12}}
    found = forecast(Settings.model_validate(cut), answer_s=2, twin=True, today=TODAY)
    assert (found.sessions.value, found.per_minute.value, found.peak.value) == (40, 40, 10)
    assert found.avatar_minutes.value == pytest.approx(20 * (20.1 + 14.5) / 60)
    assert found.bill.avatar.value == pytest.approx(20 * (20.1 + 14.5) / 600)
    assert found.session_s.value == pytest.approx((20.1 + 14.5) / 2)


def test_of_a_mix_those_have_two_sessions_whose_line_is_cut(tmp_path: Path) -> None:
    clip = str(wav(tmp_path / "a.wav", tone(5_000, 48_000)))
    talk = {"turns": [{"kind": "say", "clip": clip}] * 6, "think_min_s": 0.3, "think_max_s": 0.3}
    scenario = {"realtime": Settings().realtime, "conversation": talk}
    mix = [
        scenario | {"name": "plain"},
        scenario | {"name": "cut", "weight": 3, "caller": {"cut_after_s": 10, "cut_for_s": 12}},
    ]
    load = {"rate": 1, "ramp": 0, "duration": 60, "max_users": 100}
    found = forecast(Settings.model_validate({"load": load, "mix": mix}), answer_s=2, twin=True, today=TODAY)
    assert found.sessions.value == 60 * 1.75
    assert found.avatar_minutes.value == pytest.approx((15 * 28.9 + 45 * (20.1 + 14.5)) / 60)


def test_minutes_that_may_be_more_cost_more() -> None:
    made = settings({"rate": 1, "ramp": 0, "duration": 60, "max_users": 100}, cost=AVATAR)
    avatar = forecast(made, answer_s=None, twin=False, today=TODAY).bill.avatar
    assert (avatar.low, avatar.high) == (pytest.approx(avatar.value / 1.5), pytest.approx(avatar.value * 1.5))


def test_active_checks_are_said_to_be_in_no_figure() -> None:
    load = {"users": 10, "ramp": 0, "duration": 60}
    told = "active checks of 5 users are not in it: their sessions and costs aren't known"
    assert told in forecast(settings(load, probes={"share": 0.5}), answer_s=None, twin=True, today=TODAY).notes
    assert told not in forecast(settings(load), answer_s=None, twin=True, today=TODAY).notes
