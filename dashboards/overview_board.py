"""The board of one look: is the run going well?"""

from typing import Final

from dashboards.panels import Board, Kind, Panel, Query, here, now, quantile, total
from dashboards.session_boards import BY_STATE, ENDED, ENDED_BY_OUTCOME, FAILED_SHARE, LEFT
from exporters.metrics import catalogue as c

OVERVIEW: Final = Board(
    name="overview",
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
                queries=[Query(f"min(last_over_time({here(c.OBJECTIVE_MET)}[$__range]))")],
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
                title="Run",
                description="Its id and tags.",
                unit="short",
                kind=Kind.NAME,
                width=12,
                red_from=2,
                queries=[Query(here(c.RUN_INFO), "{{run_id}} {{tags}}")],
            ),
            Panel(
                title="Objectives",
                description="What each comes to so far beside its bound, in its indicator's unit: seconds, a share of "
                "1, or a count. Quantiles as well as buckets tell them. Nothing: not known yet.",
                unit="short",
                kind=Kind.BARS,
                width=12,
                queries=[
                    Query(
                        f"max by (objective) (last_over_time({here(c.OBJECTIVE_OBSERVED)}[$__range]))",
                        "{{objective}}",
                        instant=True,
                    ),
                    Query(
                        f"max by (objective) (last_over_time({here(c.OBJECTIVE_BOUND)}[$__range]))",
                        "{{objective}}: bound",
                        instant=True,
                    ),
                ],
            ),
            Panel(
                title="Objectives met",
                description="1: met so far, 0: missed so far. Nothing: too few samples yet.",
                unit="short",
                kind=Kind.BARS,
                width=12,
                red_below=1,
                queries=[
                    Query(
                        f"min by (objective) (last_over_time({here(c.OBJECTIVE_MET)}[$__range]))",
                        "{{objective}}",
                        instant=True,
                    )
                ],
            ),
            Panel(
                title="Time to first audio",
                description="From the end of the user's speech to the first audible sample of the answer.",
                unit="s",
                queries=[Query(quantile(share, c.FIRST_AUDIO), f"p{share * 100:.0f}") for share in (0.5, 0.95)],
            ),
            Panel(
                title="Sessions against the plan",
                description="That run, and that the plan asks for.",
                unit="short",
                queries=[Query(now(c.SESSIONS_ACTIVE), "run"), Query(now(c.SESSIONS_TARGET), "planned")],
            ),
            Panel(
                title="Failures by cause",
                description="Steps that failed in the run so far.",
                unit="short",
                kind=Kind.BARS,
                red_from=1,
                queries=[Query(total(c.LIFECYCLE_ERRORS, by="error_type") + " > 0", "{{error_type}}", instant=True)],
            ),
        ],
        "Now": [
            Panel(
                title="Open at the target",
                description="Sessions that were created and not confirmed deleted, those of probes included.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                queries=[Query(now(c.SESSIONS_OPEN), "open"), Query(now(c.SESSIONS_TARGET), "planned")],
            ),
            Panel(
                title="Run active",
                description="1 from the start of the run until its last session ended, then 0.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                queries=[Query(now(c.RUN_ACTIVE))],
            ),
            Panel(
                title="Sessions that went well",
                description="Whole run so far: ok, of those that ended ok or failed.",
                unit="percentunit",
                kind=Kind.NUMBER,
                width=4,
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
                queries=[Query(quantile(0.95, c.SESSION_SETUP))],
            ),
            Panel(
                title="Workers heard",
                description="Load processes that report; one that is silent or dead doesn't count.",
                unit="short",
                kind=Kind.NUMBER,
                width=4,
                queries=[Query(now(c.WORKER_UP))],
            ),
        ],
        "Course": [
            BY_STATE,
            ENDED_BY_OUTCOME,
            Panel(
                title="Share of sessions that failed",
                description="Of those that ended ok or failed; the service level's own measure.",
                unit="percentunit",
                width=12,
                queries=[Query(FAILED_SHARE, "failed")],
            ),
            Panel(
                title="Step p95",
                description="95th percentile of the time that a successful step took.",
                unit="s",
                width=12,
                queries=[Query(quantile(0.95, c.STEP_DURATION, by="step", outcome="ok"), "{{step}}")],
            ),
        ],
    },
)
