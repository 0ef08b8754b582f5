"""The generator watching itself: how late its loops are, what they cost, how long the garbage collector stopped
them."""

import gc
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.events.kinds import HealthSampled
from loadtest.system import clock
from loadtest.system.clock import now_ns, wall_ns

PROBE_S = 0.01
MIN_SAMPLE_NS = 500_000_000
SLEPT_NS = 1_000_000_000
"""Less is no sleep: the two clocks are not read at once."""
_NEVER_NS = 1 << 62
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def quantile_ns(values: Sequence[int], q: float) -> int:
    """The value at rank q (0 … 1), nearest rank; 0 for no values."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _jiffies() -> list[int]:
    """CPU time of the machine by what it went to (man proc_stat: user, nice, system … the eighth is steal)."""
    try:
        return [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    except (OSError, ValueError):
        return []


def _files_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class Health:
    """Collects for a second, then `sample()` says it and starts anew. The loop feeds `lag` every PROBE_S."""

    def __init__(self, *, source: str, process: int) -> None:
        self._source, self._process = source, process
        self._lag_ns, self._due_ns = 0, _NEVER_NS
        self.events_lost = 0
        self.pacing_ns: list[int] = []
        self.pool_wait_ns: list[int] = []
        self._lags_ns: list[int] = []
        self._gc_started_ns = self._gc_pause_ns = 0
        self._cpu_s, self._since_ns = time.process_time(), now_ns()
        self._slept_ns = clock.slept_ns()
        self._statm = Path("/proc/self/statm")
        self._jiffies = _jiffies()

    def lag(self, lag_ns: int) -> None:
        self._lag_ns = lag_ns
        self._lags_ns.append(lag_ns)

    @property
    def lag_ns(self) -> int:
        """Of what is stamped now: the last look's, or how long the next one is overdue. After a stop of ours the loop
        hands out what has waited before it looks again."""
        return max(self._lag_ns, now_ns() - self._due_ns)

    async def watch_loop(self) -> None:
        """Looks how late the loop is, for as long as it is let. A look that was late isn't made up for: what has waited
        along with it needs some turns of the loop, and its lag is told for as long."""
        import asyncio  # not for the hub, which looks for itself

        try:
            while True:
                self._due_ns = now_ns() + int(PROBE_S * 1e9)
                await asyncio.sleep(PROBE_S)
                self.lag(max(0, now_ns() - self._due_ns))
        finally:
            self._due_ns = _NEVER_NS

    def slept_s(self) -> float:
        """For how long the machine has slept since this was asked last; 0 for less than a second."""
        slept_ns = clock.slept_ns() - self._slept_ns
        if slept_ns <= SLEPT_NS:
            return 0.0
        self._slept_ns += slept_ns
        return slept_ns / 1e9

    def watch_gc(self) -> None:
        gc.callbacks.append(self._on_gc)

    def _steal_percent(self) -> float | None:
        """Of the machine's CPU time since the last call; None where the kernel doesn't say."""
        before, self._jiffies = self._jiffies, _jiffies()
        if len(self._jiffies) < 8 or len(before) < 8:
            return None
        passed = sum(self._jiffies[:8]) - sum(before[:8])
        return round(100 * (self._jiffies[7] - before[7]) / passed, 1) if passed > 0 else 0.0

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
            steal_percent=self._steal_percent(),
            open_files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208  # once a second, and cheap
            files_limit=_files_limit(),
        )
        self._cpu_s, self._since_ns, self._gc_pause_ns, self.events_lost = cpu_s, t_ns, 0, 0
        self._lags_ns, self.pacing_ns, self.pool_wait_ns = [], [], []
        return sampled
