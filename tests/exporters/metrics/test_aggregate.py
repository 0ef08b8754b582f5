import json
from typing import Any

import pytest
from msgspec.structs import replace

from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.labels import ERROR_TYPE
from exporters.metrics.snapshot import EDGES, EXEMPLARS, FAILURES, SEPARATOR, Snapshot, merged, without_gauges
from loadtest.config.settings import Settings
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    ON_A_SECRET,
    STEPS,
    DropReason,
    Event,
    Failure,
    Fault,
    GeneratorFailed,
    Gone,
    IterationDropped,
    Mark,
    MediaMeasured,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)
from loadtest.load import tickets
from tests.exporters.traces.script import (
    WALL_S,
    S,
    health,
    killed,
    run_finished,
    run_started,
    session,
    session_id,
    span_id,
)


def folded(*events: Event, scenarios: tuple[str, ...] = ("support",)) -> Aggregate:
    aggregate = Aggregate(scenarios)
    for event in events:
        aggregate.add(event)
    return aggregate


def value(snapshot: Snapshot, metric: c.Metric, *labels: str) -> Any:
    return snapshot[metric.name][SEPARATOR.join(labels)]


def observed(snapshot: Snapshot, metric: c.Metric, *labels: str) -> dict[float, int]:
    """Upper edge → count of the buckets that hold something."""
    counts = value(snapshot, metric, *labels)[:-1]
    return {edge: n for edge, n in zip([*metric.buckets, float("inf")], counts, strict=True) if n}


def nonzero(snapshot: Snapshot, metric: c.Metric) -> dict[tuple[str, ...], Any]:
    series = snapshot.get(metric.name, {})
    return {
        tuple(key.split(SEPARATOR)) if key else (): n
        for key, n in series.items()
        if (any(n) if isinstance(n, list) else n)
    }


def test_a_whole_session_gives_every_service_level_its_value() -> None:
    got = folded(*session(1)).snapshot()
    assert nonzero(got, c.SESSIONS_STARTED) == {("support",): 1}
    assert nonzero(got, c.SESSIONS) == {("support", "ok"): 1}
    assert observed(got, c.SESSION_DURATION, "support", "ok") == {3.0: 1}
    assert value(got, c.SESSION_DURATION, "support", "ok")[-1] == 3.0
    assert observed(got, c.SESSION_SETUP, "support") == {0.7: 1}  # 0.7 s, from the mint to connected
    assert observed(got, c.FIRST_FRAME, "support") == {0.7: 1}
    steps = {key[1]: value(got, c.STEP_DURATION, *key)[-1] for key in nonzero(got, c.STEP_DURATION)}
    assert steps == {"mint": 0.1, "create": 0.2, "connect": 0.4, "converse": 2.0, "turn": 1.9, "delete": 0.05}
    assert observed(got, c.STEP_DURATION, "support", "mint", "ok") == {0.1: 1}  # on its edge: le is "less or equal"
    assert nonzero(got, c.TURNS) == {("support", "ok"): 1}
    assert value(got, c.FIRST_AUDIO, "support")[-1] == 0.8
    assert observed(got, c.FIRST_AUDIO, "support") == {1.0: 1}
    assert nonzero(got, c.ANSWERS_BY_AGE) == {("under 1 min",): 1}
    assert nonzero(got, c.WAITED_BY_AGE) == {("under 1 min",): 0.8}
    assert value(got, c.SECRET_AGE, "create")[-1] == 0.0
    assert value(got, c.SECRET_AGE, "connect")[-1] == 0.2
    assert value(got, c.SECRET_MARGIN)[-1] == 599.4  # of 600 as asked, by our monotonic clock
    assert value(got, c.TIME_TO_GONE)[-1] == 0.3
    assert nonzero(got, c.GONE_CHECKS) == {("confirmed",): 1}
    assert value(got, c.SCHEDULE_LAG)[-1] == 0.004
    assert nonzero(got, c.SESSIONS_ACTIVE) == nonzero(got, c.SESSIONS_OPEN) == nonzero(got, c.SESSIONS_LEFT) == {}
    assert nonzero(got, c.LIFECYCLE_ERRORS) == {}


def test_a_running_session_is_shown_in_the_step_that_it_is_in() -> None:
    aggregate = Aggregate(["support"])
    shown = []
    for event in session(1):
        aggregate.add(event)
        states = nonzero(aggregate.snapshot(), c.SESSIONS_ACTIVE)
        if isinstance(event, SessionStarted | SessionFinished | StepFinished) and event.session == session_id(1):
            shown.append([state for (state,) in states])
    after_create = STEPS[STEPS.index(Step.CREATE) + 1]
    assert shown == [
        ["mint"], ["create"], [after_create], ["converse"], ["converse"], ["delete"], ["delete"], []
    ]  # fmt: skip


def test_a_session_is_open_from_the_answer_of_its_create_to_the_end_of_its_delete() -> None:
    aggregate = Aggregate(["support"])
    shown = []
    for event in session(1, purpose="probe:EXP-1"):
        aggregate.add(event)
        if isinstance(event, RemainsChanged):
            shown.append(value(aggregate.snapshot(), c.SESSIONS_OPEN))
    assert shown == [0, 1, 0]


def test_a_failed_turn_counts_in_its_own_step_and_in_converse_and_once_as_a_session() -> None:
    got = folded(*session(1, turn_fails=True)).snapshot()
    assert nonzero(got, c.LIFECYCLE_ERRORS) == {
        ("support", "turn", "no_answer"): 1,
        ("support", "converse", "no_answer"): 1,
    }
    assert nonzero(got, c.SESSIONS) == {("support", "failed"): 1}
    assert nonzero(got, c.TURNS) == {("support", "failed"): 1}
    assert nonzero(got, c.FIRST_AUDIO) == {}


def test_what_was_heard_is_counted_and_losses_only_where_packets_are_numbered() -> None:
    tcp = MediaMeasured(
        t_ns=4 * S,
        session=session_id(1),
        frames=500,
        underruns=2,
        stalled_ns=3 * S // 10,
        gap_max_ns=S // 4,
        heard_ns=10 * S,
        jitter_ns=S // 250,
    )
    numbered = replace(tcp, session=session_id(2), underruns=1, stalled_ns=S // 10, packets_lost=20)
    mute = MediaMeasured(t_ns=4 * S, session=session_id(3), frames=10, underruns=0, stalled_ns=0)
    got = folded(tcp).snapshot()
    assert (value(got, c.MEDIA_PACKETS), value(got, c.MEDIA_LOST)) == (0, 0)
    got = folded(tcp, numbered, mute, replace(numbered, purpose="probe:AUD-1")).snapshot()
    assert (value(got, c.MEDIA_FRAMES), value(got, c.MEDIA_UNDERRUNS)) == (1010, 3)
    assert value(got, c.MEDIA_STALLED) == pytest.approx(0.4)
    assert (value(got, c.MEDIA_PACKETS), value(got, c.MEDIA_LOST)) == (520, 20)
    assert observed(got, c.MEDIA_GAP) == {0.3: 2}
    assert observed(got, c.MEDIA_JITTER) == {0.005: 2}
    assert value(got, c.MEDIA_HEARD) == 20


def test_a_failed_step_leads_to_the_delete() -> None:
    events = session(1)[:5]
    failed = StepFinished(
        t_ns=3 * S,
        session=session_id(1),
        step=Step.CONNECT,
        started_ns=2 * S,
        outcome=Outcome.FAILED,
        span_id=span_id(1, 3),
        parent_id=span_id(1, 0),
        failure=Failure(step=Step.CONNECT, kind=Kind.TIMEOUT, code=Code.TIMEOUT),
    )
    got = folded(*events, failed).snapshot()
    assert nonzero(got, c.SESSIONS_ACTIVE) == {("delete",): 1}
    assert nonzero(got, c.LIFECYCLE_ERRORS) == {("support", "connect", "timeout"): 1}
    assert nonzero(got, c.SECRET_MARGIN) == {}


def test_a_cancelled_session_is_no_error() -> None:
    *events, last = session(1, turn_fails=True)
    assert isinstance(last, SessionFinished)
    cancelled = Failure(step=Step.CONVERSE, kind=Kind.CANCELLED, code=Code.CANCELLED)
    cut = [
        replace(event, outcome=Outcome.CANCELLED, failure=cancelled)
        if isinstance(event, StepFinished) and event.failure
        else event
        for event in events
    ]
    got = folded(*cut, replace(last, outcome=Outcome.CANCELLED, failure=cancelled)).snapshot()
    assert nonzero(got, c.LIFECYCLE_ERRORS) == {}
    assert nonzero(got, c.SESSIONS) == {("support", "cancelled"): 1}
    assert nonzero(got, c.TURNS) == {("support", "cancelled"): 1}


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Kind.OWN_LIMIT, Code.OPEN_FILES), (Kind.ENGINE_DIED, Code.ENGINE_DIED), (Kind.BUG, Code.BUG)],
)
def test_what_failed_on_our_side_is_apart_and_in_no_share_of_what_failed(kind: Kind, code: Code) -> None:
    ours = Failure(step=Step.TURN, kind=kind, code=code)
    events = [
        replace(event, failure=ours) if isinstance(event, StepFinished | SessionFinished) and event.failure else event
        for event in session(1, turn_fails=True)
    ]
    got = folded(*events, *session(2), *session(3, turn_fails=True)).snapshot()
    once = {("support", outcome): 1 for outcome in ("ok", "failed", "generator_failed")}
    assert nonzero(got, c.SESSIONS) == nonzero(got, c.TURNS) == once
    turns = {outcome: sum(value(got, c.STEP_DURATION, "support", "turn", outcome)[:-1]) for _, outcome in once}
    assert turns == {"ok": 1, "failed": 1, "generator_failed": 1}
    assert observed(got, c.SESSION_DURATION, "support", "generator_failed") == {3.0: 1}
    assert value(got, c.LIFECYCLE_ERRORS, "support", "turn", code) == 1


def test_probes_are_in_no_service_level() -> None:
    got = folded(*session(1, purpose="probe:EXP-1"), *session(2)).snapshot()
    assert got == folded(*session(2)).snapshot()


def test_a_session_left_behind_is_counted_once_under_its_reason() -> None:
    *events, last = session(1)
    assert isinstance(last, SessionFinished)
    leaked = replace(last, remains=Remains.LEAKED, outcome=Outcome.FAILED, gone=None)
    unanswered = replace(last, session=session_id(3), remains=Remains.DOUBTFUL, outcome=Outcome.FAILED, gone=None)
    alive = replace(
        last,
        session=session_id(2),
        remains=Remains.LEAKED,
        gone=Gone.STILL_ALIVE,
        outcome=Outcome.FAILED,
        failure=Failure(step=Step.DELETE, kind=Kind.PROTOCOL, code=Code.STILL_ALIVE),
    )
    aggregate = folded(*events, leaked, alive, unanswered)
    got = aggregate.snapshot()
    assert nonzero(got, c.SESSIONS_LEFT) == {("delete_failed",): 1, ("still_alive",): 1, ("create_unanswered",): 1}
    assert value(got, c.SESSIONS_OPEN) == 2
    assert nonzero(got, c.LIFECYCLE_ERRORS) == {("support", "delete", "still_alive"): 1}
    aggregate.add(RemainsChanged(t_ns=S, session=session_id(1), remains=Remains.NOTHING, reason="swept"))
    assert value(aggregate.snapshot(), c.SESSIONS_OPEN) == 1


def test_what_is_open_when_a_worker_and_its_engine_are_dead_was_left_behind() -> None:
    aggregate = folded(*session(1), *session(2)[:10], *session(3)[:4], *session(4)[:3])
    aggregate.end_dead_worker()
    got = aggregate.snapshot()
    assert nonzero(got, c.SESSIONS_LEFT) == {("worker_lost",): 1, ("create_unanswered",): 1}
    assert value(got, c.SESSIONS_OPEN) == 0


def test_what_a_dead_engine_left_counts_only_when_it_is_settled() -> None:
    aggregate = folded(*session(1)[:10], *session(2)[:10])
    aggregate.add(killed(1, remains=Remains.LEAKED))
    aggregate.add(killed(2, remains=Remains.LEAKED))
    got = aggregate.snapshot()
    assert nonzero(got, c.SESSIONS_ACTIVE) == {}
    assert value(got, c.SESSIONS_OPEN) == 2
    assert nonzero(got, c.SESSIONS_LEFT) == {}
    assert nonzero(got, c.LIFECYCLE_ERRORS) == {("support", "converse", "engine_died"): 2}
    for number, remains, reason in ((1, Remains.NOTHING, "swept"), (2, Remains.LEAKED, "delete_failed")):
        aggregate.add(RemainsChanged(t_ns=S, session=session_id(number), remains=remains, reason=reason))
    assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {("delete_failed",): 1}
    assert value(aggregate.snapshot(), c.SESSIONS_OPEN) == 1
    aggregate.add(run_finished())
    aggregate.end_dead_worker()
    assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {("delete_failed",): 1}


def test_the_next_engines_word_of_a_dead_ones_session_outweighs_what_was_heard_before_the_kill() -> None:
    """The last events before a kill may be in the journal alone."""
    heard = [*session(1)[:10], *session(2)[:4], *session(3)[:3]]
    ends = [killed(n, remains=r) for n, r in ((1, Remains.LEAKED), (2, Remains.DOUBTFUL), (3, Remains.NOTHING))]
    aggregate = folded(*heard, *ends)
    assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {}
    for number, remains, reason in (
        (1, Remains.NOTHING, "deleted"),
        (2, Remains.LEAKED, "delete_failed"),
        (3, Remains.DOUBTFUL, "create_sent"),
    ):
        aggregate.add(RemainsChanged(t_ns=S, session=session_id(number), remains=remains, reason=reason))
    for _ in range(2):
        assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {("delete_failed",): 1, ("create_unanswered",): 1}
        aggregate.add(run_finished())


def test_what_no_other_engine_settled_was_left_behind_when_the_run_is_finished() -> None:
    aggregate = folded(*session(1)[:10], *session(2)[:4], *session(3)[:3])
    for number, remains in ((1, Remains.LEAKED), (2, Remains.DOUBTFUL), (3, Remains.NOTHING)):
        aggregate.add(killed(number, remains=remains))
    assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {}
    for _ in range(2):
        aggregate.add(run_finished())
        assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {("worker_lost",): 1, ("create_unanswered",): 1}
        assert value(aggregate.snapshot(), c.SESSIONS_OPEN) == 1


def test_what_a_dead_worker_had_counted_as_left_behind_is_not_counted_again() -> None:
    *events, last = session(1)
    assert isinstance(last, SessionFinished)
    aggregate = folded(*events, replace(last, remains=Remains.LEAKED, outcome=Outcome.FAILED, gone=None))
    aggregate.end_dead_worker()
    assert nonzero(aggregate.snapshot(), c.SESSIONS_LEFT) == {("delete_failed",): 1}


def test_an_unknown_session_is_counted_and_takes_no_gauge_below_zero() -> None:
    got = folded(*session(1)[3:]).snapshot()
    assert nonzero(got, c.SESSIONS) == {("support", "ok"): 1}
    assert all(n >= 0 for n in got[c.SESSIONS_ACTIVE.name].values() if not isinstance(n, list))
    assert value(got, c.STEP_DURATION, "support", "create", "ok")[-1] == 0.2


def test_a_scenario_that_the_run_does_not_have_shows_as_other() -> None:
    got = folded(*session(1, scenario="9f3c…"), scenarios=("support", "sales")).snapshot()
    assert nonzero(got, c.SESSIONS) == {("other", "ok"): 1}
    assert ("other", "create", "ok") in nonzero(got, c.STEP_DURATION)


def test_dropped_iterations_are_counted_by_reason() -> None:
    dropped = IterationDropped(t_ns=2 * S, due_ns=S, scenario="support", reason=DropReason.LATE)
    got = folded(dropped, dropped, replace(dropped, reason=DropReason.NO_USER)).snapshot()
    assert nonzero(got, c.ITERATIONS_DROPPED) == {("support", "late"): 2, ("support", "no_user"): 1}


def test_the_generators_health_is_shown_by_worker_and_kept_over_time() -> None:
    fault = GeneratorFailed(t_ns=S, fault=Fault.ENGINE_DIED, process=0)
    got = folded(health(lag_ms=3), health(lag_ms=30), health(source="hub", process=1), fault).snapshot(
        sink_errors={"locust": 2}
    )
    assert observed(got, c.LOOP_LAG, "engine") == {0.005: 1, 0.05: 1}
    assert observed(got, c.LOOP_LAG, "hub") == {0.005: 1}
    assert observed(got, c.GC_PAUSE, "engine") == {0.05: 2}
    assert observed(got, c.PACING_ERROR) == {0.002: 3}
    assert observed(got, c.POOL_WAIT) == {0.0005: 3}
    assert nonzero(got, c.WORKER_LAG) == {("0", "engine"): 0.001, ("1", "hub"): 0.001}
    assert nonzero(got, c.WORKER_CPU) == {("0", "engine"): 0.25, ("1", "hub"): 0.25}
    assert nonzero(got, c.WORKER_RSS) == {("0", "engine"): 1e8, ("1", "hub"): 1e8}
    assert value(got, c.EVENTS_LOST) == 3
    assert nonzero(got, c.SINK_ERRORS) == {("locust",): 2}
    assert nonzero(got, c.GENERATOR_FAULTS) == {("engine_died",): 1}


def test_the_run_is_active_until_it_is_finished() -> None:
    aggregate = folded(run_started())
    got = aggregate.snapshot()
    assert value(got, c.RUN_ACTIVE) == 1
    assert value(got, c.RUN_START) == WALL_S
    assert [key[:2] for key in nonzero(got, c.RUN_INFO)] == [("run-1", "support")]
    aggregate.add(run_finished())
    assert value(aggregate.snapshot(), c.RUN_ACTIVE) == 0


def test_a_margin_of_an_expired_secret_lands_at_zero_and_never_lowers_the_sum() -> None:
    late = [
        replace(event, t_ns=event.t_ns + 700 * S, started_ns=event.started_ns + 700 * S)
        if isinstance(event, StepFinished) and event.step is Step.CONNECT
        else event
        for event in session(1)
    ]
    got = folded(*late).snapshot()
    assert observed(got, c.SECRET_MARGIN) == {0.0: 1}
    assert value(got, c.SECRET_MARGIN)[-1] == 0


def test_every_known_series_is_there_at_zero_before_anything_happens() -> None:
    got = Aggregate(["support", "sales"]).snapshot()
    assert len(got[c.STEP_DURATION.name]) == 2 * len(Step) * 3
    assert len(got[c.LIFECYCLE_ERRORS.name]) == 2 * len(Step) * (len(Code) - 1 - len(ERROR_TYPE.unborn))
    assert set(got[c.SESSIONS_LEFT.name]) == {"delete_failed", "still_alive", "create_unanswered", "worker_lost"}
    assert got[c.SECRET_AGE.name].keys() == set(ON_A_SECRET)
    assert got[c.SESSIONS_OPEN.name] == {"": 0}
    assert got.keys() == {*c.BY_NAME, EDGES, EXEMPLARS, FAILURES}
    assert got[EXEMPLARS] == {}
    assert got[EDGES] == {m.name: list(m.buckets) for m in c.METRICS if m.buckets}
    assert c.SPANS_DROPPED.name in got
    del got[EDGES]
    assert all(not any(n) if isinstance(n, list) else n == 0 for series in got.values() for n in series.values())


def test_snapshots_survive_json_and_do_not_change_afterwards() -> None:
    aggregate = folded(*session(1))
    first = aggregate.snapshot()
    shipped = json.loads(json.dumps(first))
    for event in session(2):
        aggregate.add(event)
    assert shipped == first
    assert value(first, c.SESSIONS, "support", "ok") == 1


def test_the_sum_of_two_workers_is_what_one_would_have_counted() -> None:
    one, two = session(1), session(2, turn_fails=True)
    assert merged([folded(*one).snapshot(), folded(*two).snapshot()]) == folded(*one, *two).snapshot()


def test_a_lost_worker_keeps_its_counts_and_loses_its_gauges() -> None:
    here = folded(*session(1), *session(2)[:10], health(process=0)).snapshot()
    lost = folded(*session(3), *session(4)[:10], health(process=1)).snapshot()
    got = merged([here, without_gauges(lost)])
    assert value(got, c.SESSIONS, "support", "ok") == 2
    assert value(got, c.SESSIONS_STARTED, "support") == 4
    assert value(got, c.SESSIONS_OPEN) == 1
    assert nonzero(got, c.SESSIONS_ACTIVE) == {("converse",): 1}
    assert nonzero(got, c.WORKER_RSS) == {("0", "engine"): 1e8}
    assert observed(got, c.LOOP_LAG, "engine") == {0.005: 2}


def test_facts_of_the_run_are_not_added_up_over_workers() -> None:
    got = merged([folded(run_started(process=n)).snapshot() for n in range(3)])
    assert value(got, c.RUN_ACTIVE) == 1
    assert value(got, c.RUN_START) == WALL_S
    assert list(nonzero(got, c.RUN_INFO).values()) == [1]


def test_nothing_is_remembered_of_100_000_sessions_that_ended_so_series_stay_few() -> None:
    aggregate = Aggregate(["support"])

    def series() -> int:
        return sum(len(series) for name, series in aggregate.snapshot().items() if name not in (EXEMPLARS, FAILURES))

    before = series()
    few = (SessionStarted, SecretMinted, RemainsChanged, StepFinished, SessionFinished)
    good, bad = (
        [
            e
            for e in session(1, turn_fails=fails)
            if isinstance(e, few) and getattr(e, "step", "turn") in ("mint", "turn")
        ]
        for fails in (False, True)
    )
    for number in range(100_000):
        name = f"{number * 0x9E3779B97F4A7C15 % (1 << 128):032x}"  # a new one each time, as in a run
        for event in bad if number % 7 == 0 else good:
            aggregate.add(replace(event, session=name))
    assert series() == before
    assert not aggregate._running
    assert not aggregate._open
    assert not aggregate._doubtful
    got = aggregate.snapshot()
    assert value(got, c.SESSIONS_STARTED, "support") == 100_000
    assert len(got[EXEMPLARS]) == 4  # mint, turns of two outcomes, first audio


def test_marks_of_a_connect_are_its_phases_and_other_marks_change_nothing() -> None:
    events = session(1)
    got = folded(*events).snapshot()
    phases = {key[0]: n[-1] for key, n in nonzero(got, c.CONNECT_PHASE).items()}
    assert phases == pytest.approx({"sdk_session": 0.05, "joined": 0.2, "first_frame": 0.3})
    without = [e for e in events if not isinstance(e, Observed) or e.mark in phases]
    assert folded(*without).snapshot() == got


def test_a_phase_counts_once_and_only_within_its_connect() -> None:
    events = session(1)
    joined = next(e for e in events if isinstance(e, Observed) and e.mark is Mark.JOINED)
    again = [*events[:10], joined, *events[10:]]
    assert sum(value(folded(*again).snapshot(), c.CONNECT_PHASE, "joined")[:-1]) == 1
    assert sum(value(folded(*events[:9], joined).snapshot(), c.CONNECT_PHASE, "joined")[:-1]) == 1


@pytest.mark.parametrize(
    ("load", "targets"),
    [
        ({"users": 40, "ramp": "10s", "duration": "20s"}, [0, 0, 20, 40, 40, 0]),
        ({"users": 40, "ramp": "20s", "duration": "20s"}, [0, 0, 10, 20, 30, 0]),
        (
            {"stages": [{"users": 90, "duration": "10s"}, {"users": 0, "ramp": "10s", "duration": "10s"}]},
            [0, 90, 90, 90, 45, 0],
        ),
        ({"rate": 5, "duration": "20s"}, [0] * 6),
    ],
    ids=["a ramp and a hold", "a ramp to the end", "a ramp down to the end", "a rate"],
)
def test_the_target_is_the_plans_level_now(load: dict[str, Any], targets: list[float]) -> None:
    settings = Settings.model_validate({"name": "support", "load": load})
    aggregate = Aggregate(["support"], level=settings.load.shape().level)
    for stage in tickets.stages(settings):
        aggregate.add(replace(stage, t_ns=10 * S + stage.t_ns))
    shown = [value(aggregate.snapshot(now_ns=at_s * S), c.SESSIONS_TARGET) for at_s in (5, 10, 15, 20, 25, 30)]
    assert shown == pytest.approx(targets)


def test_the_target_of_a_steered_plan_is_that_of_the_stage_that_was_told_last() -> None:
    told = [
        StageStarted(t_ns=at_s * S, stage=name, users=users, steady=steady)
        for at_s, name, users, steady in ((10, "settle 1", 4, False), (20, "1", 4, True), (30, "rest 1", 0, False))
    ]
    aggregate = folded(*told)
    shown = [value(aggregate.snapshot(now_ns=at_s * S), c.SESSIONS_TARGET) for at_s in (5, 10, 25, 30, 99)]
    assert shown == [0, 4, 4, 0, 0]


def test_stages_are_told_once_they_have_begun_and_keep_their_time_when_the_clock_is_set() -> None:
    stages = [StageStarted(t_ns=at_s * S, stage=f"at {at_s}", users=1, steady=True) for at_s in (10, 20, 30)]
    aggregate = folded(*stages)
    assert aggregate.snapshot(now_ns=99 * S)[c.STAGE_START.name] == {}  # nobody has told the wall clock yet
    aggregate.add(run_started())
    assert aggregate.snapshot()[c.STAGE_START.name] == {}  # nor, here, what time it is
    assert aggregate.snapshot(now_ns=9 * S)[c.STAGE_START.name] == {}
    assert aggregate.snapshot(now_ns=20 * S)[c.STAGE_START.name] == {"at 10": WALL_S + 10, "at 20": WALL_S + 20}
    aggregate.add(run_started(wall_ns=(WALL_S + 7) * S))
    assert aggregate.snapshot(now_ns=30 * S)[c.STAGE_START.name] == {
        "at 10": WALL_S + 10, "at 20": WALL_S + 20, "at 30": WALL_S + 37
    }  # fmt: skip


def test_of_very_many_stages_the_first_hundred_are_told() -> None:
    stages = [StageStarted(t_ns=n * S, stage=f"{n}\x1f", users=1, steady=True) for n in range(101)]
    told = folded(run_started(), *stages).snapshot(now_ns=999 * S)[c.STAGE_START.name]
    assert list(told) == [f"{n} " for n in range(100)]


def test_of_several_clocks_the_masters_tells_when_the_run_began_and_the_first_workers_when_its_stages_did() -> None:
    stage = StageStarted(t_ns=10 * S, stage="steady", users=1, steady=True)
    ahead, right = (
        folded(run_started(wall_ns=(WALL_S + s) * S), stage).snapshot(now_ns=20 * S) for s in (600, 3)
    )  # fmt: skip
    master = folded(run_started(role="master")).snapshot()
    assert value(merged([master, right, ahead]), c.RUN_START) == WALL_S
    assert merged([master, right, ahead])[c.STAGE_START.name] == {"steady": WALL_S + 13}
    assert value(merged([folded().snapshot(), right]), c.RUN_START) == WALL_S + 3


def test_a_bound_below_zero_stays_what_it_is() -> None:
    told: Snapshot = {c.OBJECTIVE_BOUND.name: {"margin\x1fsecret.margin.min": -5.0}}
    assert merged([folded().snapshot(), told])[c.OBJECTIVE_BOUND.name] == told[c.OBJECTIVE_BOUND.name]


def test_users_and_workers_are_shown_by_process() -> None:
    workers = [folded(health(process=n)).snapshot(users=3 + n) for n in range(2)]
    got = merged(workers)
    assert value(got, c.USERS) == 7
    assert nonzero(got, c.WORKER_UP) == {("0",): 1, ("1",): 1}
    assert got[c.WORKER_REPORT_GAPS.name] == {"0": 0, "1": 0}


def test_breaches_of_rules_are_counted_and_never_taken_back() -> None:
    aggregate = Aggregate(["s"])

    assert set(aggregate.snapshot()["avaload_rule_violations_total"].values()) == {0}
    aggregate.snapshot(rule_violations={"TD-1": 3, "INT-5": 2})
    counted = aggregate.snapshot(rule_violations={"TD-1": 4, "INT-5": 0})["avaload_rule_violations_total"]

    assert (counted["TD-1"], counted["INT-5"], counted["EXP-1"]) == (4, 2, 0)
