"""The generator watching itself: how late its loops are, what they cost, how long the garbage collector stopped
them."""

import gc
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.clock import now_ns, wall_ns
from loadtest.events import HealthSampled

PROBE_S = 0.01
MIN_SAMPLE_NS = 500_000_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def quantile_ns(values: Sequence[int], q: float) -> int:
    """The value at rank q (0 … 1), nearest rank; 0 for no values."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Health:
    """Collects for a second, then `sample()` says it and starts anew. The loop feeds `lag` every PROBE_S."""

    def __init__(self, *, source: str, process: int) -> None:
        self._source, self._process = source, process
        self.lag_ns = 0
        self.events_lost = 0
        self.pacing_ns: list[int] = []
        self.pool_wait_ns: list[int] = []
        self._lags_ns: list[int] = []
        self._gc_started_ns = self._gc_pause_ns = 0
        self._cpu_s, self._since_ns = time.process_time(), now_ns()
        self._statm = Path("/proc/self/statm")

    def lag(self, lag_ns: int) -> None:
        self.lag_ns = lag_ns
        self._lags_ns.append(lag_ns)

    def watch_gc(self) -> None:
        gc.callbacks.append(self._on_gc)

    def _on_gc(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._gc_started_ns = now_ns()
        else:
            self._gc_pause_ns = max(self._gc_pause_ns, now_ns() - self._gc_started_ns)

    @property
    def worth_sampling(self) -> bool:
        """Whether so much time has passed since the last sample that shares of it mean something, or something was
        lost."""
        return self.events_lost > 0 or now_ns() - self._since_ns > MIN_SAMPLE_NS

    def sample(self, *, sessions_active: int) -> HealthSampled:
        t_ns, cpu_s = now_ns(), time.process_time()
        sampled = HealthSampled(
            t_ns=t_ns,
            wall_ns=wall_ns(),
            source=self._source,
            process=self._process,
            lag_p99_ns=quantile_ns(self._lags_ns, 0.99),
            lag_max_ns=max(self._lags_ns, default=0),
            cpu_percent=round((cpu_s - self._cpu_s) * 1e11 / max(1, t_ns - self._since_ns), 1),
            rss_bytes=int(self._statm.read_text().split()[1]) * _PAGE_BYTES,
            sessions_active=sessions_active,
            pacing_p99_ns=quantile_ns(self.pacing_ns, 0.99) if self.pacing_ns else None,
            pool_wait_p99_ns=quantile_ns(self.pool_wait_ns, 0.99) if self.pool_wait_ns else None,
            gc_pause_max_ns=self._gc_pause_ns,
            events_lost=self.events_lost,
        )
        self._cpu_s, self._since_ns, self._gc_pause_ns, self.events_lost = cpu_s, t_ns, 0, 0
        self._lags_ns, self.pacing_ns, self.pool_wait_ns = [], [], []
        return sampled
