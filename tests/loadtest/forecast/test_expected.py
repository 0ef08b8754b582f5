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


def test_load_processes_are_those_of_the_busiest_time_and_not_of_the_mean() -> None:
    """2,000 users at 0.98 ms a second each, beside what their calls take, at 70 % of a core."""
    quiet = {"users": 20, "duration": "27m"}
    load = {"stages": [quiet, {"users": 2000, "duration": "3m"}]}
    made = {"load": load, "conversation": {"repeat_for": 600}}
    found = forecast(Settings.model_validate(made), answer_s=None, twin=False, today=TODAY)
    assert found.processes.value == pytest.approx(2000 * 0.98e-3 / 0.7, rel=0.05)
    of_calls = settings({"users": 20, "ramp": 0, "duration": 10})
    short = forecast(of_calls, answer_s=None, twin=True, today=TODAY)
    assert short.processes.value == pytest.approx(max(1.0, short.sessions.value / 10 * 2e-3 / 0.7), rel=0.01)


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


def test_of_the_embedded_twin_it_is_known_how_long_answers_are_and_how_quick_its_voice_is() -> None:
    quick = Settings().realtime | {"audio": {"output": {"speed": 1.25}}}
    target = {"twin_set": ("answer_s=5", "cold_start=1", "answer_s=6")}
    load = {"users": 2, "duration": 20}

    def told(**changes: Any) -> tuple[float, list[str]]:
        found = forecast(Settings.model_validate({"load": load} | changes), answer_s=None, twin=True, today=TODAY)
        return found.answer_s, found.notes

    assert told()[0] == 2
    assert told(realtime=quick)[0] == 1.6
    answer_s, notes = told(realtime=quick, target=target)
    assert answer_s == 4.8
    assert "answers of 4.8 s are assumed; --answer says otherwise" in notes
    other = "of the twin's knobs answer_s alone is in the figures"
    assert other in notes
    assert other not in told(target={"twin_set": ("answer_s=5",)})[1]
    mix = [{"name": "quick", "realtime": quick, "weight": 3}, {"name": "slow", "realtime": Settings().realtime}]
    answer_s, notes = told(mix=mix)
    assert answer_s == pytest.approx(1.7)
    assert "answers of 1.6 to 2 s are assumed; --answer says otherwise" in notes


def test_what_somebody_says_of_answers_is_taken_at_his_word_and_of_a_service_nothing_is_known() -> None:
    quick = Settings().realtime | {"audio": {"output": {"speed": 1.25}}}
    made = Settings.model_validate({"load": {"users": 2, "duration": 20}, "realtime": quick})
    assert forecast(made, answer_s=3, twin=True, today=TODAY).answer_s == 3
    assert forecast(made, answer_s=None, twin=False, today=TODAY).answer_s == 4


def test_the_cost_of_active_checks_is_unknown_and_never_nothing() -> None:
    load = {"users": 10, "ramp": 0, "duration": 60}
    alone = forecast(settings(load, probes={"share": 1}, cost=AVATAR), answer_s=None, twin=False, today=TODAY)
    assert alone.bill.total.words() == "unknown: no price for active checks"
    beside = forecast(settings(load, probes={"share": 0.5}, cost=AVATAR), answer_s=None, twin=False, today=TODAY)
    told = beside.as_dict()["cost"]
    assert [told[part]["usd"] for part in ("model", "transcription", "avatar", "total")] == [None] * 4
    assert told["total"]["known_usd"] > 0


def budgeted(usd: float, *, duration: int = 60, **changes: Any) -> list[str]:
    """What is said of a budget, without talk: a session reserves a minute of avatar, 0.1 USD, and lives for 2 s. Twenty
    users spend 2 USD a minute."""
    load = {"users": 20, "ramp": 0, "duration": duration}
    made = settings(load, cost=AVATAR | {"budget": usd}, session={"max_duration": 60}, **changes)
    found = forecast(made, answer_s=None, twin=False, today=TODAY)
    assert [note for note in found.notes if note in found.of_budget] == found.of_budget
    return found.of_budget


def test_a_budget_that_can_not_reserve_for_all_sessions_at_once_is_told() -> None:
    assert budgeted(1.2) == [
        "the budget reserves for 12 sessions at once at most, 20 are planned: it would end the run then"
    ]


def test_a_budget_that_the_sessions_spend_is_told_and_so_is_one_whose_rest_would_not_do() -> None:
    """The worst of twenty at once is 2 USD."""
    assert budgeted(5) == []
    assert budgeted(3) == ["the budget of 3 USD may end it early: it reserves for 20 sessions at once, too"]
    assert budgeted(3, duration=120) == ["the budget of 3 USD would end it early"]


def test_what_active_checks_and_ones_own_endpoint_make_of_a_budget_is_told() -> None:
    (kept,) = budgeted(5, probes={"share": 0.5})
    assert kept == "a session of an active check keeps what it reserves: there can be 50 of them, beside nothing else"
    target = {"room": "none", "backend": {"url": "http://127.0.0.1:1/x"}, "avaturn_base_url": "http://127.0.0.1:2"}
    (unread,) = budgeted(200, target=target)
    assert unread == "what your endpoint has its model read is not in what a session reserves"


def test_whether_a_twin_answers_is_said_of_the_embedded_one_alone() -> None:
    load = {"users": 2, "duration": 20}
    target = {"openai_base_url": "http://127.0.0.1:1/v1", "avaturn_base_url": "http://127.0.0.1:2"}
    for changes, where in (
        ({}, "against the twin nothing is charged"),
        ({"target": target}, "nothing is charged if the endpoints of this machine are a twin's"),
    ):
        made = Settings.model_validate({"load": load} | changes)
        notes = forecast(made, answer_s=None, twin=True, today=TODAY).notes
        assert f"{where}: the money is what the services would ask" in notes
