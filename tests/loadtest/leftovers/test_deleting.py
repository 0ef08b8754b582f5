import asyncio
from typing import Any

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event
from loadtest.leftovers import deleting
from loadtest.leftovers.deleting import Swept, sweep
from loadtest.leftovers.finding import Leftovers
from loadtest.session import patience
from tests.loadtest.fakes import FakeControl, refused


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BACKOFF_S", 0.0)


def swept_by(control: FakeControl, sessions: int = 1, told: list[Event] | None = None) -> Swept:
    left = Leftovers(leaked={f"s{number}": f"av-{number}" for number in range(sessions)}, doubtful={})
    events = list[Event]() if told is None else told
    return asyncio.run(sweep(control, left, emit=events.append, timeout_s=5.0))


def test_whatever_one_delete_raises_the_others_are_done_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ATTEMPTS", 1)
    told = list[Event]()
    swept = swept_by(FakeControl(delete=[ValueError("of ours"), refused(500), TimeoutError(), 204]), 4, told)
    assert swept.gone == ["s3"] == [event.session for event in told if hasattr(event, "session")]
    assert swept.failed == {
        "s0": "ValueError('of ours')",
        "s1": "rejected/http_5xx",
        "s2": "no answer within 5 s",
    }


def test_what_failed_is_tried_again_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[Event]()
    control = FakeControl(delete=[refused(502), 204, TimeoutError(), 404])
    swept = swept_by(control, 2, told)
    assert (sorted(swept.gone), swept.failed, len(told), len(control.calls)) == (["s0", "s1"], {}, 2, 4)


@pytest.mark.parametrize(("error", "attempts"), [(refused(401), 1), (refused(500), 3), (refused(503), 8)], ids=str)
def test_a_sweep_in_vain_ends_after_as_many_attempts_as_a_session_has(error: StepError, attempts: int) -> None:
    control = FakeControl(delete=[error])
    assert (list(swept_by(control).failed), len(control.calls)) == (["s0"], attempts)


def test_a_sweep_goes_on_while_a_target_that_limits_calls_lets_some_through() -> None:
    refusals: list[Any] = [StepError(Kind.REJECTED, Code.RATE_LIMITED, http_status=429)]
    control = FakeControl(delete=[*((refusals * 2 + [204]) * 20), 204])  # one of three, or all at once at the end
    swept = swept_by(control, deleting.AT_ONCE)
    assert (len(swept.gone), swept.failed) == (deleting.AT_ONCE, {})
