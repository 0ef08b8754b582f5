"""Locust's own table: a progress display, never a source."""

from typing import TYPE_CHECKING

from loadtest.events.kinds import LOAD, Event, Failure, Outcome, SessionFinished, Sink, Step, StepFinished

if TYPE_CHECKING:
    from locust.env import Environment

KEPT_S = 60
KEPT_POINTS = 720


def sink(environment: "Environment") -> Sink:
    """A sink that shows load sessions, their steps and their turns as Locust's "requests".

    A failure is shown as "kind/code": text of the target would make a row of its own each time. A cancelled step is not
    the target's failure and is left out.
    """
    fire = environment.events.request.fire

    def show(request_type: str, name: str, length_ns: int | None, outcome: Outcome, failure: Failure | None) -> None:
        if outcome is Outcome.CANCELLED:
            return
        fire(
            request_type=request_type,
            name=name,
            response_time=None if length_ns is None else length_ns / 1e6,
            response_length=0,
            exception=_text(failure) if outcome is Outcome.FAILED else None,
            context={},
        )

    def take(event: Event) -> None:
        if isinstance(event, StepFinished):
            if event.purpose != LOAD:
                return
            if event.step is Step.TURN:
                show("turn", "time to first audio", event.first_audio_ns, event.outcome, event.failure)
            else:
                show("step", event.step.value, event.t_ns - event.started_ns, event.outcome, event.failure)
        elif isinstance(event, SessionFinished) and event.purpose == LOAD:
            show("session", event.scenario, event.t_ns - event.started_ns, event.outcome, event.failure)

    return take


def _text(failure: Failure | None) -> str:
    return "failed" if failure is None else f"{failure.kind}/{failure.code}"


def forget_old(environment: "Environment", *, now_s: float) -> None:
    """Drop what Locust keeps per second and per chart point of a whole run: its table needs ten seconds, its charts an
    hour, and hours of it are memory that only grows. Call it now and then; `now_s` is unix time."""
    stats = environment.stats
    for entry in [stats.total, *stats.entries.values()]:
        for per_second in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
            for second in [second for second in per_second if second < now_s - KEPT_S]:
                del per_second[second]
    del stats.history[:-KEPT_POINTS]


def install_precise_buckets() -> None:
    """Have Locust keep response times to three digits instead of two: 147 ms stays 147 and does not become 150."""
    from locust import stats

    stats.bucket_response_time = bucket_response_time


def bucket_response_time(response_time: float) -> int:
    """Milliseconds, rounded to a whole one and to three digits: at most a few thousand different values in a run."""
    milliseconds = round(response_time)
    step = 1
    while milliseconds >= 1000 * step:
        step *= 10
    return round(milliseconds / step) * step
