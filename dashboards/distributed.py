"""A run over several machines, as `k8s/` starts it: `python -m dashboards.distributed master|worker …`.

All processes share the run's directory (a volume): the master writes the settings there, everybody a journal. The
scenario's `load.processes` is the number of workers. When the run is over this process stays and waits for its signal,
because a Deployment would start the run anew. SIGTERM before that ends the run: its sessions are deleted.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import loadtest
from loadtest.errors import ConfigError, Exit
from loadtest.resolve import load_resolved, resolve
from loadtest.run import make_run_dir, write_settings
from loadtest.settings import Settings

LOCUSTFILE: Final = Path(loadtest.__file__).with_name("locustfile.py")
SETTINGS_S: Final = 300.0
"""How long a worker waits for its master to write the settings."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the part, wait for a signal, return Locust's exit code; 2 for bad input."""
    options = _options(argv)
    try:
        if options.part == "master":
            settings = resolve(options.scenario, {})
            if settings.embedded_twin:
                raise ConfigError("target: a run over several machines needs endpoints")
            make_run_dir(options.run_dir)
            write_settings(settings, options.run_dir, started_at=datetime.now(UTC), embedded_twin=False)
        else:
            settings = _written(options.run_dir)
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return Exit.BAD_INPUT
    if options.part == "worker":
        return _run(_command(options, settings), options.run_dir, None)
    with socket.create_server((options.metrics_host, options.metrics_port)) as metrics:
        return _run(_command(options, settings), options.run_dir, metrics)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dashboards.distributed", description=__doc__)
    parser.add_argument("part", choices=("master", "worker"))
    parser.add_argument("--run-dir", type=Path, required=True, help="on a volume that all processes share; new")
    parser.add_argument("--scenario", type=Path, help="TOML; the master's")
    parser.add_argument("--master-host", default="127.0.0.1", help="where the master listens, or is found")
    parser.add_argument("--master-port", type=int, default=5557)
    parser.add_argument("--metrics-host", default="127.0.0.1", help="where the master serves /metrics")
    parser.add_argument("--metrics-port", type=int, default=9646)
    return parser.parse_args(argv)


def _written(run_dir: Path) -> Settings:
    """The settings, once the master has written them. Raises ConfigError."""
    deadline_s = time.monotonic() + SETTINGS_S
    while True:
        try:
            return load_resolved(run_dir)
        except ConfigError:  # not there, or half of it
            if time.monotonic() > deadline_s:
                raise
        time.sleep(0.5)


def _command(options: argparse.Namespace, settings: Settings) -> list[str]:
    users, port = str(settings.load.users), str(options.master_port)
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--stop-timeout", "5"]
    if options.part == "worker":
        return [*command, "--worker", "--master-host", options.master_host, "--master-port", port]
    command += ["--master", "--expect-workers", str(settings.load.processes), "--only-summary"]
    command += ["--master-bind-host", options.master_host, "--master-bind-port", port]
    return [*command, "-u", users, "-r", users, "--exit-code-on-error", "0"]


def _run(command: list[str], run_dir: Path, metrics: socket.socket | None) -> int:
    environ = os.environ | {"AVALOAD_RUN_DIR": str(run_dir.resolve())}
    if metrics is not None:
        environ["AVALOAD_METRICS_FD"] = str(metrics.fileno())
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, {*stop, signal.SIGCHLD})  # held until sigwait asks: none is missed
    fds = () if metrics is None else (metrics.fileno(),)
    locust = subprocess.Popen(command, env=environ, pass_fds=fds, preexec_fn=_unblock)
    while locust.poll() is None:
        if signal.sigwait({*stop, signal.SIGCHLD}) in stop:
            locust.terminate()
            return locust.wait()
    if metrics is not None:
        metrics.close()
    print(f"the run is over ({locust.returncode}); waiting for a signal", flush=True)
    signal.sigwait(stop)
    return locust.returncode


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


if __name__ == "__main__":
    sys.exit(main())
