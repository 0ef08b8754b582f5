"""Every metric of avaload, once: name, kind, help, labels and their closed values, buckets.

METRICS.md is generated from here: `python -m exporters.catalogue > METRICS.md`. Base units (seconds, bytes, ratios).
Never a label: session and trace ids, URLs, text. The run's id is on `avaload_run_info` alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from loadtest.errors import Code
from loadtest.events import DropReason, Fault, Gone, Mark, Outcome, Step
from loadtest.rules.statements import RULES
from loadtest.slo import SECONDS, Slo

OTHER: Final = "other"
"""Value of a label whose true value isn't in its set: a bug elsewhere, kept visible and bounded."""


class Type(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label and all its values. `values` is None where the run sets them: scenarios, workers, the run's own facts."""

    name: str
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric family.

    `buckets`: upper edges of a histogram, without +Inf. `of_run`: a gauge that is true of the run, not a share of
    it, so values of several processes are not added up: the largest is shown.
    """

    name: str
    type: Type
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    of_run: bool = False

    def initial(self, scenarios: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Label values of every series that is known beforehand: born at 0, its first step is seen by `increase()`."""
        values: list[Iterable[str]] = []
        for label in self.labels:
            if label.name == "scenario":
                values.append(scenarios)
            elif label.values is None:
                return
            else:
                values.append(label.values)
        yield from product(*values)


def _values(enum: type[StrEnum]) -> tuple[str, ...]:
    return tuple(member.value for member in enum)


SCENARIO: Final = Label(name="scenario")
WORKER: Final = Label(name="worker")  # index of the load process in the run
SOURCE: Final = Label(name="source", values=("engine", "hub"))
STEP: Final = Label(name="step", values=_values(Step))
OUTCOME: Final = Label(name="outcome", values=_values(Outcome))
STATE: Final = Label(name="state", values=tuple(step.value for step in Step if step is not Step.TURN))
# A cancelled step is excluded from the service levels and shows as outcome="cancelled".
ERROR_TYPE: Final = Label(name="error_type", values=tuple(code.value for code in Code if code is not Code.CANCELLED))
LEFT_REASON: Final = Label(name="reason", values=("delete_failed", "still_alive", "create_unanswered", "worker_lost"))
PHASE: Final = Label(
    name="phase",
    values=tuple(
        mark.value
        for mark in (
            Mark.SDK_SESSION,
            Mark.SIGNALLED,
            Mark.ICE_CONNECTED,
            Mark.DTLS_CONNECTED,
            Mark.JOINED,
            Mark.AVATAR_PRESENT,
            Mark.FIRST_FRAME,
        )
    ),
)
SINK: Final = Label(name="sink")  # the names that the composition root gives to its sinks

# Near-geometric and round: a quantile read from them is off by some per cent. An SLO's threshold should be an edge.
LATENCY_S: Final = (
    0.01, 0.015, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7,
    1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
)  # fmt: skip
PHASE_S: Final = (0.01, 0.03, 0.07, 0.15, 0.3, 0.7, 1.5, 3.0, 7.0, 15.0, 30.0, 60.0)
LENGTH_S: Final = (
    1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0,
    1200.0, 1800.0, 2700.0, 3600.0,
)  # fmt: skip
LAG_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SECRET_AGE_S: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
SECRET_MARGIN_S: Final = (0.0, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)


SESSIONS_ACTIVE: Final = Metric(
    name="avaload_sessions_active",
    type=Type.GAUGE,
    labels=(STATE,),
    help="Sessions that run, by the step that they are in: the one after the last that they finished",
)
SESSIONS_OPEN: Final = Metric(
    name="avaload_sessions_open",
    type=Type.GAUGE,
    help="Sessions that were created at the target and not confirmed deleted, those of probes included",
)
SESSIONS_UNKNOWN: Final = Metric(
    name="avaload_sessions_unknown",
    type=Type.GAUGE,
    of_run=True,
    help="Sessions of silent or dead load processes that may be open: their journals or their return will tell",
)
SESSIONS_TARGET: Final = Metric(
    name="avaload_sessions_target",
    type=Type.GAUGE,
    of_run=True,
    help="Concurrent sessions that the plan asks for now; 0 where it asks for a rate",
)
USERS: Final = Metric(
    name="avaload_users", type=Type.GAUGE, help="Virtual users that exist, in a session or waiting for their next"
)
SESSIONS_STARTED: Final = Metric(
    name="avaload_sessions_started_total", type=Type.COUNTER, labels=(SCENARIO,), help="Sessions that were started"
)
SESSIONS: Final = Metric(
    name="avaload_sessions_total",
    type=Type.COUNTER,
    labels=(SCENARIO, OUTCOME),
    help="Sessions that ended, by outcome",
)
SESSIONS_LEFT: Final = Metric(
    name="avaload_sessions_left_total",
    type=Type.COUNTER,
    labels=(LEFT_REASON,),
    help="Sessions that may still be at the target although we are done with them",
)
ITERATIONS_DROPPED: Final = Metric(
    name="avaload_iterations_dropped_total",
    type=Type.COUNTER,
    labels=(SCENARIO, Label(name="reason", values=_values(DropReason))),
    help="Sessions that were due and never started",
)
SESSION_DURATION: Final = Metric(
    name="avaload_session_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(SCENARIO, OUTCOME),
    buckets=LENGTH_S,
    help="Length of a whole session, from its start to its last look after the delete",
)
SESSION_SETUP: Final = Metric(
    name="avaload_session_setup_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(SCENARIO,),
    buckets=LATENCY_S,
    help="From the start of a session to the avatar's first media frame; sessions that got one",
)
STEP_DURATION: Final = Metric(
    name="avaload_step_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(SCENARIO, STEP, OUTCOME),
    buckets=LATENCY_S,
    help="Time that a step took; each attempt of a delete counts, a turn is a part of converse",
)
CONNECT_PHASE: Final = Metric(
    name="avaload_connect_phase_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(PHASE,),
    buckets=PHASE_S,
    help="From the start of connect until that phase was reached; which phases there are depends on the room",
)
LIFECYCLE_ERRORS: Final = Metric(
    name="avaload_lifecycle_errors_total",
    type=Type.COUNTER,
    labels=(SCENARIO, STEP, ERROR_TYPE),
    help="Steps that failed, by what failed them; a failed turn fails its converse step too and counts in both",
)
FIRST_AUDIO: Final = Metric(
    name="avaload_time_to_first_audio_seconds",
    type=Type.HISTOGRAM,
    labels=(SCENARIO,),
    buckets=LATENCY_S,
    help="From the end of the user's speech to the first audible sample of the answer, heard in the audio",
)
BARGE_IN: Final = Metric(
    name="avaload_barge_in_seconds",
    type=Type.HISTOGRAM,
    labels=(SCENARIO,),
    buckets=LATENCY_S,
    help="From the user's speech over the avatar to the avatar's last audible frame",
)
TURNS: Final = Metric(
    name="avaload_turns_total",
    type=Type.COUNTER,
    labels=(SCENARIO, OUTCOME),
    help="Turns of conversations that ended, by outcome",
)
SECRET_AGE: Final = Metric(
    name="avaload_secret_age_seconds",
    type=Type.HISTOGRAM,
    labels=(Label(name="at", values=("create", "connect")),),
    buckets=SECRET_AGE_S,
    help="Age of the client secret when that step began",
)
SECRET_MARGIN: Final = Metric(
    name="avaload_secret_margin_seconds",
    type=Type.HISTOGRAM,
    buckets=SECRET_MARGIN_S,
    help="Life left in the client secret when the session was connected; le=0: it had expired (counts as 0 in the sum)",
)
TIME_TO_GONE: Final = Metric(
    name="avaload_time_to_gone_seconds",
    type=Type.HISTOGRAM,
    buckets=LATENCY_S,
    help="From sending the delete to the proof that the session was gone",
)
GONE_CHECKS: Final = Metric(
    name="avaload_gone_checks_total",
    type=Type.COUNTER,
    labels=(Label(name="outcome", values=_values(Gone)),),
    help="Looks after a delete, by what they showed",
)
SCHEDULE_LAG: Final = Metric(
    name="avaload_schedule_lag_seconds",
    type=Type.HISTOGRAM,
    buckets=LAG_S,
    help="How late sessions started after they were due: the generator's fault",
)
LOOP_LAG: Final = Metric(
    name="avaload_loop_lag_seconds",
    type=Type.HISTOGRAM,
    labels=(SOURCE,),
    buckets=LAG_S,
    help="Worst lag of an event loop within each second; source: the session engine or Locust's hub",
)
GC_PAUSE: Final = Metric(
    name="avaload_gc_pause_seconds",
    type=Type.HISTOGRAM,
    labels=(SOURCE,),
    buckets=LAG_S,
    help="Longest pause of the garbage collector within each second",
)
PACING_ERROR: Final = Metric(
    name="avaload_pacing_error_seconds",
    type=Type.HISTOGRAM,
    buckets=LAG_S,
    help="How late audio frames left: the 99th percentile of each second",
)
POOL_WAIT: Final = Metric(
    name="avaload_pool_wait_seconds",
    type=Type.HISTOGRAM,
    buckets=LAG_S,
    help="Wait for a connection of our own pools: the 99th percentile of each second",
)
WORKER_LAG: Final = Metric(
    name="avaload_worker_loop_lag_seconds",
    type=Type.GAUGE,
    labels=(WORKER, SOURCE),
    help="99th percentile of the event loop's lag over the last second",
)
WORKER_CPU: Final = Metric(
    name="avaload_worker_cpu_ratio",
    type=Type.GAUGE,
    labels=(WORKER, SOURCE),
    help="CPU that the process used over the last second; 1 is one core",
)
WORKER_RSS: Final = Metric(
    name="avaload_worker_resident_memory_bytes",
    type=Type.GAUGE,
    labels=(WORKER, SOURCE),
    help="Resident memory of the process",
)
WORKER_UP: Final = Metric(
    name="avaload_worker_up",
    type=Type.GAUGE,
    labels=(WORKER,),
    of_run=True,
    help="1: the load process reports; 0: it is silent or dead",
)
WORKER_REPORT_AGE: Final = Metric(
    name="avaload_worker_report_age_seconds",
    type=Type.GAUGE,
    labels=(WORKER,),
    of_run=True,
    help="Age of the load process's last report, while the run goes on",
)
WORKER_REPORT_GAPS: Final = Metric(
    name="avaload_worker_report_gaps_total",
    type=Type.COUNTER,
    labels=(WORKER,),
    help="How often a load process fell silent; nothing is lost by it: reports are cumulative",
)
SPANS_EXPORTED: Final = Metric(
    name="avaload_spans_exported_total", type=Type.COUNTER, help="Spans that the OTLP endpoint took"
)
SPANS_DROPPED: Final = Metric(
    name="avaload_spans_dropped_total",
    type=Type.COUNTER,
    labels=(Label(name="reason", values=("queue_full", "refused", "unsent")),),
    help="Spans that did not get out: no room while the endpoint was slow, refused by it, or unsent at the end",
)
RULE_VIOLATIONS: Final = Metric(
    name="avaload_rule_violations_total",
    type=Type.COUNTER,
    labels=(Label(name="rule", values=tuple(RULES)),),
    help="Cases in which a rule of the contract was not kept, those of assumed rules included",
)
EVENTS_LOST: Final = Metric(
    name="avaload_events_lost_total",
    type=Type.COUNTER,
    help="Events that the engine could not pass on; they are in its journal, these metrics miss them",
)
SINK_ERRORS: Final = Metric(
    name="avaload_sink_errors_total",
    type=Type.COUNTER,
    labels=(SINK,),
    help="Events that a sink failed to take",
)
GENERATOR_FAULTS: Final = Metric(
    name="avaload_generator_faults_total",
    type=Type.COUNTER,
    labels=(Label(name="fault", values=_values(Fault)),),
    help="Faults of the generator itself",
)
RUN_INFO: Final = Metric(
    name="avaload_run_info",
    type=Type.GAUGE,
    labels=(Label(name="run_id"), SCENARIO, Label(name="version")),
    of_run=True,
    help="1, with the facts of the run as labels",
)
RUN_ACTIVE: Final = Metric(
    name="avaload_run_active",
    type=Type.GAUGE,
    of_run=True,
    help="1 from the start of the run until its last session ended, then 0",
)
RUN_START: Final = Metric(
    name="avaload_run_start_time_seconds",
    type=Type.GAUGE,
    of_run=True,
    help="Unix time of the run's start",
)

METRICS: Final = tuple(value for value in list(vars().values()) if isinstance(value, Metric))
"""In the order of this file, which is the order of METRICS.md and of the exposition."""

BY_NAME: Final = {metric.name: metric for metric in METRICS}


_JUDGED_BY: Final = {
    **{f"{step.value}.": STEP_DURATION for step in Step},
    "turn.time_to_first_audio.": FIRST_AUDIO,
    "turn.barge_in.": BARGE_IN,
    "session.setup.": SESSION_SETUP,
    "teardown.time_to_gone.": TIME_TO_GONE,
    "secret.margin.": SECRET_MARGIN,
}
"""How the indicator of a service level begins → the histogram that shows it. The longest that fits."""


def edges(slos: Iterable[Slo]) -> dict[str, tuple[float, ...]]:
    """Upper edges of each histogram of a run: the catalogue's and one at each of its service levels' bounds, so that
    the share of what met it is exact."""
    found = {metric.name: set(metric.buckets) for metric in METRICS if metric.buckets}
    for slo in slos:
        fitting = [start for start in _JUDGED_BY if slo.indicator.startswith(start)]
        if fitting and slo.unit == SECONDS:
            found[_JUDGED_BY[max(fitting, key=len)].name].add(slo.objective)
    return {name: tuple(sorted(own)) for name, own in found.items()}


_INTRODUCTION: Final = """\
One scrape target per run, `http://127.0.0.1:9646/metrics` by default. Load sessions only, unless the help says
otherwise. Every series whose labels are known beforehand starts at 0. Histograms get a further edge at each bound of
the run's service levels. Asked for OpenMetrics, the buckets of steps and turns carry exemplars: `trace_id` is the
session's id (`avaload session RUN_DIR ID`). The journals are the truth; these are views."""


def markdown() -> str:
    """METRICS.md."""
    lines = [
        "# Metrics",
        "",
        "Generated from `exporters/catalogue.py` by `python -m exporters.catalogue > METRICS.md`; do not edit.",
        "",
        _INTRODUCTION,
        "",
        "| metric | type | what it says |",
        "|---|---|---|",
    ]
    for metric in METRICS:
        labels = f"{{{','.join(label.name for label in metric.labels)}}}" if metric.labels else ""
        lines.append(f"| `{metric.name}{labels}` | {metric.type} | {metric.help} |")
    lines += ["", "## Labels", "", "| metric | label | values |", "|---|---|---|"]
    for metric in METRICS:
        for label in metric.labels:
            values = "set by the run" if label.values is None else ", ".join(f"`{value}`" for value in label.values)
            lines.append(f"| `{metric.name}` | `{label.name}` | {values} |")
    lines += ["", "## Buckets", "", "| metric | upper edges |", "|---|---|"]
    for metric in METRICS:
        if metric.buckets:
            lines.append(f"| `{metric.name}` | {' '.join(f'{edge:g}' for edge in metric.buckets)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
