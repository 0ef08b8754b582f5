"""Boards about the run itself: whether the generator was fit to judge, and this run beside an earlier one.

The release board tells runs apart by `avaload_run_info`: whatever the run's target exposed while it also exposed that
run id belongs to it. Runs one after the other may share job and instance, and runs of different machines can be
compared; both must lie within the board's time range and Prometheus' retention.
"""

from typing import Final

from dashboards.alerting.alerts import CPU_RATIO, LAG_S, STALE_S
from dashboards.boards.sessions import ENDED
from dashboards.panels import HERE, RESOLUTION, Board, Kind, Panel, Query, here, now, quantiles, rate, total
from dashboards.promql import one_of, selector
from dashboards.tables import Column
from exporters.metrics import catalogue as c
from exporters.metrics.labels import DOUBTFUL, LEAKED

_WORKER: Final = "{{worker}} {{source}}"
_BOTH: Final = "run_id=~`${run:regex}|${baseline:regex}`"
"""Either run's id as it is: it may have any sign, so they are escaped, in a text where PromQL escapes nothing."""
_PER_WORKER: Final = "job, instance, worker, source"

HARNESS_HEALTH: Final = Board(
    name="harness-health",
    title="Harness health",
    description="Was the generator fit to judge the target? If not, the numbers of the other boards are ours.",
    rows={
        "Lateness": [
            Panel(
                title="Sessions started late",
                description="How late sessions started after they were due.",
                unit="s",
                queries=quantiles(c.SCHEDULE_LAG),
            ),
            Panel(
                title="Event loop lag per process",
                description="99th percentile of the last second. The engine's is in every number: 50 ms void a run.",
                unit="s",
                red_from=LAG_S,
                queries=[Query(now(c.WORKER_LAG, by=_PER_WORKER), _WORKER)],
            ),
            Panel(
                title="Audio frames sent late",
                description="The 99th percentile of each second.",
                unit="s",
                queries=quantiles(c.PACING_ERROR),
            ),
            Panel(
                title="Worst loop lag of each second",
                description="Of the session engine's loop.",
                unit="s",
                queries=quantiles(c.LOOP_LAG, source="engine"),
            ),
            Panel(
                title="Garbage collector's pauses",
                description="Longest pause of each second in the session engine.",
                unit="s",
                queries=quantiles(c.GC_PAUSE, source="engine"),
            ),
            Panel(
                title="Wait for our own connections",
                description="Wait for a connection of our own pools: the 99th percentile of each second.",
                unit="s",
                queries=quantiles(c.POOL_WAIT),
            ),
        ],
        "Resources": [
            Panel(
                title="CPU per process",
                description="1 is one core; above 0.9 a process has no reserve.",
                unit="percentunit",
                width=12,
                red_from=CPU_RATIO,
                queries=[Query(now(c.WORKER_CPU, by=_PER_WORKER), _WORKER)],
            ),
            Panel(
                title="Memory per process",
                description="Resident.",
                unit="bytes",
                width=12,
                queries=[Query(now(c.WORKER_RSS, by=_PER_WORKER), _WORKER)],
            ),
        ],
        "Load processes": [
            Panel(
                title="Age of the last report",
                description="Reports come each second; from 3 s on a process counts as silent.",
                unit="s",
                width=12,
                red_from=STALE_S,
                queries=[Query(f"max by (worker) ({here(c.WORKER_REPORT_AGE)})", "{{worker}}")],
            ),
            Panel(
                title="Virtual users",
                description="That exist, in a session or waiting for their next.",
                unit="short",
                width=6,
                queries=[Query(now(c.USERS), "users")],
            ),
            Panel(
                title="Times a process fell silent",
                description="In the run. Reports are cumulative: nothing is lost by it.",
                unit="short",
                kind=Kind.BARS,
                width=6,
                queries=[Query(total(c.WORKER_REPORT_GAPS, by="worker"), "{{worker}}", instant=True)],
            ),
        ],
        "Losses": [
            Panel(
                title="Faults of the generator",
                description="Of the run; any but sink_failed makes it invalid.",
                unit="short",
                kind=Kind.BARS,
                red_from=1,
                queries=[Query(total(c.GENERATOR_FAULTS, by="fault"), "{{fault}}", instant=True)],
            ),
            Panel(
                title="Sessions that were due and never started",
                description="Per second, by reason.",
                unit="ops",
                queries=[Query(rate(c.ITERATIONS_DROPPED, by="reason"), "{{reason}}")],
            ),
            Panel(
                title="Telemetry lost",
                description="Events that these metrics miss, and events that a sink failed to take. The journals have "
                "them.",
                unit="short",
                kind=Kind.NUMBER,
                red_from=1,
                queries=[
                    Query(total(c.EVENTS_LOST), "events lost", instant=True),
                    Query(total(c.SINK_ERRORS, by="sink"), "sink {{sink}}", instant=True),
                ],
            ),
            Panel(
                title="Spans",
                description="Sent to the OTLP endpoint, and dropped: no room while it was slow, refused, unsent at the "
                "end. `avaload export` sends them again from the journals.",
                unit="short",
                kind=Kind.BARS,
                queries=[
                    Query(total(c.SPANS_EXPORTED), "sent", instant=True),
                    Query(total(c.SPANS_DROPPED, by="reason"), "dropped: {{reason}}", instant=True),
                ],
            ),
            Panel(
                title="Refused at the master's port",
                description="Connections and messages, by reason. A handshake that fails is somebody without the "
                "cluster token; all else comes from somebody who has it. `locust.log` says whose.",
                unit="short",
                kind=Kind.BARS,
                red_from=1,
                queries=[Query(total(c.MASTER_REFUSED, by="reason"), "{{reason}}", instant=True)],
            ),
        ],
    },
)


def _of_runs(metric: c.Metric, part: str, by: str, runs: str = _BOTH, **labels: str) -> str:
    """A counter's last value in each of the runs: they only grow, so it is the largest."""
    series = selector(metric, part, fixed=HERE, **labels)
    info = selector(c.RUN_INFO, fixed=(*HERE, runs))
    joined = f"{series} * on (job, instance) group_left (run_id) {info}"
    return f"max_over_time((sum by ({by}) ({joined}))[$__range:{RESOLUTION}])"


def _quantile(share: float, metric: c.Metric, by: str, runs: str = _BOTH, **labels: str) -> str:
    grouped = ", ".join(name for name in ("le", by) if name)
    return f"histogram_quantile({share}, {_of_runs(metric, '_bucket', grouped, runs, **labels)})"


def _compared(share: float, metric: c.Metric, by: str = "", **labels: str) -> list[Query]:
    name = f"{{{{{by}}}}} " if by else ""
    grouped = f"run_id, {by}" if by else "run_id"
    return [Query(_quantile(share, metric, grouped, **labels), name + "{{run_id}}", instant=True)]


def _failed_share(metric: c.Metric, part: str, by: str) -> list[Query]:
    failed = _of_runs(metric, part, by, outcome="failed")
    ended = _of_runs(metric, part, by, outcome=ENDED)
    legend = "{{step}} {{run_id}}" if "step" in by else "{{run_id}}"
    return [Query(f"{failed} / {ended}", legend, instant=True)]


def _against_baseline(share: float, metric: c.Metric, by: str = "", **labels: str) -> Query:
    run, baseline = (_quantile(share, metric, by, f'run_id="${which}"', **labels) for which in ("run", "baseline"))
    return Query(f"{run} / {baseline}", f"{{{{{by}}}}}" if by else "p95", instant=True)


RELEASE: Final = Board(
    name="release",
    title="Release",
    description="A run beside its baseline: choose both by run id. Both must lie in the time range. Quantiles are read "
    "from buckets, off by some per cent; `report.json` has the exact ones.",
    since="now-7d",
    refresh="",
    run_variables=True,
    rows={
        "The two runs": [
            Panel(
                title="Run and baseline",
                description="When each began, and its sessions: that ended in any way, that still run at "
                "the target although the run was done with them, and that may exist: their create was not answered.",
                unit="short",
                kind=Kind.TABLE,
                width=24,
                queries=[
                    Query(f"1000 * {_of_runs(c.RUN_START, '', 'run_id')}", instant=True),
                    Query(_of_runs(c.SESSIONS, "", "run_id"), instant=True),
                    Query(_of_runs(c.SESSIONS_LEFT, "", "run_id", reason=one_of(LEAKED)), instant=True),
                    Query(_of_runs(c.SESSIONS_LEFT, "", "run_id", reason=DOUBTFUL), instant=True),
                ],
                columns=[
                    Column(title="started", unit="dateTimeAsIso"),
                    Column(title="sessions that ended", unit="short", red_below=1),
                    Column(title="left behind", unit="short", red_from=1),
                    Column(title="doubtful", unit="short", red_from=1),
                ],
            ),
        ],
        "Failures": [
            Panel(
                title="Share of sessions that failed",
                description="Of those that ended ok or failed.",
                unit="percentunit",
                kind=Kind.BARS,
                queries=_failed_share(c.SESSIONS, "", "run_id"),
            ),
            Panel(
                title="Share of steps that failed",
                description="Of those that ended ok or failed.",
                unit="percentunit",
                kind=Kind.BARS,
                queries=_failed_share(c.STEP_DURATION, "_count", "run_id, step"),
            ),
            Panel(
                title="Errors by type",
                description="Steps that failed in the whole run.",
                unit="short",
                kind=Kind.BARS,
                queries=[
                    Query(
                        _of_runs(c.LIFECYCLE_ERRORS, "", "run_id, error_type") + " > 0",
                        "{{error_type}} {{run_id}}",
                        instant=True,
                    )
                ],
            ),
        ],
        "Speed": [
            Panel(
                title="Step p95",
                description="Successful steps of the whole run.",
                unit="s",
                kind=Kind.TABLE,
                width=12,
                rows_and_columns=("step", "run_id"),
                queries=_compared(0.95, c.STEP_DURATION, by="step", outcome="ok"),
            ),
            Panel(
                title="Step p95, run ÷ baseline",
                description="1 is no change; above 1 the run was slower.",
                unit="short",
                kind=Kind.BARS,
                width=12,
                queries=[_against_baseline(0.95, c.STEP_DURATION, by="step", outcome="ok")],
            ),
            Panel(
                title="Set-up p95",
                description="From the start of the mint until the session is connected.",
                unit="s",
                kind=Kind.BARS,
                queries=_compared(0.95, c.SESSION_SETUP),
            ),
            Panel(
                title="Time to first audio p95",
                description="From the end of the user's speech to the first audible sample of the answer.",
                unit="s",
                kind=Kind.BARS,
                queries=_compared(0.95, c.FIRST_AUDIO),
            ),
            Panel(
                title="Time to gone p95",
                description="From sending the delete to the proof that the session was gone.",
                unit="s",
                kind=Kind.BARS,
                queries=_compared(0.95, c.TIME_TO_GONE),
            ),
        ],
    },
)
