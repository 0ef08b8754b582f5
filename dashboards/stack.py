"""Prometheus and Alertmanager of this machine beside a run, without containers: `make stack`, or
`python -m dashboards.stack`.

Both listen on loopback, read the files of this folder, keep their data in a temporary directory and end with Ctrl-C.
"""

import argparse
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
RUNBOOK: Final = HERE.parent / "RUNBOOK.md"
READY_S: Final = 60.0
STOP_S: Final = 20.0

_DEFAULTS: Final = {"metrics": 9646, "prometheus": 9090, "alertmanager": 9093, "webhook": 9099}


class StackError(Exception):
    """A server can't run here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """On loopback. `metrics`: of the run. `webhook`: of whoever takes the alerts."""

    metrics: int = _DEFAULTS["metrics"]
    prometheus: int = _DEFAULTS["prometheus"]
    alertmanager: int = _DEFAULTS["alertmanager"]
    webhook: int = _DEFAULTS["webhook"]


@contextlib.contextmanager
def stack(ports: Ports, directory: Path, *, interval: str = "5s") -> Iterator[None]:
    """Both servers, ready to answer; they are stopped in the end. `interval`: of scrapes and rules.

    Raises StackError where one is not installed, its port is taken, or it does not become ready.
    """
    prometheus, alertmanager = _program("prometheus"), _program("prometheus-alertmanager", "alertmanager")
    for port in (ports.prometheus, ports.alertmanager):
        _check_free(port)
    config = _written(ports, directory, interval)
    commands = {
        ports.alertmanager: [
            alertmanager,
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{ports.alertmanager}",
            "--cluster.listen-address=",
        ],
        ports.prometheus: [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{ports.prometheus}",
            "--enable-feature=exemplar-storage",
        ],
    }
    with contextlib.ExitStack() as running:
        for port, command in commands.items():
            log = directory / f"{Path(command[0]).name}.log"
            process = running.enter_context(_server(command, log))
            _wait_ready(process, f"http://127.0.0.1:{port}/-/ready", log)
        yield


def _written(ports: Ports, directory: Path, interval: str) -> Path:
    """The configurations of this folder with these ports, in `directory`; the path of Prometheus'."""
    for name in ("prometheus.yml", "alertmanager.yml"):
        text = (HERE / name).read_text(encoding="utf-8").replace("interval: 5s", f"interval: {interval}")
        for server, port in _DEFAULTS.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{getattr(ports, server)}")
        text = text.replace("generated/rules.yaml", str(directory / "rules.yaml"))
        (directory / name).write_text(text, encoding="utf-8")
    rules = (HERE / "generated" / "rules.yaml").read_text(encoding="utf-8")
    if RUNBOOK.exists():  # there is no Grafana that has it as a board
        rules = re.sub(r"(runbook_url:) [^#]+", rf"\1 {RUNBOOK.as_uri()}", rules)
    (directory / "rules.yaml").write_text(rules, encoding="utf-8")
    return directory / "prometheus.yml"


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise StackError(f"{names[0]} is not installed (Debian: apt-get install {names[0]})")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(f"127.0.0.1:{port}: {error.strerror}") from error


@contextlib.contextmanager
def _server(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is ours to pass on, after the last alert was sent.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is never behind a proxy
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            direct.open(url, timeout=2).close()
            return
        time.sleep(0.1)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise StackError("\n".join([f"no answer from {url}", *said]))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; 2 where that can't be."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.stack", description=__doc__)
    for server, port in _DEFAULTS.items():
        parser.add_argument(f"--{server}-port", type=int, default=port, metavar="N", help=f"default {port}")
    options = parser.parse_args(argv)
    ports = Ports(**{server: getattr(options, f"{server}_port") for server in _DEFAULTS})
    read_fd, write_fd = os.pipe()  # a signal writes here: unlike a flag it can't be missed before the wait
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(write_fd, b"."))
    try:
        with tempfile.TemporaryDirectory(prefix="avaload-stack-") as directory, stack(ports, Path(directory)):
            print(f"Prometheus    http://127.0.0.1:{ports.prometheus}/alerts", flush=True)
            print(f"Alertmanager  http://127.0.0.1:{ports.alertmanager}", flush=True)
            print(f"scraped       http://127.0.0.1:{ports.metrics}/metrics (avaload run); Ctrl-C ends both", flush=True)
            select.select([read_fd], [], [])
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
