"""`avaload sweep RUN_DIR`: from a run directory to a sweep of its leftovers, written down like everything else."""

import contextlib
import os
import sys
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtest import journal
from loadtest.config.access.guard import KEYS
from loadtest.config.access.permission import Permission
from loadtest.config.keys.scenario import absence_words
from loadtest.config.run_dir import is_embedded, load_resolved, run_id
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import LOAD, Event, RemainsChanged, RunFinished, SessionStarted
from loadtest.http_client.user_agent import introduce
from loadtest.leftovers.deleting import AT_ONCE, sweep
from loadtest.leftovers.finding import leftovers
from loadtest.preflight import certificates
from loadtest.services.control import Control
from loadtest.system import clock

_SHOWN = 5
WAIT_S = 90.0
"""For a run that is still writing: its engines may be deleting what we would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOutcome:
    """`gone`: sessions deleted now, or found gone. `failed`: session -> why. `doubtful`: can't be deleted, only waited
    for; after `absent_timeouts_s`, by their scenarios, they are gone (none: not known)."""

    gone: list[str]
    failed: dict[str, str]
    doubtful: list[str]
    absent_timeouts_s: list[int]
    note: str = ""
    passed_over: journal.PassedOver
    """What of the journals can't be read, and may have told of more."""
    unwritten: str = ""
    """Why the deletes are not in the journals."""

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"absent_timeout_s": max(self.absent_timeouts_s, default=None)}

    def sentences(self) -> list[str]:
        """For a person."""
        lines = [self.note] if self.note else []
        lines.append(f"{len(self.gone)} deleted or already gone, {len(self.failed)} failed")
        lines += [f"  {session}: {why}" for session, why in self.failed.items()]
        if self.doubtful:
            lines.append(
                f"{len(self.doubtful)} doubtful: their create was not answered, or with a server error, so there is"
                f" no id to delete; if they exist, {absence_words(self.absent_timeouts_s)} ends them"
            )
        if self.passed_over.count:
            lines.append(
                f"passed over in the journals, since it can't be read: {self.passed_over.count}; what it may have told"
                " of is not known"
            )
            lines += [f"  {where_and_why}" for where_and_why in self.passed_over.first]
        if self.unwritten:
            lines.append(f"not written down, since {self.unwritten}; the run's report will still call them left")
        return lines


async def sweep_run(run_dir: Path, permission: Permission) -> SweepOutcome:
    """Says first whom it asks. Raises ConfigError for a directory that is no run, for a run that does not stop writing,
    for missing keys, and where it may not ask."""
    settings = load_resolved(run_dir)
    if not journal.wait_until_closed(run_dir, timeout_s=WAIT_S):
        raise ConfigError(f"{run_dir}: the run is still writing; sweep it once it has ended")
    passed = journal.PassedOver()
    left = leftovers(journal.words(run_dir, RemainsChanged, passed))
    if not journal.paths(run_dir):
        raise journal.JournalError(journal.not_a_run(run_dir))
    begun = journal.words(run_dir, SessionStarted) if left.doubtful else ()
    doubtful, absent_timeouts_s = sorted(left.doubtful), _absences_s(begun, left.doubtful, settings)
    if not left.leaked or is_embedded(run_dir):
        note = "the run's embedded twin has ended, and its sessions with it" if left.leaked else "nothing to delete"
        return SweepOutcome(
            gone=sorted(left.leaked),
            failed={},
            doubtful=doubtful,
            absent_timeouts_s=absent_timeouts_s,
            note=note,
            passed_over=passed,
        )
    try:
        settings, url = permission.settings_for_deletes(settings, os.environ)
    except ConfigError as error:
        first = ", ".join(sorted(left.leaked)[:_SHOWN])
        more = "" if len(left.leaked) <= _SHOWN else f" and {len(left.leaked) - _SHOWN} more"
        raise ConfigError([*error.problems, f"nothing was sent; left: {first}{more}"]) from error
    host = urlsplit(url).netloc
    print(f"sweep: {plural(len(left.leaked), 'delete')} at {host}", file=sys.stderr, flush=True)
    if untrusted := await certificates.untrusted([url], settings.target):
        raise ConfigError(untrusted)
    keys = {key: os.environ.get(key, "") for key in KEYS}
    introduce(run_id(run_dir))
    with contextlib.ExitStack() as stack:
        full: list[OSError] = []
        try:
            write, unwritten = _written_to(run_dir, settings.name, stack, full.append), ""
        except OSError as error:  # what is left costs money: it is deleted all the same
            write, unwritten = _nowhere, f"{error.filename}: {error.strerror}"
        async with Control(settings, keys, connections=2 * AT_ONCE) as control:
            swept = await sweep(control, left, emit=write, timeout_s=settings.target.delete_timeout_s)
        write(RunFinished(t_ns=clock.now_ns(), reason="completed"))
        unwritten = unwritten or next((f"{run_dir}: {error.strerror}" for error in full), "")
    return SweepOutcome(
        gone=sorted(swept.gone),
        failed=swept.failed,
        doubtful=doubtful,
        absent_timeouts_s=absent_timeouts_s,
        passed_over=passed,
        unwritten=unwritten,
    )


def _written_to(
    run_dir: Path, scenario: str, stack: contextlib.ExitStack, on_full: Callable[[OSError], None]
) -> Callable[[Event], None]:
    """Writes events to a new journal of the run, until the stack is closed. Raises OSError where it can't be made."""
    number = len(journal.paths(run_dir, "sweep"))
    file = stack.enter_context(journal.Journal(journal.path_of(run_dir, "sweep", number)))
    file.on_full = on_full

    def write(event: Event) -> None:
        file.write(journal.encode(event))

    write(journal.first_line(role="sweep", run_id=run_id(run_dir), scenario=scenario, process=0, incarnation=number))
    return write


def _nowhere(_event: Event) -> None:
    pass


def _absences_s(begun: Iterable[SessionStarted], sessions: Container[str], settings: Settings) -> list[int]:
    """Of these sessions' own scenarios. A probe's session asked for what its probe needed: it says nothing."""
    names = {e.scenario for e in begun if e.purpose == LOAD and e.session in sessions}
    scenarios = [scenario for name in names if (scenario := settings.scenario_of(name)) is not None]
    return sorted({scenario.session.absence_s for scenario in scenarios})
