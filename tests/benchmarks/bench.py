"""What the benchmarks share: a row of the table, a pinned twin, a pinned run, and the CPU time that it used.

Core 0 carries the harness (Locust and engine), core 1 the twin and whatever only watches. Rates come from the steady
part of the journals or from the target, CPU times from /proc, never from the tool under test.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from loadtest.events.kinds import Event
from loadtest.journal import read_run

HARNESS_CORE, TARGET_CORE = 0, 1
PATIENT = """
[realtime.audio.input.turn_detection]
silence_duration_ms = 500
"""
"""For scenarios that speak: with the service's 200 ms a short stop of a busy twin would end a speech, and what is
measured would be another conversation."""


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, in each of its runs (none: skipped). The bar holds for the median.
    `others`: what peers need for the same work, from published measurements on a machine like this."""

    what: str
    runs: Sequence[float]
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    others: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.runs) if self.runs else None

    @property
    def missed(self) -> bool:
        if self.median is None:
            return False
        over = self.at_most is not None and self.median > self.at_most
        return over or (self.at_least is not None and self.median < self.at_least)


def measured(measure: Callable[[], dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """So many runs of it, each printed as it ends."""
    found = []
    for _ in range(rounds):
        found.append(measure())
        print(json.dumps(found[-1]), flush=True)
    return found


def column(runs: Sequence[dict[str, Any]], name: str) -> list[float]:
    """One figure of all runs."""
    return [float(run[name]) for run in runs]


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """This process, what it starts unpinned and its threads stay on the target's core: they only watch."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {TARGET_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def pinned_target(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """A target on its own core; yields the line it announced itself with, plus `printed`: its last line, once it
    stopped."""
    command = ["taskset", "-c", str(TARGET_CORE), sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        target = json.loads(child.stdout.readline())
        try:
            yield target
        finally:
            child.terminate()
            lines = child.stdout.read().splitlines()
            child.wait(10)
            target["printed"] = json.loads(lines[-1]) if lines else None


def pinned_twin(*arguments: str) -> contextlib.AbstractContextManager[dict[str, Any]]:
    """A twin of its own on the target's core."""
    return pinned_target("loadtest.twin", *arguments)


def command(twin: dict[str, Any], run_dir: Path, *options: str) -> list[str]:
    """`avaload run` against that target, on the harness core."""
    words = ["taskset", "-c", str(HARNESS_CORE), sys.executable, "-m", "loadtest.cli", "run", "--json"]
    words += ["--openai-base-url", twin["openai_base_url"], "--avaturn-base-url", twin["avaturn_base_url"]]
    return [*words, "--no-check", "--metrics-port", "off", "--run-dir", str(run_dir), *options]


def run(twin: dict[str, Any], *options: str, **environ: str) -> tuple[dict[str, Any], Path]:
    """One `avaload run` to its end: its report and its directory. `environ`: further environment variables."""
    run_dir = Path(tempfile.mkdtemp(prefix="avaload-bench-"))
    done = subprocess.run(
        command(twin, run_dir, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=7200,
        env=keys(twin) | environ,
    )
    assert done.stdout, f"the run printed nothing; see {run_dir}"
    return json.loads(done.stdout), run_dir


@contextlib.contextmanager
def started(words: Sequence[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the context, if it hasn't ended by itself."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and of all it started, those that have ended included."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0.0
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])  # user, system, and the same of children that were waited for
    return total


MODELS: Final = {
    "AVALOAD_REALTIME__MODEL": "gpt-realtime",
    "AVALOAD_REALTIME__AUDIO__INPUT__TRANSCRIPTION__MODEL": "whisper-1",
}
"""Pinned: figures are compared over years, and the defaults of avaload move on."""


def keys(twin: dict[str, Any]) -> dict[str, str]:
    """Our environment with the twin's keys and the pinned models."""
    keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
    return os.environ | keys | MODELS


def events_of(run_dir: Path) -> list[Event]:
    """Everything in the journals of a run, whose directory is then removed."""
    events = [event for file in read_run(run_dir) for event in file.events]
    shutil.rmtree(run_dir)
    return events


def settle() -> None:
    """Let what ran before come to rest, so that it isn't measured."""
    time.sleep(1.0)
