"""The services' own timers, which a clock scale makes run faster (TWIN.md#time-and-chance)."""

import asyncio
import time
from collections.abc import Callable


class Timers:
    """Secret TTL, absence, maximum duration and the 60-minute cut: all of them, and nothing else, run on this clock.

    Injected latency and the audio clock stay in real time. Published times (`expires_at`) stay nominal.
    """

    def __init__(self, *, scale: float) -> None:
        self.scale = scale

    def now_s(self) -> float:
        """Seconds of service time; only differences mean anything."""
        return time.perf_counter() * self.scale

    def after(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back once, `delay_s` of service time from now."""
        return asyncio.get_running_loop().call_later(delay_s / self.scale, callback)
