"""What the generator tells of itself, folded: its health, its faults, its plan, the facts of the run."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from exporters.metrics import catalogue as c
from exporters.metrics import labels as v
from exporters.metrics.metric import OTHER
from exporters.metrics.series import Series
from exporters.metrics.snapshot import SEPARATOR
from loadtest.events.kinds import GeneratorFailed, HealthSampled, RunFinished, RunStarted, StageStarted
from loadtest.system.version import __version__

MAX_LABEL: Final = 500
"""Characters."""
MAX_STAGES: Final = 100
"""A plan may have thousands; each is a series."""


class OwnState:
    """Writes into `series`. `handlers`: by type of event. `level`: as `Aggregate` has it."""

    def __init__(self, series: Series, tags: Mapping[str, str], level: Callable[[float], float] | None = None) -> None:
        self._series, self._level = series, level
        self._tags = _label(",".join(f"{name}={value}" for name, value in tags.items()))
        self._stages: list[StageStarted] = []
        self.handlers: dict[type, Callable[[Any], None]] = {
            StageStarted: self._stages.append,
            HealthSampled: self._health_sampled,
            GeneratorFailed: self._generator_failed,
            RunStarted: self._run_started,
            RunFinished: self._run_finished,
        }

    def target(self, now_ns: int) -> float:
        """Concurrent sessions that the plan asks for now; 0 where it asks for a rate, and once it is over. A steered
        plan is known as far as its stages are told."""
        begun = sorted((stage for stage in self._stages if stage.t_ns <= now_ns), key=lambda stage: stage.t_ns)
        if not begun or begun[-1].rate is not None:
            return 0
        return begun[-1].users if self._level is None else self._level((now_ns - begun[0].t_ns) / 1e9)

    def tell_stages(self, now_ns: int) -> None:
        """Those that have begun by now are told, each once: a clock that is set later moves none."""
        if not self._series.clock_offset_ns:
            return
        told = self._series.of(c.STAGE_START)
        for stage in sorted(self._stages, key=lambda stage: stage.t_ns):
            if stage.t_ns <= now_ns and len(told) < MAX_STAGES:
                told.setdefault((_label(stage.stage),), round((stage.t_ns + self._series.clock_offset_ns) / 1e9, 3))

    def _health_sampled(self, event: HealthSampled) -> None:
        series = self._series
        series.clock_offset_ns = event.wall_ns - event.t_ns
        source = event.source if event.source in (v.SOURCE.values or ()) else OTHER
        series.observe(c.LOOP_LAG, (source,), event.lag_max_ns / 1e9)
        if event.gc_pause_max_ns is not None:
            series.observe(c.GC_PAUSE, (source,), event.gc_pause_max_ns / 1e9)
        if event.pacing_p99_ns is not None:
            series.observe(c.PACING_ERROR, (), event.pacing_p99_ns / 1e9)
        if event.pool_wait_p99_ns is not None:
            series.observe(c.POOL_WAIT, (), event.pool_wait_p99_ns / 1e9)
        worker = (str(event.process), source)
        process = worker[:1]
        series.of(c.WORKER_UP)[process] = 1
        series.of(c.WORKER_REPORT_AGE)[process] = 0  # here; on its way to a master it ages
        series.of(c.WORKER_REPORT_GAPS).setdefault(process, 0)
        series.of(c.WORKER_LAG)[worker] = event.lag_p99_ns / 1e9
        series.of(c.WORKER_CPU)[worker] = event.cpu_percent / 100
        series.of(c.WORKER_RSS)[worker] = event.rss_bytes
        series.count(c.EVENTS_LOST, (), event.events_lost)

    def _generator_failed(self, event: GeneratorFailed) -> None:
        self._series.count(c.GENERATOR_FAULTS, (event.fault,))

    def _run_started(self, event: RunStarted) -> None:
        self._series.clock_offset_ns = event.wall_ns - event.t_ns
        started = self._series.of(c.RUN_START)
        if not started[()]:
            started[()] = event.wall_ns / 1e9
            self._series.of(c.RUN_INFO)[(event.run_id, event.scenario, __version__, self._tags)] = 1
        self._series.of(c.RUN_ACTIVE)[()] = 1

    def _run_finished(self, _event: RunFinished) -> None:
        self._series.of(c.RUN_ACTIVE)[()] = 0


def _label(text: str) -> str:
    """What somebody else has named, as a label's value."""
    return text.replace(SEPARATOR, " ")[:MAX_LABEL]
