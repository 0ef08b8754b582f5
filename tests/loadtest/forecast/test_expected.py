"""A plan played through on paper."""

from datetime import date
from typing import Any

import pytest

from loadtest.config.settings import Settings
from loadtest.forecast.expected import TWIN_ANSWER_S, forecast, play
from loadtest.language.errors import ConfigError
from loadtest.twin.knobs.profiles import Profile

TODAY = date(2026, 12, 1)


def settings(load: dict[str, Any], **changes: Any) -> Settings:
    return Settings.model_validate({"load": load, "target": {"room": "none"}} | changes)


def test_users_begin_a_session_when_the_last_one_ended() -> None:
    played = play(settings({"users": 10, "ramp": 0, "duration": 60}), 6.0)
    assert (played.sessions, played.peak, played.per_minute) == (100, 10, 100)
    assert played.busy_s == 600


def test_pacing_holds_users_back() -> None:
    assert play(settings({"users": 10, "ramp": 0, "duration": 60, "pacing": 20}), 6.0).sessions == 30


def test_open_arrivals_come_when_they_are_due() -> None:
    played = play(settings({"rate": 2, "ramp": 0, "duration": 90, "max_users": 50}), 5.0)
    assert (played.sessions, played.peak, played.per_minute, played.dropped) == (180, 10, 120, 0)


def test_arrivals_that_find_nobody_free_are_dropped() -> None:
    played = play(settings({"rate": 2, "ramp": 0, "duration": 60, "max_users": 4}), 5.0)
    assert played.peak == 4
    assert played.sessions + played.dropped == 120
    assert played.sessions == pytest.approx(4 * 60 / 5, abs=5)


def test_max_sessions_bounds_everything() -> None:
    played = play(settings({"users": 10, "ramp": 0, "duration": 60}, target={"room": "none", "max_sessions": 7}), 6.0)
    assert (played.sessions, played.peak, played.per_minute, played.busy_s) == (7, 7, 7, 42)


def test_a_share_of_many_users_counts_for_all() -> None:
    few = play(settings({"users": 1000, "ramp": 0, "duration": 600}), 6.0)
    many = play(settings({"users": 100_000, "ramp": 0, "duration": 600}), 6.0)
    assert many.sessions == pytest.approx(100 * few.sessions, rel=0.01)


def test_a_plan_too_large_to_be_played_says_so() -> None:
    with pytest.raises(ConfigError, match="more than 3,000,000 arrivals"):
        play(settings({"rate": 100_000, "duration": 3600, "max_users": 10}), 1.0)


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


def test_active_checks_are_said_to_be_in_no_figure() -> None:
    load = {"users": 10, "ramp": 0, "duration": 60}
    told = "active checks of 5 users are not in it: their sessions and costs aren't known"
    assert told in forecast(settings(load, probes={"share": 0.5}), answer_s=None, twin=True, today=TODAY).notes
    assert told not in forecast(settings(load), answer_s=None, twin=True, today=TODAY).notes
