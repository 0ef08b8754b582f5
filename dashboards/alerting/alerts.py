"""The alerts of a run. Each has a section of its name in RUNBOOK.md.

They wake a person; they stop nothing (the harness stops itself). What a run has counted is read with `max_over_time`
instead of `increase`: it is exact, it is seen also if the series was born above 0, and it stays for an hour after the
run and its scrape target are gone.
"""

from dataclasses import dataclass
from typing import Any, Final

from dashboards.promql import edge, larger, one_of, selector
from exporters.metrics import catalogue as c
from exporters.metrics.labels import DOUBTFUL, LEAKED
from loadtest.criteria import stage_health
from loadtest.criteria.slo import DEFAULT_SLOS, DROPPED
from loadtest.events.vocabulary import Fault

OBJECTIVE: Final = next(slo.objective for slo in DEFAULT_SLOS if slo.indicator == "session.failed_rate")
"""Share of sessions that may fail: the error budget."""

FAST_BURN, SLOW_BURN = 14.4, 6.0
"""How many times faster than allowed: a month's budget in two days, or in five."""

ERRORS_HIGH: Final = 5 * OBJECTIVE
ENOUGH: Final = 20
"""Fewer sessions, steps or answers in a window are an anecdote."""

SETUP_S: Final = 10.0
FIRST_AUDIO_S: Final = 2.0
SECRET_MARGIN_S: Final = 10.0
"""Edges of their histograms' buckets: there a quantile is exact."""

LAG_S: Final = stage_health.INVALID_LAG_NS / 1e9
CPU_RATIO: Final = stage_health.SUSPECT_CPU_PERCENT / 100
"""From where the report calls a run invalid or suspect."""

UNDERRUNS_PER_SESSION: Final = 0.1
PACKETS_LOST: Final = 0.02
"""From a few per cent on a codec can no longer conceal what is missing."""
ENOUGH_PACKETS: Final = 1000
"""20 s of sound."""

OVER_TARGET: Final = 1.2
STALE_S: Final = 10.0
_FAULTS_TOLD: Final = [fault for fault in Fault if fault not in (Fault.SINK_FAILED, Fault.WORKER_LOST)]
"""Those that make a run invalid, without the one that has an alert of its own."""
DROPPED_SHARE: Final = DROPPED.objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`held`: for how long `expr` must be true. The summary names what to look at, the description says it whole."""

    name: str
    severity: str
    expr: str
    summary: str
    description: str
    held: str = "0s"

    def rule(self, runbook_url: str) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.held,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": runbook_url,
            },
        }


def _counted(metric: c.Metric, by: str, part: str = "", **labels: str) -> str:
    """What the run has counted so far, or had at its end within the last hour."""
    return f"sum by ({by}) (max_over_time({selector(metric, part, **labels)}[1h]))"


def _sum(metric: c.Metric) -> str:
    return f"sum by (job, instance) ({selector(metric)})"


def _last(metric: c.Metric, window: str) -> str:
    return f"sum by (job, instance) (last_over_time({selector(metric)}[{window}]))"


def _burn(short: str, long: str, factor: float, age_s: int) -> str:
    above = f"> {factor * OBJECTIVE:g}"
    ratio = "avaload:sessions_failed:ratio_rate"
    # A window that the run has not filled yet says nothing about a window of that length.
    return (
        f"{ratio}{short} {above} and {ratio}{long} {above} and on (job, instance) avaload:run_age_seconds > {age_s:d}"
    )


ALERTS: Final = (
    Alert(
        name="SessionsLeftBehind",
        severity="critical",
        expr=_counted(c.SESSIONS_LEFT, "job, instance, reason", reason=one_of(LEAKED)) + " > 0",
        summary="{{ $value }} sessions left behind by {{ $labels.instance }} ({{ $labels.reason }})",
        description="Sessions that still run, and cost, at the target although the run is done with them. "
        "`avaload sweep RUN_DIR` deletes what can be deleted.",
    ),
    Alert(
        name="OpenAfterRun",
        severity="critical",
        held="1m",
        # Not by SESSIONS_ACTIVE, which is of load alone: active checks hold sessions open on purpose.
        expr=f"{_last(c.SESSIONS_OPEN, '1h')} > 0 and {_last(c.RUN_ACTIVE, '1h')} == 0",
        summary="{{ $value }} sessions are open and {{ $labels.instance }} has ended",
        description="Created at the target, not confirmed deleted, and the run is over: nobody will delete them.",
    ),
    Alert(
        name="OpenAboveTarget",
        severity="critical",
        held="1m",
        # Where a plan steps down, sessions of the level before go on to their end: they are open, and they run.
        expr=f"{_sum(c.SESSIONS_OPEN)} > {OVER_TARGET:g} * {larger(_sum(c.SESSIONS_TARGET), _sum(c.SESSIONS_ACTIVE))}",
        summary="{{ $value }} sessions of {{ $labels.instance }} are open: more than were asked for",
        description=f"More than {OVER_TARGET:g} times as many sessions as the plan asks for, or as still run, are "
        "created and not confirmed deleted: sessions are being lost, or deletes don't come through.",
    ),
    Alert(
        name="SessionErrorsHigh",
        severity="critical",
        held="1m",
        expr=f"avaload:sessions_failed:ratio_rate5m > {ERRORS_HIGH:g}"
        f" and avaload:sessions_ended:increase5m >= {ENOUGH}",
        summary="{{ $value | humanizePercentage }} of the sessions of {{ $labels.scenario }} fail",
        description=f"Over 5 minutes, at least {ENOUGH} sessions; {OBJECTIVE:.0%} may fail.",
    ),
    Alert(
        name="ErrorBudgetBurnFast",
        severity="critical",
        held="2m",
        expr=_burn("5m", "1h", FAST_BURN, 3600),
        summary=f"{{{{ $labels.scenario }}}} burns its error budget more than {FAST_BURN:g} times too fast",
        description="{{ $value | humanizePercentage }} of the sessions of the last 5 minutes failed, and as many in "
        f"the last hour; {OBJECTIVE:.0%} may. Silent until the run is an hour old.",
    ),
    Alert(
        name="WorkerLost",
        severity="critical",
        expr=_counted(c.GENERATOR_FAULTS, "job, instance", fault="worker_lost") + " > 0",
        summary="{{ $labels.instance }} lost {{ $value }} of its load processes",
        description="Silent for longer than a pause. Its engine deletes its sessions on its own; the run is invalid.",
    ),
    Alert(
        name="ExporterDown",
        severity="critical",
        held="30s",
        # A target that vanishes after the run has ended is as it should be: then no session was running. One that is
        # discovered anew each time, such as a pod, takes its `up` along; one that is pushed to never had any.
        expr=f"{_last(c.SESSIONS_ACTIVE, '10m')} > 0 unless on (job, instance) up == 1"
        " and on (job, instance) last_over_time(up[10m])",
        summary="{{ $labels.instance }} vanished while sessions were running",
        description="Nothing is known about the run from here on, also not whether its sessions were deleted.",
    ),
    Alert(
        name="SessionsDoubtful",
        severity="warning",
        expr=_counted(c.SESSIONS_LEFT, "job, instance", reason=DOUBTFUL) + " > 0",
        summary="{{ $value }} doubtful sessions of {{ $labels.instance }}",
        description="Their create was not answered, or answered 5xx: behind a gateway's error a session may exist. It "
        "has no id, so nobody can delete it; it ends by `user_absent_timeout`.",
    ),
    Alert(
        name="ErrorBudgetBurnSlow",
        severity="warning",
        held="15m",
        expr=_burn("30m", "6h", SLOW_BURN, 21600),
        summary=f"{{{{ $labels.scenario }}}} burns its error budget more than {SLOW_BURN:g} times too fast",
        description="{{ $value | humanizePercentage }} of the sessions of the last 30 minutes failed, and as many in "
        f"the last 6 hours; {OBJECTIVE:.0%} may. Silent until the run is 6 hours old.",
    ),
    Alert(
        name="StepErrorsHigh",
        severity="warning",
        held="1m",
        expr=f"avaload:steps_failed:ratio_rate5m > {ERRORS_HIGH:g} and avaload:steps_ended:increase5m >= {ENOUGH}",
        summary="{{ $value | humanizePercentage }} of {{ $labels.step }} fail in {{ $labels.scenario }}",
        description=f"Over 5 minutes, at least {ENOUGH} of them. The board Sessions and steps shows by what.",
    ),
    Alert(
        name="SetupSlow",
        severity="warning",
        held="2m",
        expr=f"avaload:session_setup_duration_seconds:p95_5m > {edge(c.SESSION_SETUP, SETUP_S)}"
        f" and avaload:sessions_set_up:increase5m >= {ENOUGH}",
        summary="Set-up of {{ $labels.scenario }} takes {{ $value | humanizeDuration }} (p95)",
        description=f"From the start of the mint until the session is connected; {SETUP_S:g} s are expected. "
        f"Over 5 minutes, at least {ENOUGH} sessions.",
    ),
    Alert(
        name="TurnSlow",
        severity="warning",
        held="2m",
        expr=f"avaload:time_to_first_audio_seconds:p95_5m > {edge(c.FIRST_AUDIO, FIRST_AUDIO_S)}"
        f" and avaload:answers_heard:increase5m >= {ENOUGH}",
        summary="Users of {{ $labels.scenario }} wait {{ $value | humanizeDuration }} for an answer (p95)",
        description=f"From the end of the user's speech to the first audible sample; {FIRST_AUDIO_S:g} s are expected. "
        f"Over 5 minutes, at least {ENOUGH} answers.",
    ),
    Alert(
        name="SpeechBreaksUp",
        severity="warning",
        held="1m",
        expr=f"avaload:media_underruns:increase5m / avaload:media_sessions:increase5m > {UNDERRUNS_PER_SESSION:g}"
        f" and avaload:media_sessions:increase5m >= {ENOUGH}",
        summary='Speech breaks up for {{ $labels.instance }}, {{ $value | printf "%.2g" }} times per session',
        description=f"Over 5 minutes, at least {ENOUGH} sessions that heard it speak. A player with a buffer of 100 ms "
        "had nothing to play: its frames came late, or not at all, or this generator was late itself.",
    ),
    Alert(
        name="PacketLossHigh",
        severity="warning",
        held="1m",
        expr=f"avaload:media_packets_lost:increase5m / avaload:media_packets_expected:increase5m > {PACKETS_LOST:g}"
        f" and avaload:media_packets_expected:increase5m >= {ENOUGH_PACKETS}",
        summary="{{ $value | humanizePercentage }} of the avatar's packets did not reach {{ $labels.instance }}",
        description=f"Over 5 minutes, at least {ENOUGH_PACKETS} packets. They never came, or too late to be heard.",
    ),
    Alert(
        name="RateLimited",
        severity="warning",
        expr=_counted(
            c.LIFECYCLE_ERRORS,
            "job, instance, scenario, step, error_type",
            error_type="~rate_limited|quota|limits_exceeded",
        )
        + " > 0",
        summary="{{ $labels.step }} of {{ $labels.scenario }} is refused: {{ $labels.error_type }}",
        description="{{ $value }} times in the run. What is measured now is the limit of an account, not the service.",
    ),
    Alert(
        name="TargetNotReached",
        severity="warning",
        held="1m",
        expr="avaload:iterations_dropped:increase5m / (avaload:iterations_dropped:increase5m"
        f" + avaload:sessions_started:increase5m) > {DROPPED_SHARE:g}",
        summary="{{ $value | humanizePercentage }} of the due sessions of {{ $labels.scenario }} never started",
        description="The load is below the plan: too late, no free user, or no engine.",
    ),
    Alert(
        name="GeneratorSaturated",
        severity="warning",
        held="1m",
        # With sessions in progress: what a process needs for its own start and end slows nobody down.
        expr=f"(max by (job, instance, worker) ({selector(c.WORKER_LAG, source='engine')}) > {LAG_S:g}"
        f" or max by (job, instance, worker) ({selector(c.WORKER_CPU)}) > {CPU_RATIO:g})"
        f" and on (job, instance) {_sum(c.SESSIONS_ACTIVE)} > 0",
        summary="Load process {{ $labels.worker }} of {{ $labels.instance }} is saturated",
        description=f"Its event loop lags by more than {LAG_S * 1000:g} ms or it uses more than {CPU_RATIO:.0%} of a "
        "core: what is slow now may be the generator.",
    ),
    Alert(
        name="WorkerReportsStale",
        severity="warning",
        expr=f"max by (job, instance, worker) ({selector(c.WORKER_REPORT_AGE)}) > {STALE_S:g}",
        summary="Load process {{ $labels.worker }} of {{ $labels.instance }} is silent for {{ $value }} s",
        description="Its gauges have left, its sessions are unknown, and it is not dead: frozen, or cut off from its "
        "master. If it comes back, everything is counted.",
    ),
    Alert(
        name="GeneratorFault",
        severity="warning",
        expr=_counted(c.GENERATOR_FAULTS, "job, instance, fault", fault="~" + "|".join(_FAULTS_TOLD)) + " > 0",
        summary="{{ $labels.instance }} had a fault of its own: {{ $labels.fault }}",
        description="{{ $value }} times in the run, which is invalid: its numbers must not be used.",
    ),
    Alert(
        name="SecretMarginLow",
        severity="warning",
        expr=_counted(c.SECRET_MARGIN, "job, instance", "_bucket", le=edge(c.SECRET_MARGIN, SECRET_MARGIN_S)) + " > 0",
        summary=f"Secrets had {SECRET_MARGIN_S:g} s or less left when their sessions were connected",
        description="{{ $value }} sessions of the run. A slower day and they can't start any more.",
    ),
    Alert(
        name="TelemetryDropping",
        severity="info",
        expr=" or ".join(
            f"{_counted(metric, 'job, instance')} > 0" for metric in (c.SINK_ERRORS, c.EVENTS_LOST, c.SPANS_DROPPED)
        ),
        summary="{{ $value }} events or spans of {{ $labels.instance }} did not get out",
        description="The journals have them: the report is right, these metrics, boards and traces lack something.",
    ),
)
"""The gravest first."""
