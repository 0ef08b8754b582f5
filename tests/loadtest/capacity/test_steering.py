"""What run a search becomes."""

from typing import Any

import pytest

from loadtest.capacity.steering import at_most, prepared, settle_s
from loadtest.config.resolve import resolve
from loadtest.config.settings import Distribution
from loadtest.errors.exceptions import ConfigError
from loadtest.load.tickets import steered_stage


def settings_of(**options: Any) -> Any:
    return resolve(None, {name.replace("__", "."): value for name, value in options.items()}, {})


NEITHER = "a search judges level by level: there a count has neither min nor window, a rate has both"


def test_a_search_by_users_has_room_for_its_highest_level_and_all_its_time() -> None:
    settings = prepared(settings_of(capacity__most=70, capacity__give_up="5m", load__users=3))
    assert (settings.load.open, settings.pool, settings.load.duration) == (False, 70, 300)


def test_a_search_by_arrivals_is_an_open_run_with_a_bounded_pool() -> None:
    settings = prepared(settings_of(capacity__by="arrivals", capacity__most=50, target__room="none"))
    assert (settings.load.open, settings.load.rate, settings.pool) == (True, 50, 500)
    assert prepared(settings_of(capacity__by="arrivals", capacity__most=50_000)).pool == 2000
    assert prepared(settings_of(capacity__by="arrivals", target__max_active=7)).pool == 7
    assert prepared(settings_of(capacity__by="arrivals", load__max_users=8000)).pool == 8000
    assert prepared(settings_of(capacity__by="arrivals", load__max_users=5)).pool == 5


def test_arrivals_need_no_level_that_the_processes_can_share() -> None:
    assert prepared(settings_of(capacity__by="arrivals", capacity__start=0.5, load__processes=2)).load.processes == 2


@pytest.mark.parametrize(("most", "levels", "pool"), [(10.5, [10, 10], 10), (12.7, [10, 12, 12], 12)])
def test_no_level_is_above_most(most: float, levels: list[float], pool: int) -> None:
    found = at_most(settings_of(capacity__start=10, capacity__most=most))
    assert ([stage.level for stage in found.load.stages], found.pool) == (levels, pool)


def test_a_rate_is_not_rounded_to_one_above_most() -> None:
    found = at_most(settings_of(capacity__start=1236, capacity__most=1236, capacity__by="arrivals"))
    assert [stage.level for stage in found.load.stages] == [1236, 1236]


def test_objectives_do_not_abort_a_search() -> None:
    slo = {"name": "n", "indicator": "create.p95", "max": 1, "abort": True}
    assert [slo.abort for slo in prepared(settings_of(slo=[slo])).slos] == [False]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"capacity__most": 80, "target__max_active": 60}, "capacity.most: 80 users, but target.max_active is 60"),
        (
            {"capacity__start": 2, "load__processes": 3},
            "capacity.start: 2 users can't be shared by 3 load processes",
        ),
        (
            {"capacity__by": "arrivals", "load__max_users": 2, "load__processes": 3},
            "load.max_users: 2 users can't be shared by 3 load processes",
        ),
        (
            {"capacity__by": "arrivals", "load__max_users": 80, "target__max_active": 60},
            "load.max_users: 80 users, but target.max_active is 60",
        ),
        ({"capacity__start": 9, "capacity__most": 8}, "capacity: start is above most"),
        (
            {"slo": [{"indicator": "session.completed", "min": 9}]},
            f"slo 'session.completed' (session.completed): {NEITHER}",
        ),
        (
            {"slo": [{"name": "few", "indicator": "turn.failed", "max": 9, "window": 60}]},
            f"slo 'few' (turn.failed): {NEITHER}",
        ),
        (
            {"capacity__give_up": "26s", "capacity__settle": "3s", "capacity__sustain": "20s"},
            "capacity.give_up: 26 s are too short for a level: two times settle, and the longer of stage and sustain,"
            " are 26 s",
        ),
        (
            {"capacity__give_up": "5m", "capacity__settle": "3s", "capacity__stage": "10m"},
            "capacity.give_up: 300 s are too short for a level: two times settle, and the longer of stage and sustain,"
            " are 606 s",
        ),
    ],
)
def test_a_search_that_can_not_be_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        prepared(settings_of(**options))
    assert caught.value.problems == [told]


def test_a_search_over_several_hosts_is_refused() -> None:
    settings = settings_of().model_copy(update={"distribution": Distribution(master=True)})
    with pytest.raises(ConfigError, match=r"^distribution\.master: a search for the limit runs on one host$"):
        prepared(settings)


def test_a_level_settles_for_longer_than_a_conversation_lasts() -> None:
    assert settle_s(settings_of(target__room="none")) == 2
    assert settle_s(settings_of(capacity__settle="7s")) == 7
    settings = settings_of()
    assert settle_s(settings) == settings.conversation_s + 2 > 10


@pytest.mark.parametrize(
    ("give_up", "levels"), [("1h", [2, 4, 8, 16, 16]), ("33s", [2, 4, 8, 16]), ("29s", [2, 4, 8]), ("9s", [2])]
)
def test_what_a_search_does_at_most_is_what_it_has_time_to_begin(give_up: str, levels: list[int]) -> None:
    """A level is held for 6 s, and 1 s more until it is judged; none begins within the last 8 s of its time."""
    times = {"capacity__settle": "1s", "capacity__stage": "5s", "capacity__sustain": "6s"}
    found = at_most(settings_of(capacity__start=2, capacity__most=16, capacity__give_up=give_up, **times))
    assert [stage.level for stage in found.load.stages] == levels
    assert found.load.duration == sum(stage.duration for stage in found.load.stages)


@pytest.mark.parametrize(("stage", "settle", "levels"), [("20s", "1s", [2, 4]), ("20s", "0s", [2, 4])])
def test_no_level_begins_that_the_end_of_the_search_would_cut(stage: str, settle: str, levels: list[int]) -> None:
    times = {"capacity__settle": settle, "capacity__stage": stage, "capacity__sustain": "1s"}
    searched = at_most(settings_of(capacity__start=2, capacity__give_up="63s", **times))
    assert [each.level for each in searched.load.stages] == levels


def test_users_of_a_stage_come_in_over_the_first_half_of_its_settling() -> None:
    order = {"op": "stage", "name": "3 grow", "level": 10, "settle_s": 4, "hold_s": 6, "first_index": 1}
    shape, told = steered_stage(order, begins_s=100, settings=prepared(settings_of()))
    assert [(s.t_ns // 10**9, s.stage, s.users, s.steady) for s in told] == [
        (100, "settle 3 grow", 10, False), (104, "3 grow", 10, True), (110, "rest 3 grow", 0, False),
    ]  # fmt: skip
    assert [shape.level(at_s) for at_s in (100, 101, 102, 109.9, 110)] == [0, 5, 10, 10, 0]
