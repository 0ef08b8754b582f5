"""What became of a run's traces: told by the process that exports them, in a small file of the run directory, and read
by the processes that show it. Without OpenTelemetry: the load's own processes import this."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from exporters.metrics import catalogue as c
from exporters.metrics.snapshot import Snapshot
from loadtest.criteria.words import plural
from loadtest.system import disk

FILE: Final = "traces.json"
QUEUE_FULL, REFUSED, UNSENT = c.SPANS_DROPPED.labels[0].values or ()


@dataclass(slots=True)
class Counts:
    """Of sessions and spans. `spans` + `dropped` are those of the sessions that were kept."""

    sessions: int = 0  # whole traces handed to the sender
    spans: int = 0  # taken by the endpoint
    dropped_by: dict[str, int] = field(default_factory=lambda: dict.fromkeys((QUEUE_FULL, REFUSED, UNSENT), 0))
    not_sampled: int = 0  # sessions left out by the share
    incomplete: int = 0  # sessions without a beginning, without an end while the run goes on, or given up for room
    unread: int = 0  # bytes of journals that there was no time for
    bad_lines: int = 0
    last: str = ""  # by what the endpoint last did not take all, in brackets; not in the file

    @property
    def dropped(self) -> int:
        """Spans that did not get out."""
        return sum(self.dropped_by.values())

    def line(self) -> str:
        """One line for people."""
        rest = [
            f"{count} {what}"
            for count, what in (
                (self.not_sampled, "sessions not sampled"),
                (self.incomplete, "sessions incomplete"),
                (self.unread, "bytes of journals unread"),
                (self.bad_lines, "unreadable lines"),
            )
            if count
        ]
        sent = f"traces: {plural(self.sessions)}, {plural(self.spans, 'span')} sent, {self.dropped:,} dropped"
        return ", ".join([sent + self.last * bool(self.dropped), *rest])


def write(run_dir: Path, counts: Counts) -> None:
    """Replace the file at once: a reader never sees half of it. Raises OSError (a full disk)."""
    disk.replace(run_dir / FILE, json.dumps(_told(counts)).encode() + b"\n")


def read(run_dir: Path) -> dict[str, Any] | None:
    """The counts so far; None where nothing is exported, or what stands there is not by `write`."""
    try:
        found = disk.read_object(run_dir / FILE)
    except (OSError, ValueError):
        return None
    return found if _shape(found) == _shape(_told(Counts())) else None


def _told(counts: Counts) -> dict[str, Any]:
    told = {**asdict(counts), "dropped": counts.dropped}
    del told["last"]
    return told


def _shape(counts: dict[str, Any]) -> dict[str, Any]:
    return {key: _shape(value) if isinstance(value, dict) else type(value) for key, value in counts.items()}


def snapshot(run_dir: Path) -> Snapshot:
    """The same as values of metrics; none where nothing is exported."""
    counts = read(run_dir)
    if counts is None:
        return {}
    return {c.SPANS_EXPORTED.name: {"": counts["spans"]}, c.SPANS_DROPPED.name: dict(counts["dropped_by"])}
