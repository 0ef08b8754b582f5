"""What the labels of metrics may say, from the closed sets of events and errors, and the edges of their buckets."""

from enum import StrEnum
from typing import Final

from exporters.metrics.metric import Label
from loadtest.criteria.slo import TAKING
from loadtest.errors.causes import LIMITS
from loadtest.errors.kinds import OURS, Code
from loadtest.events.kinds import STEPS, Mark, Outcome, SessionFinished, Step, StepFinished


def values(enum: type[StrEnum]) -> tuple[str, ...]:
    """Of all its members."""
    return tuple(member.value for member in enum)


SCENARIO: Final = Label(name="scenario")
WORKER: Final = Label(name="worker")  # index of the load process in the run
SOURCE: Final = Label(name="source", values=("engine", "hub"))
STEP: Final = Label(name="step", values=values(Step))
GENERATOR_FAILED: Final = "generator_failed"
"""Outcome of what failed on our side: like a cancelled one it says nothing about the target."""
OUTCOME: Final = Label(
    name="outcome", values=(*values(Outcome), GENERATOR_FAILED), unborn=frozenset((GENERATOR_FAILED,))
)
STATE: Final = Label(name="state", values=tuple(step.value for step in STEPS))
ERROR_TYPE: Final = Label(
    name="error_type",
    values=tuple(code.value for code in Code if code is not Code.CANCELLED),
    # Whoever tests in Daily's rooms sees their codes from the first failure on.
    unborn=frozenset(code.value for code in Code if code in LIMITS or code.startswith("daily_")),
)
TURN_TAKING: Final = Label(name="what", values=tuple(TAKING))
WORKER_LOST: Final = "worker_lost"
LEAKED: Final = ("delete_failed", "still_alive", WORKER_LOST)
"""Why a session is left behind, which is certain: a sweep can delete it."""
DOUBTFUL: Final = "create_unanswered"
"""Why a session is doubtful: it may not exist, and without an id nobody can delete it."""
LEFT_REASON: Final = Label(name="reason", values=(*LEAKED, DOUBTFUL))
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
AGES: Final = {"under 1 min": 1, "1 to 5 min": 5, "5 to 15 min": 15, "15 to 60 min": 60}
"""How old a session is → under so many minutes."""
OLDEST: Final = "over 60 min"
AGE: Final = Label(name="age", values=(*AGES, OLDEST), unborn=frozenset((*AGES, OLDEST)) - {"under 1 min"})
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
TALK_OVER_S: Final = (0.0, 0.2, 0.4, 0.7, 1.5)
DEAD_AIR_S: Final = (0.0, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0)
JITTER_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2)
GAP_S: Final = (0.025, 0.03, 0.045, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


def outcome(event: StepFinished | SessionFinished) -> str:
    """As OUTCOME has it: "failed" is what a service level counts as bad, and nothing else."""
    ours = event.failure is not None and event.failure.kind in OURS
    return GENERATOR_FAILED if ours and event.outcome is Outcome.FAILED else event.outcome.value
