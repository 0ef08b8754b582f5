"""What each Locust process of a run begins with: its number, its journal, an empty aggregate and an empty rulebook."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import gevent
from locust.env import Environment
from locust.runners import WorkerRunner

from exporters.metrics.aggregate import Aggregate
from loadtest import journal
from loadtest.config.environment import PROCESS
from loadtest.config.run_dir import run_id
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import GeneratorError
from loadtest.events.kinds import RunStarted
from loadtest.load.messages import NUMBERED
from loadtest.rules.rulebook import Rulebook

INDEX_LIMIT_S: Final = 10.0
SPARE_BYTES: Final = 64 << 10


def aggregate_of(settings: Settings) -> Aggregate:
    """An empty one, with the labels, edges, share of traces and plan of this run."""
    return Aggregate(
        [scenario.name for scenario in settings.scenarios],
        slos=settings.slos,
        trace_share=settings.output.trace_share,
        tags=settings.tags,
        level=settings.load.shape().level if settings.capacity is None else None,
    )


def rulebook_of(settings: Settings) -> Rulebook:
    """An empty one, with what this run's scenarios promise."""
    return Rulebook(settings.promises(today=datetime.now(UTC).date()))


def worker_index(environment: Environment) -> int:
    """0 for a process alone; a worker asks its master. Raises GeneratorError if that never answers.

    Over several hosts the worker's command was told the number before; the master has to learn which of Locust's
    workers has it.
    """
    runner = environment.runner
    if not isinstance(runner, WorkerRunner):
        return 0
    if number := os.environ.get(PROCESS):
        runner.send_message(NUMBERED, {"number": int(number)})
        return int(number)
    with gevent.Timeout(INDEX_LIMIT_S, GeneratorError("the master did not number this worker")):
        while runner.worker_index < 0:
            gevent.sleep(0.05)
    return int(runner.worker_index)


def open_journal(
    settings: Settings, run_dir: Path, path: Path, *, role: str, process: int
) -> tuple[journal.Journal, RunStarted]:
    """A process's own file and the line it begins with."""
    started = journal.first_line(role=role, run_id=run_id(run_dir), scenario=settings.name, process=process)
    return journal.Journal(path, spare_bytes=SPARE_BYTES), started
