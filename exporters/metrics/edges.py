"""The buckets of a run's histograms: the catalogue's edges and one at each bound that the run is judged by."""

from collections.abc import Iterable
from typing import Final

from exporters.metrics import catalogue as c
from exporters.metrics.metric import Metric
from loadtest.judging.slo import SECONDS, Slo
from loadtest.language.events import Step

_JUDGED_BY: Final[dict[str, Metric]] = {
    **{f"{step.value}.": c.STEP_DURATION for step in Step},
    "turn.time_to_first_audio.": c.FIRST_AUDIO,
    "turn.barge_in.": c.BARGE_IN,
    "session.setup.": c.SESSION_SETUP,
    "teardown.time_to_gone.": c.TIME_TO_GONE,
    "secret.margin.": c.SECRET_MARGIN,
}
"""How the indicator of a service level begins → the histogram that shows it. The longest that fits."""


def edges(slos: Iterable[Slo]) -> dict[str, tuple[float, ...]]:
    """Upper edges of each histogram of a run: the catalogue's and one at each of its service levels' bounds, so that
    the share of what met it is exact."""
    found = {metric.name: set(metric.buckets) for metric in c.METRICS if metric.buckets}
    for slo in slos:
        fitting = [start for start in _JUDGED_BY if slo.indicator.startswith(start)]
        if fitting and slo.unit == SECONDS:
            found[_JUDGED_BY[max(fitting, key=len)].name].add(slo.objective)
    return {name: tuple(sorted(own)) for name, own in found.items()}
