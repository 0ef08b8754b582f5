"""Locust's process: started, followed and ended. Its stdin is ours: when this process dies, Locust notices and ends the
run.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from loadtest import journal
from loadtest.config import environment
from loadtest.config.access.cluster import TOKEN
from loadtest.config.access.scrapers import PASSWORD
from loadtest.config.run_dir import load_resolved
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import GeneratorError
from loadtest.processes.ctrl_c import Interruption
from loadtest.processes.tcp_ports import free_port
from loadtest.progress.glance import Glance
from loadtest.system import disk

LOCUST = (sys.executable, "-P", "-m", "loadtest.locust_main", "-f", str(Path(__file__).parents[1] / "locustfile.py"))
START_UP_S = 120.0
SETTLE_S = 180.0
"""How long engines may go on deleting after Locust is gone (each bounds itself to a minute)."""
MOST_LINGER_S = 600.0
"""For a scraper: twice the longest interval that is told from silence (exporters/metrics/prometheus.py)."""


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
    own = {environment.RUN_DIR: str(run_dir), environment.OWNER: "stdin", environment.SALT: salt}
    return environ | environment.of_senders(keys, hidden) | own | {TOKEN: token}


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
    engines then delete by themselves."""
    linger_s = MOST_LINGER_S if settings.output.metrics_linger is None else settings.output.metrics_linger
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


def wait_for_engines(run_dir: Path) -> None:
    """Engines that lost their Locust process still delete their sessions. Raises GeneratorError if they never end."""
    if not journal.wait_until_closed(run_dir, timeout_s=SETTLE_S):
        raise GeneratorError(f"{run_dir}: a session engine is still running; run `avaload sweep {run_dir}` later")
