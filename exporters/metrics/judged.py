"""How a run stands, as values of metrics: its objectives so far and whether the generator is fit to judge. Told by the
process that owns the run, from what it shows on the terminal; nothing is counted here."""

from collections.abc import Iterable, Iterator
from typing import Final

from exporters.metrics import catalogue as c
from exporters.metrics.edges import SHOWN
from exporters.metrics.reading import quantile_of
from exporters.metrics.snapshot import SEPARATOR, Snapshot
from loadtest.criteria.objectives import Standing, State
from loadtest.criteria.slo import COUNT, RANKS, Slo
from loadtest.criteria.stage_health import Fitness
from loadtest.events.kinds import STEPS, Outcome

_QUANTILES: Final = {statistic: float(rank) for statistic, rank in RANKS.items() if 0 < rank < 1}
"""Those that buckets can tell: of a maximum they only know where it lies."""


def snapshot(slos: Iterable[Slo], standings: Iterable[Standing], fitness: Fitness, so_far: Snapshot) -> Snapshot:
    """`standings`: of the objectives, in their order. `so_far`: all the run's other values, for quantiles."""
    found: Snapshot = {metric.name: {} for metric in (c.OBJECTIVE_BOUND, c.OBJECTIVE_OBSERVED, c.OBJECTIVE_MET)}
    for slo, standing in zip(slos, standings, strict=False):
        key = SEPARATOR.join(_word(word) for word in (slo.name, slo.indicator))
        found[c.OBJECTIVE_BOUND.name][key] = slo.objective
        if standing.state is not State.OPEN:
            found[c.OBJECTIVE_MET.name][key] = int(standing.state is State.MET)
        for observed in _observed(slo, standing, so_far):
            found[c.OBJECTIVE_OBSERVED.name][key] = observed
    found[c.GENERATOR_STATE.name] = {
        state: int(state == fitness[0]) for state in c.GENERATOR_STATE.labels[0].values or ()
    }
    return found


def _observed(slo: Slo, standing: Standing, so_far: Snapshot) -> Iterator[float]:
    """Nothing where it isn't known."""
    if slo.unit == COUNT:
        yield standing.beyond
    elif not slo.is_ranked:
        if standing.count:
            yield slo.ratio(standing.count, standing.beyond)
    elif (share := _QUANTILES.get(slo.indicator.rpartition(".")[2])) is not None and slo.window_s is None:
        seconds = _quantile(slo, share, so_far)
        if seconds is not None:
            yield seconds


def _quantile(slo: Slo, share: float, so_far: Snapshot) -> float | None:
    if (metric := SHOWN[slo.measure]) is None:
        return None
    names = [label.name for label in metric.labels]
    series = so_far.get(metric.name, {})
    if slo.scenario is not None:
        if "scenario" not in names:
            return None
        place = names.index("scenario")
        series = {key: value for key, value in series.items() if key.split(SEPARATOR)[place] == slo.scenario}
    labels = (slo.measure, Outcome.OK.value) if slo.measure in STEPS else ()
    return quantile_of({**so_far, metric.name: series}, metric, share, *labels)


def _word(text: str) -> str:
    return text.replace(SEPARATOR, " ")
