"""A session's events as OpenTelemetry spans: session → steps → turns, with the ids that the events carry.

The names of attributes are here and in `conventions.py`, and nowhere else. No text of a conversation, no address of a
room, no key: ids, closed words, numbers, the services' URLs, and the redacted detail of a failure as the status's
description.
"""

import hashlib
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from exporters.traces.conventions import (
    NO_FACTS,
    SCHEMA_URL,
    Answering,
    Attributes,
    Facts,
    answered,
    asked_for,
    ends_of_answers,
)
from loadtest.config.keys.scenario import ANSWERED
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    STEPS,
    Event,
    Failure,
    GoneChecked,
    MediaMeasured,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    RunStarted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class Run(Protocol):
    """Whose telemetry it is."""

    @property
    def run_id(self) -> str: ...

    @property
    def host(self) -> str: ...


def resource(run: Run, *, version: str | None, started_at: str | None) -> Resource:
    """Who speaks: avaload, this run on that host. OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME add to it, and win.
    `version`: that ran it, which need not be the one that exports it; `started_at`: of settings.json; None: not
    known."""
    ours = {
        "service.name": "avaload",
        **({} if version is None else {"service.version": version}),
        "service.instance.id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{_this_run(run.run_id, started_at)}/{run.host}")),
        "host.name": run.host,
    }
    named_by_the_company = OTELResourceDetector().detect()
    return Resource.create(ours, SCHEMA_URL).merge(named_by_the_company).merge(Resource({"avaload.run.id": run.run_id}))


@lru_cache(maxsize=8)
def scope(version: str | None) -> InstrumentationScope:
    """Of the spans of a run of that version."""
    return InstrumentationScope("avaload", version, SCHEMA_URL)


def _this_run(run_id: str, started_at: str | None) -> str:
    """The id is the directory's name, which a pipeline may give to each of its runs; with the moment it is one's."""
    return run_id if started_at is None else f"{run_id} {started_at}"


@lru_cache(maxsize=8)
def run_context(run_id: str, started_at: str | None) -> SpanContext:
    """Trace and span of the run itself (`run_span.py`), the same whoever asks; its sessions' spans link to it."""
    digest = hashlib.sha256(_this_run(run_id, started_at).encode()).hexdigest()
    return SpanContext(int(digest[:32], 16), int(digest[32:48], 16), is_remote=False, trace_flags=_SAMPLED)


def died(started: SessionStarted, events: Sequence[Event]) -> SessionFinished:
    """The end of a session whose engine was killed, as far as its events go."""
    step: Step = STEPS[0]
    remains, t_ns = Remains.NOTHING, started.t_ns
    for event in events:
        t_ns = max(t_ns, event.t_ns)
        if isinstance(event, RemainsChanged):
            remains = event.remains
        elif isinstance(event, StepFinished):
            step = event.step
    return SessionFinished(
        t_ns=t_ns,
        session=started.session,
        scenario=started.scenario,
        started_ns=started.t_ns,
        due_ns=started.due_ns,
        outcome=Outcome.FAILED,
        remains=remains,
        failure=Failure(step=step, kind=Kind.ENGINE_DIED, code=Code.ENGINE_DIED),
        purpose=started.purpose,
    )


def spans(
    started: SessionStarted,
    events: Sequence[Event],
    finished: SessionFinished,
    *,
    run: RunStarted,
    offset_ns: int,
    resource: Resource,
    facts: Facts = NO_FACTS,
) -> list[ReadableSpan]:
    """All spans of one session, the session's own first.

    `offset_ns`: wall clock minus the events' clock; one for the whole session, so that lengths are exact.
    """
    return _Trace(started, finished, run=run, offset_ns=offset_ns, resource=resource, facts=facts).build(events)


class _Trace:
    def __init__(
        self,
        started: SessionStarted,
        finished: SessionFinished,
        *,
        run: RunStarted,
        offset_ns: int,
        resource: Resource,
        facts: Facts,
    ) -> None:
        self._started, self._finished, self._run = started, finished, run
        self._offset_ns, self._resource, self._facts = offset_ns, resource, facts
        self._trace_id = int(started.session, 16)
        self._places = {"user": str(started.user), "trace_id": started.session}

    def build(self, events: Sequence[Event]) -> list[ReadableSpan]:
        steps = [event for event in events if isinstance(event, StepFinished)]
        for event in events:
            if isinstance(event, RemainsChanged) and event.target_session_id is not None:
                self._places["session_id"] = event.target_session_id
        steps += _unfinished(steps, self._started, self._finished)
        marks: dict[str, list[SpanEvent]] = {step.span_id: [] for step in steps}
        marks[self._started.span_id] = []
        for event in events:
            if isinstance(event, Observed):
                marks[_place(event, steps, self._started.span_id)].append(self._mark(event.mark.value, event.t_ns))
            elif isinstance(event, GoneChecked):
                attributes: Attributes = {"avaload.gone": event.gone.value, "avaload.looks": event.looks}
                marks[self._started.span_id].append(self._mark("gone_checked", event.t_ns, attributes))
        ends = ends_of_answers(step for step in steps if step.step is Step.TURN)
        return [
            self._session(events, marks[self._started.span_id]),
            *(self._step(step, marks[step.span_id], ended=ends.get(step.span_id)) for step in steps),
        ]

    def _session(self, events: Sequence[Event], marks: list[SpanEvent]) -> ReadableSpan:
        started, finished = self._started, self._finished
        attributes: Attributes = {
            "session.id": started.session,
            "avaload.run.id": self._run.run_id,
            "avaload.scenario": started.scenario,
            "avaload.worker": self._run.process,
            "avaload.purpose": started.purpose,
            "avaload.outcome": finished.outcome.value,
            "avaload.remains": finished.remains.value,
            "avaload.censored": finished.censored,
            "avaload.lateness_s": (started.t_ns - started.due_ns) / 1e9,
        }
        if finished.gone is not None:
            attributes["avaload.gone"] = finished.gone.value
        if finished.ended_by is not None:
            attributes["avaload.ended_by"] = finished.ended_by.value
        if "session_id" in self._places:
            attributes["avaload.target_session.id"] = self._places["session_id"]
        for event in events:
            if isinstance(event, MediaMeasured):
                attributes |= _media(event)
        return self._span(
            "avaload.session",
            span_id=started.span_id,
            parent_id=None,
            start_ns=started.t_ns,
            end_ns=finished.t_ns,
            attributes=attributes,
            marks=marks,
            outcome=finished.outcome,
            failure=finished.failure,
        )

    def _step(self, step: StepFinished, marks: list[SpanEvent], *, ended: str | None) -> ReadableSpan:
        attributes: Attributes = {"avaload.step": step.step.value, "avaload.outcome": step.outcome.value}
        if step.http_status is not None:
            attributes["http.response.status_code"] = step.http_status
        if step.attempt > 1:
            attributes["avaload.attempt"] = step.attempt
        if step.pool_wait_ns is not None:
            attributes["avaload.pool_wait_s"] = step.pool_wait_ns / 1e9
        if (host := self._facts.hosts.get(step.step)) is not None:
            attributes["server.address"], attributes["server.port"] = host
        if (call := self._facts.calls.get(step.step)) is not None:
            attributes |= call.attributes(step, self._places)
        answering = self._facts.answering.get(self._started.scenario, Answering())
        if step.step is Step.MINT and answering.model is not None:
            attributes |= asked_for(answering.model)
        if step.turn_kind in ANSWERED:
            attributes |= answered(ended=ended, answering=answering, conversation=self._started.session)
        if step.step is Step.TURN:
            if step.turn_kind is not None:
                attributes["avaload.turn.kind"] = step.turn_kind
            if step.turn is not None:
                attributes["avaload.turn.index"] = step.turn
            if step.first_audio_ns is not None:
                attributes["avaload.time_to_first_audio_s"] = step.first_audio_ns / 1e9
            if step.barge_in_ns is not None:
                attributes["avaload.barge_in_s"] = step.barge_in_ns / 1e9
            if step.dead_air_ns is not None:
                attributes["avaload.dead_air_s"] = step.dead_air_ns / 1e9
            if step.answer is not None:
                attributes["avaload.answer"] = step.answer
            if step.talk_over_ns:
                attributes["avaload.talk_over_s"] = step.talk_over_ns / 1e9
        return self._span(
            "avaload.turn" if step.step is Step.TURN else f"avaload.step {step.step.value}",
            span_id=step.span_id,
            parent_id=step.parent_id,
            start_ns=step.started_ns,
            end_ns=step.t_ns,
            attributes=attributes,
            marks=marks,
            outcome=step.outcome,
            failure=step.failure,
            kind=SpanKind.INTERNAL if call is None else SpanKind.CLIENT,
        )

    def _span(
        self,
        name: str,
        *,
        span_id: str,
        parent_id: str | None,
        start_ns: int,
        end_ns: int,
        attributes: Attributes,
        marks: list[SpanEvent],
        outcome: Outcome,
        failure: Failure | None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> ReadableSpan:
        status = Status(StatusCode.UNSET)
        if failure is not None:
            attributes["error.type"] = failure.code.value
        if outcome is Outcome.FAILED:
            status = Status(StatusCode.ERROR, failure.detail if failure is not None else None)
        return ReadableSpan(
            name,
            context=self._context(span_id),
            parent=None if parent_id is None else self._context(parent_id),
            resource=self._resource,
            attributes=attributes,
            events=marks,
            links=(Link(run_context(self._run.run_id, self._facts.started_at)),) if parent_id is None else (),
            kind=kind,
            status=status,
            start_time=start_ns + self._offset_ns,
            end_time=end_ns + self._offset_ns,
            instrumentation_scope=scope(self._facts.version),
        )

    def _context(self, span_id: str) -> SpanContext:
        return SpanContext(self._trace_id, int(span_id, 16), is_remote=False, trace_flags=_SAMPLED)

    def _mark(self, name: str, t_ns: int, attributes: Attributes | None = None) -> SpanEvent:
        return SpanEvent(name, attributes=attributes, timestamp=t_ns + self._offset_ns)


def _media(event: MediaMeasured) -> Attributes:
    found: Attributes = {"avaload.media.frames": event.frames, "avaload.media.underruns": event.underruns}
    found["avaload.media.stalled_s"] = event.stalled_ns / 1e9
    if event.gap_max_ns is not None:
        found["avaload.media.gap_max_s"] = event.gap_max_ns / 1e9
    if event.jitter_ns is not None:
        found["avaload.media.jitter_s"] = event.jitter_ns / 1e9
    if event.packets_lost is not None:
        found["avaload.media.packets_lost"] = event.packets_lost
    if event.messages_unwritten:
        found["avaload.media.messages_unwritten"] = event.messages_unwritten
    return found


def _unfinished(
    steps: Sequence[StepFinished], started: SessionStarted, finished: SessionFinished
) -> list[StepFinished]:
    """Steps that finished ones name as their parent and that never finished themselves: the engine died in them."""
    known = {step.span_id for step in steps} | {started.span_id}
    cut: dict[str, StepFinished] = {}
    for step in steps:
        if step.parent_id not in known and step.parent_id not in cut:
            cut[step.parent_id] = StepFinished(
                t_ns=finished.t_ns,
                session=started.session,
                step=Step.CONVERSE,
                started_ns=step.started_ns,
                outcome=finished.outcome,
                span_id=step.parent_id,
                parent_id=started.span_id,
                failure=finished.failure,
                purpose=started.purpose,
            )
    return list(cut.values())


def _place(event: Observed, steps: Sequence[StepFinished], session_span: str) -> str:
    """The span that a mark belongs to: its turn's, else that of the step that was going on, else the session's."""
    for step in steps:
        if event.turn is not None:
            if step.step is Step.TURN and step.turn == event.turn:
                return step.span_id
        elif step.step is not Step.TURN and step.started_ns <= event.t_ns <= step.t_ns:
            return step.span_id
    return session_span
