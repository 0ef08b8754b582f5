"""What a run's histograms hold: of which indicator each shows the samples, and its buckets, the catalogue's edges and
one at each bound that the run is judged by."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from exporters.metrics import catalogue as c
from exporters.metrics.metric import Metric
from loadtest.criteria.samples import SAMPLERS, Sampler, Source
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import STEPS

SHOWN: Final[dict[str, Metric | None]] = {
    **{step.value: c.STEP_DURATION for step in STEPS},
    "turn.time_to_first_audio": c.FIRST_AUDIO,
    "turn.time_to_first_audio.drift": None,
    "turn.barge_in": c.BARGE_IN,
    "turn.dead_air": c.DEAD_AIR,
    "turn.talk_over": c.TALK_OVER,
    "session.setup": c.SESSION_SETUP,
    "session.setup_from_due": None,
    "session.first_step_from_due": None,
    "teardown.time_to_gone": c.TIME_TO_GONE,
    "secret.margin": c.SECRET_MARGIN,
    "media.gap": c.MEDIA_GAP,
    "media.jitter": c.MEDIA_JITTER,
}
"""`Slo.measure` of what is ranked → the histogram that shows it; None: none does, the report has it."""


def _fed() -> Mapping[Source, list[tuple[Metric, Sampler]]]:
    found: defaultdict[Source, list[tuple[Metric, Sampler]]] = defaultdict(list)
    for measure, metric in SHOWN.items():
        if metric is not None and metric is not c.STEP_DURATION:
            for source, sampler in SAMPLERS[measure].items():
                found[source].append((metric, sampler))
    return dict(found)


FED: Final = _fed()
"""Events → the histograms that take their samples, and no others: so a quantile that is read live is of what its
objective and the report are of. STEP_DURATION has its outcomes apart, and takes each first attempt."""


def edges(slos: Iterable[Slo]) -> dict[str, tuple[float, ...]]:
    """Upper edges of each histogram of a run: the catalogue's and one at each of its service levels' bounds, so that
    the share of what met it is exact."""
    found = {metric.name: set(metric.buckets) for metric in c.METRICS if metric.buckets}
    for slo in slos:
        if slo.is_ranked and (metric := SHOWN[slo.measure]) is not None:
            found[metric.name].add(slo.objective)
    return {name: tuple(sorted(own)) for name, own in found.items()}
