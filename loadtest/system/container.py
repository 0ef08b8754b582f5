"""What of this machine is ours: the bounds that an affinity or a container puts on its cores and its memory.

Of control groups the root is read, in version 2 or in version 1: inside a container it is the container's own.
"""

import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")


def cores() -> int:
    """Whole ones that this process may use; one at least."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = _words("cpu.max") or [*_words("cpu/cpu.cfs_quota_us"), *_words("cpu/cpu.cfs_period_us")]
    match told:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return max(1, min(allowed, int(quota) // int(period)))
    return allowed


def memory_left(total: int) -> int | None:
    """Bytes below a limit; the kernel gives cached files back, so they count as free. None: there is no limit, or none
    below the `total` of the machine."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        match [*_words(limit), *_words(used)]:
            case [most, now] if most.isdecimal() and now.isdecimal() and int(most) <= total:
                stat = _words(str(Path(limit).with_name("memory.stat")))
                files = next(
                    (int(size) for name, size in zip(stat[::2], stat[1::2], strict=False) if name == cached), 0
                )
                return max(0, int(most) - max(0, int(now) - files))
    return None


def _words(name: str) -> list[str]:
    """Of a file of the control group; none of one that can't be read."""
    try:
        return (_CGROUP / name).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
