"""The only clock: monotonic nanoseconds, one wall-clock anchor, and the one place that sleeps."""

import time
from pathlib import Path

now_ns = time.perf_counter_ns
"""CLOCK_MONOTONIC on Linux: the same base in every process of a host."""


def wall_ns() -> int:
    """Unix time in ns; for anchors and reports only, never for durations."""
    return time.time_ns()


def slept_ns() -> int:
    """For how long this machine has slept since it was booted, which `now_ns` doesn't count; 0 where nobody says."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def boot_id() -> str:
    """Names the monotonic clock's base: stamps of two files compare only where it is equal."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


async def sleep_until(due_ns: int) -> None:
    """Return at `due_ns` or at once if it has passed. Event loops round timers to a millisecond, so it looks again."""
    import asyncio  # not for all who only read the clock: it brings TLS along

    while (left_ns := due_ns - now_ns()) > 0:  # noqa: ASYNC110  # the one place that sleeps
        await asyncio.sleep(left_ns / 1e9)
