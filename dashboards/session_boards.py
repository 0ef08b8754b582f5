"""Boards about the target: what sessions, steps, turns, secrets and deletes did."""

from typing import Final

from dashboards.alerts import SECRET_MARGIN_S
from dashboards.panels import Board, Kind, Panel, Query, heat, now, quantile, quantiles, rate, total
from dashboards.promql import edge
from exporters import catalogue as c

ENDED: Final = "~ok|failed"
"""A cancelled session or step says nothing about the target."""

FAILED_SHARE: Final = f"{rate(c.SESSIONS, outcome='failed')} / {rate(c.SESSIONS, outcome=ENDED)}"

LEFT: Final = Panel(
    title="Left behind",
    description="Sessions that may still run at the target although the run is done with them. Anything but 0 costs "
    "money: see SessionsLeftBehind in RUNBOOK.md.",
    unit="short",
    kind=Kind.NUMBER,
    width=4,
    red_from=1,
    queries=[Query(total(c.SESSIONS_LEFT), instant=True)],
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
    description="Sessions per second that ended ok, failed or were cancelled.",
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

OVERVIEW: Final = Board(
    name="overview",
    title="Overview",
    description="Is the run going well? One look; the other boards say why not.",
    rows={
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
                description="From the start of a session to the avatar's first media frame.",
                unit="s",
                kind=Kind.NUMBER,
                width=4,
                queries=[Query(quantile(0.95, c.SESSION_SETUP))],
            ),
            LEFT,
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
                description="From the start of a session to the avatar's first media frame; sessions that got one.",
                unit="s",
                queries=quantiles(c.SESSION_SETUP),
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
                for step in ("mint", "create", "connect", "converse", "delete")
            ),
            Panel(
                title="Phases of connect, p95",
                description="From the start of connect until each phase was reached. Which there are depends on the "
                "room: ICE and DTLS are WebRTC's.",
                unit="s",
                queries=[Query(quantile(0.95, c.CONNECT_PHASE, by="phase"), "{{phase}}")],
            ),
            Panel(
                title="Connect: distribution",
                description="Successful connects per bucket; two humps are two kinds of start.",
                unit="s",
                kind=Kind.HEAT,
                queries=heat(c.STEP_DURATION, step="connect", outcome="ok"),
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

CONVERSATION: Final = Board(
    name="conversation",
    title="Conversation",
    description="How long users wait for an answer. All of it is heard in the audio, not taken from events.",
    rows={
        "Answers": [
            Panel(
                title="Time to first audio",
                description="From the end of the user's speech to the first audible sample of the answer.",
                unit="s",
                width=12,
                queries=quantiles(c.FIRST_AUDIO),
            ),
            Panel(
                title="Time to first audio: distribution",
                description="Turns per bucket.",
                unit="s",
                kind=Kind.HEAT,
                width=12,
                queries=heat(c.FIRST_AUDIO),
            ),
        ],
        "Turns": [
            Panel(
                title="Turns by outcome",
                description="Turns per second.",
                unit="ops",
                kind=Kind.STACK,
                queries=[Query(rate(c.TURNS, by="outcome"), "{{outcome}}")],
            ),
            Panel(
                title="Share of turns that failed",
                description="Of those that ended ok or failed.",
                unit="percentunit",
                queries=[Query(f"{rate(c.TURNS, outcome='failed')} / {rate(c.TURNS, outcome=ENDED)}", "failed")],
            ),
            Panel(
                title="Time of a turn",
                description="From the user's first word to the end of the answer, successful turns.",
                unit="s",
                queries=quantiles(c.STEP_DURATION, step="turn", outcome="ok"),
            ),
            Panel(
                title="Barge-in",
                description="From the user's speech over the avatar to the avatar's last audible sample. Empty without "
                "barge-in turns in the scenario.",
                unit="s",
                width=12,
                queries=quantiles(c.BARGE_IN),
            ),
            Panel(
                title="Failed turns by type",
                description="Turns per second that failed.",
                unit="ops",
                width=12,
                queries=[Query(rate(c.LIFECYCLE_ERRORS, by="error_type", step="turn") + " > 0", "{{error_type}}")],
            ),
        ],
    },
)

SECRETS_AND_TEARDOWN: Final = Board(
    name="secrets-and-teardown",
    title="Secrets and tear-down",
    description="Do secrets live long enough, and do sessions end when they are told to?",
    rows={
        "Secrets": [
            Panel(
                title="Age of the secret, p95",
                description="How old the client secret was when the create or the connect began.",
                unit="s",
                queries=[Query(quantile(0.95, c.SECRET_AGE, by="at"), "{{at}}")],
            ),
            Panel(
                title="Life left in the secret, p5",
                description="When the session was connected; 95 % had more.",
                unit="s",
                queries=[Query(quantile(0.05, c.SECRET_MARGIN), "p5")],
            ),
            Panel(
                title="Secrets close to their end",
                description=f"Sessions of the run that were connected with {SECRET_MARGIN_S:g} s or less left.",
                unit="short",
                kind=Kind.NUMBER,
                red_from=1,
                queries=[
                    Query(total(c.SECRET_MARGIN, "_bucket", le=edge(c.SECRET_MARGIN, SECRET_MARGIN_S)), instant=True)
                ],
            ),
        ],
        "Tear-down": [
            LEFT,
            Panel(
                title="Left behind, by reason",
                description="delete_failed, still_alive: certain. create_unanswered, worker_lost: possible.",
                unit="short",
                kind=Kind.BARS,
                width=10,
                red_from=1,
                queries=[Query(total(c.SESSIONS_LEFT, by="reason"), "{{reason}}", instant=True)],
            ),
            Panel(
                title="Looks after a delete",
                description="What they showed: confirmed gone, unconfirmed (no proof), or still alive.",
                unit="short",
                kind=Kind.BARS,
                width=10,
                queries=[Query(total(c.GONE_CHECKS, by="outcome"), "{{outcome}}", instant=True)],
            ),
            Panel(
                title="Open at the target",
                description="Sessions that were created and not confirmed deleted; those of silent load processes are "
                "unknown until their journals or their return settle them.",
                unit="short",
                width=12,
                queries=[
                    Query(now(c.SESSIONS_OPEN), "open"),
                    Query(now(c.SESSIONS_UNKNOWN), "unknown"),
                    Query(now(c.SESSIONS_TARGET), "planned"),
                ],
            ),
            Panel(
                title="Time to gone",
                description="From sending the delete to the proof that the session was gone.",
                unit="s",
                width=12,
                queries=quantiles(c.TIME_TO_GONE),
            ),
        ],
        "Contract": [
            Panel(
                title="Rules broken",
                description="Rules of the contract that sessions have broken in the run, by how often. `report.html` "
                "says what each is.",
                unit="short",
                kind=Kind.BARS,
                width=24,
                red_from=1,
                queries=[Query(f"{total(c.RULE_VIOLATIONS, by='rule')} > 0", "{{rule}}", instant=True)],
            ),
        ],
    },
)
