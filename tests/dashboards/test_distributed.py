"""The master and workers that the manifests start, as processes of this machine."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.target import alive, reaching
from tests.support import ROOT, call, end_all, environment, eventually, free_port, get
from tests.twin.process import RunningTwin, running_twin

SCENARIO = """
name = "far"
[load]
users = 4
ramp = "1s"
duration = "{duration}"
pacing = "1s"
processes = 2
[target]
room = "none"
[output]
metrics_linger = "1s"
"""


@contextmanager
def parts(directory: Path, twin: RunningTwin, *, duration: str) -> Iterator[tuple[list[subprocess.Popen[str]], int]]:
    """A master and two workers of a run in `directory`/run; the port of the metrics."""
    (directory / "far.toml").write_text(SCENARIO.format(duration=duration))
    port, metrics, mark = free_port(), free_port(), uuid.uuid4().hex
    common = [f"--run-dir={directory / 'run'}", f"--master-port={port}", f"--metrics-port={metrics}"]
    roles = (["master", f"--scenario={directory / 'far.toml'}"], ["worker"], ["worker"])
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dashboards.distributed", *role, *common],
            env=environment(mark, **reaching(twin)),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for role in roles
    ]
    try:
        yield started, metrics
    finally:
        end_all(mark)
        for process in started:
            process.communicate()


def completed(port: int) -> int:
    """Sessions that ended well, as the master exposes them; 0 while it doesn't."""
    try:
        text = get(f"http://127.0.0.1:{port}/metrics", timeout_s=2)[1].decode()
    except OSError:
        return 0
    ok = 'avaload_sessions_total{outcome="ok",scenario="far"} '
    return int(sum(float(line.removeprefix(ok)) for line in text.splitlines() if line.startswith(ok)))


def test_a_run_over_several_processes_ends_is_judged_and_waits_to_be_told(tmp_path: Path) -> None:
    with running_twin() as twin, parts(tmp_path, twin, duration="4s") as (started, port):
        eventually(lambda: completed(port) > 4, within_s=40, what="sessions in the master's metrics")
        for process in started:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert next(line for line in lines if line.startswith("the run is over")) == (
                "the run is over (0); waiting for a signal\n"
            )
            assert process.poll() is None
        for process in started:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(10) for process in started] == [0, 0, 0]
        assert alive(twin) == []
        report = json.loads(call("report", tmp_path / "run", "--json", cwd=tmp_path).out)
        assert report["verdict"]["outcome"] == "pass", report["verdict"]
        assert report["sessions"]["completed"] == len(twin.state()["sessions"])


def test_sigterm_of_the_pods_deletes_what_is_open(tmp_path: Path) -> None:
    with (
        running_twin("--set", "latency.delete=fixed:0.5") as twin,
        parts(tmp_path, twin, duration="5m") as (started, port),
    ):
        eventually(lambda: completed(port) > 4, within_s=40, what="sessions in the master's metrics")
        for process in started:
            process.send_signal(signal.SIGTERM)
        stopped_s = time.monotonic()
        for process in started:
            process.wait(60)
        assert time.monotonic() - stopped_s < 60
        eventually(lambda: not alive(twin), within_s=30, what="every session deleted")
