"""The board of one look: is the run going well?"""

import json
from typing import Final
from urllib.parse import quote

from dashboards.alerting.alerts import OBJECTIVE, OVER_TARGET, SETUP_S
from dashboards.boards.sessions import BY_STATE, ENDED, ENDED_BY_OUTCOME, FAILED_SHARE, LEFT
from dashboards.panels import HERE, Board, Kind, Panel, Query, here, now, of_the_run, quantile, total
from dashboards.places import RUNBOOK_UID
from dashboards.promql import larger
from dashboards.tables import Column
from exporters.metrics import catalogue as c

FIRING: Final = f'ALERTS{{alertstate="firing",{",".join(HERE)}}}'
RULES_EVALUATED: Final = f"avaload:run_age_seconds{{{','.join(HERE)}}}"
"""What a rule records of every run."""
OBJECTIVES: Final = (c.OBJECTIVE_OBSERVED, c.OBJECTIVE_BOUND, c.OBJECTIVE_MET)
_TIMES, _SHARES = ".+[.](p[0-9]+|max|min)", ".+_rate|media[.]packet_loss"
INDICATORS_BY_UNIT: Final = {
    "times": ("s", f"~{_TIMES}"),
    "shares": ("percentunit", f"~{_SHARES}"),
    "other numbers": ("short", f"!~{_TIMES}|{_SHARES}"),
}
"""Seconds and shares of 1 don't belong on one scale: what → Grafana's unit, and the indicators that are in it."""

RUN_ID: Final = "${__field.labels.run_id}"
TRACES_OF_THE_RUN: Final = "/explore?schemaVersion=1&panes=" + quote(
    json.dumps(
        {
            "a": {
                "datasource": "${traces}",
                "queries": [
                    {
                        "refId": "A",
                        "datasource": {"type": "tempo", "uid": "${traces}"},
                        "queryType": "traceql",
                        "query": f'{{resource.avaload.run.id="{RUN_ID}"}}',
                    }
                ],
                "range": {"from": "${__from}", "to": "${__to}"},
            }
        }
    ),
    safe="${}",
)
"""Grafana's page for a look around, with what it asks for written into the address."""


def _of_objectives(metric: c.Metric, indicators: str) -> Query:
    series = of_the_run(metric, indicator=indicators)
    worst = "min" if metric is c.OBJECTIVE_MET else "max"
    return Query(f"{worst} by (objective, indicator) (last_over_time({series}))", instant=True)


OVERVIEW: Final = Board(
    name="overview",
    leads_out=True,
    title="Overview",
    description="Is the run going well? One look; the other boards say why not.",
    rows={
        "Is it OK?": [
            Panel(
                title="Verdict so far",
                description="Of the worst objective that has enough samples. The report has the run's own, at its end.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                red_below=1,
                says={0: "missed", 1: "met"},
                queries=[Query(f"min(last_over_time({of_the_run(c.OBJECTIVE_MET)}))", instant=True)],
            ),
            Panel(
                title="Generator",
                description="Was it fit to judge in the last seconds? What is measured while it is invalid is its own.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                red_from=1,
                says={0: "valid", 1: "suspect", 2: "invalid"},
                queries=[
                    Query(
                        f"max({here(c.GENERATOR_STATE, state='suspect')})"
                        f" + 2 * max({here(c.GENERATOR_STATE, state='invalid')})"
                    )
                ],
            ),
            LEFT,
            Panel(
                title="Alerts firing",
                description="Of the runs in view. No data: nothing evaluates the rules, so nobody is woken.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                red_from=1,
                queries=[Query(f"count({FIRING}) or 0 * max(max_over_time({RULES_EVALUATED}[$__range]))")],
            ),
            Panel(
                title="Run",
                description="Its id and tags. A click leads to its report and to its traces.",
                unit="short",
                kind=Kind.NAME,
                width=8,
                red_from=2,
                queries=[Query(here(c.RUN_INFO), "{{run_id}} {{tags}}")],
                links={"Report": "${reports}/" + RUN_ID + "/report.html", "Traces": TRACES_OF_THE_RUN},
            ),
            *(
                Panel(
                    title=f"Objectives: {what}",
                    description="What each comes to so far beside its bound. Quantiles as well as buckets tell them. "
                    "An empty cell: not known yet, or too few samples.",
                    unit="short",
                    kind=Kind.TABLE,
                    queries=[_of_objectives(metric, indicators) for metric in OBJECTIVES],
                    columns=[
                        Column(title="observed", unit=unit),
                        Column(title="bound", unit=unit),
                        Column(title="so far", unit="short", red_below=1, says={0: "missed", 1: "met"}),
                    ],
                )
                for what, (unit, indicators) in INDICATORS_BY_UNIT.items()
            ),
            Panel(
                title="Time to first audio",
                description="From the end of the user's speech to the first audible sample of the answer. Dashed: an "
                "objective's bound. The points lead to traces.",
                unit="s",
                width=6,
                bound="bound of p95",
                queries=[
                    *(Query(quantile(share, c.FIRST_AUDIO), f"p{share * 100:.0f}") for share in (0.5, 0.95)),
                    Query(f"min({here(c.OBJECTIVE_BOUND, indicator='turn.time_to_first_audio.p95')})", "bound of p95"),
                ],
            ),
            Panel(
                title="Sessions against the plan",
                description="That run, that are open at the target, and that the plan asks for.",
                unit="short",
                width=6,
                queries=[
                    Query(now(c.SESSIONS_ACTIVE), "run"),
                    Query(now(c.SESSIONS_OPEN), "open"),
                    Query(now(c.SESSIONS_TARGET), "planned"),
                ],
            ),
            Panel(
                title="Failures by cause",
                description="Steps that failed in the run so far.",
                unit="short",
                kind=Kind.BARS,
                width=6,
                red_from=1,
                queries=[Query(total(c.LIFECYCLE_ERRORS, by="error_type") + " > 0", "{{error_type}}", instant=True)],
            ),
            Panel(
                title="Which alerts",
                description="That fire, and on how many sets of labels. The runbook has a panel for each.",
                unit="short",
                kind=Kind.BARS,
                width=6,
                red_from=1,
                queries=[
                    Query(f"count by (alertname, severity) ({FIRING})", "{{alertname}} ({{severity}})", instant=True)
                ],
                links={"Runbook": f"/d/{RUNBOOK_UID}"},
            ),
        ],
        "Now": [
            Panel(
                title="Open at the target, of the plan",
                description="Sessions that were created and not confirmed deleted, of those that the plan asks for, or "
                "that still run where it has stepped down. No data: it asks for a rate, or for none.",
                unit="percentunit",
                kind=Kind.NUMBER,
                width=4,
                red_from=OVER_TARGET,
                queries=[Query(f"{now(c.SESSIONS_OPEN)} / {larger(now(c.SESSIONS_TARGET), now(c.SESSIONS_ACTIVE))}")],
            ),
            Panel(
                title="Run active",
                description="From the start of the run until its last session ended.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                green_from=1,
                says={0: "over", 1: "running"},
                queries=[Query(now(c.RUN_ACTIVE))],
            ),
            Panel(
                title="Sessions that went well",
                description="Whole run so far: ok, of those that ended ok or failed.",
                unit="percentunit",
                kind=Kind.NUMBER,
                width=4,
                red_below=1 - OBJECTIVE,
                queries=[
                    Query(f"{total(c.SESSIONS, outcome='ok')} / {total(c.SESSIONS, outcome=ENDED)}", instant=True)
                ],
            ),
            Panel(
                title="Set-up, p95",
                description="From the start of the mint until the session is connected.",
                unit="s",
                kind=Kind.NUMBER,
                width=4,
                red_from=SETUP_S,
                queries=[Query(quantile(0.95, c.SESSION_SETUP))],
            ),
            Panel(
                title="Workers heard",
                description="Load processes that report; one that is silent or dead doesn't count.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                red_below=1,
                queries=[Query(now(c.WORKER_UP))],
            ),
        ],
        "Course": [
            BY_STATE,
            ENDED_BY_OUTCOME,
            Panel(
                title="Share of sessions that failed",
                description="Of those that ended ok or failed, as the service level counts them.",
                unit="percentunit",
                width=12,
                queries=[Query(FAILED_SHARE, "failed")],
            ),
            Panel(
                title="Step p95",
                description="95th percentile of the time that a successful step took.",
                unit="s",
                width=12,
                log=True,
                queries=[Query(quantile(0.95, c.STEP_DURATION, by="step", outcome="ok"), "{{step}}")],
            ),
        ],
    },
)
