"""Events folded into the values of the metrics: plain dicts, a few hundred ns per event, no metrics library.

An `Aggregate` lives in each Locust process. Its snapshots are cumulative, so one that is repeated or lost on the way to
the master costs delay and nothing else.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from exporters import catalogue as c
from exporters.sampling import Bounds, in_share
from exporters.snapshot import EDGES, EXEMPLARS, SEPARATOR, Snapshot
from loadtest import __version__
from loadtest.errors import Kind
from loadtest.events import (
    LOAD,
    Event,
    GeneratorFailed,
    Gone,
    GoneChecked,
    HealthSampled,
    IterationDropped,
    Mark,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    RunFinished,
    RunStarted,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)
from loadtest.slo import Slo

Series = dict[tuple[str, ...], Any]

_AFTER: Final[dict[str, str]] = {
    Step.MINT: Step.CREATE,
    Step.CREATE: Step.CONNECT,
    Step.CONNECT: Step.CONVERSE,
    Step.CONVERSE: Step.DELETE,
    Step.DELETE: Step.DELETE,
}


_PHASES: Final = frozenset(c.PHASE.values or ())


class _Running:
    """What the fold has to remember of a load session until it ends."""

    __slots__ = (
        "connect_ns",
        "expires_ns",
        "failed",
        "minted_ns",
        "phases",
        "scenario",
        "set_up",
        "started_ns",
        "state",
    )

    def __init__(self, scenario: str, started_ns: int) -> None:
        self.scenario = scenario
        self.started_ns = started_ns
        self.state: str = Step.MINT
        self.minted_ns = 0  # 0: no secret yet
        self.expires_ns = 0  # on our monotonic clock
        self.connect_ns = 0
        self.phases: set[str] = set()  # of its connect, so far
        self.set_up = False
        self.failed = False  # one of its steps failed and was counted


def _observe(histogram: list[float], edges: tuple[float, ...], value: float) -> int:
    """Count it; the place of its bucket."""
    place = bisect_left(edges, value)
    histogram[place] += 1
    if value > 0:  # a sum must not fall; only a margin can be negative
        histogram[-1] += value
    return place


class Aggregate:
    """The fold. `add` is a `Sink`; `snapshot` may be called at any time. One process, one thread of greenlets.

    `scenarios` are the names that may appear as labels; a session of any other counts as "other". `slos`: their bounds
    are edges of buckets. `trace_share`: of the traces that are kept; an exemplar leads to one of them.
    """

    def __init__(self, scenarios: Sequence[str], *, slos: Sequence[Slo] = (), trace_share: float = 1.0) -> None:
        self._scenarios = frozenset(scenarios)
        self._unknown = scenarios[0] if len(scenarios) == 1 else c.OTHER
        self._edges = c.edges(slos)
        self._bounds, self._trace_share = Bounds(slos), trace_share
        self._series: dict[str, Series] = {
            metric.name: {key: self._zero(metric) for key in metric.initial(scenarios)} for metric in c.METRICS
        }
        self._exemplars: dict[tuple[Any, ...], tuple[float, int, str]] = {}  # value, t_ns, session
        self._clock_offset_ns = 0  # wall clock minus the events' clock
        self._stages: list[StageStarted] = []
        self._running: dict[str, _Running] = {}
        self._open: set[str] = set()  # created and not confirmed deleted, of any purpose
        self._doubtful: set[str] = set()  # create was sent and not answered yet
        self._unsettled: set[str] = set()  # the engine died with them: its journal's sweep says what became of them
        self._handlers: dict[type, Callable[[Any], None]] = {
            SessionStarted: self._session_started,
            SecretMinted: self._secret_minted,
            RemainsChanged: self._remains_changed,
            StepFinished: self._step_finished,
            Observed: self._observed,
            GoneChecked: self._gone_checked,
            SessionFinished: self._session_finished,
            StageStarted: self._stages.append,
            IterationDropped: self._iteration_dropped,
            HealthSampled: self._health_sampled,
            GeneratorFailed: self._generator_failed,
            RunStarted: self._run_started,
            RunFinished: self._run_finished,
        }
        # The two that the hot path reads most.
        self._active = self._series[c.SESSIONS_ACTIVE.name]
        self._steps = self._series[c.STEP_DURATION.name]
        self._step_edges = self._edges[c.STEP_DURATION.name]

    def add(self, event: Event) -> None:
        """Fold one event in."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def end_dead_worker(self) -> None:
        """No more events will come: its engines are dead too. What is open then was left behind."""
        self._count(c.SESSIONS_LEFT, ("worker_lost",), len(self._open))
        self._count(c.SESSIONS_LEFT, ("create_unanswered",), len(self._doubtful))
        self._open.clear()
        self._doubtful.clear()
        self._unsettled.clear()

    def snapshot(
        self,
        *,
        sink_errors: Mapping[str, int] | None = None,
        rule_violations: Mapping[str, int] | None = None,
        users: int = 0,
        now_ns: int | None = None,
    ) -> Snapshot:
        """All values so far, fit for JSON and msgpack: nothing but numbers.

        `sink_errors`: what each sink failed to take; `rule_violations`: by rule; both cumulative. `users`: virtual
        users of this process. `now_ns`: to tell the plan's target by.
        """
        self._series[c.SESSIONS_OPEN.name][()] = len(self._open)
        self._series[c.USERS.name][()] = users
        self._series[c.SESSIONS_TARGET.name][()] = 0 if now_ns is None else self._target(now_ns)
        for sink, errors in (sink_errors or {}).items():
            self._series[c.SINK_ERRORS.name][(sink,)] = errors
        broken = self._series[c.RULE_VIOLATIONS.name]
        for rule, violations in (rule_violations or {}).items():
            broken[(rule,)] = max(
                broken.get((rule,), 0), violations
            )  # evidence can be outweighed; a counter can't fall
        found: Snapshot = {
            name: {SEPARATOR.join(key): value.copy() if type(value) is list else value for key, value in series.items()}
            for name, series in self._series.items()
        }
        found[EDGES] = {name: list(edges) for name, edges in self._edges.items()}
        found[EXEMPLARS] = {
            SEPARATOR.join(map(str, key)): [
                value,
                (t_ns + self._clock_offset_ns) / 1e9,
                int(session[:16], 16),
                int(session[16:], 16),
            ]
            for key, (value, t_ns, session) in self._exemplars.items()
        }
        return found

    def _target(self, now_ns: int) -> float:
        """What the plan asks for now: on the line to the next stage while one is a ramp."""
        stages = sorted(self._stages, key=lambda stage: stage.t_ns)
        for stage, after in zip(stages, [*stages[1:], None], strict=False):
            if after is not None and now_ns >= after.t_ns:
                continue
            if now_ns < stage.t_ns:
                return 0
            if stage.rate is not None:
                return 0
            if stage.steady or after is None:
                return stage.users
            share = (now_ns - stage.t_ns) / max(1, after.t_ns - stage.t_ns)
            return stage.users + (after.users - stage.users) * share
        return 0

    # Sessions

    def _session_started(self, event: SessionStarted) -> None:
        if event.purpose != LOAD:
            return
        scenario = event.scenario if event.scenario in self._scenarios else c.OTHER
        self._running[event.session] = running = _Running(scenario, event.t_ns)
        self._active[(running.state,)] += 1
        self._count(c.SESSIONS_STARTED, (scenario,))
        self._observe(c.SCHEDULE_LAG, (), (event.t_ns - event.due_ns) / 1e9)

    def _secret_minted(self, event: SecretMinted) -> None:
        if (running := self._running.get(event.session)) is not None:
            running.minted_ns = event.t_ns
            running.expires_ns = event.t_ns + event.expires_at_s * 1_000_000_000 - event.wall_ns

    def _remains_changed(self, event: RemainsChanged) -> None:
        session = event.session
        if event.remains is Remains.LEAKED:
            self._open.add(session)
        else:
            self._open.discard(session)
        if event.remains is Remains.DOUBTFUL:
            self._doubtful.add(session)
        else:
            self._doubtful.discard(session)
        if session in self._unsettled:
            if event.remains is Remains.NOTHING:
                self._unsettled.remove(session)
            elif event.reason in ("delete_failed", "still_alive"):
                self._unsettled.remove(session)
                self._count(c.SESSIONS_LEFT, (event.reason,))

    def _step_finished(self, event: StepFinished) -> None:
        if event.purpose != LOAD:
            return
        running = self._running.get(event.session)
        scenario = self._unknown if running is None else running.scenario
        step, outcome = event.step, event.outcome
        key = (scenario, step, outcome)
        histogram = self._steps.get(key)
        if histogram is None:
            histogram = self._steps[key] = self._zero(c.STEP_DURATION)
        took_s = (event.t_ns - event.started_ns) / 1e9
        place = _observe(histogram, self._step_edges, took_s)
        traced = (
            outcome is Outcome.FAILED
            or self._trace_share >= 1
            or in_share(event.session, self._trace_share)
            or self._bounds.broken_by(event)
        )
        if traced:
            self._exemplars[c.STEP_DURATION.name, *key, place] = took_s, event.t_ns, event.session
        if outcome is Outcome.FAILED and event.failure is not None:
            self._count(c.LIFECYCLE_ERRORS, (scenario, step, event.failure.code))
            if running is not None:
                running.failed = True
        if step is Step.TURN:
            self._count(c.TURNS, (scenario, outcome))
            for metric, ns in ((c.FIRST_AUDIO, event.first_audio_ns), (c.BARGE_IN, event.barge_in_ns)):
                if ns is not None:
                    place = self._observe(metric, (scenario,), ns / 1e9)
                    if traced:
                        self._exemplars[metric.name, scenario, place] = ns / 1e9, event.t_ns, event.session
        elif running is not None:
            self._active[(running.state,)] -= 1
            running.state = _AFTER[step] if outcome is Outcome.OK else Step.DELETE
            self._active[(running.state,)] += 1
            running.connect_ns = event.t_ns  # of the step after this one; read while that is connect
            if running.minted_ns:
                self._secret_used(running, event)

    def _secret_used(self, running: _Running, event: StepFinished) -> None:
        if event.step in (Step.CREATE, Step.CONNECT):
            self._observe(c.SECRET_AGE, (event.step,), (event.started_ns - running.minted_ns) / 1e9)
        if event.step is Step.CONNECT and event.outcome is Outcome.OK:
            self._observe(c.SECRET_MARGIN, (), (running.expires_ns - event.t_ns) / 1e9)

    def _observed(self, event: Observed) -> None:
        mark = event.mark
        if mark not in _PHASES:
            return
        running = self._running.get(event.session)
        if running is None:
            return
        if running.state == Step.CONNECT and mark not in running.phases:
            running.phases.add(mark)
            self._observe(c.CONNECT_PHASE, (mark,), (event.t_ns - running.connect_ns) / 1e9)
        if mark is Mark.FIRST_FRAME and not running.set_up:
            running.set_up = True
            self._observe(c.SESSION_SETUP, (running.scenario,), (event.t_ns - running.started_ns) / 1e9)

    def _gone_checked(self, event: GoneChecked) -> None:
        if event.purpose != LOAD:
            return
        self._count(c.GONE_CHECKS, (event.gone,))
        if event.gone is Gone.CONFIRMED:
            self._observe(c.TIME_TO_GONE, (), (event.t_ns - event.deleted_ns) / 1e9)

    def _session_finished(self, event: SessionFinished) -> None:
        if event.remains is Remains.LEAKED:
            self._open.add(event.session)
        else:
            self._open.discard(event.session)
        self._doubtful.discard(event.session)
        if event.purpose != LOAD:
            return
        scenario = event.scenario if event.scenario in self._scenarios else c.OTHER
        running = self._running.pop(event.session, None)
        if running is not None:
            self._active[(running.state,)] -= 1
        self._count(c.SESSIONS, (scenario, event.outcome))
        self._observe(c.SESSION_DURATION, (scenario, event.outcome), (event.t_ns - event.started_ns) / 1e9)
        failure = event.failure
        if failure is not None and event.outcome is Outcome.FAILED and (running is None or not running.failed):
            # No step said so: the engine died in the middle of one, or the session outlived its delete.
            self._count(c.LIFECYCLE_ERRORS, (scenario, failure.step, failure.code))
        if event.remains is Remains.NOTHING:
            return
        if failure is not None and failure.kind is Kind.ENGINE_DIED:
            self._unsettled.add(event.session)
        elif event.remains is Remains.DOUBTFUL:
            self._count(c.SESSIONS_LEFT, ("create_unanswered",))
        else:
            self._count(c.SESSIONS_LEFT, ("still_alive" if event.gone is Gone.STILL_ALIVE else "delete_failed",))

    def _iteration_dropped(self, event: IterationDropped) -> None:
        if event.purpose == LOAD:
            scenario = event.scenario if event.scenario in self._scenarios else c.OTHER
            self._count(c.ITERATIONS_DROPPED, (scenario, event.reason))

    # The generator

    def _health_sampled(self, event: HealthSampled) -> None:
        self._clock_offset_ns = event.wall_ns - event.t_ns
        source = event.source if event.source in (c.SOURCE.values or ()) else c.OTHER
        self._observe(c.LOOP_LAG, (source,), event.lag_max_ns / 1e9)
        if event.gc_pause_max_ns is not None:
            self._observe(c.GC_PAUSE, (source,), event.gc_pause_max_ns / 1e9)
        if event.pacing_p99_ns is not None:
            self._observe(c.PACING_ERROR, (), event.pacing_p99_ns / 1e9)
        if event.pool_wait_p99_ns is not None:
            self._observe(c.POOL_WAIT, (), event.pool_wait_p99_ns / 1e9)
        worker = (str(event.process), source)
        process = worker[:1]
        self._series[c.WORKER_UP.name][process] = 1
        self._series[c.WORKER_REPORT_AGE.name][process] = 0  # here; on its way to a master it ages
        self._series[c.WORKER_REPORT_GAPS.name].setdefault(process, 0)
        self._series[c.WORKER_LAG.name][worker] = event.lag_p99_ns / 1e9
        self._series[c.WORKER_CPU.name][worker] = event.cpu_percent / 100
        self._series[c.WORKER_RSS.name][worker] = event.rss_bytes
        self._count(c.EVENTS_LOST, (), event.events_lost)

    def _generator_failed(self, event: GeneratorFailed) -> None:
        self._count(c.GENERATOR_FAULTS, (event.fault,))

    def _run_started(self, event: RunStarted) -> None:
        self._clock_offset_ns = event.wall_ns - event.t_ns
        started = self._series[c.RUN_START.name]
        if not started[()]:
            started[()] = event.wall_ns / 1e9
            self._series[c.RUN_INFO.name][(event.run_id, event.scenario, __version__)] = 1
        self._series[c.RUN_ACTIVE.name][()] = 1

    def _run_finished(self, _event: RunFinished) -> None:
        self._series[c.RUN_ACTIVE.name][()] = 0

    def _count(self, metric: c.Metric, key: tuple[str, ...], by: int = 1) -> None:
        series = self._series[metric.name]
        series[key] = series.get(key, 0) + by

    def _observe(self, metric: c.Metric, key: tuple[str, ...], value: float) -> int:
        series = self._series[metric.name]
        histogram = series.get(key)
        if histogram is None:
            histogram = series[key] = self._zero(metric)
        return _observe(histogram, self._edges[metric.name], value)

    def _zero(self, metric: c.Metric) -> Any:
        return [0] * (len(self._edges[metric.name]) + 2) if metric.type is c.Type.HISTOGRAM else 0
