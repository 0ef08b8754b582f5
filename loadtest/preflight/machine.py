"""What this machine has, against what a plan needs of it: asked by `doctor`, before a run starts anything, and by every
host that takes part in one.

The figures are what sessions were seen to take. A plan that surely can't work is refused, one that may not is warned
of.
"""

import contextlib
import math
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.config.settings import SET_UP_S, Settings
from loadtest.criteria.words import plural
from loadtest.system import container

FILES_OF_A_PROCESS: Final = 64
"""Journal, log, pipes, event loop, libraries: about 40 were seen."""
FILES_OF_A_SESSION: Final = {"none": 1, "websocket": 2, "webrtc": 3, "daily": 3, "auto": 2}
"""At the same moment, by the kind of room: the room's sockets and a connection of HTTP. Twice as many at times."""
TWIN_FILES_OF_A_SESSION: Final = 4
BYTES_OF_A_SESSION: Final = 16 << 10
"""Of a journal, for each 15 s of talking; a second of health of each process has a fortieth."""
TALK_S: Final = 15.0
BYTES_OF_REPORTS: Final = 2 << 20
LEAST_DISK: Final = 256 << 10
MEMORY_OF_A_PROCESS: Final = 200 << 20
MEMORY_OF_A_SESSION: Final = 512 << 10
_MEMORY: Final = Path("/proc/meminfo")
_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`state`: ok, warn (the plan may not fit) or bad (it can't)."""

    name: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class _Part:
    """Of a plan, what one host has of it: so many of its load processes, and their users."""

    settings: Settings
    processes: int

    @property
    def users(self) -> int:
        return math.ceil(self.settings.pool * self.processes / self.settings.load.processes)

    @property
    def needed(self) -> str:
        return f"{plural(self.users, 'user')} at once {'needs' if self.users == 1 else 'need'}"


def examine(settings: Settings, directory: Path, *, processes: int | None = None) -> list[Finding]:
    """Every limit that is known, against the plan. `directory`: where the run will be written, there or not.
    `processes`: how many of its load processes run on this host (None: all); a master of others has none, and all of
    their journals."""
    here = 0 if settings.distribution.master else settings.load.processes
    part = _Part(settings, here if processes is None else processes)
    disk = _disk(settings, directory, share=part.processes / settings.load.processes if part.processes else 1.0)
    if not part.processes:
        return [disk]
    return [_open_files(part), _local_ports(part), disk, _memory(part)]


def bad(found: Iterable[Finding]) -> list[str]:
    """What makes the plan impossible, a sentence each."""
    return [f"{finding.name}: {finding.text}" for finding in found if finding.state == "bad"]


def _open_files(part: _Part) -> Finding:
    """Processes raise their own soft limit to the hard one; so that is what counts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = part.settings
    each, sessions = FILES_OF_A_SESSION[settings.target.room], math.ceil(part.users / part.processes)
    least, likely = FILES_OF_A_PROCESS + each * sessions, 2 * FILES_OF_A_PROCESS + 2 * each * sessions
    if settings.embedded_twin:
        of_twin = TWIN_FILES_OF_A_SESSION * part.users
        least, likely = max(least, FILES_OF_A_PROCESS + of_twin), max(likely, 2 * FILES_OF_A_PROCESS + 2 * of_twin)
    text = f"a process may open {hard}, {part.needed} about {likely}"
    if hard == resource.RLIM_INFINITY or hard >= likely:
        return Finding(name="open files", state="ok", text=text)
    # How many of the users that wait for open arrivals are ever busy is not known.
    state = "bad" if hard < least and not settings.load.open else "warn"
    return Finding(name="open files", state=state, text=f"{text}; raise the limit (ulimit -Hn), or use fewer users")


def _local_ports(part: _Part) -> Finding:
    needed = 3 * part.users
    try:
        low, high = (int(word) for word in _PORTS.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return Finding(name="local ports", state="ok", text=f"unknown; {part.needed} about {needed}")
    state = "ok" if high - low >= needed else "warn"
    text = f"{high - low + 1} to one address, {part.needed} about {needed}"
    return Finding(name="local ports", state=state, text=text)


def _disk(settings: Settings, directory: Path, *, share: float) -> Finding:
    needed = int(_bytes_written(settings) * share)
    free = free_disk(directory)
    if free is None:
        return Finding(name="disk", state="ok", text=f"unknown; the run needs about {_mib(needed)}")
    text = f"{_mib(free)} free for {directory}, the run needs about {_mib(needed)}"
    return Finding(name="disk", state="bad" if free < LEAST_DISK else "ok" if free >= needed else "warn", text=text)


def _bytes_written(settings: Settings) -> int:
    load, session_s = settings.load, settings.conversation_s + SET_UP_S
    sessions = settings.pool * max(1.0, load.duration / session_s)
    if settings.target.max_sessions is not None:
        sessions = min(sessions, settings.target.max_sessions)
    per_session = BYTES_OF_A_SESSION * max(0.5, settings.conversation_s / TALK_S)
    health = load.duration * (2 * load.processes + 1) * BYTES_OF_A_SESSION / 40
    return int(sessions * per_session + health) + BYTES_OF_REPORTS


def free_disk(directory: Path) -> int | None:
    """Bytes that may still be written there; None where nothing says so. 0 where no file more can be made."""
    there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    try:
        found = os.statvfs(there)
    except OSError:
        return None
    if not found.f_blocks:
        return None
    if found.f_files and not found.f_ffree:
        return 0
    kept_for_root = found.f_bfree if os.geteuid() == 0 else 0
    return (found.f_bavail or kept_for_root) * found.f_frsize


def _memory(part: _Part) -> Finding:
    needed = part.processes * 2 * MEMORY_OF_A_PROCESS + part.users * MEMORY_OF_A_SESSION
    if part.settings.embedded_twin:
        needed += MEMORY_OF_A_PROCESS + part.users * MEMORY_OF_A_SESSION
    free = _free_memory()
    text = f"{_mib(free)} free, the run needs about {_mib(needed)}"
    return Finding(name="memory", state="ok" if free >= needed else "warn", text=text)


def _free_memory() -> int:
    """What the kernel says can be had without swapping, or what a container's limit leaves, if that is less; a lot
    where nothing says so."""
    told = {"MemAvailable": 1 << 62, "MemTotal": 1 << 62}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMORY.read_text(encoding="ascii").splitlines():
            name, _, size = line.partition(":")
            if name in told:
                told[name] = int(size.split()[0]) << 10
    left = container.memory_left(told["MemTotal"])
    return told["MemAvailable"] if left is None else min(told["MemAvailable"], left)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB" if size < 10 << 20 else f"{size / 2**20:,.0f} MiB"
