"""Boards about sessions and their steps, and what other boards show of them too."""

from typing import Final

from dashboards.panels import Board, Kind, Panel, Query, heat, now, quantile, quantiles, rate, total
from dashboards.promql import one_of
from exporters.metrics import catalogue as c
from exporters.metrics.labels import DOUBTFUL, LEAKED
from loadtest.events.kinds import STEPS, Step

ENDED: Final = "~ok|failed"
"""A session or step that was cancelled, or failed by the generator, says nothing about the target."""

FAILED_SHARE: Final = f"{rate(c.SESSIONS, outcome='failed')} / {rate(c.SESSIONS, outcome=ENDED)}"

LEFT: Final = Panel(
    title="Left behind",
    description="Sessions that still run at the target although the run is done with them. Anything but 0 costs "
    "money: see SessionsLeftBehind in RUNBOOK.md.",
    unit="short",
    kind=Kind.NUMBER,
    width=4,
    red_from=1,
    queries=[Query(total(c.SESSIONS_LEFT, reason=one_of(LEAKED)), instant=True)],
)
DOUBTFUL_SESSIONS: Final = Panel(
    title="Doubtful",
    description="Sessions whose create was not answered, or with a server error: they may not exist. See "
    "SessionsDoubtful in RUNBOOK.md.",
    unit="short",
    kind=Kind.NUMBER,
    width=4,
    red_from=1,
    queries=[Query(total(c.SESSIONS_LEFT, reason=DOUBTFUL), instant=True)],
)
BY_STATE: Final = Panel(
    title="Running sessions by step",
    description="Sessions that run, by the step that they are in.",
    unit="short",
    kind=Kind.STACK,
    width=12,
    queries=[Query(now(c.SESSIONS_ACTIVE, by="state"), "{{state}}")],
)
ENDED_BY_OUTCOME: Final = Panel(
    title="Sessions ended, by outcome",
    description="Sessions per second that ended ok, failed, were failed by the generator itself or cancelled.",
    unit="ops",
    kind=Kind.STACK,
    width=12,
    queries=[Query(rate(c.SESSIONS, by="outcome"), "{{outcome}}")],
)
ERRORS: Final = Panel(
    title="Errors by step and type",
    description="Steps per second that failed. A failed turn fails its converse step too and is in both.",
    unit="ops",
    width=12,
    queries=[Query(rate(c.LIFECYCLE_ERRORS, by="step, error_type") + " > 0", "{{step}}: {{error_type}}")],
)

SESSIONS_AND_STEPS: Final = Board(
    name="sessions-and-steps",
    title="Sessions and steps",
    description="Where a session spends its time and which step fails.",
    rows={
        "Sessions": [
            BY_STATE,
            ENDED_BY_OUTCOME,
            Panel(
                title="Sessions started",
                description="Per second and scenario.",
                unit="ops",
                queries=[Query(rate(c.SESSIONS_STARTED, by="scenario"), "{{scenario}}")],
            ),
            Panel(
                title="Length of sessions that went well",
                description="From the start to the last look after the delete.",
                unit="s",
                queries=quantiles(c.SESSION_DURATION, outcome="ok"),
            ),
            Panel(
                title="Set-up",
                description="From the start of the mint (of the create, where a backend mints) to connected.",
                unit="s",
                queries=quantiles(c.SESSION_SETUP),
            ),
            Panel(
                title="Time to the first frame",
                description="From the start of a session to the avatar's first media frame; sessions that got one.",
                unit="s",
                queries=quantiles(c.FIRST_FRAME),
            ),
        ],
        "Steps": [
            *(
                Panel(
                    title=f"Time of {step}",
                    description=f"How long a successful {step} took.",
                    unit="s",
                    queries=quantiles(c.STEP_DURATION, step=step, outcome="ok"),
                )
                for step in STEPS
            ),
            Panel(
                title="Phases of connect, p95",
                description="From the start of connect until each phase was reached. Which there are depends on the "
                "room: ICE and DTLS are WebRTC's.",
                unit="s",
                log=True,
                queries=[Query(quantile(0.95, c.CONNECT_PHASE, by="phase"), "{{phase}}")],
            ),
            Panel(
                title="Connect: distribution",
                description="Successful connects per bucket; two humps are two kinds of start.",
                unit="s",
                kind=Kind.HEAT,
                queries=heat(c.STEP_DURATION, step=Step.CONNECT, outcome="ok"),
            ),
        ],
        "Failures": [
            Panel(
                title="Share of steps that failed",
                description="Of those that ended ok or failed.",
                unit="percentunit",
                width=12,
                queries=[
                    Query(
                        f"{rate(c.STEP_DURATION, '_count', by='step', outcome='failed')} / "
                        f"{rate(c.STEP_DURATION, '_count', by='step', outcome=ENDED)}",
                        "{{step}}",
                    )
                ],
            ),
            ERRORS,
        ],
    },
)
