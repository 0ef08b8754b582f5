"""Arrivals that found none of our own users free are not the target's limit, unless the target kept them."""

import heapq
import random
from collections.abc import Sequence

import pytest

from loadtest.capacity.facts import Facts
from loadtest.capacity.limit import Limit, LimitKind, limit, verdicts
from loadtest.capacity.search import Found
from loadtest.capacity.stages import Stages
from loadtest.events.kinds import (
    DropReason,
    Event,
    IterationDropped,
    Outcome,
    Remains,
    SessionFinished,
    SessionStarted,
    StageStarted,
)
from tests.loadtest.capacity.simulated import ns

SETTLE_S, HOLD_S = 15.0, 20.0
OWN_POOL = "our own pool of users was too small (--max-users)"


def level(
    number: int, rate: float, *, pool: int, lasting_s: float, reason: DropReason = DropReason.NO_USER
) -> list[Event]:
    """A level whose sessions last so long, give or take; who finds no user is dropped a second later."""
    chance, begins_s, busy_s = random.Random(number), 100.0 * number, list[float]()
    found: list[Event] = [
        StageStarted(t_ns=ns(begins_s), stage=f"settle {number} grow", users=pool, steady=False, rate=rate),
        StageStarted(t_ns=ns(begins_s + SETTLE_S), stage=f"{number} grow", users=pool, steady=True, rate=rate),
        StageStarted(t_ns=ns(begins_s + SETTLE_S + HOLD_S), stage=f"rest {number} grow", users=0, steady=False),
    ]
    for place in range(int(rate * (SETTLE_S + HOLD_S))):
        at_s = begins_s + place / rate
        while busy_s and busy_s[0] <= at_s:
            heapq.heappop(busy_s)
        if len(busy_s) >= pool:
            found.append(IterationDropped(t_ns=ns(at_s + 1), due_ns=ns(at_s), scenario="s", reason=reason))
            continue
        heapq.heappush(busy_s, ended_s := at_s + lasting_s * chance.uniform(0.9, 1.1))
        which = {"session": f"{number}-{place}", "scenario": "s", "due_ns": ns(at_s)}
        found.append(SessionStarted(t_ns=ns(at_s), span_id="0", user=place, **which))
        end = {"started_ns": ns(at_s), "outcome": Outcome.OK, "remains": Remains.NOTHING}
        found.append(SessionFinished(t_ns=ns(ended_s), **which, **end))
    return found


def judged(*levels: Sequence[Event]) -> tuple[list[Facts], list[Found], Limit]:
    fold = Stages(())
    for event in sorted((event for each in levels for event in each), key=lambda event: event.t_ns):
        fold.add(event)
    facts = fold.facts()
    return (
        facts,
        verdicts(facts, bounds_latency=False),
        limit(facts, bounds_latency=False, processes=1, unit="arrivals/s"),
    )


def test_a_pool_that_is_too_small_for_a_level_is_not_the_targets_limit() -> None:
    held = level(1, 5, pool=100, lasting_s=10)
    facts, found, answer = judged(held, level(2, 10.5, pool=100, lasting_s=10))
    assert facts[1].dropped == facts[1].no_user > 0.01 * facts[1].offered
    assert (found, facts[1].health.because[0]) == ([Found.PASSED, Found.INVALID], OWN_POOL)
    assert (answer.kind, answer.failing) == ("generator", None)
    assert answer.sentence == f"at 10.5 arrivals/s {OWN_POOL}; 5 arrivals/s were held"
    assert answer.generator is not None
    assert answer.generator["processes_needed"] is None
    assert judged(held, level(2, 10.5, pool=200, lasting_s=10))[1] == [Found.PASSED] * 2


def test_a_target_that_became_slow_and_so_kept_every_user_busy_is_at_its_limit() -> None:
    facts, found, answer = judged(level(1, 5, pool=100, lasting_s=10), level(2, 6, pool=100, lasting_s=25))
    assert facts[1].no_user > 0
    assert (found[1] in (Found.FAILED, Found.NARROWLY), answer.kind) == (True, "knee")


def test_a_level_whose_arrivals_came_too_late_is_not_judged() -> None:
    late = level(2, 6, pool=100, lasting_s=25, reason=DropReason.LATE)
    facts, found, _ = judged(level(1, 5, pool=100, lasting_s=10), late)
    assert (found[1], facts[1].health.because[0]) == (Found.INVALID, "our own processes were too late")


@pytest.mark.parametrize("first", [10.5, 20])
def test_a_level_above_is_void_as_soon_as_one_below_it_was_held(first: float) -> None:
    facts, found, answer = judged(level(1, first, pool=100, lasting_s=10), level(2, 5, pool=100, lasting_s=10))
    assert (found, facts[0].health.outcome) == ([Found.INVALID, Found.PASSED], "invalid")
    assert (answer.kind, answer.passing) == (LimitKind.GENERATOR, facts[1])
    assert "our own pool of users was too small (--max-users)" in answer.sentence
