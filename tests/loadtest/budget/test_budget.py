"""What a run may still begin: sessions and money, counted over all its processes."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.budget.reserving import Budget, spent_usd
from loadtest.budget.spending import Spending
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import (
    LOAD,
    AnswerEnd,
    EndedBy,
    Outcome,
    Remains,
    RemainsChanged,
    RemainsReason,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.events.vocabulary import DropReason

S = 1_000_000_000


def _reserve(path: Path, granted: "multiprocessing.Queue[int]", bounds: dict[str, Any], usd: float) -> None:
    with Budget(path, **bounds) as budget:
        granted.put(sum(budget.reserve(usd) is None for _ in range(40)))


@pytest.mark.parametrize(
    ("bounds", "usd", "most"),
    [({"sessions": 50}, 0.0, 50), ({"usd": 10.0}, 0.3, 33), ({"usd": 10.0, "sessions": 20}, 0.3, 20)],
)
def test_no_bound_is_exceeded_by_processes_that_reserve_at_once(
    tmp_path: Path, bounds: dict[str, Any], usd: float, most: int
) -> None:
    context = multiprocessing.get_context("spawn")
    granted: multiprocessing.Queue[int] = context.Queue()
    path = tmp_path / "budget"
    workers = [context.Process(target=_reserve, args=(path, granted, bounds, usd)) for _ in range(4)]
    for worker in workers:
        worker.start()
    total = sum(granted.get(timeout=30) for _ in workers)
    for worker in workers:
        worker.join(10)
    assert total == most
    assert spent_usd(path) == pytest.approx(most * usd)


def test_without_a_bound_everything_may_be_created_and_no_file_is_made(tmp_path: Path) -> None:
    with Budget(tmp_path / "budget") as budget:
        assert budget.reserve(5.0) is None
        budget.settle(reserved=5.0, spent=1.0)
    assert not (tmp_path / "budget").exists()
    assert spent_usd(tmp_path / "budget") is None


def test_what_a_session_did_not_cost_may_be_spent_by_others(tmp_path: Path) -> None:
    with Budget(tmp_path / "budget", usd=1.0) as budget:
        assert budget.reserve(0.6) is None
        budget.settle(reserved=0.6, spent=0.4)
        assert budget.reserve(0.6) is None
        assert spent_usd(tmp_path / "budget") == pytest.approx(1.0)
        budget.settle(reserved=0.6, spent=0.7)  # dearer than thought: the file says so
        assert spent_usd(tmp_path / "budget") == pytest.approx(1.1)
        assert budget.reserve(0.0) is DropReason.BUDGET


def test_once_the_money_was_too_little_for_a_session_none_begins_whatever_is_given_back(tmp_path: Path) -> None:
    """In any process. Else one user of many would go, and the others on: neither the run that was asked for nor an end
    of it."""
    with Budget(tmp_path / "budget", usd=1.0) as budget, Budget(tmp_path / "budget", usd=1.0) as beside:
        assert [budget.reserve(0.6), beside.reserve(0.6)] == [None, DropReason.BUDGET]
        budget.settle(reserved=0.6, spent=0.0)
        assert [budget.reserve(0.1), beside.reserve(0.1)] == [DropReason.BUDGET] * 2
    assert spent_usd(tmp_path / "budget") == 0
    with Budget(tmp_path / "budget", usd=1.0) as successor:
        assert successor.reserve(0.1) is DropReason.BUDGET


def test_a_successor_goes_on_where_the_dead_one_stood(tmp_path: Path) -> None:
    with Budget(tmp_path / "budget", usd=1.0, sessions=9) as budget:
        budget.reserve(0.6)
    with Budget(tmp_path / "budget", usd=1.0, sessions=9) as budget:
        assert budget.reserve(0.6) is DropReason.BUDGET


# --- what a session cost


PRICES = {"avatar": {"per_minute": 0.6}}


def made(**changes: Any) -> Settings:
    return Settings.model_validate(
        {"name": "x", "cost": {"budget": 100, "prices": PRICES}, "session": {"max_duration": 60}} | changes
    )


def started(purpose: str = LOAD) -> SessionStarted:
    return SessionStarted(t_ns=0, session="a", span_id="s", scenario="x", user=0, due_ns=0, purpose=purpose)


def sent(at_s: int = 1) -> RemainsChanged:
    """Its create."""
    return RemainsChanged(t_ns=at_s * S, session="a", remains=Remains.DOUBTFUL, reason=RemainsReason.CREATE_SENT)


def turn(
    *, outcome: Outcome = Outcome.OK, kind: str = "say", answer: AnswerEnd | None = AnswerEnd.WHOLE
) -> StepFinished:
    return StepFinished(
        t_ns=5 * S, session="a", step=Step.TURN, started_ns=1 * S, outcome=outcome, span_id="t", parent_id="s",
        turn=0, turn_kind=kind, first_audio_ns=S if outcome is Outcome.OK else None, answer=answer,
    )  # fmt: skip


def finished(remains: Remains = Remains.NOTHING) -> SessionFinished:
    return SessionFinished(
        t_ns=6 * S, session="a", scenario="x", started_ns=0, due_ns=0, outcome=Outcome.OK, remains=remains,
        ended_by=EndedBy.DELETE,
    )  # fmt: skip


def spent(tmp_path: Path, settings: Settings, *events: Any) -> tuple[float, float]:
    """What was reserved for a session, and what is left of that after its events."""
    path = tmp_path / "budget"
    with Budget(path, usd=settings.cost.budget) as budget:
        spending = Spending(settings, budget)
        reserved = spending.reserved()
        assert budget.reserve(reserved) is None
        for event in events:
            spending.take(event)
    left = spent_usd(path)
    assert left is not None
    return reserved, left


def test_an_ended_session_costs_the_minutes_that_it_lived_and_the_answers_that_it_heard(tmp_path: Path) -> None:
    reserved, left = spent(tmp_path, made(), started(), sent(), turn(), finished())
    minutes = 5 / 60 * 0.6
    assert reserved > 0.6
    assert minutes + 3 * 20 * 64e-6 < left < minutes + 0.02


def test_a_session_whose_create_was_never_sent_costs_nothing(tmp_path: Path) -> None:
    """Its mint timed out: there was no avatar."""
    reserved, left = spent(tmp_path, made(), started(), finished())
    assert reserved > 0.6
    assert left == 0


def test_what_active_checks_reserve_stays_reserved_and_they_give_back_nobody_elses(tmp_path: Path) -> None:
    """A check's session bears the name of the run's scenario, and some have reserved nothing."""
    reserved, left = spent(
        tmp_path, made(), started("probe:TD-1"), sent(), finished(), started("probe:TD-2"), finished()
    )
    assert reserved > 0.6
    assert left == pytest.approx(reserved, abs=1e-6)


@pytest.mark.parametrize("remains", [Remains.LEAKED, Remains.DOUBTFUL])
def test_of_a_session_that_may_live_on_all_stays_reserved(tmp_path: Path, remains: Remains) -> None:
    reserved, left = spent(tmp_path, made(), started(), turn(), finished(remains))
    assert left == pytest.approx(reserved, abs=1e-6)


def test_a_killed_session_gives_nothing_back(tmp_path: Path) -> None:
    reserved, left = spent(tmp_path, made(), started(), turn())
    assert left == pytest.approx(reserved, abs=1e-6)


def test_of_a_turn_that_failed_the_longest_answer_is_paid_for(tmp_path: Path) -> None:
    _, whole = spent(tmp_path, made(), started(), turn(), finished())
    (tmp_path / "budget").unlink()
    _, failed = spent(tmp_path, made(), started(), turn(outcome=Outcome.FAILED), finished())
    assert failed > whole + 40 * 20 * 64e-6


@pytest.mark.parametrize("answer", [None, AnswerEnd.CUT])
def test_an_answer_that_was_not_heard_whole_is_paid_for_as_long_as_it_may_have_been(
    tmp_path: Path, answer: AnswerEnd | None
) -> None:
    """It was interrupted, or went on for longer than the user listens."""
    realtime = Settings().realtime | {"max_output_tokens": 1200}
    _, whole = spent(tmp_path, made(realtime=realtime), started(), sent(), turn(), finished())
    (tmp_path / "budget").unlink()
    hasty = made(realtime=realtime, conversation={"answer_max_s": 3})
    _, cut = spent(tmp_path, hasty, started(), sent(), turn(answer=answer), finished())
    assert 57 * 20 * 64e-6 < cut - whole < 57 * 20 * 64e-6 * 1.2


def test_a_session_that_costs_more_than_was_reserved_takes_the_rest_of_the_budget_too(tmp_path: Path) -> None:
    """The service let it live for two minutes instead of one."""
    late = replace(finished(), t_ns=121 * S)
    brief = made(realtime=Settings().realtime | {"max_output_tokens": 100})
    reserved, left = spent(tmp_path, brief, started(), sent(), turn(), late)
    assert left > 120 / 60 * 0.6 > reserved


def test_a_turn_that_failed_had_no_longer_answer_than_an_answer_can_be(tmp_path: Path) -> None:
    realtime = Settings().realtime | {"max_output_tokens": 100}
    _, left = spent(
        tmp_path,
        made(realtime=realtime),
        started(),
        sent(),
        turn(outcome=Outcome.FAILED),
        replace(finished(), t_ns=2 * S),
    )
    assert left < 1 / 60 * 0.6 + 0.02


def test_without_a_price_for_everything_no_engine_begins(tmp_path: Path) -> None:
    with Budget(tmp_path / "budget", usd=5) as budget, pytest.raises(ConfigError, match="no price for"):
        Spending(made(cost={"budget": 5}), budget)
