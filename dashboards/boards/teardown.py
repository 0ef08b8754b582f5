"""The board about what must not go wrong unseen: secrets that expire, sessions that don't end, broken rules."""

from typing import Final

from dashboards.alerting.alerts import SECRET_MARGIN_S
from dashboards.boards.sessions import DOUBTFUL_SESSIONS, LEFT
from dashboards.panels import Board, Kind, Panel, Query, now, quantile, quantiles, total
from dashboards.promql import edge, one_of
from exporters.metrics import catalogue as c
from exporters.metrics.labels import LEAKED

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
            DOUBTFUL_SESSIONS,
            Panel(
                title="Left behind, by reason",
                description="delete_failed: its deletes failed. still_alive: its delete was answered, it lived on. "
                "worker_lost: its load process or engine is gone for good.",
                unit="short",
                kind=Kind.BARS,
                width=8,
                red_from=1,
                queries=[Query(total(c.SESSIONS_LEFT, by="reason", reason=one_of(LEAKED)), "{{reason}}", instant=True)],
            ),
            Panel(
                title="Looks after a delete",
                description="What they showed: confirmed gone, unconfirmed (no proof), or still alive.",
                unit="short",
                kind=Kind.BARS,
                width=8,
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
                queries=[
                    Query(f"{total(c.RULE_VIOLATIONS, by='rule')} > 0", "{{rule}}", instant=True),
                    Query(f"{total(c.RULE_VIOLATIONS_WAIVED, by='rule')} > 0", "{{rule}}, waived", instant=True),
                ],
            ),
        ],
    },
)
