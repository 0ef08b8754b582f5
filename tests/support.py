"""What the end-to-end tests share: avaload as a process with everything it starts, and real servers around it.

Whatever a test starts carries a mark in its environment, which its children inherit: so all processes of a run are
found, also those that have lost their parent, and each is ended by its own pid.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from loadtest import journal
from loadtest.events.kinds import RunStarted
from tests.programs import needed

ROOT = Path(__file__).parents[1]
MARK = "E2E_MARK"
# Deadlines only end a test that waits for what never comes. A machine that is busy is given so many times as long.
PATIENCE = 3
T = TypeVar("T")


def eventually(
    condition: Callable[[], T],
    *,
    within_s: float,
    what: str,
    every_s: float = 0.02,
    during: "Avaload | None" = None,
) -> T:
    """The first true value of `condition`; fails at the deadline, or when the run that it waits for has ended.

    `within_s`: what a machine with nothing else to do needs at most.
    """
    within_s *= PATIENCE
    deadline_s = time.monotonic() + within_s
    while not (value := condition()):
        if during is not None and during.process.poll() is not None:
            pytest.fail(f"avaload ended before {what}: {during.said()}\n{during.log()}")
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s:g} s: {what}; last seen: {value!r}")
        time.sleep(every_s)
    return value


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def executable(path: Path, text: str) -> None:
    """A program of a test's own."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def get(url: str, *, accept: str = "*/*", timeout_s: float = 30) -> tuple[str, bytes]:
    """Content type and body. Raises URLError; the environment's proxies are not used."""
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout_s) as answer:
        return answer.headers["Content-Type"], answer.read()


def environment(mark: str, **more: str) -> dict[str, str]:
    """This environment without what would steer avaload, Locust, OpenTelemetry or a proxy, plus the mark."""
    steering = ("AVALOAD_", "LOCUST_", "OTEL_", "OPENAI_", "AVATURN_")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(steering) and not name.lower().endswith("_proxy")
    }
    return {**clean, MARK: mark, "PYTHONUNBUFFERED": "1", **more}


def marked(mark: str) -> dict[int, str]:
    """Living processes with this mark: pid → command line."""
    needle = f"{MARK}={mark}".encode()
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # gone meanwhile, or not ours to read
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def end_all(mark: str) -> None:
    """Kill every process with this mark, each by its pid, until none is left."""
    deadline_s = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < deadline_s:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()


class Avaload:
    """A command of avaload that runs. `run_dir` is meaningful for those that were given one."""

    def __init__(self, command: list[str], *, run_dir: Path, cwd: Path, environ: Mapping[str, str]) -> None:
        self.mark = uuid.uuid4().hex
        self.run_dir = run_dir
        self._out, self._err = cwd / f"{self.mark}.out", cwd / f"{self.mark}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env=environment(self.mark, **environ),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def finish(self, *, within_s: float) -> Done:
        """Wait for the command's end; fails where it does not come. `within_s`: as of `eventually`."""
        within_s *= PATIENCE
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"avaload did not end within {within_s:g} s: {self.said()}\n{self.log()}")
        return Done(code, *(path.read_text(errors="replace") for path in (self._out, self._err)))

    def printed(self) -> str:
        """On stdout, up to the last whole line."""
        lines, newline, _ = self._out.read_text().rpartition("\n")
        return lines + newline

    def said(self) -> str:
        """On stderr."""
        return self._err.read_text(errors="replace")

    def log(self) -> str:
        path = self.run_dir / "locust.log"
        return path.read_text() if path.exists() else ""

    def processes(self, word: str = "") -> dict[int, str]:
        """What is alive of it, itself included, with `word` in the command line."""
        return {pid: command for pid, command in marked(self.mark).items() if word in command}

    def locust_pid(self) -> int:
        """The Locust process that the command started (the master, if there are several)."""
        return next(pid for pid in self.processes("loadtest.locust_main") if parent_of(pid) == self.pid)

    def writers(self, role: str) -> list[RunStarted]:
        """First lines of the journal files of that role, complete ones only."""
        started = []
        for path in journal.paths(self.run_dir):
            first, newline, _ = path.read_bytes().partition(b"\n")
            if newline:
                event = journal.decode(first)
                assert isinstance(event, RunStarted)
                if event.role == role:
                    started.append(event)
        return sorted(started, key=lambda event: event.t_ns)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_dir / "report.json").read_text())
        return found


def parent_of(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


@contextmanager
def avaload(
    *arguments: object,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    through: Sequence[str] = (),
    python: str | Path = sys.executable,
) -> Iterator[Avaload]:
    """Start `avaload …` with `cwd` as its working directory, `through` a command that starts it; in the end nothing
    that it started is alive."""
    words = [str(argument) for argument in arguments]
    run_dir = cwd / "run"
    if "--run-dir" in words:
        run_dir = Path(words[words.index("--run-dir") + 1])
    elif words[:1] == ["run"]:
        words += ["--run-dir", str(run_dir)]
    if words[:1] == ["run"] and not {"--metrics-port", "--worker"} & set(words):
        words += ["--metrics-port", "off"]
    command = [*through, str(python), "-P", "-m", "avaload", *words]
    started = Avaload(command, run_dir=run_dir, cwd=cwd, environ=environ or {})
    try:
        yield started
    finally:
        end_all(started.mark)
        started.process.wait(10)


def call(*arguments: object, cwd: Path, environ: Mapping[str, str] | None = None, within_s: float = 60) -> Done:
    """Run a command of avaload to its end."""
    with avaload(*arguments, cwd=cwd, environ=environ) as started:
        return started.finish(within_s=within_s)


class Prometheus:
    """A real server that scrapes one target each second."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def query(self, promql: str) -> Any:
        """The result of an instant query; empty while the server isn't up."""
        quoted = urllib.parse.urlencode({"query": promql})
        with suppress(urllib.error.URLError, ConnectionError):
            return json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/query?{quoted}")[1])["data"]["result"]
        return []

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """The exemplars of the last hour, with the labels of their series under "series"."""
        now_s = time.time()
        quoted = urllib.parse.urlencode({"query": selector, "start": now_s - 3600, "end": now_s + 60})
        found = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/query_exemplars?{quoted}")[1])["data"]
        return [{**each, "series": row["seriesLabels"]} for row in found for each in row["exemplars"]]


@contextmanager
def prometheus(target_port: int, directory: Path) -> Iterator[Prometheus]:
    """Debian's Prometheus with the configuration of dashboards/, scraping 127.0.0.1:`target_port` each second."""
    program, own = needed("prometheus"), free_port()
    config = (ROOT / "dashboards" / "prometheus.yml").read_text()
    assert "127.0.0.1:9646" in config
    assert "interval: 5s" in config
    config = config.replace("127.0.0.1:9646", f"127.0.0.1:{target_port}").replace("interval: 5s", "interval: 1s")
    (directory / "prometheus.yml").write_text(config)
    log = directory / "prometheus.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                program,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{own}",
                "--enable-feature=exemplar-storage",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Prometheus(own, log)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
