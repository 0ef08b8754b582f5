"""Windows of objectives while a run ends: they end with the plan, or with an abort, as those of the report do."""

import pytest

from loadtest.criteria.objectives import DELIVERY_NS, SILENT_NS, Judge, Objectives, Standing, State
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import Outcome, StageStarted
from tests.reports import journals as j

STEADY = StageStarted(t_ns=j.at(0), stage="steady", users=1, steady=True)
ENOUGH = Slo(name="n", indicator="session.started", min=5, window_s=5)


@pytest.mark.parametrize("now_s", [20.9, 24.0, 40.0])
def test_windows_end_with_the_plan_while_what_is_in_flight_goes_on(now_s: float) -> None:
    fold, judge = Objectives([ENOUGH], planned_s=21), Judge([ENOUGH])
    starts_s = [number / 2 for number in range(42)]
    for event in [STEADY, *(j.started(number, at_s) for number, at_s in enumerate(starts_s))]:
        fold.add(event)
    for number in range(200):  # beginnings after the plan push no window out
        fold.add(j.started(1000 + number, 21 + number))
    judge.hear(0, fold.value(j.at(now_s)), now_ns=j.at(now_s))
    assert judge.standings(now_ns=j.at(now_s)) == [Standing(state=State.MET, count=10, beyond=10)]


def test_where_no_process_speaks_time_stands_still() -> None:
    fold, judge = Objectives([ENOUGH]), Judge([ENOUGH])
    for event in [STEADY, *(j.started(number, number / 2) for number in range(12))]:
        fold.add(event)
    judge.hear(0, fold.value(j.at(6) + DELIVERY_NS), now_ns=j.at(6))
    later_ns = j.at(6) + SILENT_NS
    assert judge.standings(now_ns=later_ns) == [Standing(state=State.MET, count=10, beyond=10)]


def test_after_an_abort_no_further_window_is_judged() -> None:
    slos = [Slo(name="broken", indicator="session.failed", max=0, abort=True), ENOUGH]
    fold, judge = Objectives(slos), Judge(slos)
    for event in [STEADY, *(j.started(number, number / 2) for number in range(40))]:
        fold.add(event)
    fold.add(j.finished(1, 1, 19, outcome=Outcome.FAILED))
    judge.hear(0, fold.value(j.at(20)), now_ns=j.at(20))
    assert judge.look(now_ns=j.at(20)) is not None
    judge.hear(0, fold.value(j.at(26)), now_ns=j.at(26))
    assert [each.state for each in judge.standings(now_ns=j.at(26))] == [State.MISSED, State.MET]
