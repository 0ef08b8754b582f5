"""Lost workers: what is shown of them at once, and what is counted once it is known."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.snapshot import FAILURES, SEPARATOR, Snapshot
from loadtest.distribution.workers import LOST_AFTER_S, SILENT_AFTER_S, Workers
from loadtest.events.kinds import Event, Gone, GoneChecked, MediaMeasured, RuleChecked, RuleOutcome, SessionFinished
from loadtest.journal import Journal, encode
from loadtest.rules.rulebook import Rulebook
from tests.exporters.traces.script import S, health, run_finished, run_started, session, session_id

MOMENT_NS = int((SILENT_AFTER_S + 0.1) * S)


def empty() -> Aggregate:
    return Aggregate(["support"])


def value(snapshot: Snapshot, metric: c.Metric, *labels: str) -> Any:
    return snapshot[metric.name].get(SEPARATOR.join(labels))


def left(snapshot: Snapshot) -> dict[str, Any]:
    return {reason: n for reason, n in snapshot[c.SESSIONS_LEFT.name].items() if n}


class Fleet:
    """Two workers of a run, each with its journal and its engine's, and the master's view of them."""

    def __init__(self, run_dir: Path, stack: ExitStack) -> None:
        self.cut_off: set[int] = set()
        self.workers = Workers(run_dir, empty, lambda: Rulebook({}), is_cut_off=self.cut_off.__contains__)
        self.aggregates = [empty(), empty()]
        self.load, self.engine = (
            [stack.enter_context(Journal(run_dir / "journal" / f"here-{name}-{n}{end}.jsonl")) for n in range(2)]
            for name, end in (("worker", ""), ("engine", "-0"))
        )
        for process in range(2):
            started = run_started(process=process)
            self.load[process].write(encode(started))
            self.engine[process].write(encode(started))

    def play(self, process: int, *events: Event, reported: bool = True) -> None:
        """The engine tells; its worker folds it, if it still lives."""
        for event in events:
            self.engine[process].write(encode(event))
            if reported:
                self.count(process, event)

    def count(self, process: int, *events: Event) -> None:
        """What its journal, or the copy of it that is here, lacks."""
        for event in events:
            self.aggregates[process].add(event)

    def report(self, process: int, now_ns: int, *, done: bool = False) -> None:
        self.workers.heard(process, self.aggregates[process].snapshot(), now_ns=now_ns, done=done)

    def look(self, now_ns: int) -> list[int]:
        lost = self.workers.look(now_ns)
        for _ in self.workers.settle():
            pass
        return lost

    def shown(self, now_ns: int) -> Snapshot:
        return self.workers.snapshot(now_ns=now_ns)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Worker 0 has a finished session; so has worker 1, one in its conversation and one whose create was just sent."""
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, stack)
        fleet.play(0, *session(1), health(process=0))
        fleet.play(1, *session(2), *session(3)[:10], *session(4)[:4], health(process=1))
        for process in range(2):
            fleet.report(process, 0)
        yield fleet


def test_a_paused_worker_takes_its_gauges_along_and_brings_them_back(fleet: Fleet) -> None:
    assert value(fleet.shown(0), c.SESSIONS_OPEN) == 1
    fleet.report(0, MOMENT_NS)
    assert fleet.look(MOMENT_NS) == []
    silent = fleet.shown(MOMENT_NS)
    assert (value(silent, c.SESSIONS_OPEN), value(silent, c.SESSIONS_UNKNOWN)) == (0, 1)
    assert value(silent, c.SESSIONS_ACTIVE, "converse") == 0
    assert (value(silent, c.WORKER_UP, "0"), value(silent, c.WORKER_UP, "1")) == (1, 0)
    assert value(silent, c.WORKER_RSS, "1", "engine") is None
    assert value(silent, c.WORKER_REPORT_AGE, "1") == SILENT_AFTER_S + 0.1
    assert value(silent, c.SESSIONS, "support", "ok") == 2
    fleet.play(1, *session(3)[10:])
    fleet.report(1, 2 * MOMENT_NS)
    fleet.report(0, 2 * MOMENT_NS)
    assert fleet.look(2 * MOMENT_NS) == []
    back = fleet.shown(2 * MOMENT_NS)
    assert (value(back, c.SESSIONS_OPEN), value(back, c.SESSIONS_UNKNOWN), left(back)) == (0, 0, {})
    assert value(back, c.SESSIONS, "support", "ok") == 3
    assert (value(back, c.WORKER_UP, "1"), value(back, c.WORKER_REPORT_GAPS, "1")) == (1, 1)


def test_a_dead_worker_is_lost_at_once_and_settled_when_its_engine_has_ended(fleet: Fleet) -> None:
    fleet.load[1].close()
    fleet.report(0, MOMENT_NS)
    assert fleet.look(MOMENT_NS) == [1]
    assert fleet.look(MOMENT_NS) == []
    cleaning = fleet.shown(MOMENT_NS)
    assert (value(cleaning, c.SESSIONS_UNKNOWN), left(cleaning)) == (1, {})
    assert fleet.workers.finished == 0  # there is more to be learnt
    fleet.play(1, *session(3)[10:], *session(4)[4:], run_finished(), reported=False)
    fleet.engine[1].close()
    fleet.look(MOMENT_NS)
    settled = fleet.shown(MOMENT_NS)
    assert (value(settled, c.SESSIONS_UNKNOWN), left(settled)) == (0, {})
    assert value(settled, c.SESSIONS, "support", "ok") == 4
    assert value(settled, c.SESSIONS_STARTED, "support") == 4
    assert (value(settled, c.WORKER_UP, "1"), value(settled, c.WORKER_REPORT_AGE, "1")) == (0, None)
    assert fleet.workers.finished == 1
    fleet.report(1, MOMENT_NS)  # one that was on its way
    assert value(fleet.shown(MOMENT_NS), c.SESSIONS, "support", "ok") == 4


def test_a_settled_workers_broken_rules_are_those_of_its_journals_and_never_fewer_than_it_reported(
    fleet: Fleet,
) -> None:
    broken = {"TD-1": 0, "EXP-5": 2}  # as it was last reported; of the two, the journals show one
    fleet.workers.heard(1, fleet.aggregates[1].snapshot(rule_violations=broken), now_ns=0)
    found = RuleChecked(
        t_ns=S, session=session_id(3), rule="EXP-5", outcome=RuleOutcome.FAIL, detail="", purpose="probe:EXP-5"
    )
    fleet.load[1].close()
    alive = [
        replace(event, gone=Gone.STILL_ALIVE) if isinstance(event, GoneChecked | SessionFinished) else event
        for event in session(5)
    ]
    fleet.play(1, found, *session(3)[10:], *session(4)[4:], *alive, run_finished(), reported=False)
    fleet.engine[1].close()
    fleet.report(0, MOMENT_NS)
    fleet.look(MOMENT_NS)
    settled = fleet.shown(MOMENT_NS)
    assert {rule: n for rule, n in settled[c.RULE_VIOLATIONS.name].items() if n} == {"TD-1": 1, "EXP-5": 2}


def test_what_a_dead_worker_and_its_dead_engine_had_open_was_left_behind(fleet: Fleet) -> None:
    fleet.load[1].close()
    fleet.engine[1].write(encode(session(3)[10])[:-5])  # cut by the kill
    fleet.engine[1].close()
    fleet.report(0, MOMENT_NS)
    assert fleet.look(MOMENT_NS) == [1]
    settled = fleet.shown(MOMENT_NS)
    assert left(settled) == {"worker_lost": 1, "create_unanswered": 1}
    assert (value(settled, c.SESSIONS_UNKNOWN), value(settled, c.SESSIONS_OPEN)) == (0, 0)
    assert fleet.workers.finished == 1


def test_a_worker_that_is_cut_off_is_lost_in_the_end_keeps_what_it_reported_and_may_come_back(fleet: Fleet) -> None:
    """Its copies here are free and end before its last report: it has deleted session 3, and begun another one."""
    fleet.count(1, *session(3)[10:], *session(5)[:10])
    fleet.report(1, 0)
    fleet.cut_off.add(1)
    for file in (fleet.load[1], fleet.engine[1]):
        file.close()
    fleet.report(0, MOMENT_NS)
    assert fleet.look(MOMENT_NS) == []
    later_ns = int((LOST_AFTER_S + 1) * S)
    fleet.report(0, later_ns)
    assert fleet.look(later_ns) == [1]
    shown = fleet.shown(later_ns)
    assert (value(shown, c.SESSIONS_UNKNOWN), left(shown)) == (1, {})
    assert value(shown, c.SESSIONS, "support", "ok") == 3
    assert fleet.workers.finished == 1
    fleet.count(1, *session(5)[10:])
    fleet.report(1, later_ns)
    back = fleet.shown(later_ns)
    assert (value(back, c.SESSIONS_UNKNOWN), value(back, c.SESSIONS, "support", "ok")) == (0, 4)


def test_no_counter_of_a_settled_worker_is_below_its_last_report(fleet: Fleet) -> None:
    """Its journal lacks what a full disk had no room for."""
    heard = MediaMeasured(
        t_ns=S, session=session_id(6), frames=150, underruns=0, stalled_ns=0, gap_max_ns=S, heard_ns=3 * S
    )
    fleet.count(1, heard, *session(6, turn_fails=True))
    fleet.report(1, 0)
    before = fleet.shown(0)
    for file in (fleet.load[1], fleet.engine[1]):
        file.close()
    fleet.report(0, MOMENT_NS)
    assert fleet.look(MOMENT_NS) == [1]
    settled = fleet.shown(MOMENT_NS)
    assert left(settled) == {"worker_lost": 1, "create_unanswered": 1}
    assert value(settled, c.SESSIONS, "support", "failed") == 1
    assert value(settled, c.MEDIA_HEARD) == 3
    mints = [value(shown, c.STEP_DURATION, "support", "mint", "ok") for shown in (before, settled)]
    assert mints[0] == mints[1]
    assert settled[FAILURES] == before[FAILURES] != {}


def test_a_pause_of_one_of_three_workers_changes_no_sum_by_its_last_digit(tmp_path: Path) -> None:
    workers = Workers(tmp_path, empty, lambda: Rulebook({}))
    for index, heard_s in enumerate((0.1, 0.2, 0.3)):
        workers.heard(index, {c.MEDIA_HEARD.name: {"": heard_s}}, now_ns=0)
    before = value(workers.snapshot(now_ns=0), c.MEDIA_HEARD)
    for index, heard_s in ((1, 0.2), (2, 0.3)):
        workers.heard(index, {c.MEDIA_HEARD.name: {"": heard_s}}, now_ns=MOMENT_NS)
    workers.look(MOMENT_NS)
    paused = workers.snapshot(now_ns=MOMENT_NS)
    assert value(paused, c.WORKER_UP, "0") == 0
    assert value(paused, c.MEDIA_HEARD) == before == 0.1 + 0.2 + 0.3


def test_a_frozen_worker_is_lost_in_the_end_and_its_sessions_stay_unknown(fleet: Fleet) -> None:
    later_ns = int((LOST_AFTER_S + 1) * S)
    fleet.report(0, later_ns, done=True)
    assert fleet.look(later_ns) == [1]
    shown = fleet.shown(later_ns)
    assert (value(shown, c.SESSIONS_UNKNOWN), left(shown)) == (1, {})
    assert fleet.workers.finished == 2
    fleet.play(1, *session(3)[10:])
    fleet.report(1, later_ns, done=True)
    assert value(fleet.shown(later_ns), c.SESSIONS, "support", "ok") == 3
    assert value(fleet.shown(later_ns), c.SESSIONS_UNKNOWN) == 0


def test_a_worker_that_is_done_is_neither_silent_nor_lost(fleet: Fleet) -> None:
    for process in range(2):
        fleet.report(process, 0, done=True)
        fleet.load[process].close()
    assert fleet.look(100 * S) == []
    assert fleet.workers.finished == 2
    assert value(fleet.shown(100 * S), c.WORKER_UP, "1") == 1
    assert value(fleet.shown(100 * S), c.WORKER_REPORT_AGE, "1") == 0


def test_a_worker_that_has_ended_its_journal_is_not_dead_its_last_report_is_on_its_way(fleet: Fleet) -> None:
    fleet.load[1].write(encode(run_finished()))
    fleet.load[1].close()
    fleet.report(0, MOMENT_NS)
    assert fleet.look(MOMENT_NS) == []
    fleet.report(1, MOMENT_NS, done=True)
    assert fleet.workers.finished == 1
    assert value(fleet.shown(MOMENT_NS), c.WORKER_UP, "1") == 1


def test_a_worker_that_dies_before_its_first_report_is_lost_too(tmp_path: Path) -> None:
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, stack)
        assert fleet.look(MOMENT_NS) == []
        fleet.load[0].close()
        fleet.engine[0].close()
        assert fleet.look(MOMENT_NS) == [0]
        assert fleet.workers.finished == 1
