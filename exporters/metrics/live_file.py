"""The values that /metrics shows, in a small file of the run directory, for a process that pushes them. Without
OpenTelemetry: the load's own processes import this."""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from exporters.metrics.snapshot import Snapshot
from loadtest.config.run_dir import read_or_nothing
from loadtest.system import clock, disk

FILE: Final = "metrics.live"
EVERY_S: Final = 10.0
"""How often it is written, and pushed."""
_MAX_BYTES: Final = 16 << 20


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """All values at `at_ns`, Unix time. `over`: they are the last; `run_started_at`: as settings.json has it."""

    run_id: str
    run_started_at: str | None = None
    host: str
    started_ns: int
    at_ns: int
    over: bool
    snapshot: Snapshot


def write(run_dir: Path, live: Live) -> None:
    """Replace the file at once: a reader never sees half of it. Raises OSError (a full disk)."""
    disk.replace(run_dir / FILE, msgspec.json.encode(live))


def read(run_dir: Path) -> Live | None:
    """What stands there; None where there is nothing yet, or nothing that `write` wrote."""
    try:
        with disk.open_read(run_dir / FILE) as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=Live)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def keep(run_dir: Path, *, run_id: str, snapshot: Callable[[], Snapshot], wait_ended: Callable[[float], bool]) -> None:
    """Write the file as long as the run goes on, and once more when it is over. `wait_ended`: whether it is, by then;
    a full disk is not the run's end: all of it is in the journals."""
    started_ns, over = clock.wall_ns(), False
    run_started_at = read_or_nothing(run_dir).started_at
    while True:
        live = Live(
            run_id=run_id,
            run_started_at=run_started_at,
            host=socket.gethostname(),
            started_ns=started_ns,
            at_ns=clock.wall_ns(),
            over=over,
            snapshot=snapshot(),
        )
        with contextlib.suppress(OSError):
            write(run_dir, live)
        if over:
            return
        over = wait_ended(EVERY_S)
