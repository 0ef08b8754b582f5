"""A quota is told by what it refuses, however it is told and however small it is; what is no quota isn't called one."""

from dataclasses import replace
from typing import Any

import pytest

from loadtest.capacity.limit import limit
from loadtest.capacity.quota import Evidence, Quota, Refusal, Stay, evidence, quota_of
from loadtest.capacity.search import Found, Purpose, Search
from loadtest.criteria.slo import Slo
from loadtest.criteria.words import plural
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Step
from tests.loadtest.capacity.simulated import Target
from tests.loadtest.capacity.test_search import Result, searched

AT_CREATE = (Step.CREATE, Kind.REJECTED, Code.LIMITS_EXCEEDED)
IN_ROOM = (Step.CONNECT, Kind.REJECTED, Code.LIMITS_EXCEEDED)
WAYS = {
    "429 limits_exceeded": AT_CREATE,
    "402": (Step.CREATE, Kind.REJECTED, Code.QUOTA),
    "429 without a word": (Step.CREATE, Kind.REJECTED, Code.RATE_LIMITED),
    "409": (Step.CREATE, Kind.REJECTED, Code.HTTP_4XX),
    "503": (Step.CREATE, Kind.REJECTED, Code.HTTP_5XX),
    "limits_exceeded in the room": IN_ROOM,
    "a room that closes without a word": (Step.CONNECT, Kind.TRANSPORT, Code.WS_CLOSED),
    "a word in the room that nobody knows": (Step.CONNECT, Kind.PROTOCOL, Code.OTHER),
}


def users(target: Target, *, start: float = 4, most: float = 12) -> Result:
    return searched(target, open_=False, start=start, most=most)


def said(result: Result) -> tuple[Any, ...]:
    found = result.limit
    assert found.quota is not None
    levels = (found.passing and found.passing.level, found.failing and found.failing.level)
    return found.kind, found.quota["what"], found.quota["number"], found.quota["exact"], levels, found.sentence


@pytest.mark.parametrize("quota", range(1, 11))
@pytest.mark.parametrize("alive_s", [0.0, 0.2])
def test_small_quotas_are_found_exactly(quota: int, alive_s: float) -> None:
    for seed in range(4):
        result = users(Target(seed=seed, quota=quota, alive_s=alive_s))
        kind, what, number, exact, levels, sentence = said(result)
        assert (kind, what, number, exact) == ("quota", "sessions at once", quota, True), (seed, sentence)
        assert levels == (quota, quota + 1), (seed, sentence)
        assert result.limit.sustained
        assert sentence.startswith(f"a quota of exactly {plural(quota)} at once; above it")


@pytest.mark.parametrize("way", WAYS)
def test_the_same_quota_is_the_same_answer_however_it_is_told(way: str) -> None:
    results = [
        users(Target(seed=1, quota=20, alive_s=1.0, refusal=how), start=5, most=60) for how in (AT_CREATE, WAYS[way])
    ]
    assert said(results[0]) == said(results[1])
    assert results[1].limit.quota is not None
    assert results[1].limit.quota["number"] == 20
    assert set(results[1].limit.quota["refusals"]) == {f"{WAYS[way][0]} {WAYS[way][2]}"}


def test_a_quota_below_the_first_level_is_looked_for_below_it() -> None:
    result = users(Target(seed=1, quota=1), start=8, most=16)
    assert [facts.level for facts in result.stages] == [8, 4, 2, 1, 1]
    assert said(result)[2:5] == (1, True, (1, 2))


def test_a_quota_at_the_highest_level_is_not_invented() -> None:
    result = users(Target(seed=1, quota=12))
    assert (result.limit.quota, result.limit.sentence) == (None, "no limit was found up to 12 users")


def test_a_quota_is_found_though_more_users_get_no_more_done_long_before_it() -> None:
    result = users(Target(seed=1, quota=10, slots=1, service_s=0.03, alive_s=0.4), start=5, most=40)
    assert Found.SLOW not in result.found
    without = users(Target(seed=1, slots=1, service_s=0.03, alive_s=0.4), start=5, most=20)
    assert Found.SLOW in without.found
    assert said(result)[:4] == ("quota", "sessions at once", 10, True)


def test_a_quota_is_found_by_a_generator_that_is_not_fit_above_it() -> None:
    result = users(Target(seed=1, quota=6, alive_s=0.2, lags_from=7))
    assert said(result)[:5] == ("quota", "sessions at once", 6, True, (6, 7))


@pytest.mark.parametrize(("freed_after_s", "alive_s"), [(0.5, 0.0), (2.0, 0.2), (1.0, 1.0)])
def test_places_that_are_free_late_do_not_hide_the_number(freed_after_s: float, alive_s: float) -> None:
    for seed in range(3):
        found = users(Target(seed=seed, quota=6, alive_s=alive_s, freed_after_s=freed_after_s)).limit
        assert found.quota is not None
        assert (found.quota["what"], found.quota["number"], found.quota["exact"]) == ("sessions at once", 6, True)
        assert 0.6 * freed_after_s < found.quota["freed_after_s"] < freed_after_s + 0.05
        assert "6 sessions at once, a place of which is free again" in found.sentence


@pytest.mark.parametrize("freed_after_s", [0.05, 0.1, 0.3, 0.5])
def test_where_several_numbers_explain_what_was_refused_none_is_called_exact(freed_after_s: float) -> None:
    for seed in range(3):
        found = users(Target(seed=seed, quota=6, alive_s=0.2, freed_after_s=freed_after_s)).limit
        assert found.quota is not None
        assert found.quota["number"] == 6 if found.quota["exact"] else "exactly" not in found.sentence


@pytest.mark.parametrize("per_minute", [10, 30, 120])
@pytest.mark.parametrize("alive_s", [0.0, 0.2, 1.0])
def test_a_bound_on_calls_per_minute_is_no_quota_of_sessions_at_once(per_minute: int, alive_s: float) -> None:
    for seed in range(3):
        found = users(Target(seed=seed, per_minute=per_minute, alive_s=alive_s)).limit
        assert found.quota is None or found.quota["what"] == "create calls per time", found.sentence
        assert "at once" not in found.sentence
        if found.kind == "quota":
            assert found.sentence.startswith("a quota of create calls per time; above it sessions are refused (")


@pytest.mark.parametrize(
    ("way", "kind"), [("429 without a word", "quota"), ("402", "quota"), ("409", "cliff"), ("503", "cliff")]
)
def test_refusals_that_no_number_of_sessions_explains_are_a_quota_only_in_the_targets_own_word(
    way: str, kind: str
) -> None:
    result = users(Target(seed=1, fails_at_random=0.1, alive_s=0.5, refusal=WAYS[way]), start=1)
    few, many = result.stages[0], result.stages[-1]
    refused = {f"create {WAYS[way][2]}": 9}
    stages = [
        replace(few, purpose=Purpose.GROW, level=4.0, slos=(), refused=0, refusals={}, evidence=Evidence(peak=4)),
        replace(
            many, purpose=Purpose.GROW, level=8.0, offered=80, completed=71, refused=9, refusals=refused,
            evidence=Evidence(peak=8, how=refused), slos=tuple(replace(slo, met=False) for slo in many.slos),
            setup_p95_s=few.setup_p95_s,
        ),
    ]  # fmt: skip
    found = limit(stages, bounds_latency=False, processes=1, unit="users")
    assert found.kind == kind, found
    assert (
        found.sentence
        == {
            "quota": "a quota of create calls per time; above it sessions are refused (4 users pass, 8 fail)",
            "cliff": "a cliff between 4 and 8 users: refusals while latency does not move",
        }[kind]
    )


@pytest.mark.parametrize("how", [AT_CREATE, WAYS["503"], WAYS["429 without a word"]])
def test_refusals_at_random_are_no_quota_of_sessions_at_once(how: tuple[Step, Kind, Code]) -> None:
    for seed in range(3):
        found = users(Target(seed=seed, fails_at_random=0.1, alive_s=0.5, refusal=how), most=8).limit
        assert found.quota is None or not found.quota["exact"], found.sentence
        assert "exactly" not in found.sentence


def test_a_target_that_slows_down_first_and_then_refuses_is_told_as_both() -> None:
    result = users(Target(seed=1, quota=20, slots=1, service_s=0.03, alive_s=0.6), start=5, most=60)
    assert said(result)[:4] == ("quota", "sessions at once", 20, True)
    assert "above it sessions are refused, and the others get slower (20 users" in result.limit.sentence
    calm = users(Target(seed=1, quota=20, alive_s=0.6), start=5, most=60)
    assert "above it sessions are refused (20 users pass, 21 fail)" in calm.limit.sentence


def test_a_latency_that_breaks_its_bound_below_a_quota_is_the_limit_and_the_quota_is_told_besides() -> None:
    slo = Slo(name="quick create", indicator="create.p95", max=0.15)
    target = Target(seed=1, quota=20, slots=2, service_s=0.08, alive_s=0.8)
    found = searched(target, open_=False, start=10, most=60, slos=(slo,)).limit
    assert (found.kind, found.quota) == ("knee", None)  # it was never met
    found = searched(target, open_=False, start=30, most=60, slos=(slo,)).limit
    assert found.kind == "knee"
    assert found.failing is not None
    assert found.failing.level <= 20
    assert str(found.broke_first).startswith("quick create (create.p95)")
    assert found.quota is not None
    assert (found.quota["number"], found.quota["exact"]) == (20, True)
    assert found.sentence.endswith("; and a quota of exactly 20 sessions at once")


def refusal(crowd: int, with_refused: int | None = None) -> Refusal:
    return Refusal(sent_ns=0, crowd=crowd, with_refused=crowd if with_refused is None else with_refused)


@pytest.mark.parametrize(
    ("evidence", "bounds"),
    [
        (Evidence(peak=6, refusals=(refusal(6),) * 2, told=2), (6, 6)),
        (Evidence(peak=6, refusals=(refusal(6),), told=1), None),  # one alone may be a stray
        (Evidence(peak=6, refusals=(refusal(6),) * 4), None),  # and so may four that name no quota
        (Evidence(peak=6, refusals=(refusal(6),) * 5), (6, 6)),
        (Evidence(peak=5, refusals=(refusal(7), refusal(6)), told=2), (5, 6)),
        (Evidence(peak=6, refusals=(refusal(4, 6), refusal(6)), told=2), (6, 6)),  # the refused take places too
        (Evidence(peak=6, refusals=(refusal(3),) * 9), None),
        (Evidence(peak=0, refusals=(refusal(0),) * 9, told=9), None),
        (Evidence(peak=6), None),
    ],
)
def test_the_quota_lies_between_who_was_there_and_who_may_have_been(
    evidence: Evidence, bounds: tuple[int, int] | None
) -> None:
    quota = quota_of([evidence])
    assert (None if quota is None else (quota.least, quota.most)) == bounds


def test_beyond_a_level_that_gets_no_more_done_a_quota_is_looked_for_while_levels_are_small() -> None:
    def asked(outcomes: dict[float, Found], start: float) -> list[tuple[float, str]]:
        search = Search(start=start, most=1000, precision=0.05, whole=True)
        levels = []
        while (probe := search.next()) is not None:
            levels.append((probe.level, probe.purpose.value))
            search.tell(next((one for top, one in sorted(outcomes.items()) if probe.level <= top), Found.FAILED))
        return levels

    to_the_quota = asked({4: Found.PASSED, 10: Found.SLOW, 1000: Found.REFUSED}, 4)
    assert to_the_quota[:4] == [(4, "grow"), (8, "grow"), (16, "grow"), (12, "bisect")]
    assert to_the_quota[-1] == (10, "sustain")
    without = asked({4: Found.PASSED, 1000: Found.SLOW}, 4)
    assert without[:5] == [(4, "grow"), (8, "grow"), (16, "grow"), (32, "grow"), (8, "again")]
    assert without[-1] == (4, "sustain")
    large = asked({20: Found.PASSED, 1000: Found.SLOW}, 20)
    assert large[:3] == [(20, "grow"), (40, "grow"), (40, "again")]


def test_one_or_two_sessions_less_are_chance() -> None:
    slow = users(Target(seed=1, alive_s=1.5), start=4, most=8)
    assert slow.limit.sentence == "no limit was found up to 8 users"
    stage = next(facts for facts in slow.stages if facts.purpose is Purpose.SUSTAIN)
    best = stage.goodput_per_s / stage.level
    assert not stage.is_slow(best * 1.1)
    assert stage.is_slow(best * 1.5)


@pytest.mark.parametrize("above", [1, 3])
@pytest.mark.parametrize("odd", [0, 1, 2])
def test_who_failed_to_get_into_a_room_that_refuses_is_not_counted_as_let_in(above: int, odd: int) -> None:
    s = 10**9
    held = [Stay(sent_ns=n, created_ns=s + n, left_ns=60 * s, gone_ns=61 * s, joined=True) for n in range(6)]
    failed = [Stay(sent_ns=5 * s, created_ns=6 * s, left_ns=26 * s, gone_ns=27 * s) for _ in range(odd)]
    refused = [
        Stay(sent_ns=at * s, created_ns=at * s + 1, left_ns=at * s + 2, gone_ns=(at + 1) * s, turned_away_ns=at * s + 2,
             code=Code.LIMITS_EXCEEDED, step=Step.CONNECT)
        for at in range(10, 50, 5) for _ in range(above)
    ]  # fmt: skip
    found = quota_of([evidence([*held, *failed, *refused], 0, 60 * s)])
    assert found == Quota(least=6, most=6)
