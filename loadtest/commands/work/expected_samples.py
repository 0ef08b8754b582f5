"""How many samples a plan will give an objective, before it is run: a guess, to warn of one that can't be judged."""

from collections.abc import Iterator
from typing import Final

from loadtest.config.clips.lengths import nominal_s
from loadtest.config.keys.scenario import ANSWERED, BARGING_IN, Scenario
from loadtest.config.settings import Settings
from loadtest.criteria.samples import SAMPLERS, Source
from loadtest.criteria.slo import Slo
from loadtest.criteria.words import plural
from loadtest.events.kinds import MediaMeasured, Step, StepFinished

_AROUND_S: Final = 2.0
"""What a session takes beside its conversation, set-up and delete together."""
_IN_A_ROOM: Final[frozenset[Source]] = frozenset(
    {(StepFinished, Step.CONVERSE), (StepFinished, Step.TURN), (MediaMeasured, None)}
)
"""What there is none of without a room; a session connects all the same."""


def too_few(settings: Settings) -> Iterator[str]:
    """A sentence for each objective with a quantile for which the steady part has too few samples. A search for the
    limit is not asked: it holds its levels for as long as it takes."""
    if settings.capacity is not None:
        return
    for slo in settings.slos:
        count = _samples(settings, slo)
        if slo.is_ranked and count < slo.enough:
            noun = "turn" if slo.measure.startswith("turn.") else "session"
            statistic = slo.indicator.rpartition(".")[2]
            name = slo.name if slo.name == slo.indicator else f"{slo.name} ({slo.indicator})"
            are = "is" if count == 1 else "are"
            yield f"{name}: {statistic} needs {plural(slo.enough, noun)}, about {count} {are} planned"


def _samples(settings: Settings, slo: Slo) -> int:
    """In the steady part, about."""
    weights = sum(scenario.weight for scenario in settings.scenarios)
    sessions = _sessions(settings)
    return round(
        sum(
            sessions * scenario.weight / weights * _of_session(settings, scenario, slo)
            for scenario in settings.scenarios
            if slo.scenario in (None, scenario.name)
        )
    )


def _of_session(settings: Settings, scenario: Scenario, slo: Slo) -> float:
    """How many samples a session has that goes well."""
    measure, target = slo.measure, settings.target
    if measure.startswith("turn."):
        if target.room == "none":
            return 0.0
        plan = scenario.conversation
        kinds = BARGING_IN if measure == "turn.barge_in" else ANSWERED
        once = sum(turn.kind in kinds for turn in plan.turns)
        if plan.repeat_for is None:
            return once
        round_s = nominal_s(plan) - plan.repeat_for
        return once * max(1.0, plan.repeat_for / round_s) if round_s else once
    if target.backend is not None and measure in (Step.MINT, "secret.margin"):  # no secret is seen here
        return 0.0
    if target.room == "none" and SAMPLERS[measure].keys() <= _IN_A_ROOM:
        return 0.0
    return 0.0 if measure == "teardown.time_to_gone" and not target.prove_gone else 1.0


def _sessions(settings: Settings) -> float:
    """Sessions of the scenario that the steady part has: of a closed population as many as come one after the other."""
    load, length_s = settings.load, settings.conversation_s + _AROUND_S
    between_s = max(length_s, load.pacing or 0.0)
    steady = [span for span in load.shape().spans if span.steady]
    if load.open:
        count = sum(span.duration_s * (span.start + span.end) / 2 for span in steady)
    else:
        steady_s = sum(span.duration_s for span in steady)
        users_s = sum(span.duration_s * (span.start + span.end) / 2 for span in steady)
        count = users_s / steady_s * max(1.0, steady_s / between_s) if steady_s else 0.0
    count *= 1 - settings.probes.share
    return count if settings.target.max_sessions is None else min(count, settings.target.max_sessions)
