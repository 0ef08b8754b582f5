"""What a master knows of its load processes: their reports, which are silent, and what became of the dead.

A silent worker's gauges leave at once and its open sessions are unknown. Its return settles them, or its death does: a
journal is locked while its writer lives, so a worker whose journal is free is dead, and once its engines' journals are
free too, what they say is folded anew and takes the place of its last report. Only then can a session count as left
behind: an engine that lost its Locust process still deletes what it created. Of a host that is cut off the copies are
free and prove nothing: its workers are silent for as long as it is, and stay unknown.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.snapshot import Snapshot, merged, never_less, without_gauges
from loadtest import journal
from loadtest.events.kinds import Event
from loadtest.rules.rulebook import Rulebook
from loadtest.system import disk

SILENT_AFTER_S: Final = 3.0
"""Reports come each second."""

LOST_AFTER_S: Final = 30.0
"""A worker that was only paused comes back; one that is silent for longer, or dead, is lost."""

_AT_ONCE: Final = 300  # events between two pauses of a settlement: some ms


@dataclass(slots=True)
class _Worker:
    latest: Snapshot
    heard_ns: int
    gaps: int = 0
    silent: bool = False
    done: bool = False
    lost: bool = False
    settled: bool = False

    @property
    def open(self) -> int:
        """Sessions that may be open, by its last report."""
        found = self.latest.get(c.SESSIONS_OPEN.name, {}).get("", 0)
        return 0 if isinstance(found, list) else int(found)


@dataclass(slots=True)
class Workers:
    """By index in the run. `empty` makes an aggregate with the run's labels, `rules` a rulebook with its promises.
    `is_cut_off`: whether a worker's journals may be longer where it runs than here. Times are of the caller's clock, in
    ns."""

    run_dir: Path
    empty: Callable[[], Aggregate]
    rules: Callable[[], Rulebook]
    is_cut_off: Callable[[int], bool] = lambda _: False
    _all: dict[int, _Worker] = field(default_factory=dict)

    def heard(self, index: int, report: Snapshot, *, now_ns: int, done: bool = False) -> None:
        """A report; `done`: its last one. A worker that was thought lost may speak again, unless it is settled."""
        worker = self._all.setdefault(index, _Worker(report, now_ns))
        if worker.settled:
            return
        worker.latest, worker.heard_ns, worker.silent = report, now_ns, False
        worker.done = worker.done or done

    def forget(self, index: int) -> None:
        """Another one has taken its place before the run began: what it reported, and that it is done, is no part of
        the run."""
        self._all.pop(index, None)

    def look(self, now_ns: int) -> list[int]:
        """Who has been lost since the last look."""
        self._find_stillborn()
        lost = []
        for index, worker in self._all.items():
            if worker.done or worker.settled:
                continue
            silent = now_ns - worker.heard_ns > SILENT_AFTER_S * 1e9
            worker.gaps += silent and not worker.silent
            worker.silent = silent
            long_silent = now_ns - worker.heard_ns > LOST_AFTER_S * 1e9
            if silent and not worker.lost and (long_silent or self._dead(index)):
                worker.lost = True
                lost.append(index)
        return lost

    @property
    def finished(self) -> int:
        """How many are done, or lost with nothing more to be learnt about them for now."""
        return sum(worker.done or (worker.lost and not self._settling(i)) for i, worker in self._all.items())

    def settle(self) -> Iterator[None]:
        """Fold the journals of those that are dead with all their engines; pauses now and then, for other work."""
        for index, worker in self._all.items():
            files = self._files(index, "engine")
            if worker.lost and not worker.settled and self._dead(index) and all(map(journal.is_free, files)):
                aggregate, rules = self.empty(), self.rules()
                for number, event in enumerate(_events(self._files(index, "worker") + files)):
                    aggregate.add(event)
                    rules.add(event)
                    if number % _AT_ONCE == 0:
                        yield
                aggregate.end_dead_worker()
                found = aggregate.snapshot(
                    rule_violations=rules.violations(), waived_violations=rules.waived_violations()
                )
                worker.latest = never_less(found, worker.latest)
                worker.settled = True

    def snapshot(self, *, now_ns: int) -> Snapshot:
        """All workers' values together: of silent ones what they counted, and how many sessions are unknown."""
        workers = {str(index): worker for index, worker in self._all.items()}
        unsettled = [worker for worker in workers.values() if worker.silent and not worker.settled]
        ages_s = {
            index: round(max(0, now_ns - worker.heard_ns) / 1e9, 3)
            for index, worker in workers.items()
            if not (worker.done or worker.settled)
        }
        own: Snapshot = {
            c.SESSIONS_UNKNOWN.name: {"": sum(worker.open for worker in unsettled)},
            c.WORKER_UP.name: {index: int(not worker.silent) for index, worker in workers.items()},
            c.WORKER_REPORT_GAPS.name: {index: worker.gaps for index, worker in workers.items()},
            c.WORKER_REPORT_AGE.name: dict(ages_s),
        }
        told = [without_gauges(each.latest) if each.silent else each.latest for each in workers.values()]
        return merged([own, *told])

    def _find_stillborn(self) -> None:
        """Those that began a journal and died before their first report."""
        for path in journal.paths(self.run_dir, "worker"):
            writer = journal.writer_of(path.name)
            index = None if writer is None else writer.number
            if index is not None and index not in self._all and self._dead(index):
                self._all[index] = _Worker({}, heard_ns=0)

    def _dead(self, index: int) -> bool:
        """Its journal is here, nobody writes it any more, and it was not ended: then its last report is on its way."""
        if self.is_cut_off(index):
            return False
        files = self._files(index, "worker")
        return bool(files) and all(map(journal.is_free, files)) and not any(map(journal.has_last_word, files))

    def _settling(self, index: int) -> bool:
        """Dead, and its engines may still be deleting."""
        return self._dead(index) and not self._all[index].settled

    def _files(self, index: int, role: str) -> list[Path]:
        return [path for path in journal.paths(self.run_dir, role, index) if path.stat().st_size]


def _events(paths: list[Path]) -> Iterator[Event]:
    """Of all files, roughly in the order of their stamps; lines that a kill has cut are left out."""
    return heapq.merge(*map(_lines, paths), key=lambda event: event.t_ns)


def _lines(path: Path) -> Iterator[Event]:
    with disk.open_read(path) as file:
        for line in file:
            try:
                yield journal.decode(line)
            except journal.JournalError:
                continue
