"""A twin as the target of a run, and what the run's journals say about what is alive there."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loadtest import journal
from loadtest.events.kinds import Event, Outcome, RemainsChanged, SessionFinished, SessionStarted
from loadtest.leftovers import finding
from tests.loadtest.twin.process import RunningTwin

DELETED = "termination_command_received"
"""The twin's end reason of a session that was deleted; any other end came by itself."""


_LATE = ("event loop lag", "lateness of our own time stamps")
_SOUND = "lateness of sent audio"
"""Follows from the others; alone it is a fault of ours."""


def unless_late(code: int, report: dict[str, Any]) -> int:
    """The exit code to expect: `code`, or 4 where the report says that this machine was too busy to measure, and that
    nothing else was wrong with the generator."""
    because = [reason for reason in report["generator"]["invalid_because"] if not reason.startswith(_SOUND)]
    return 4 if because and all(reason.startswith(_LATE) for reason in because) else code


def reaching(twin: RunningTwin) -> dict[str, str]:
    """The environment that leads a run to this twin."""
    return {
        "AVALOAD_TARGET__OPENAI_BASE_URL": twin.openai_url,
        "AVALOAD_TARGET__AVATURN_BASE_URL": twin.avaturn_url,
        "OPENAI_API_KEY": twin.openai_key,
        "AVATURN_API_KEY": twin.avaturn_key,
        # Spares every engine the half second of being ready for other kinds.
        "AVALOAD_TARGET__ROOM": "websocket",
    }


def events(run_dir: Path) -> list[Event]:
    """All events of the run so far, in order of time; none before its first journal has a line."""
    if not any(path.stat().st_size for path in journal.paths(run_dir)):
        return []
    return list(journal.merged(journal.read_run(run_dir)))


def completed(run_dir: Path) -> list[str]:
    """Sessions that went well so far."""
    return [e.session for e in events(run_dir) if isinstance(e, SessionFinished) and e.outcome is Outcome.OK]


def started(run_dir: Path) -> set[str]:
    """Sessions that began so far: their ids, which are their trace ids."""
    return {e.session for e in events(run_dir) if isinstance(e, SessionStarted)}


def leftovers(run_dir: Path) -> finding.Leftovers:
    return finding.leftovers(e for e in events(run_dir) if isinstance(e, RemainsChanged))


def unexplained(sessions: Iterable[dict[str, Any]], run_dir: Path) -> list[dict[str, Any]]:
    """Those of the twin's sessions that the journals don't call doubtful."""
    doubtful = leftovers(run_dir).doubtful.keys()
    return [session for session in sessions if not doubtful & set(session["trace_ids"])]


def alive(twin: RunningTwin) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = twin.state(alive=True)["sessions"]
    return found


def not_deleted(twin: RunningTwin) -> list[dict[str, Any]]:
    """The twin's sessions that live, or ended in another way than by a delete."""
    return [session for session in twin.state()["sessions"] if session["end_reason"] != DELETED]
