"""What a master wrote of its workers' commands, and which sessions are not known here because of it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from loadtest import journal
from loadtest.events.kinds import ClockCompared, WorkerChanged, WorkerState
from loadtest.system import disk

_SESSION: Final = re.compile(rb'"session":"([0-9a-f]{32})"')
_TOLD: Final = (b'{"event":"worker_changed"', b'{"event":"clock_compared"')


def away(run_dir: Path) -> frozenset[str]:
    """Sessions of load processes on other hosts whose journals the master did not call whole, and that are cut short
    here. Searched, not decoded: sessions that ended are in it, too."""
    state: dict[int, WorkerState] = {}
    journals = journal.journals(run_dir)
    for path in journals:
        writer = journal.writer_of(path.name)
        if writer is not None and writer.role == "master":
            for event in told(path):
                if isinstance(event, WorkerChanged):
                    state |= dict.fromkeys(event.numbers, event.state)
    not_home = {number for number, last in state.items() if last in (WorkerState.JOINED, WorkerState.LOST)}
    found: set[str] = set()
    for path in journals if not_home else ():
        started = journal.beginning(path)
        if started is None or started.role != "engine" or started.process not in not_home:
            continue
        if not journal.has_last_word(path):
            with disk.open_read(path) as file:
                found |= {match[1].decode() for line in file for match in _SESSION.finditer(line)}
    return frozenset(found)


def told(path: Path) -> Iterator[WorkerChanged | ClockCompared]:
    """A master's words, without decoding the rest of its journal."""
    with disk.open_read(path) as file:
        for line in file:
            if line.startswith(_TOLD) and line.endswith(b"\n"):
                with suppress(journal.JournalError):  # told of by who reads the file's events
                    event = journal.decode(line)
                    if isinstance(event, WorkerChanged | ClockCompared):
                        yield event
