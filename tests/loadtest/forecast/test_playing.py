"""A schedule played through on paper."""

from typing import Any

import pytest

from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.forecast.playing import Again, Played, play


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


def test_the_busiest_minute_may_begin_in_the_middle_of_one() -> None:
    stages = [{"rate": 1, "duration": 30}, {"rate": 10, "duration": 60}, {"rate": 1, "duration": 60}]
    played = play(settings({"stages": stages, "max_users": 500}), 5.0)
    assert played.per_minute == 600


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


def lasting(load: dict[str, Any], length_s: float, **changes: Any) -> Played:
    """A run of a minute that gives its sessions five seconds to end in."""
    return play(settings({"ramp": 0, "duration": 60, "graceful_stop": 5} | load, **changes), length_s)


def test_no_session_outlives_the_time_that_the_run_gives_it() -> None:
    held = lasting({"users": 10}, 600.0)
    assert (held.sessions, held.peak, held.busy_s) == (10, 10, 10 * 65)
    arrived = lasting({"rate": 1, "max_users": 100}, 600.0)
    assert (arrived.sessions, arrived.busy_s) == (60, sum(65 - at_s for at_s in range(60)))


def test_only_the_sessions_at_the_end_are_cut_short() -> None:
    held = lasting({"users": 10}, 35.0)
    assert (held.sessions, held.busy_s) == (20, 10 * (35 + 30))


def test_of_bounded_sessions_those_live_that_began_first() -> None:
    bounded = lasting({"rate": 1, "max_users": 100}, 60.0, target={"room": "none", "max_sessions": 4})
    assert (bounded.sessions, bounded.busy_s) == (4, 4 * 60)
    held = lasting({"users": 2}, 35.0, target={"room": "none", "max_sessions": 3})
    assert (held.sessions, held.busy_s) == (3, 35 + 35 + 30)


def test_who_calls_again_has_two_sessions_and_is_busy_until_the_end_of_the_second() -> None:
    made = settings({"users": 10, "ramp": 0, "duration": 60})
    played = play(made, 10.0, Again(1.0, 2.0, 8.0))
    assert (played.sessions, played.peak, played.busy_s) == (60, 10, 30 * 18)
    assert played.per_minute == 60
    half = play(made, 10.0, Again(0.5, 2.0, 8.0))  # 15 s each, on average
    assert (half.sessions, half.busy_s) == (60, 40 * 10 + 20 * 8)


def test_a_second_session_needs_a_place_and_the_time_for_it() -> None:
    load = {"users": 10, "ramp": 0, "duration": 60, "graceful_stop": 5}
    full = play(settings(load, target={"room": "none", "max_sessions": 10}), 10.0, Again(1.0, 2.0, 8.0))
    assert (full.sessions, full.busy_s) == (10, 100)
    late = play(settings(load), 10.0, Again(1.0, 600.0, 8.0))
    assert (late.sessions, late.busy_s) == (10, 100)


def test_users_who_run_active_checks_take_no_arrivals() -> None:
    made = settings({"rate": 2, "ramp": 0, "duration": 60, "max_users": 8}, probes={"share": 0.5})
    assert play(made, 5.0).peak == 4
