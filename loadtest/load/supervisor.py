"""The processes of a run: starts the twin, Locust and the trace exporter, waits, stops them in the right order.

The twin is the last to go: it reads a pipe (the lifeline) that every other process of the run holds open, so that it
outlives them all and no kill leaves it running. Locust's stdin is ours: when this process dies, Locust notices and ends
the run.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

import msgspec

from loadtest import journal
from loadtest.config import environment
from loadtest.config.access.cluster import TOKEN
from loadtest.config.access.guard import KEYS
from loadtest.config.access.scrapers import PASSWORD
from loadtest.config.run_dir import load_resolved
from loadtest.config.settings import Settings
from loadtest.language import disk
from loadtest.language.errors import ConfigError, GeneratorError
from loadtest.load.glance import Glance

LOCUST = (sys.executable, "-P", "-m", "loadtest.locust_main", "-f", str(Path(__file__).parents[1] / "locustfile.py"))
TWIN_READY_S = 30.0
TWIN_STOP_S = 5.0
EXPORTER_END_S = 1.3
RUN_SPAN_S = 10.0
"""Of which a collector may take two; the rest is for a machine that is busy with starting it."""
EXPORTER_STOP_S = 0.4
"""To end by itself, and once it was told to: a collector that is down or hangs adds two seconds to a run, no more."""
START_UP_S = 120.0
SETTLE_S = 180.0
"""How long engines may go on deleting after Locust is gone (each bounds itself to a minute)."""


@dataclass(slots=True)
class Interruption:
    """How often the operator asked to stop: once cuts the run short, twice skips the reports; deletes always happen."""

    count: int = 0

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """While inside, SIGINT and SIGTERM are counted instead of killing this process."""

        def note(_signal: int, _frame: FrameType | None) -> None:
            self.count += 1

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def lifeline() -> Iterator[tuple[int, int]]:
    """(read end, write end) of the pipe that says whether anybody of the run is alive."""
    read_fd, write_fd = os.pipe()
    try:
        yield read_fd, write_fd
    finally:
        os.close(read_fd)
        os.close(write_fd)


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
            child.terminate()
        try:
            child.wait(TWIN_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def bind_metrics(port: int | str, host: str = "127.0.0.1") -> socket.socket | None:
    """The listening socket of `/metrics`, taken before anything is started. Raises ConfigError if the port is in
    use."""
    if not isinstance(port, int):
        return None
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"output.metrics_port: {port} on {host}: {error.strerror}; choose another with --metrics-port N, or off"
        ) from error
    listener.listen(64)
    return listener


def check_port_free(port: int, name: str, host: str = "127.0.0.1") -> None:
    """Raises ConfigError if something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{name}: {port} on {host}: {error.strerror}") from error


def free_port() -> int:
    """A loopback port nobody listens on; for Locust's master, which can't be given a socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def locust_command(settings: Settings) -> list[str]:
    """How Locust is started. All users are spawned at once: they pace themselves (loadtest/arrivals/schedule.py)."""
    load, web_port = settings.load, settings.output.web_port
    users = str(-(-settings.pool // load.processes) * load.processes)  # as many in each; those above the pool go home
    command = [*LOCUST]
    command += ["-u", users, "-r", users, "--stop-timeout", "5", "--exit-code-on-error", "0"]
    if web_port is None:
        command += ["--headless", "--only-summary"]
    else:
        command += ["--web-host", "127.0.0.1", "--web-port", str(web_port), "--autostart", "--autoquit", "0"]
    if settings.distribution.master:
        hosts = settings.distribution
        command += ["--master", "--master-bind-host", hosts.bind_host, "--master-bind-port", str(hosts.bind_port)]
        command += ["--expect-workers", str(load.processes)]
    elif load.processes > 1:
        port = str(free_port())
        command += ["--processes", str(load.processes), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", port, "--master-host", "127.0.0.1", "--master-port", port]
    return command


def process_environ(
    run_dir: Path, *, keys: Mapping[str, str], salt: str, token: str, hidden: str | None = None
) -> dict[str, str]:
    """The environment of a Locust process: what reaches any process of ours, what its scenario names, its run, the
    keys. `salt` (hex) is one for all processes of a run: fingerprints of secrets are made with it; `token`: with which
    they know each other; `hidden`: what settings.json doesn't tell of its endpoint."""
    backend = load_resolved(run_dir).target.backend
    environ = environment.of_child(backend.variables if backend is not None else ())
    environ |= {key: keys[key] for key in KEYS}
    own = {environment.RUN_DIR: str(run_dir), environment.OWNER: "stdin", environment.SALT: salt}
    return environ | own | {TOKEN: token} | ({} if hidden is None else {environment.HIDDEN: hidden})


def run_locust(
    settings: Settings,
    run_dir: Path,
    *,
    keys: Mapping[str, str],
    token: str,
    metrics: socket.socket | None,
    lifeline_fd: int,
    interruption: Interruption,
    on_progress: Callable[[Glance], None],
    on_tick: Callable[[], bytes] = bytes,
) -> int:
    """Run Locust to its end and return its exit code (negative: killed by that signal)."""
    progress_read, progress_write = os.pipe()
    backend = settings.target.backend
    hidden = None if backend is None else backend.hidden()
    environ = process_environ(run_dir, keys=keys, salt=os.urandom(16).hex(), token=token, hidden=hidden)
    environ |= {environment.PROGRESS_FD: str(progress_write), environment.LIFELINE_FD: str(lifeline_fd)}
    fds = [lifeline_fd, progress_write]
    if metrics is not None:
        environ[environment.METRICS_FD] = str(metrics.fileno())
        if (password := os.environ.get(PASSWORD)) is not None:
            environ[PASSWORD] = password
        fds.append(metrics.fileno())
    with disk.open_write(run_dir / "locust.log") as log, os.fdopen(progress_read, "rb", buffering=0) as progress:
        locust = subprocess.Popen(
            locust_command(settings),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environ,
            pass_fds=fds,
            start_new_session=True,
        )
        os.close(progress_write)
        try:
            return _follow(locust, progress, settings, interruption, on_progress, on_tick)
        finally:
            if locust.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    locust.stdin.close()
            if locust.poll() is None:
                locust.kill()
                locust.wait()


def _follow(
    locust: subprocess.Popen[bytes],
    progress: IO[bytes],
    settings: Settings,
    interruption: Interruption,
    on_progress: Callable[[Glance], None],
    on_tick: Callable[[], bytes],
) -> int:
    """Wait for Locust, passing its progress on, and to it what `on_tick` says; far beyond its time it is killed: its
    engines then delete by
    themselves."""
    linger_s = settings.output.metrics_linger or 120.0
    deadline = time.monotonic() + START_UP_S + settings.load.duration + settings.graceful_stop_s + SETTLE_S + linger_s
    if settings.distribution.master:
        deadline += settings.distribution.max_wait
    rest, decode = b"", msgspec.json.Decoder(Glance).decode
    while locust.poll() is None and time.monotonic() < deadline:
        if interruption.count and locust.stdin is not None and not locust.stdin.closed:
            locust.stdin.close()
            deadline = min(deadline, time.monotonic() + SETTLE_S)
        elif locust.stdin is not None and not locust.stdin.closed and (order := on_tick()):
            with contextlib.suppress(BrokenPipeError):  # it has ended: the next look finds that out
                locust.stdin.write(order)
                locust.stdin.flush()
        if not select.select([progress], [], [], 0.1)[0]:
            continue
        if data := os.read(progress.fileno(), 65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                on_progress(decode(line))
        else:
            time.sleep(0.05)  # the pipe's other end is closed: only the exit is left to wait for
    return locust.returncode if locust.returncode is not None else -signal.SIGKILL


@contextlib.contextmanager
def exporters(settings: Settings, run_dir: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """The processes that send spans and metrics to a collector, where the run names one. `say`: told in the end of
    metrics that it did not take."""
    output = settings.output
    with contextlib.ExitStack() as stack:
        if (endpoint := output.otlp_endpoint) is not None:
            share = str(output.trace_share)
            command = ["exporters.traces.process", str(run_dir), "--follow", "--otlp-endpoint", endpoint]
            stack.enter_context(_exporter([*command, "--trace-share", share], run_dir / "traces.log"))
        if (endpoint := output.otlp_metrics) is not None:
            log = run_dir / "otlp-metrics.log"
            command = ["exporters.pushing.push", str(run_dir), "--otlp-metrics", endpoint]
            stack.callback(lambda: _complain_of(log, endpoint, say))
            stack.enter_context(_exporter(command, log))
        yield


def send_run_span(settings: Settings, run_dir: Path) -> None:
    """The run's own span, now that its verdict is known; a collector that doesn't take it in time goes without."""
    if (endpoint := settings.output.otlp_endpoint) is None:
        return
    command = [sys.executable, "-P", "-m", "exporters.traces.process", str(run_dir), "--run-alone"]
    with contextlib.suppress(subprocess.TimeoutExpired), disk.open_write(run_dir / "run-span.log") as log:
        subprocess.run(
            [*command, "--otlp-endpoint", endpoint],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment.of_child(environment.CI_VARIABLES, without=("proxies",)),
            timeout=RUN_SPAN_S,
            check=False,
        )


@contextlib.contextmanager
def _exporter(command: list[str], log: Path) -> Iterator[None]:
    with disk.open_write(log) as output:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment.of_child(without=("proxies",)),
            start_new_session=True,
        )
        try:
            # The load comes first, from the exporter's first import on.
            os.setpriority(os.PRIO_PROCESS, child.pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10))
            yield
        finally:
            _stop_exporter(child)


def _complain_of(log: Path, endpoint: str, say: Callable[[str], None]) -> None:
    """Metrics that are not at the collector are missed by nobody, unless they are told of."""
    told = disk.read(log).decode(errors="replace").strip()
    if not told.endswith(" 0 not"):
        say(f"note: {endpoint} lacks metrics of this run: {told or 'nothing was pushed in time'}")


def _stop_exporter(child: subprocess.Popen[bytes]) -> None:
    """It ends by itself once the journals are closed; a collector that hangs must not hold up the run's end."""
    for nudge, patience_s in ((None, EXPORTER_END_S), (child.terminate, EXPORTER_STOP_S), (child.kill, None)):
        if nudge is not None:
            nudge()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
            return


def wait_for_engines(run_dir: Path) -> None:
    """Engines that lost their Locust process still delete their sessions. Raises GeneratorError if they never end."""
    if not journal.wait_until_closed(run_dir, timeout_s=SETTLE_S):
        raise GeneratorError(f"{run_dir}: a session engine is still running; run `avaload sweep {run_dir}` later")
