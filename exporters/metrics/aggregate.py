"""Events folded into the values of the metrics: plain dicts, a few hundred ns per event, no metrics library.

An `Aggregate` lives in each Locust process. Its snapshots are cumulative, so one that is repeated or lost on the way to
the master costs delay and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from exporters.metrics import catalogue as c
from exporters.metrics import labels as v
from exporters.metrics.edges import FED, edges
from exporters.metrics.metric import OTHER
from exporters.metrics.own_state import OwnState
from exporters.metrics.series import Series
from exporters.metrics.snapshot import Snapshot
from exporters.sampling import Bounds, in_share
from loadtest.criteria.samples import TAKING_SAMPLERS, Running, source_of
from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Kind
from loadtest.events.kinds import (
    LOAD,
    ON_A_SECRET,
    STEPS,
    TO_THE_ROOM,
    Event,
    Gone,
    GoneChecked,
    IterationDropped,
    Mark,
    MediaMeasured,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    RunFinished,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)

_AFTER: Final[dict[str, str]] = dict(zip(STEPS, (*STEPS[1:], STEPS[-1]), strict=True))
"""What a session does when a step has gone well."""
_PHASES: Final = frozenset(v.PHASE.values or ())


class _Running(Running):
    """What the fold has to remember of a load session until it ends, beside what service levels ask of it."""

    __slots__ = (
        "connect_ns",
        "failed",
        "phases",
        "seen",
        "started_ns",
        "state",
    )

    def __init__(self, scenario: str, due_ns: int, started_ns: int) -> None:
        super().__init__(scenario, due_ns)
        self.started_ns = started_ns
        self.state: str = STEPS[0]
        self.connect_ns = 0
        self.phases: set[str] = set()  # of its connect, so far
        self.seen = False  # the avatar
        self.failed = False  # one of its steps failed and was counted


class Aggregate:
    """The fold. `add` is a `Sink`; `snapshot` may be called at any time. One process, one thread of greenlets.

    `scenarios` are the names that may appear as labels; a session of any other counts as "other". `slos`: their bounds
    are edges of buckets. `trace_share`: of the traces that are kept; an exemplar leads to one of them. `tags`: of
    the run. `level`: what its plan asks for, users or a rate, so many seconds from its first stage on; None: it is
    steered.
    """

    def __init__(
        self,
        scenarios: Sequence[str],
        *,
        slos: Sequence[Slo] = (),
        trace_share: float = 1.0,
        tags: Mapping[str, str] | None = None,
        level: Callable[[float], float] | None = None,
    ) -> None:
        self._scenarios = frozenset(scenarios)
        self._unknown = scenarios[0] if len(scenarios) == 1 else OTHER
        self._bounds, self._trace_share = Bounds(slos), trace_share
        self._series = Series(scenarios, edges(slos))
        self._own_state = OwnState(self._series, tags or {}, level)
        # Bound once: they are called with nearly every event.
        self._count, self._observe = self._series.count, self._series.observe
        self._exemplify = self._series.exemplify
        self._running: dict[str, _Running] = {}
        self._open: set[str] = set()  # created and not confirmed deleted, of any purpose
        self._doubtful: set[str] = set()  # create was sent and not answered yet
        self._unsettled: set[str] = set()  # the engine died with them: the next one says what became of them
        self._left: set[str] = set()  # counted as left behind, which a session is once
        self._handlers: dict[type, Callable[[Any], None]] = {
            SessionStarted: self._session_started,
            SecretMinted: self._secret_minted,
            RemainsChanged: self._remains_changed,
            StepFinished: self._step_finished,
            Observed: self._observed,
            MediaMeasured: self._media_measured,
            GoneChecked: self._gone_checked,
            SessionFinished: self._session_finished,
            IterationDropped: self._iteration_dropped,
            **self._own_state.handlers,
            RunFinished: self._run_finished,
        }
        self._active = self._series.of(c.SESSIONS_ACTIVE)

    def add(self, event: Event) -> None:
        """Fold one event in."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def end_dead_worker(self) -> None:
        """No more events will come: its engines are dead too. What is open then was left behind."""
        self._leave_for_good(self._open | self._doubtful)
        self._open.clear()
        self._doubtful.clear()
        self._unsettled.clear()

    def snapshot(
        self,
        *,
        sink_errors: Mapping[str, int] | None = None,
        rule_violations: Mapping[str, int] | None = None,
        waived_violations: Mapping[str, int] | None = None,
        users: int = 0,
        now_ns: int | None = None,
    ) -> Snapshot:
        """All values so far, fit for JSON and msgpack: nothing but numbers.

        `sink_errors`: what each sink failed to take; `rule_violations`, `waived_violations`: by rule; cumulative.
        `users`: virtual users of this process. `now_ns`: to tell the plan's target by.
        """
        self._series.of(c.SESSIONS_OPEN)[()] = len(self._open)
        self._series.of(c.USERS)[()] = users
        self._series.of(c.SESSIONS_TARGET)[()] = 0 if now_ns is None else self._own_state.target(now_ns)
        if now_ns is not None:
            self._own_state.tell_stages(now_ns)
        for sink, errors in (sink_errors or {}).items():
            self._series.of(c.SINK_ERRORS)[(sink,)] = errors
        for metric, by_rule in ((c.RULE_VIOLATIONS, rule_violations), (c.RULE_VIOLATIONS_WAIVED, waived_violations)):
            broken = self._series.of(metric)
            for rule, violations in (by_rule or {}).items():
                # Evidence can be outweighed; a counter can't fall.
                broken[(rule,)] = max(broken.get((rule,), 0), violations)
        return self._series.snapshot()

    # Sessions

    def _session_started(self, event: SessionStarted) -> None:
        if event.purpose != LOAD:
            return
        scenario = event.scenario if event.scenario in self._scenarios else OTHER
        self._running[event.session] = running = _Running(scenario, event.due_ns, event.t_ns)
        self._active[(running.state,)] += 1
        self._count(c.SESSIONS_STARTED, (scenario,))
        self._observe(c.SCHEDULE_LAG, (), (event.t_ns - event.due_ns) / 1e9)

    def _secret_minted(self, event: SecretMinted) -> None:
        if (running := self._running.get(event.session)) is not None:
            running.saw(event)

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
            if event.remains is Remains.DOUBTFUL:
                self._leave(session, v.DOUBTFUL)
            elif event.remains is Remains.LEAKED and event.reason in v.LEAKED:
                self._leave(session, event.reason)
            elif event.remains is Remains.LEAKED:
                return  # about to be deleted by the next engine
            self._unsettled.remove(session)

    def _leave(self, session: str, reason: str) -> None:
        if session not in self._left:
            self._left.add(session)
            self._count(c.SESSIONS_LEFT, (reason,))

    def _leave_for_good(self, sessions: set[str]) -> None:
        """Whoever could have deleted them is gone."""
        for session in sessions:
            if session in self._open:
                self._leave(session, v.WORKER_LOST)
            elif session in self._doubtful:
                self._leave(session, v.DOUBTFUL)

    def _step_finished(self, event: StepFinished) -> None:
        if event.purpose != LOAD:
            return
        running = self._running.get(event.session)
        if running is not None:
            running.saw(event)
        scenario = self._unknown if running is None else running.scenario
        step, outcome = event.step, event.outcome
        shown = v.outcome(event)
        key = (scenario, step, shown)
        took_s = (event.t_ns - event.started_ns) / 1e9
        traced = (
            outcome is Outcome.FAILED
            or self._trace_share >= 1
            or in_share(event.session, self._trace_share)
            or self._bounds.broken_by(event, running)
        )
        if event.attempt == 1:
            place = self._observe(c.STEP_DURATION, key, took_s)
            if traced:
                self._exemplify(c.STEP_DURATION, key, place, took_s, event.t_ns, event.session, event.span_id)
        if outcome is Outcome.FAILED and event.failure is not None:
            self._count(c.LIFECYCLE_ERRORS, (scenario, step, event.failure.code))
            if step is not Step.CONVERSE or running is None or not running.failed:
                self._series.failed(step, event.failure)
            if running is not None:
                running.failed = True
        samples = self._sample(event, running, scenario)
        if step is Step.TURN:
            self._count(c.TURNS, (scenario, shown))
            for what, sampler in TAKING_SAMPLERS.items():
                if (so := sampler(event, running)) is not None:
                    self._count(c.TAKING_OF, (scenario, what))
                    self._count(c.TAKING_SO, (scenario, what), so)
            for metric, took_s, place in samples:
                if metric is c.FIRST_AUDIO and running is not None and running.connect_ns:
                    self._waited(took_s, minutes=(event.started_ns - running.connect_ns) / 60e9)
                if traced:
                    self._exemplify(metric, (scenario,), place, took_s, event.t_ns, event.session, event.span_id)
        elif running is not None:
            self._active[(running.state,)] -= 1
            running.state = _AFTER[step] if outcome is Outcome.OK else Step.DELETE
            self._active[(running.state,)] += 1
            running.connect_ns = event.t_ns  # of the step after this one; read while that is connect
            if running.secret is not None and step in ON_A_SECRET:
                self._observe(c.SECRET_AGE, (step,), running.secret.age_s(event.started_ns))

    def _sample(self, event: Event, running: _Running | None, scenario: str) -> list[tuple[c.Metric, float, int]]:
        """Into the histograms of the indicators that it is a sample of: which, its value, the place of its bucket."""
        found = []
        for metric, sampler in FED.get(source_of(event), ()):
            if (value := sampler(event, running)) is not None:
                found.append((metric, value, self._observe(metric, (scenario,) if metric.labels else (), value)))
        return found

    def _waited(self, waited_s: float, *, minutes: float) -> None:
        age = next((age for age, under in v.AGES.items() if minutes < under), v.OLDEST)
        self._count(c.ANSWERS_BY_AGE, (age,))
        self._count(c.WAITED_BY_AGE, (age,), waited_s)

    def _observed(self, event: Observed) -> None:
        mark = event.mark
        if mark not in _PHASES:
            return
        running = self._running.get(event.session)
        if running is None:
            return
        if running.state in TO_THE_ROOM and mark not in running.phases:
            running.phases.add(mark)
            self._observe(c.CONNECT_PHASE, (mark,), (event.t_ns - running.connect_ns) / 1e9)
        if mark is Mark.FIRST_FRAME and not running.seen:
            running.seen = True
            self._observe(c.FIRST_FRAME, (running.scenario,), (event.t_ns - running.started_ns) / 1e9)

    def _media_measured(self, event: MediaMeasured) -> None:
        if event.purpose != LOAD:
            return
        self._count(c.MEDIA_FRAMES, (), event.frames)
        self._count(c.MEDIA_UNDERRUNS, (), event.underruns)
        self._count(c.MEDIA_STALLED, (), event.stalled_ns / 1e9)
        self._sample(event, self._running.get(event.session), self._unknown)
        if event.heard_ns is not None:
            self._count(c.MEDIA_HEARD, (), event.heard_ns / 1e9)
        if event.packets_lost is not None:
            self._count(c.MEDIA_PACKETS, (), event.frames + event.packets_lost)
            self._count(c.MEDIA_LOST, (), event.packets_lost)

    def _gone_checked(self, event: GoneChecked) -> None:
        if event.purpose != LOAD:
            return
        self._count(c.GONE_CHECKS, (event.gone,))
        self._sample(event, self._running.get(event.session), self._unknown)

    def _session_finished(self, event: SessionFinished) -> None:
        failure = event.failure
        engine_died = failure is not None and failure.kind is Kind.ENGINE_DIED
        if not engine_died:  # of whose sessions nobody knows more than was heard
            (self._open.add if event.remains is Remains.LEAKED else self._open.discard)(event.session)
            self._doubtful.discard(event.session)
        if event.purpose != LOAD:
            return
        scenario = event.scenario if event.scenario in self._scenarios else OTHER
        running = self._running.pop(event.session, None)
        if running is not None:
            self._active[(running.state,)] -= 1
        ended = (scenario, v.outcome(event))
        self._count(c.SESSIONS, ended)
        self._observe(c.SESSION_DURATION, ended, (event.t_ns - event.started_ns) / 1e9)
        if failure is not None and event.outcome is Outcome.FAILED and (running is None or not running.failed):
            # No step said so: the engine died in the middle of one, or the session outlived its delete.
            self._count(c.LIFECYCLE_ERRORS, (scenario, failure.step, failure.code))
            self._series.failed(failure.step, failure)
        if engine_died:
            self._unsettled.add(event.session)
        elif event.remains is Remains.DOUBTFUL:
            self._leave(event.session, v.DOUBTFUL)
        elif event.remains is Remains.LEAKED:
            self._leave(event.session, "still_alive" if event.gone is Gone.STILL_ALIVE else "delete_failed")

    def _run_finished(self, event: RunFinished) -> None:
        self._own_state.handlers[RunFinished](event)
        self._leave_for_good(self._unsettled)
        self._unsettled.clear()

    def _iteration_dropped(self, event: IterationDropped) -> None:
        if event.purpose == LOAD:
            scenario = event.scenario if event.scenario in self._scenarios else OTHER
            self._count(c.ITERATIONS_DROPPED, (scenario, event.reason))
