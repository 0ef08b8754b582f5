"""The processes of a run beside Locust: the embedded twin before it, the exporters while it runs, the run's span after.

The twin is the last to go: it reads a pipe (the lifeline) that every other process of the run holds open, so that it
outlives them all and no kill leaves it running. SIGTERM it ignores, SIGINT is our order.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from loadtest.config import environment
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import GeneratorError
from loadtest.system import disk
from loadtest.text.outlets import line

TWIN_READY_S = 30.0
TWIN_STOP_S = 5.0
EXPORTER_END_S = 1.3
EXPORTER_STOP_S = 0.4
"""To end by itself, and once it was told to: a collector that is down or hangs adds two seconds to a run, no more."""
RUN_SPAN_S = 10.0
"""Of which a collector may take two; the rest is for a machine that is busy with starting it."""


@contextlib.contextmanager
def embedded_twin(read_fd: int, *, knobs: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
    """The twin as a process and session of its own; yields the line it announces itself with. Raises GeneratorError."""
    command = [sys.executable, "-P", "-m", "loadtest.twin", "--lifeline-fd", str(read_fd)]
    command += [word for knob in knobs for word in ("--set", knob)]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment.of_child(without=(environment.PROXIES, environment.COLLECTORS)),
        pass_fds=(read_fd,),
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        if not select.select([child.stdout], [], [], TWIN_READY_S)[0] or not (line := child.stdout.readline()):
            raise GeneratorError("the embedded twin did not start")
        yield json.loads(line)
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        try:
            child.wait(TWIN_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


@contextlib.contextmanager
def exporters(settings: Settings, run_dir: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """The processes that send spans and metrics to a collector, where the run names one. `say`: told in the end of
    spans and metrics that it did not take."""
    output = settings.output
    with contextlib.ExitStack() as stack:
        if (endpoint := output.otlp_endpoint) is not None:
            share = str(output.trace_share)
            command = ["exporters.traces.process", str(run_dir), "--follow", "--otlp-endpoint", endpoint]
            stack.enter_context(_spans([*command, "--trace-share", share], run_dir / "traces.log", endpoint, say))
        if (endpoint := output.otlp_metrics) is not None:
            log = run_dir / "otlp-metrics.log"
            command = ["exporters.pushing.push", str(run_dir), "--otlp-metrics", endpoint]
            stack.callback(lambda: _complain_of(log, endpoint, say))
            stack.enter_context(_exporter(command, log))
        yield


def send_run_span(settings: Settings, run_dir: Path, *, say: Callable[[str], None]) -> None:
    """The run's own span, now that its verdict is known; a collector that doesn't take it in time goes without. `say`:
    told where it does."""
    if (endpoint := settings.output.otlp_endpoint) is None:
        return
    command = [sys.executable, "-P", "-m", "exporters.traces.process", str(run_dir), "--run-alone"]
    try:
        with disk.open_write(run_dir / "run-span.log") as log:
            subprocess.run(
                [*command, "--otlp-endpoint", endpoint],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment.of_child(without=(environment.PROXIES,)),
                timeout=RUN_SPAN_S,
                check=True,
            )
    except subprocess.SubprocessError:
        say(line(f"note: {endpoint} lacks the span of the run itself"))


@contextlib.contextmanager
def _spans(command: list[str], log: Path, endpoint: str, say: Callable[[str], None]) -> Iterator[None]:
    """What did not get out is counted, and told with the report: unless whoever counts has failed."""
    with _exporter(command, log) as child:
        yield
        goes_on = child.poll() is None
    if child.returncode:
        by_whom = "it did not end in time" if goes_on else "it was killed"
        *_, last = [by_whom, *disk.read(log).decode(errors="replace").split("\n")[:-1]]
        say(line(f"note: {endpoint} lacks spans of this run: {last.removeprefix('avaload: ')}"))


@contextlib.contextmanager
def _exporter(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with disk.open_write(log) as output:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment.of_child(without=(environment.PROXIES,)),
            start_new_session=True,
        )
        try:
            # The load comes first, from the exporter's first import on.
            os.setpriority(os.PRIO_PROCESS, child.pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10))
            yield child
        finally:
            _stop_exporter(child)


def _complain_of(log: Path, endpoint: str, say: Callable[[str], None]) -> None:
    """Metrics that are not at the collector are missed by nobody, unless they are told of."""
    told = disk.read(log).decode(errors="replace").strip()
    if not told.endswith(" 0 not"):
        say(f"note: {endpoint} lacks metrics of this run: {told or 'its last values were not taken in time'}")


def _stop_exporter(child: subprocess.Popen[bytes]) -> None:
    """It ends by itself once the journals are closed; a collector that hangs must not hold up the run's end."""
    for nudge, patience_s in ((None, EXPORTER_END_S), (child.terminate, EXPORTER_STOP_S), (child.kill, None)):
        if nudge is not None:
            nudge()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
            return
